/* The job's control groups. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "helper.h"

int join_groups(char **argv, const char *pid) {
  for (; *argv && strcmp(*argv, "--"); argv++)
    if (!strcmp(*argv, "--join") && argv[1] && put(*++argv, "cgroup.procs", pid)) return -1;
  return 0;
}

int await_frozen(const char *cgroup) {
  char path[4096], events[256];
  snprintf(path, sizeof path, "%s/cgroup.events", cgroup);
  for (int waited = 0; waited < 5000; waited++) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    ssize_t size = read(fd, events, sizeof events - 1);
    close(fd);
    if (size < 0) return -1;
    events[size] = 0;
    if (strstr(events, "frozen 1")) return 0;
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
  }
  errno = ETIMEDOUT;
  return -1;
}
