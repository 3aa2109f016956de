/* What a process uses of mounts, and which the job has made itself, as `look` prints it. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "helper.h"
#include "look-parts.h"
#include "text.h"

/* statfs(2) */
#define MQUEUE_MAGIC 0x19800202
#define DMA_BUF_MAGIC 0x444d4142

/* Of all the namespaces of the job, by their ids, in order. */
static uint64_t *mounts;
static size_t mount_count;

static int by_id(const void *a, const void *b) {
  uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
  return left < right ? -1 : left > right;
}

/* File systems that CRIU brings back with all that is in them, or that have nothing but what the kernel generates. */
static bool is_saved(const char *type) {
  static const char *const types[] = {"tmpfs",   "proc",    "sysfs",      "devpts",  "mqueue", "devtmpfs",
                                      "debugfs", "tracefs", "securityfs", "fusectl", "pstore"};
  for (size_t i = 0; i < sizeof types / sizeof *types; i++)
    if (!strcmp(type, types[i])) return true;
  return false;
}

/* Each is printed once, though several of the job's namespaces may have it. */
static void tell_foreign(const char *line) {
  static char told[4096];
  char device[32], at[1024], type[32];
  const char *rest = strstr(line, " - ");
  if (!rest || sscanf(line, "%*s %*s %31s %*s %1023s", device, at) != 2 || sscanf(rest, " - %31s", type) != 1) return;
  if (is_saved(type) || (is_mounted_here(device) && !starts_with(type, "cgroup"))) return;
  if (strstr(told, at) || strlen(told) + strlen(at) + 2 > sizeof told) return;
  strcat(strcat(told, at), "\n");
  printf("f\t%s\t%s\n", type, at);
}

static void add_mount(uint64_t id) {
  static size_t room;
  if (mount_count == room) {
    uint64_t *more = realloc(mounts, (room = room ? 2 * room : 64) * sizeof *more);
    if (!more) return;
    mounts = more;
  }
  mounts[mount_count++] = id;
}

static void read_mounts(const char *pid) {
  char path[64], *line = NULL;
  size_t room = 0;
  snprintf(path, sizeof path, "/proc/%.20s/mountinfo", pid);
  FILE *info = fopen(path, "re");
  if (!info) return;
  while (getline(&line, &room, info) > 0) {
    add_mount(strtoull(line, NULL, 10));
    tell_foreign(line);
  }
  free(line);
  fclose(info);
}

/* What was opened before a process got a namespace of its own stays on the mounts of the one that it had. */
void learn_mounts(char **pids) {
  ino_t known[64];
  size_t count = 0, at;
  char path[64];
  struct stat space;
  for (; *pids; pids++) {
    snprintf(path, sizeof path, "/proc/%.20s/ns/mnt", *pids);
    if (stat(path, &space)) continue;
    for (at = 0; at < count && known[at] != space.st_ino;) at++;
    if (at < count) continue;
    if (count < sizeof known / sizeof *known) known[count++] = space.st_ino;
    read_mounts(*pids);
  }
  if (mount_count) qsort(mounts, mount_count, sizeof *mounts, by_id);
}

/*
 * Files that were never on a mount of the namespace (memfd_create(2) and its like) are named as deleted, except for the
 * kernel's own file systems of message queues and of shared buffers.
 */
void look_at_mount(const char *pid, const char *path, const char *target) {
  struct statx about;
  struct statfs where;
  if (*target != '/' || ends_with(target, " (deleted)") || starts_with(target, "/dev/") || !mount_count) return;
  if (statx(AT_FDCWD, path, 0, STATX_TYPE | STATX_MNT_ID, &about) || !(about.stx_mask & STATX_MNT_ID)) return;
  if (!S_ISREG(about.stx_mode) && !S_ISDIR(about.stx_mode)) return;
  if (statfs(path, &where) || where.f_type == MQUEUE_MAGIC || where.f_type == DMA_BUF_MAGIC) return;
  uint64_t id = about.stx_mnt_id;
  if (!bsearch(&id, mounts, mount_count, sizeof id, by_id)) printf("m\t%s\t%s\n", pid, target);
}

void look_at_places(const char *pid) {
  static const char *const names[] = {"cwd", "root", "exe"};
  char path[64], target[4096];
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    snprintf(path, sizeof path, "/proc/%.20s/%s", pid, names[i]);
    if (target_of(path, target, sizeof target)) look_at_mount(pid, path, target);
  }
}
