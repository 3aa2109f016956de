/*
 * Watches of inotify and fanotify on files that can't be found by a path, as `look` prints them. CRIU looks for the path that the
 * kernel has for a file now. It has none for a file that no process has open once it has forgotten the name it was watched
 * by, until that file is looked at; and none for one that has lost its name and has another.
 */
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "look-parts.h"
#include "watches.h"

/* A look must not take long, and away from home each path is asked of the home. */
#define MOST_LOOKED_AT 1000

/* A file without any name is brought back with its content, but on a tmpfs. */
static bool travels(int fd, const struct stat *about) {
  struct statfs where;
  return about->st_nlink == 0 && fstatfs(fd, &where) == 0 && where.f_type != TMPFS_MAGIC;
}

static bool is_named(int fd, const char *pid) {
  char path[64], name[4096];
  struct stat about, found;
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  if (fstat(fd, &about) || !target_of(path, name, sizeof name)) return false;
  if (travels(fd, &about)) return true;
  const int there = open_in_root(pid, name, O_PATH | O_NOFOLLOW);
  if (there < 0) return false;
  const bool same = !fstat(there, &found) && found.st_dev == about.st_dev && found.st_ino == about.st_ino;
  close(there);
  return same;
}

void look_at_watches(const char *pid, const char *fd) {
  static int looked_at;
  struct watch watch;
  FILE *info = watches_of(pid, fd);
  if (!info) return;
  while (looked_at++ < MOST_LOOKED_AT && next_watch(info, &watch)) {
    const int found = find_watched(&watch, mounts_of_job(), is_named);
    if (found >= 0) close(found);
    else printf("w\t%s\t%s\t%d\t%lu\n", pid, fd, watch.number, watch.inode);
  }
  fclose(info);
}
