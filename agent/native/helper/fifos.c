/*
 * Has a writer of a FIFO gone, as far as its reader can see (poll(2), POLLHUP)? One that was opened before any writer
 * came does not see it, however long none comes.
 *
 *   fifos --cgroup RUN -- PID:FD...
 *             prints for each reader one line: PID, FD, and `quiet` or `left`, apart by tabs
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helper.h"

static bool is_reader(int fd) {
  struct stat status;
  const int flags = fcntl(fd, F_GETFL);
  return flags >= 0 && !(flags & O_PATH) && (flags & O_ACCMODE) == O_RDONLY && fstat(fd, &status) == 0 &&
         S_ISFIFO(status.st_mode);
}

static bool say_of(const char *cgroup, const char *which) {
  int pid, number;
  char end;
  if (sscanf(which, "%d:%d%c", &pid, &number, &end) != 2 || pid <= 0 || number < 0) return errno = EINVAL, false;
  const int process = open_member(cgroup, pid);
  const int fd = process < 0 ? -1 : share_descriptor(process, number);
  if (fd < 0) return false;
  if (is_reader(fd)) {
    struct pollfd one = {.fd = fd, .events = POLLIN};
    const bool has_left = poll(&one, 1, 0) == 1 && one.revents & POLLHUP;
    printf("%d\t%d\t%s\n", pid, number, has_left ? "left" : "quiet");
  }
  close(fd);
  close(process);
  return true;
}

int fifos(char **argv) {
  const char *cgroup = required(argv, "--cgroup");
  for (char **which = after_dashes(argv); *which; which++)
    if (!say_of(cgroup, *which)) return say_error("fifo", errno);
  return 0;
}
