/*
 * Preloaded into gdbserver, which opens a program's file to see whether it is one of 64 bits, and where that can't be
 * opened takes it for one of 32: then it writes half of each register back. The file may be on a disk that does not
 * answer just now. Godwit attaches it to programs of its own width only, so it is shown its own file instead.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

static int is_program(const char *path) {
  int end = 0;
  sscanf(path, "/proc/%*[0-9]/exe%n", &end);
  return end > 0 && path[end] == 0;
}

int open64(const char *path, int flags, ...) {
  va_list list;
  va_start(list, flags);
  /* Absent, it is not looked at. */
  mode_t mode = va_arg(list, mode_t);
  va_end(list);
  if (is_program(path)) path = "/proc/self/exe";
  return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int open(const char *path, int flags, ...) __attribute__((alias("open64")));
