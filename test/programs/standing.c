/*
 * Threads that stand in each kind of sleep with an end of its own, one that never sleeps, and signals that wait:
 *
 *   PROGRAM FILE
 *
 * It says where it counts and `ready`, and when FILE is there `all as it was`, or what was not: no sleep has ended but by
 * its time, no signal has come or gone.
 */
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SLEEPERS 6

static _Atomic unsigned long counter;
static atomic_int is_over, about, ended;
static int word;

static void wrong(const char *what, int result) {
  printf("not so: %s gave %d (errno %d, %s)\n", what, result, errno, strerror(errno));
  fflush(stdout);
  _exit(1);
}

/* Nothing wakes them: each has a year. */
#define YEAR (365L * 24 * 3600)

static void *in_futex(void *unused) {
  const struct timespec year = {YEAR, 0};
  about++;
  const long result = syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &year, NULL, 0);
  if (result == 0 || errno != ETIMEDOUT) wrong("futex", (int)result);
  return unused;
}

static void *in_poll(void *unused) {
  about++;
  wrong("poll", poll(NULL, 0, 2000000000));
  return unused;
}

static void *in_nanosleep(void *unused) {
  const struct timespec year = {YEAR, 0};
  about++;
  wrong("nanosleep", nanosleep(&year, NULL));
  return unused;
}

static void *in_sigtimedwait(void *unused) {
  const struct timespec year = {YEAR, 0};
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR2);
  about++;
  /* The freezer ends it by itself, as it does without any help (signal(7)). */
  int result;
  while ((result = sigtimedwait(&set, NULL, &year)) < 0 && errno == EINTR) continue;
  wrong("sigtimedwait", result);
  return unused;
}

/* With another mask than its own while it sleeps. */
static void *in_ppoll(void *unused) {
  const struct timespec year = {YEAR, 0};
  sigset_t set;
  sigfillset(&set);
  sigdelset(&set, SIGURG);
  about++;
  wrong("ppoll", ppoll(NULL, 0, &year, &set));
  return unused;
}

static void *in_read(void *way) {
  char byte;
  about++;
  wrong("read", (int)read(((int *)way)[0], &byte, 1));
  return NULL;
}

static void *busy(void *unused) {
  while (!is_over) counter++;
  ended = 1;
  return unused;
}

int main(int argc, char **argv) {
  static int way[2];
  void *(*const ways[SLEEPERS])(void *) = {in_futex, in_poll, in_nanosleep, in_sigtimedwait, in_ppoll, in_read};
  pthread_t made;
  sigset_t all, pending;
  if (argc < 2 || pipe(way)) return 9;
  setvbuf(stdout, NULL, _IOLBF, 0);
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, NULL);
  raise(SIGUSR1);
  kill(getpid(), SIGTERM);
  for (int i = 0; i < SLEEPERS; i++)
    if (pthread_create(&made, NULL, ways[i], way)) return 9;
  if (pthread_create(&made, NULL, busy, NULL)) return 9;
  while (about < SLEEPERS || !counter) usleep(1000);
  usleep(200000);
  printf("counter at %p\nready\n", (void *)&counter);
  while (access(argv[1], F_OK)) usleep(10000);
  const unsigned long before = counter;
  while (counter == before) usleep(1000);
  sigpending(&pending);
  if (!sigismember(&pending, SIGUSR1) || !sigismember(&pending, SIGTERM)) wrong("sigpending", 0);
  is_over = 1;
  while (!ended) usleep(1000);
  printf("all as it was\n");
  return 7;
}
