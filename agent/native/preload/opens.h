/*
 * For what is preloaded into CRIU: its openat(2), by both names that it has in the C library. `opened` is called for each
 * that has been made, and says which descriptor CRIU is given.
 */
#ifndef OPENS_H
#define OPENS_H

#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/types.h>

typedef int opener(int folder, const char *path, int flags, ...);

#define OPENS_AS(name, opened)                                 \
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
    const int fd = next(folder, path, flags, mode);            \
    return opened(fd, folder, path, flags);                    \
  }

#define OPENS(opened)      \
  OPENS_AS(openat, opened) \
  OPENS_AS(openat64, opened)

#endif
