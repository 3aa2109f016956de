/*
 * exchange PID FD PATH: as a debugger has it done (ptrace(2)), process PID opens PATH by O_PATH, which takes no right
 * to the file itself, and has that as its descriptor FD from then on. x86-64.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>

#define KEPT_FROM 100

static pid_t victim;
static struct user_regs_struct before;

static void check(long result, const char *what) {
  if (result >= 0) return;
  perror(what);
  exit(1);
}

static void await_stop(void) {
  int status;
  check(waitpid(victim, &status, __WALL), "waitpid");
  if (!WIFSTOPPED(status)) exit(1);
}

/* Has it execute the instruction before the one at which it sleeps, which is its system call. */
static long call(long number, long a, long b, long c, long d) {
  struct user_regs_struct now = before;
  now.rip = before.rip - 2;
  now.orig_rax = (unsigned long)-1;
  now.rax = (unsigned long)number;
  now.rdi = (unsigned long)a;
  now.rsi = (unsigned long)b;
  now.rdx = (unsigned long)c;
  now.r10 = (unsigned long)d;
  check(ptrace(PTRACE_SETREGS, victim, NULL, &now), "setregs");
  check(ptrace(PTRACE_SINGLESTEP, victim, NULL, NULL), "step");
  await_stop();
  check(ptrace(PTRACE_GETREGS, victim, NULL, &now), "getregs");
  errno = -(int)now.rax;
  return (long)now.rax < 0 ? -1 : (long)now.rax;
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  victim = atoi(argv[1]);
  check(ptrace(PTRACE_SEIZE, victim, NULL, NULL), "seize");
  check(ptrace(PTRACE_INTERRUPT, victim, NULL, NULL), "interrupt");
  await_stop();
  check(ptrace(PTRACE_GETREGS, victim, NULL, &before), "getregs");
  /* Below the red zone of its stack. */
  const unsigned long at = (before.rsp - 4096) & ~15UL;
  for (size_t i = 0; i <= strlen(argv[3]) / 8; i++) {
    long word = 0;
    strncpy((char *)&word, argv[3] + 8 * i, 8);
    check(ptrace(PTRACE_POKEDATA, victim, at + 8 * i, word), "poke");
  }
  /* A terminal whose last master is closed has hung up; it stays open out of the way. */
  check(call(SYS_fcntl, atoi(argv[2]), F_DUPFD_CLOEXEC, KEPT_FROM, 0), "fcntl");
  const long fd = call(SYS_openat, AT_FDCWD, (long)at, O_PATH | O_CLOEXEC, 0);
  check(fd, "open");
  check(call(SYS_dup3, fd, atoi(argv[2]), O_CLOEXEC, 0), "dup3");
  check(call(SYS_close, fd, 0, 0, 0), "close");
  check(ptrace(PTRACE_SETREGS, victim, NULL, &before), "setregs");
  check(ptrace(PTRACE_DETACH, victim, NULL, NULL), "detach");
  return 0;
}
