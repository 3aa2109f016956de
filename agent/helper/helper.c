/*
 * The few system calls that Node lacks, as one static binary:
 *
 *   launch   makes a job's namespaces and root, starts its program, waits for its end
 *   restore  the same for a job that CRIU brings back; as CRIU's action script it leaves that job frozen
 *   arp      asks who has an address, or tells that a job has it here
 *   sockets  holds a frozen job's network still, and lets it go again
 *   plug     a program with a connection to a socket as its descriptor 3
 *   take-queues, put-queues
 *            what is on its way through a frozen job's terminal, into a file and back
 *   tgkill   a signal for one thread
 *   look     what processes hold that may not travel
 *   init     PID 1 of a job; started by `launch` only
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "helper.h"

const char program_name[] = "godwit-helper";

static int write_all(int fd, const char *text) {
  if (fd < 0) return -1;
  ssize_t size = strlen(text), written = write(fd, text, size);
  if (written == size) return 0;
  if (written >= 0) errno = ENOSPC;
  return -1;
}

/* Closes, and keeps the errno of what failed before. */
static int close_after(int fd, int result) {
  int error = errno;
  if (fd >= 0) close(fd);
  errno = error;
  return result;
}

int put(const char *folder, const char *file, const char *text) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", folder, file);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  return close_after(fd, write_all(fd, text));
}

int join_groups(char **argv, const char *pid) {
  for (; *argv && strcmp(*argv, "--"); argv++)
    if (!strcmp(*argv, "--join") && argv[1] && put(*++argv, "cgroup.procs", pid)) return -1;
  return 0;
}

int put_durably(const char *path, const char *text) {
  char fresh[4096], folder[4096];
  snprintf(fresh, sizeof fresh, "%s.new", path);
  snprintf(folder, sizeof folder, "%s", path);
  int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (close_after(fd, write_all(fd, text) || fsync(fd))) return -1;
  if (rename(fresh, path)) return -1;
  int parent = open(dirname(folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  return close_after(parent, parent < 0 ? -1 : fsync(parent));
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

int await_init(pid_t init, const char *report) {
  int status;
  pid_t ended;
  while ((ended = waitpid(-1, &status, __WALL)) != init)
    if (ended < 0 && errno != EINTR) return say_error("wait", errno);
  char text[64];
  if (WIFSIGNALED(status)) snprintf(text, sizeof text, "{\"signal\":%d}", WTERMSIG(status));
  else snprintf(text, sizeof text, "{\"code\":%d}", WEXITSTATUS(status));
  int kept = put_durably(report, text);
  say("{\"exited\":%s}", text);
  return kept ? say_error("report", errno) : 0;
}

static int send_signal(char **argv) {
  if (!argv[0] || !argv[1] || !argv[2]) return wrong_usage("tgkill PID TID SIGNUM");
  if (syscall(SYS_tgkill, atoi(argv[0]), atoi(argv[1]), atoi(argv[2])) == 0) return 0;
  return say_error("tgkill", errno);
}

int main(int argc, char **argv) {
  const char *verb = argc > 1 ? argv[1] : "", *action = getenv("CRTOOLS_SCRIPT_ACTION");
  if (argc == 1 && action) return hold(action);
  if (!strcmp(verb, "launch")) return launch(argv + 2);
  if (!strcmp(verb, "init")) return init(argv + 2);
  if (!strcmp(verb, "restore")) return restore(argv + 2);
  if (!strcmp(verb, "arp")) return arp(argv + 2);
  if (!strcmp(verb, "sockets")) return sockets(argv + 2);
  if (!strcmp(verb, "plug")) return plug(argv + 2);
  if (!strcmp(verb, "look")) return look(argv + 2);
  if (!strcmp(verb, "take-queues")) return take_queues(argv + 2);
  if (!strcmp(verb, "put-queues")) return put_queues(argv + 2);
  if (!strcmp(verb, "tgkill")) return send_signal(argv + 2);
  return wrong_usage("launch | restore | arp | sockets | plug | take-queues | put-queues | look | tgkill");
}
