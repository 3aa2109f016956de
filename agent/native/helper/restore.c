/*
 * Restores a job with CRIU, frozen: every process of it is created in the job's cgroup, and the cgroup is frozen
 * before CRIU lets them go. Any failure on the way ends what was restored: the job then is where it came from.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "helper.h"

static pid_t number_in(const char *path) {
  int number = -1;
  FILE *file = fopen(path, "re");
  if (!file) return -1;
  if (fscanf(file, "%d", &number) != 1) number = -1;
  fclose(file);
  return number;
}

/* CRIU's action script gets no arguments, only an environment: this is how `hold` knows its cgroups. */
#define RUN "GODWIT_CGROUP"
#define JOINED "GODWIT_JOINED"
#define OUTSIDE "GODWIT_OUTSIDE"

/* The groups of `--join`, a line each. */
static void tell_joined(char **argv) {
  static char groups[8192];
  size_t size = 0;
  for (; *argv && strcmp(*argv, "--"); argv++) {
    if (strcmp(*argv, "--join") || !argv[1]) continue;
    size += (size_t)snprintf(groups + size, sizeof groups - size, "%s\n", argv[1]);
    if (size >= sizeof groups) _exit(127);
  }
  if (setenv(JOINED, groups, 1)) _exit(127);
}

/* As the dump names the namespace of a job with an address of its own (checkpoint/arguments.ts). */
#define JOB_NETWORK "job-network"

/* The given command, in the job's cgroups; it detaches, writes its init's pid into a file, and has this helper as its script. */
static void become_criu(char **argv, const char *run, const char *outside, const char *pidfile) {
  char **command = after_dashes(argv);
  static char self[4096];
  if (readlink("/proc/self/exe", self, sizeof self - 1) < 0) _exit(127);
  static char inherited[64];
  const char *more[] = {"-d", "--pidfile", pidfile, "--action-script", self, NULL, NULL, NULL};
  const char *network = option(argv, "--network");
  if (network) {
    /* Left open for CRIU, which finds the namespace by the name it had in the dump. */
    snprintf(inherited, sizeof inherited, "fd[%d]:" JOB_NETWORK, open(network, O_RDONLY));
    more[5] = "--inherit-fd", more[6] = inherited;
  }
  size_t count = 0;
  while (command[count]) count++;
  char **criu = calloc(count + sizeof more / sizeof *more, sizeof *criu);
  if (!criu) _exit(127);
  memcpy(criu, command, count * sizeof *criu);
  memcpy(criu + count, more, sizeof more);
  if (setenv(RUN, run, 1) || setenv(OUTSIDE, outside, 1)) _exit(127);
  tell_joined(argv);
  if (put(run, "cgroup.procs", "0") || join_groups(argv, "0")) _exit(127);
  /* Standard output belongs to the helper's own lines. */
  if (dup2(STDERR_FILENO, STDOUT_FILENO) < 0) _exit(127);
  execvp(criu[0], criu);
  _exit(127);
}

int restore(char **argv) {
  const char *run = required(argv, "--cgroup"), *pidfile = required(argv, "--pidfile");
  const char *report = required(argv, "--report"), *outside = required(argv, "--outside");
  after_dashes(argv);
  int status;

  setsid(); /* fails only for one who leads a session already */
  signal(SIGPIPE, SIG_IGN);
  /* CRIU leaves its restored init to its own parent's reaper: this process. */
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  unlink(pidfile); /* CRIU writes into none that is there already */
  pid_t criu = fork();
  if (criu < 0) return say_error("criu", errno);
  if (criu == 0) become_criu(argv, run, outside, pidfile);
  while (waitpid(criu, &status, 0) < 0)
    if (errno != EINTR) return say_error("criu", errno);

  pid_t init = -1;
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) init = number_in(pidfile);
  if (init > 0) {
    say("{\"restored\":{\"init\":%d}}", init);
    return await_init(init, report);
  }
  put(run, "cgroup.kill", "1");
  while (waitpid(-1, NULL, __WALL) > 0 || errno == EINTR) continue;
  say("{\"failed\":{\"code\":%d}}", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  return 1;
}

/* Is the process in this one's own PID namespace, and so not of the job? One that has gone is not. */
static bool is_outsider(const char *pid) {
  char path[64], theirs[64] = "", ours[64] = "";
  snprintf(path, sizeof path, "/proc/%s/ns/pid", pid);
  if (readlink(path, theirs, sizeof theirs - 1) < 0) return false;
  return readlink("/proc/self/ns/pid", ours, sizeof ours - 1) < 0 || !strcmp(theirs, ours);
}

/* From each group that counts the job into the one above it. */
static int leave_joined(const char *pid) {
  const char *at = getenv(JOINED);
  for (const char *end; at && (end = strchr(at, '\n')); at = end + 1) {
    char above[4096];
    snprintf(above, sizeof above, "%.*s/..", (int)(end - at), at);
    if (put(above, "cgroup.procs", pid)) return -1;
  }
  return 0;
}

/* Moves CRIU, and all that it runs, out of the job's cgroups: how many there were, or -1. */
static int move_outsiders(const char *run, const char *outside) {
  char path[4096], pid[32];
  int moved = 0;
  snprintf(path, sizeof path, "%s/cgroup.procs", run);
  FILE *procs = fopen(path, "re");
  if (!procs) return -1;
  while (moved >= 0 && fscanf(procs, "%31s", pid) == 1) {
    if (!is_outsider(pid)) continue;
    if (leave_joined(pid) == 0 && put(outside, "cgroup.procs", pid) == 0) moved++;
    else if (errno != ESRCH) moved = -1;
  }
  fclose(procs);
  return moved;
}

int hold(const char *action) {
  const char *run = getenv(RUN), *outside = getenv(OUTSIDE);
  int moved;
  /* CRIU has tried the kernel out by now, over loopback, and has made none of the job's sockets yet. */
  if (!strcmp(action, "setup-namespaces")) return run && hold_network(run) == 0 ? 0 : 1;
  if (strcmp(action, "pre-resume")) return 0;
  if (!run || !outside) return wrong_usage("CRIU's action script works under `restore` only");
  /* A list that changes while it is read may leave one out: again until none is found. */
  while ((moved = move_outsiders(run, outside)) > 0) continue;
  if (moved == 0 && put(run, "cgroup.freeze", "1") == 0) return 0;
  /* CRIU would let the job run although this script failed; a copy that can't be frozen must not run. */
  fprintf(stderr, "godwit-helper: the restored job can't be frozen: %s\n", strerror(errno));
  sever_mutexes(run);
  put(run, "cgroup.kill", "1");
  return 1;
}
