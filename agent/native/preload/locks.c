/*
 * Preloaded into a CRIU that restores a job: where another process has locked a file that the job has locked, CRIU (4.2)
 * waits for them as long as that takes, the job being frozen. It waits for a moment, as others may hold a lock for one.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define TRIES 100
#define PAUSE_NS 10000000

/* Does the last try leave it to another? The error is what that says. */
static int once_more(int result, int tries) {
  if (result == 0 || (errno != EAGAIN && errno != EACCES) || tries == 0) return 0;
  nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
  return 1;
}

typedef int control(int fd, int what, ...);

static int locked(control *next, int fd, void *lock) {
  int result, tries = TRIES;
  do result = next(fd, F_SETLK, lock);
  while (once_more(result, tries--));
  return result;
}

#define CONTROLS(name)                                   \
  int name(int fd, int what, ...) {                      \
    static control *next;                                \
    va_list list;                                        \
    if (!next) next = (control *)dlsym(RTLD_NEXT, #name); \
    va_start(list, what);                                \
    void *const argument = va_arg(list, void *);         \
    va_end(list);                                        \
    if (what == F_SETLKW) return locked(next, fd, argument); \
    return next(fd, what, argument);                     \
  }

CONTROLS(fcntl)
CONTROLS(fcntl64)

int flock(int fd, int how) {
  static int (*next)(int fd, int how);
  int result, tries = TRIES;
  if (!next) next = (int (*)(int, int))dlsym(RTLD_NEXT, "flock");
  do result = next(fd, how | LOCK_NB);
  while (once_more(result, tries--));
  return result;
}
