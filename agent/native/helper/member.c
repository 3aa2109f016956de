/*
 * A job's processes and what they hold. Both are their user's to change at any moment. So a process is known by a
 * descriptor of it (pidfd_open(2)), and what it has open is shared with it (pidfd_getfd(2)): opened by path under
 * /proc/PID/fd it would be opened anew, with root's rights instead of those with which the job has it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "helper.h"

pid_t pid_of(const char *text) {
  char *end;
  errno = 0;
  const long number = strtol(text, &end, 10);
  if (end != text && !*end && !errno && number > 0 && number <= PID_MOST) return (pid_t)number;
  errno = ESRCH;
  return -1;
}

/*
 * The folder above the last one, by which a job's copy is known: JOB.EPOCH/run and JOB.EPOCH/attach are of one. A
 * cgroup namespace, or a mount of a part of the hierarchy, changes what is before these two and not them.
 */
static const char *copy_of(const char *path, size_t *size) {
  const char *end = strrchr(path, '/'), *at = end;
  while (at && at > path && at[-1] != '/') at--;
  *size = at ? (size_t)(end - at) : 0;
  return at;
}

static bool is_same_copy(const char *one, const char *other) {
  size_t size, other_size;
  const char *name = copy_of(one, &size), *other_name = copy_of(other, &other_size);
  return size > 0 && size == other_size && !memcmp(name, other_name, size);
}

static bool is_in(const char *cgroup, pid_t pid) {
  char path[64], line[4096];
  bool found = false;
  snprintf(path, sizeof path, "/proc/%d/cgroup", pid);
  FILE *groups = fopen(path, "re");
  if (!groups) return false;
  while (!found && fgets(line, sizeof line, groups)) {
    line[strcspn(line, "\n")] = 0;
    found = !strncmp(line, "0::", 3) && is_same_copy(line + 3, cgroup);
  }
  fclose(groups);
  return found;
}

bool is_alive(int process) { return syscall(SYS_pidfd_send_signal, process, 0, NULL, 0) == 0; }

int open_process(pid_t pid) { return (int)syscall(SYS_pidfd_open, pid, 0); }

int open_member(const char *cgroup, pid_t pid) {
  const int process = open_process(pid);
  if (process < 0) return -1;
  /* While it lives no other process has its number: what was read of that number in between was read of it. */
  if (is_in(cgroup, pid) && is_alive(process)) return process;
  close(process);
  errno = ESRCH;
  return -1;
}

int each_member(const char *cgroup, member_act *act, void *what) {
  char path[4096];
  int failed = 0, pid;
  snprintf(path, sizeof path, "%s/cgroup.procs", cgroup);
  FILE *procs = fopen(path, "re");
  if (!procs) return errno;
  while (fscanf(procs, "%d", &pid) == 1) {
    const int process = open_member(cgroup, pid);
    const int error = process >= 0 ? act(process, pid, what) : errno == ESRCH ? 0 : errno;
    if (error) failed = error;
    if (process >= 0) close(process);
  }
  fclose(procs);
  return failed;
}

int share_descriptor(int process, int fd) { return (int)syscall(SYS_pidfd_getfd, process, fd, 0); }

int share_descriptor_of(pid_t pid, int fd) {
  static int process = -1;
  static pid_t whose;
  if (process < 0 || whose != pid) {
    if (process >= 0) close(process);
    process = open_process(pid);
    whose = pid;
  }
  return share_descriptor(process, fd);
}

int signal_member(char **argv) {
  if (!argv[0] || !argv[1] || !argv[2]) return wrong_usage("signal PID CGROUP SIGNUM");
  const int process = open_member(argv[1], pid_of(argv[0]));
  if (process < 0) return say_error("gone", errno);
  if (syscall(SYS_pidfd_send_signal, process, atoi(argv[2]), NULL, 0) == 0) return 0;
  return say_error(errno == ESRCH ? "gone" : "signal", errno);
}
