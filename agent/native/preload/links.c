/*
 * Preloaded into CRIU: a watch of inotify on a symbolic link (IN_DONT_FOLLOW) stays one. CRIU (4.2) looks for what is
 * watched by the path that the kernel has for it, and follows the link when it opens that. No path that it opens so, but
 * in the kernel's /proc, ends in a link that is to be followed.
 */
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "opens.h"

static bool is_watched_link(int fd) {
  struct stat about;
  struct statfs where;
  return !fstat(fd, &about) && S_ISLNK(about.st_mode) && !fstatfs(fd, &where) && where.f_type != PROC_SUPER_MAGIC;
}

/* What is watched CRIU opens with O_PATH alone, by a path from a folder that is open. */
static int open_link(opener *next, int folder, const char *path, int flags, mode_t mode) {
  if (flags == O_PATH && *path != '/') {
    const int fd = next(folder, path, O_PATH | O_NOFOLLOW);
    if (fd >= 0 && is_watched_link(fd)) return fd;
    if (fd >= 0) close(fd);
  }
  return next(folder, path, flags, mode);
}

OPENS(open_link)
