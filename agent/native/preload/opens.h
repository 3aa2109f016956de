/*
 * For what is preloaded into CRIU: its openat(2), by both names that it has in the C library. `opens` is called in its
 * place, opens by `next`, and says which descriptor CRIU is given.
 */
#ifndef OPENS_H
#define OPENS_H

#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/types.h>

typedef int opener(int folder, const char *path, int flags, ...);

#define OPENS_AS(name, opens)                                  \
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
    return opens(next, folder, path, flags, mode);             \
  }

#define OPENS(opens)      \
  OPENS_AS(openat, opens) \
  OPENS_AS(openat64, opens)

#endif
