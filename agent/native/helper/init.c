/*
 * PID 1 of a job, as the job's user: opens what the program starts with, starts it as PID 2, reaps what is left to it, and ends with
 * it, which ends the rest of the job. How the program ended is in the status file before anything ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "filter.h"
#include "helper.h"

/* Opens `path` as descriptor `as`; `stage` names it to the launcher when that fails. */
static void open_as(int as, const char *path, int flags, const char *stage) {
  int fd = open(path, flags);
  if (fd < 0 || dup2(fd, as) < 0) fail(stage);
  if (fd != as) close(fd);
}

/*
 * The program starts as a shell's job does: default signals, none blocked, a session of its own.
 */
static void run_program(char **argv) {
  char **program = after_dashes(argv);
  sigset_t none;
  sigemptyset(&none);
  for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);
  sigprocmask(SIG_SETMASK, &none, NULL);
  setsid();
  if (option(argv, "--tty")) take_terminal();
  /* From here the launcher knows this process. It goes on when it gets a byte, and ends when the launcher does. */
  report_stage(LAUNCHER, "ready", 0);
  char go;
  if (recv(LAUNCHER, &go, 1, 0) != 1) _exit(127);
  if (filter_calls(flag(argv, "--allow-io-uring"))) fail("init");
  set_limits(argv);
  if (chdir(required(argv, "--cwd"))) fail("cwd");
  take_environment();
  execvp(program[0], program);
  fail("exec");
}

static void write_status(int fd, int status) {
  char text[96], name[16] = "null";
  int code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) {
    const char *known = sigabbrev_np(WTERMSIG(status));
    code = 128 + WTERMSIG(status);
    if (known) snprintf(name, sizeof name, "\"SIG%s\"", known);
    else snprintf(name, sizeof name, "\"SIG%d\"", WTERMSIG(status));
  }
  int size = snprintf(text, sizeof text, "{\"exit\":%d,\"signal\":%s}", code, name);
  if (pwrite(fd, text, (size_t)size, 0) == size) fsync(fd);
}

/* Its status, or -1; whatever else is left to this process is reaped. */
static int await_program(pid_t program) {
  int status;
  pid_t ended;
  while ((ended = waitpid(-1, &status, 0)) != program)
    if (ended < 0 && errno != EINTR) return -1;
  return status;
}

int init(char **argv) {
  const bool tty = option(argv, "--tty") != NULL;
  int status;
  /* Other processes of its user can't debug it, nor open what it has open (PR_SET_DUMPABLE(2const)); CRIU carries it. */
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)) fail("init");
  fcntl(LAUNCHER, F_SETFD, FD_CLOEXEC);
  open_as(STDIN_FILENO, "/dev/null", O_RDONLY, "console");
  open_as(STDOUT_FILENO, required(argv, "--console"), O_WRONLY | O_APPEND, "console");
  if (dup2(STDOUT_FILENO, STDERR_FILENO) < 0) fail("console");
  open_as(STATUS, required(argv, "--status"), O_WRONLY | O_CLOEXEC, "status");
  fcntl(STATUS, F_SETFD, FD_CLOEXEC);
  make_door();
  if (tty) make_terminal(argv);
  if (own_pages()) fail("init");

  pid_t program = fork();
  if (program < 0) fail("init");
  if (program == 0) run_program(argv);
  /* As the job's own `ps` shows it. */
  prctl(PR_SET_NAME, "godwit-init");
  /* The launcher takes the end of its socket as the sign that init holds nothing from outside any more. */
  close(LAUNCHER);

  status = tty ? serve_terminal(program) : await_program(program);
  if (status < 0) return 127;
  write_status(STATUS, status);
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
