/*
 * Preloaded into a CRIU that dumps a job: in /proc/PID/timers, timers whose signals are for the process's first thread
 * look as if they were for the process. CRIU (4.2) fails at them (thread-timers.ts, which puts its image right).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "opens.h"

/* In place of "tid": as the kernel prints it for a timer of the process. */
static void rename_first(char *text, const char *pid) {
  char wanted[32];
  const size_t size = (size_t)snprintf(wanted, sizeof wanted, "/tid.%s\n", pid);
  for (char *at = text; (at = strstr(at, wanted)); at += size) memcpy(at, "/pid", 4);
}

/* All of it, as text. */
static char *read_all(int fd) {
  size_t size = 0, room = 0;
  for (char *text = NULL;;) {
    if (size + 1 >= room) {
      char *more = realloc(text, room = room ? 2 * room : 4096);
      if (!more) return free(text), NULL;
      text = more;
    }
    const ssize_t got = read(fd, text + size, room - size - 1);
    if (got < 0) return free(text), NULL;
    text[size += (size_t)got] = 0;
    if (got == 0) return text;
  }
}

/* What CRIU reads instead of `fd`, which is closed; -1 with errno. */
static int as_of_process(int fd, const char *pid) {
  char *text = read_all(fd);
  const int shown = text ? memfd_create("timers", MFD_CLOEXEC) : -1;
  if (shown >= 0) {
    rename_first(text, pid);
    const ssize_t size = (ssize_t)strlen(text);
    if (write(shown, text, (size_t)size) != size || lseek(shown, 0, SEEK_SET)) errno = EIO;
  }
  free(text);
  close(fd);
  return shown;
}

/* CRIU has the process's folder open. */
static const char *process_of(int folder, char *target, size_t room) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", folder);
  const ssize_t size = readlink(path, target, room - 1);
  if (size <= 0) return NULL;
  target[size] = 0;
  const char *name = strrchr(target, '/');
  return name && name[1] >= '0' && name[1] <= '9' ? name + 1 : NULL;
}

static int shown_of(opener *next, int folder, const char *path, int flags, mode_t mode) {
  char target[256];
  const int fd = next(folder, path, flags, mode);
  if (fd < 0 || strcmp(path, "timers")) return fd;
  const char *pid = process_of(folder, target, sizeof target);
  return pid ? as_of_process(fd, pid) : fd;
}

OPENS(shown_of)
