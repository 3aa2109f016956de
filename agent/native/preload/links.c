/*
 * Preloaded into CRIU: a watch of inotify on a symbolic link (IN_DONT_FOLLOW) stays one. CRIU (4.2) looks for what is
 * watched by the path that the kernel has for it, and follows the link when it opens that. No path that it opens so, but
 * in the kernel's /proc, ends in a link that is to be followed.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

typedef int opener(int folder, const char *path, int flags, ...);

static bool is_watched_link(int fd) {
  struct stat about;
  struct statfs where;
  return !fstat(fd, &about) && S_ISLNK(about.st_mode) && !fstatfs(fd, &where) && where.f_type != PROC_SUPER_MAGIC;
}

/* As CRIU opens what is watched; -1 for anything else. */
static int open_link(opener *next, int folder, const char *path, int flags) {
  if (flags != O_PATH || *path == '/') return -1;
  const int fd = next(folder, path, O_PATH | O_NOFOLLOW);
  if (fd < 0 || is_watched_link(fd)) return fd;
  close(fd);
  return -1;
}

#define OPENS(name)                                            \
  int name(int folder, const char *path, int flags, ...) {     \
    static opener *next;                                       \
    mode_t mode = 0;                                           \
    if (!next) next = (opener *)dlsym(RTLD_NEXT, #name);       \
    if (flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE) { \
      va_list list;                                            \
      va_start(list, flags);                                   \
      mode = va_arg(list, mode_t);                             \
      va_end(list);                                            \
    }                                                          \
    const int link = open_link(next, folder, path, flags);     \
    return link >= 0 ? link : next(folder, path, flags, mode); \
  }

OPENS(openat)
OPENS(openat64)
