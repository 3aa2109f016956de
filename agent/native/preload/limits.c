/*
 * Preloaded into a CRIU that lacks CAP_SYS_RESOURCE, as root in a container often does. The kernel then does not tell
 * it the resource limits of another user's process by prlimit(2); in /proc/PID/limits they can be read by anybody.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The rows are in the order of the resources' numbers, below a heading; the name takes 26 columns (fs/proc/base.c). */
#define NAME_COLUMNS 26

static rlim64_t bound_of(const char *word) {
  return strcmp(word, "unlimited") ? strtoull(word, NULL, 10) : RLIM64_INFINITY;
}

static int read_limit(pid_t pid, int resource, struct rlimit64 *limit) {
  char path[64], row[256], soft[32], hard[32];
  int found = 0;
  snprintf(path, sizeof path, "/proc/%d/limits", pid);
  FILE *file = fopen(path, "re");
  if (!file) return -1;
  for (int number = -1; number <= resource && fgets(row, sizeof row, file); number++)
    found =
        number == resource && strlen(row) > NAME_COLUMNS && sscanf(row + NAME_COLUMNS, "%31s %31s", soft, hard) == 2;
  fclose(file);
  if (!found) {
    errno = EPERM;
    return -1;
  }
  *limit = (struct rlimit64){bound_of(soft), bound_of(hard)};
  return 0;
}

/* CRIU calls the kernel by number: every other call goes on to the C library. */
long syscall(long number, ...) {
  static long (*next)(long, ...);
  long argument[6];
  va_list list;
  va_start(list, number);
  for (int i = 0; i < 6; i++) argument[i] = va_arg(list, long);
  va_end(list);
  if (!next) next = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
  long result = next(number, argument[0], argument[1], argument[2], argument[3], argument[4], argument[5]);
  if (result == 0 || number != SYS_prlimit64 || errno != EPERM) return result;
  const pid_t pid = (pid_t)argument[0];
  struct rlimit64 *old = (struct rlimit64 *)argument[3];
  return pid == 0 || argument[2] || !old ? result : read_limit(pid, (int)argument[1], old);
}
