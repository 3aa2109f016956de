/*
 * Preloaded into a CRIU that restores a job: a terminal's foreground process group may have ended. A shell's has, from
 * when the shell has waited for a command until it takes the terminal back. TIOCSPGRP (tcsetpgrp(3)) wants a process of
 * that number, and CRIU (4.2) fails without. One is made for that call, before any thread could need the number.
 */
#include <dlfcn.h>
#include <errno.h>
#include <linux/sched.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

typedef int device_control(int fd, unsigned long what, ...);

/* No signal tells the parent of its end: CRIU takes such a signal for a failure. */
static pid_t fork_as(pid_t number) {
  struct clone_args order = {.set_tid = (uintptr_t)&number, .set_tid_size = 1};
  return (pid_t)syscall(SYS_clone3, &order, sizeof order);
}

/* As ioctl(2). A process's exit status holds any errno. */
static int set_ended_group(device_control *next, int fd, pid_t group) {
  int status;
  const pid_t child = fork_as(group);
  if (child < 0) return -1;
  if (child == 0) _exit(next(fd, TIOCSPGRP, &group) ? errno : 0);
  while (waitpid(child, &status, __WALL) < 0)
    if (errno != EINTR) return -1;
  errno = WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
  return errno ? -1 : 0;
}

int ioctl(int fd, unsigned long what, ...) {
  static device_control *next;
  va_list list;
  if (!next) next = (device_control *)dlsym(RTLD_NEXT, "ioctl");
  va_start(list, what);
  void *const argument = va_arg(list, void *);
  va_end(list);
  const int result = next(fd, what, argument);
  if (result == 0 || what != TIOCSPGRP || errno != ESRCH) return result;
  return set_ended_group(next, fd, *(pid_t *)argument);
}
