/*
 * Events that wait in a job's inotify descriptors. CRIU (4.2) loses them. They can't be put back, nor be looked at
 * without being taken; so a program that had some gets the event that some were lost (IN_Q_OVERFLOW, inotify(7)), which it has
 * to expect anyway, and looks for itself.
 *
 *   events --cgroup RUN -- PID:FD...
 *             prints for each descriptor of a frozen job with waiting events one line: PID and FD, apart by a tab
 *   overflow --cgroup RUN -- PID:FD...
 *             in a restored, frozen job, has the kernel report that to each of them, and nothing else
 */
#include <errno.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "helper.h"

/* No queue is longer: fs.inotify.max_queued_events is 16,384, and who raises it does so by some factors. */
#define MOST_EVENTS (1 << 22)
#define BETWEEN_LOOKS 512

static int open_shared(const char *cgroup, const char *which) {
  int pid, number;
  char end;
  if (sscanf(which, "%d:%d%c", &pid, &number, &end) != 2 || pid <= 0 || number < 0) return errno = EINVAL, -1;
  const int process = open_member(cgroup, pid), fd = process < 0 ? -1 : share_descriptor(process, number);
  if (process >= 0) close(process);
  return fd;
}

static int waiting_in(int fd) {
  int size = 0;
  return ioctl(fd, FIONREAD, &size) ? -1 : size;
}

int events(char **argv) {
  const char *cgroup = required(argv, "--cgroup");
  for (char **which = after_dashes(argv); *which; which++) {
    const int fd = open_shared(cgroup, *which);
    if (fd < 0) return say_error("event", errno);
    if (waiting_in(fd) > 0) printf("%.*s\t%s\n", (int)strcspn(*which, ":"), *which, strchr(*which, ':') + 1);
    close(fd);
  }
  return 0;
}

/* A file of this process's, watched by the descriptor; the watch or -1. */
static int watch_own(int fd, int file) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", file);
  return inotify_add_watch(fd, path, IN_ATTRIB);
}

/* Events of two files in turn, since equal ones that follow each other are one, until the queue takes no more. */
static bool fill(int fd, const int files[2]) {
  int before = -1;
  for (int count = 0; count < MOST_EVENTS; count++) {
    if (fchmod(files[count % 2], count & 2 ? 0600 : 0400)) return false;
    if (count % BETWEEN_LOOKS) continue;
    const int size = waiting_in(fd);
    if (size < 0) return false;
    if (size == before) return true;
    before = size;
  }
  return errno = EOVERFLOW, false;
}

/* All but the last event, which is that the queue was full. */
static bool leave_last(int fd) {
  static char space[65536];
  for (size_t left = (size_t)waiting_in(fd) - sizeof(struct inotify_event); left > 0;) {
    const ssize_t got = read(fd, space, left < sizeof space ? left : sizeof space);
    if (got <= 0 || (size_t)got > left) return false;
    left -= (size_t)got;
  }
  return true;
}

static bool overflow_one(int fd) {
  const int files[] = {memfd_create("event", MFD_CLOEXEC), memfd_create("event", MFD_CLOEXEC)};
  const int watches[] = {watch_own(fd, files[0]), watch_own(fd, files[1])};
  bool done = watches[0] >= 0 && watches[1] >= 0 && fill(fd, files);
  const int error = errno;
  /* The event for that (IN_IGNORED) has no room in the queue any more. */
  for (int i = 0; i < 2; i++) {
    if (watches[i] >= 0) inotify_rm_watch(fd, watches[i]);
    if (files[i] >= 0) close(files[i]);
  }
  errno = error;
  return done && leave_last(fd);
}

/* Several may have one queue: once is enough. `done` are descriptors of this process's, up to `fd`. */
static bool is_done(const int *done, size_t count, int fd) {
  const pid_t self = getpid();
  for (size_t i = 0; i < count; i++)
    if (syscall(SYS_kcmp, self, self, KCMP_FILE, done[i], fd) == 0) return true;
  return false;
}

int overflow(char **argv) {
  const char *cgroup = required(argv, "--cgroup");
  char **which = after_dashes(argv);
  size_t all = 0, count = 0;
  while (which[all]) all++;
  int *done = calloc(all, sizeof *done);
  if (!done) return say_error("event", errno);
  for (; *which; which++) {
    const int fd = open_shared(cgroup, *which);
    if (fd < 0) return say_error("event", errno);
    if (is_done(done, count, fd)) close(fd);
    else if (overflow_one(fd)) done[count++] = fd;
    else return say_error("event", errno);
  }
  return 0;
}
