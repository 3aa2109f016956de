/*
 * gdbserver beside a job: in the job's PID namespace, as the job's user, in a root of its own that has the machine's
 * programs and libraries and the job's /proc, for reading only.
 *
 *   serve-debugger --init PID [--uid N --gid N --groups N,…] [--ptrace] [--preload FILE]… -- PROGRAM [ARGUMENT…]
 *
 * `--ptrace`: the one capability that Yama asks for (Documentation/admin-guide/LSM/Yama.rst, ptrace_scope). A job of
 * root's has root's gdbserver, with all that root may.
 */
#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "beside.h"
#include "helper.h"

static void become_server(char **argv) __attribute__((noreturn));
static void become_server(char **argv) {
  char **program = after_dashes(argv);
  setsid();
  own_mounts();
  make_root(NULL, argv);
  /* Which would end it before it has let its process go, when its keeper has ended and its errors are not read. */
  signal(SIGPIPE, SIG_IGN);
  if (!is_for_root(argv)) {
    confine(argv, flag(argv, "--ptrace") ? CAP_SYS_PTRACE : -1);
    if (flag(argv, "--ptrace")) hand_down(CAP_SYS_PTRACE);
  }
  execvp(program[0], program);
  exit_saying(program[0]);
}

/* It runs as the job does, not ahead of it as what starts it; sessions have a level as well (sched(7)). */
static void join_level_of(pid_t job) {
  errno = 0;
  const int level = getpriority(PRIO_PROCESS, (id_t)job);
  if (errno || setpriority(PRIO_PROCESS, 0, level)) exit_saying("nice");
}

int serve_debugger(char **argv) {
  int status = 0;
  preload(argv);
  join_level_of(atoi(required(argv, "--init")));
  enter_pids(required(argv, "--init"));
  const pid_t server = fork();
  if (server < 0) exit_saying("fork");
  if (server == 0) become_server(argv);
  /* Only gdbserver itself keeps the output open: its end of file is gdbserver's end. */
  close(STDIN_FILENO);
  close(STDOUT_FILENO);
  while (waitpid(server, &status, 0) < 0 && errno == EINTR) continue;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
