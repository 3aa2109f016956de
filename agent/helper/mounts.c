/*
 * The machine's other mounts (/home, /tmp, a volume) at their places in a job's root. CRIU takes each as external: a
 * restore binds what stands at the same path there.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "helper.h"

/* Undoes the kernel's \040 for a space and its like, in place. */
static void unescape(char *path) {
  char *to = path;
  unsigned int code;
  for (; *path; to++) {
    if (*path == '\\' && sscanf(path + 1, "%3o", &code) == 1) *to = (char)code, path += 4;
    else *to = *path++;
  }
  *to = 0;
}

static bool is_below(const char *path, const char *folder) {
  size_t size = strlen(folder);
  return !strncmp(path, folder, size) && path[size] == '/';
}

/* The kernel's own trees are made afresh in a job; `without` holds other jobs' roots. */
static bool is_wanted(const char *at, const char *type, const char *without) {
  static const char *const own[] = {"/proc", "/sys", "/dev"};
  if (!strcmp(type, "autofs") || !strcmp(type, "nsfs") || !strcmp(at, "/")) return false;
  for (size_t i = 0; i < sizeof own / sizeof *own; i++)
    if (!strcmp(at, own[i]) || is_below(at, own[i])) return false;
  return !without || !is_below(at, without);
}

static bool is_same(const char *a, const char *b) {
  struct stat one, other;
  if (stat(a, &one) || stat(b, &other)) return false;
  return one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

/* This process stands in the new root, which shows only the root file system yet. */
void bind_other_mounts(const char *without) {
  char line[8192], at[4096], type[64];
  FILE *mounts = fopen("/proc/self/mountinfo", "re");
  if (!mounts) fail("root");
  while (fgets(line, sizeof line, mounts)) {
    const char *dash = strstr(line, " - ");
    if (!dash || sscanf(dash, " - %63s", type) != 1) continue;
    if (sscanf(line, "%*s %*s %*s %*s %4095s", at) != 1) continue;
    unescape(at);
    const char *inside = at + 1;
    if (!is_wanted(at, type, without) || is_same(at, "/") || is_same(at, inside)) continue;
    /* One that can't be bound (another user's FUSE mount, say) is not there for the job. */
    mount(at, inside, NULL, MS_BIND, NULL);
  }
  fclose(mounts);
}
