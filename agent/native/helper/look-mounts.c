/* What a process uses of mounts, and which the job has made itself, as `look` prints it. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "helper.h"
#include "look-parts.h"
#include "mountinfo.h"
#include "text.h"

/* statfs(2) */
#define MQUEUE_MAGIC 0x19800202
#define DMA_BUF_MAGIC 0x444d4142

/* Of all the namespaces of the job. */
static struct mounts mounts;

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
    add_mounts(&mounts, *pids, tell_foreign);
  }
  sort_mounts(&mounts);
}

const struct mounts *mounts_of_job(void) { return &mounts; }

/* Not what the kernel has mounted for itself alone, for message queues and shared buffers: their files are named as others are. */
static bool has_been_there(const char *path, const struct statx *about) {
  struct statfs where;
  if (!S_ISREG(about->stx_mode) && !S_ISDIR(about->stx_mode)) return false;
  return statfs(path, &where) == 0 && where.f_type != MQUEUE_MAGIC && where.f_type != DMA_BUF_MAGIC;
}

/*
 * CRIU finds a file by its path. What was opened before the job was there (its devices) is on none of its mounts; files
 * that never were (memfd_create(2) and its like) are named as deleted.
 */
void look_at_mount(const char *pid, const char *path, const char *target) {
  struct statx about;
  if (*target != '/' || ends_with(target, " (deleted)") || !mounts.count) return;
  if (statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_TYPE | STATX_MNT_ID, &about)) return;
  if (!(about.stx_mask & STATX_MNT_ID)) return;
  const struct mounted *mount = mounted_as(&mounts, about.stx_mnt_id);
  if (mount ? is_covered(&mounts, mount, target) : !starts_with(target, "/dev/") && has_been_there(path, &about))
    printf("%c\t%s\t%s\n", mount ? 'v' : 'm', pid, target);
}

void look_at_places(const char *pid) {
  static const char *const names[] = {"cwd", "root", "exe"};
  char path[64], target[4096];
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    snprintf(path, sizeof path, "/proc/%.20s/%s", pid, names[i]);
    if (target_of(path, target, sizeof target)) look_at_mount(pid, path, target);
  }
}
