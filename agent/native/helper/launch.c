/*
 * Starts a job and waits for its end. The keeper reads one line from it when the program runs (or why it
 * doesn't), one more when the job has ended; the report file has the latter for a keeper that came later.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "helper.h"

/*
 * The next report of the job's side; false at the end of file, which a successful exec causes. From the start of its init
 * on that side is the job's user: of a stage only small letters are taken.
 */
static bool next_report(int from, struct stage_report *report) {
  static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
  ssize_t size;
  while ((size = recv(from, report, sizeof *report, 0)) < 0 && errno == EINTR) continue;
  if (size != sizeof *report) return false;
  report->stage[sizeof report->stage - 1] = 0;
  report->stage[strspn(report->stage, letters)] = 0;
  return true;
}

/* The program, as this side numbers it: init's one child. */
static pid_t child_of(pid_t init) {
  char path[64];
  int child = -1;
  snprintf(path, sizeof path, "/proc/%d/task/%d/children", init, init);
  FILE *children = fopen(path, "re");
  if (!children) return -1;
  if (fscanf(children, "%d", &child) != 1) child = -1;
  fclose(children);
  return child;
}

/* Waits for the exec of a seized program: false when it ended instead. */
static bool stopped_at_exec(pid_t program) {
  int status;
  for (;;) {
    if (waitpid(program, &status, __WALL) < 0) {
      if (errno == EINTR) continue;
      return false;
    }
    if (!WIFSTOPPED(status)) return false;
    if (status >> 8 == (SIGTRAP | PTRACE_EVENT_EXEC << 8)) return true;
    ptrace(PTRACE_CONT, program, NULL, NULL);
  }
}

static char state_of(pid_t pid) {
  char path[64], line[512];
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  FILE *stat = fopen(path, "re");
  if (!stat) return 0;
  const char *end = fgets(line, sizeof line, stat) ? strrchr(line, ')') : NULL;
  fclose(stat);
  return end && end[1] ? end[2] : 0;
}

/*
 * From the tracer straight into the freezer: the program is stopped at its exec, the cgroup is frozen around it (a
 * stopped tracee counts as frozen), and once detached it sleeps in the freezer before its first instruction.
 */
static int hand_to_freezer(const char *run, pid_t program) {
  if (put(run, "cgroup.freeze", "1") || await_frozen(run)) return -1;
  if (ptrace(PTRACE_DETACH, program, NULL, NULL)) return -1;
  for (int waited = 0; waited < 5000; waited++) {
    if (state_of(program) == 'S') return await_frozen(run);
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
  }
  errno = ETIMEDOUT;
  return -1;
}

/* Starts the program, or stops it before its first instruction: 0 with its pid, or the stage at which it failed. */
static int start(char **argv, int job_end, pid_t init, pid_t *program, struct stage_report *report) {
  const bool stays_stopped = flag(argv, "--stopped");
  if (!next_report(job_end, report)) *report = (struct stage_report){"init", ECHILD};
  if (strcmp(report->stage, "ready")) return -1;
  *report = (struct stage_report){"hold", 0};
  if ((*program = child_of(init)) < 0) return -1;
  if (stays_stopped && ptrace(PTRACE_SEIZE, *program, NULL, PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL)) return -1;
  send(job_end, "", 1, MSG_NOSIGNAL);
  const bool is_stopped = stays_stopped && stopped_at_exec(*program);
  if (next_report(job_end, report)) return -1;
  if (!stays_stopped) return 0;
  return is_stopped ? hand_to_freezer(required(argv, "--cgroup"), *program) : -1;
}

/* Wrong usage is found here, not by a process that is half a job already. */
static void check_orders(char **argv) {
  static const char *const orders[] = {"--uid",  "--cgroup", "--report",  "--hostname", "--mount",
                                       "--init", "--cwd",    "--console", "--status"};
  for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) required(argv, orders[i]);
  after_dashes(argv);
}

int launch(char **argv) {
  const char *end_file = required(argv, "--report");
  int ends[2];
  pid_t program;
  struct stage_report report = {"namespace", 0};
  check_orders(argv);

  /* What starts it is ahead of jobs. */
  const char *nice_level = option(argv, "--nice");
  if (nice_level && setpriority(PRIO_PROCESS, 0, atoi(nice_level))) return say_error("nice", errno);
  setsid(); /* fails only for one who leads a session already */
  signal(SIGPIPE, SIG_IGN);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends)) return say_error("namespace", errno);
  if (unshare(CLONE_NEWPID)) return say_error("namespace", errno);
  pid_t init = fork();
  if (init < 0) return say_error("namespace", errno);
  if (init == 0) {
    if (dup2(ends[1], LAUNCHER) < 0 || fcntl(LAUNCHER, F_SETFD, 0)) _exit(127);
    enter_root(argv);
  }
  close(ends[1]);

  if (start(argv, ends[0], init, &program, &report) == 0) {
    close(ends[0]);
    say("{\"init\":%d,\"program\":%d}", init, program);
    return await_init(init, end_file);
  }
  const int error = report.error ? report.error : errno;
  kill(init, SIGKILL);
  put(required(argv, "--cgroup"), "cgroup.freeze", "0");
  while (waitpid(init, NULL, __WALL) < 0 && errno == EINTR) continue;
  return say_error(report.stage, error);
}
