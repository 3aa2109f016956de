/* Signals and timers as the kernel keeps them: each action with its flags, each kind of timer, and the time that was used. */
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "table.h"

/* In headers that are newer than this machine's. */
#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1U << 31)
#endif

static long read_proc(const char *name) {
  char path[64], text[16384];
  snprintf(path, sizeof path, "/proc/self/%s", name);
  int fd = open(path, O_RDONLY);
  if (fd < 0) return -errno;
  ssize_t size = read(fd, text, sizeof text);
  close(fd);
  if (getenv("SHOW")) fprintf(stderr, "%.*s\n", (int)size, text);
  return size < 0 ? -errno : digest(text, size);
}

/* --- actions, masks, stacks --- */

static void on_any(int number) { (void)number; }

static const int flags[] = {SA_NOCLDSTOP | SA_NOCLDWAIT, SA_SIGINFO, SA_ONSTACK, SA_RESTART, SA_NODEFER, (int)SA_RESETHAND, 0};
static const int numbers[] = {SIGCHLD, SIGUSR1, SIGUSR2, SIGHUP, SIGINT, SIGTERM, SIGWINCH};

static int set_actions(void) {
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    struct sigaction action = {.sa_handler = on_any, .sa_flags = flags[i]};
    sigaddset(&action.sa_mask, SIGRTMIN + (int)i);
    if (sigaction(numbers[i], &action, NULL)) return -1;
  }
  return signal(SIGTSTP, SIG_IGN) == SIG_ERR || signal(SIGTTOU, SIG_IGN) == SIG_ERR ? -1 : 0;
}
/* As the kernel has them, with the C library's own return from a handler. */
static long get_actions(void) {
  long sum = 0;
  for (int number = 1; number < 65; number++) {
    unsigned long kernels[4] = {0};
    if (syscall(SYS_rt_sigaction, number, NULL, kernels, 8) == 0) sum = sum * 31 + digest(kernels, sizeof kernels);
  }
  return sum;
}

static int set_mask(void) {
  sigset_t set;
  sigemptyset(&set);
  for (int number = SIGRTMIN + 3; number <= SIGRTMIN + 8; number++) sigaddset(&set, number);
  return sigprocmask(SIG_BLOCK, &set, NULL);
}
static long get_mask(void) {
  unsigned long mask = 0;
  syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &mask, 8);
  return (long)mask;
}

static char space[1 << 16];
static int set_stack(void) {
  stack_t own = {.ss_sp = space, .ss_size = sizeof space, .ss_flags = (int)SS_AUTODISARM};
  return sigaltstack(&own, NULL);
}
static long get_stack(void) {
  stack_t own;
  return sigaltstack(NULL, &own) ? -errno : (long)own.ss_sp * 3 + (long)own.ss_size + own.ss_flags;
}

/* Each is taken with its whole information, and sent again. */
static int set_pending(void) {
  if (sigqueue(getpid(), SIGRTMIN + 3, (union sigval){.sival_int = 7})) return -1;
  siginfo_t made = {.si_signo = SIGRTMIN + 4, .si_code = -77, .si_errno = 5};
  made.si_value.sival_ptr = (void *)0x123456789;
  if (syscall(SYS_rt_sigqueueinfo, getpid(), SIGRTMIN + 4, &made)) return -1;
  return syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGRTMIN + 5, (made.si_signo = SIGRTMIN + 5, &made)) ? -1 : 0;
}
static long get_pending(void) {
  long sum = 0;
  for (int number = SIGRTMIN + 3; number <= SIGRTMIN + 5; number++) {
    sigset_t set;
    siginfo_t info = {0};
    sigemptyset(&set);
    sigaddset(&set, number);
    if (sigtimedwait(&set, &info, &(struct timespec){0}) != number) return -number;
    sum = sum * 31 + info.si_code * 1000 + info.si_errno * 100 + (long)info.si_value.sival_ptr + info.si_pid;
  }
  return set_pending() ? -1 : sum;
}

/* --- timers: none of them rings --- */

#define TIMERS 8
static const int clocks[TIMERS] = {CLOCK_REALTIME,           CLOCK_MONOTONIC,         CLOCK_BOOTTIME, CLOCK_TAI,
                                   CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC, CLOCK_REALTIME};
static timer_t timers[TIMERS];

static int set_timers(void) {
  for (int i = 0; i < TIMERS; i++) {
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 10 + i, .sigev_value.sival_int = 100 + i};
    struct itimerspec far = {{1000 + i, 0}, {50000, 0}};
    if (i == 6) event.sigev_notify = SIGEV_NONE;
    if (timer_create(clocks[i], &event, &timers[i])) return -1;
    if (i == 7) far.it_value.tv_sec = 1l << 33;
    if (timer_settime(timers[i], i == 7 ? TIMER_ABSTIME : 0, &far, NULL)) return -1;
  }
  return 0;
}
static long get_timers(void) {
  long sum = 0;
  for (int i = 0; i < TIMERS; i++) {
    struct itimerspec left = {0};
    timer_gettime(timers[i], &left);
    const int far = i == 7 ? left.it_value.tv_sec > 1l << 30 : left.it_value.tv_sec > 49000 && left.it_value.tv_sec <= 50000;
    sum = sum * 7 + left.it_interval.tv_sec * 2 + far;
  }
  return sum;
}
/* Their ids, signals, values, whom they tell, their clocks. */
static long get_kinds_of_timers(void) { return read_proc("timers"); }

static int set_intervals(void) {
  struct itimerval far = {{777, 0}, {50000, 0}};
  return setitimer(ITIMER_REAL, &far, NULL) || setitimer(ITIMER_VIRTUAL, &far, NULL) || setitimer(ITIMER_PROF, &far, NULL);
}
static long get_intervals(void) {
  long sum = 0;
  for (int which = ITIMER_REAL; which <= ITIMER_PROF; which++) {
    struct itimerval left = {0};
    getitimer(which, &left);
    sum = sum * 31 + left.it_interval.tv_sec * 2 + (left.it_value.tv_sec > 49000 && left.it_value.tv_sec <= 50000);
  }
  return sum;
}

/* It has rung many times, and its signal waits: the count of those that were not sent is told with it. */
static timer_t overrun;
static int set_overrun(void) {
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 6};
  struct itimerspec often = {{0, 1000000}, {0, 1000000}}, never = {{0, 0}, {0, 0}};
  if (timer_create(CLOCK_MONOTONIC, &event, &overrun) || timer_settime(overrun, 0, &often, NULL)) return -1;
  pause_ms(50);
  (void)never;
  return 0;
}
static long get_overrun(void) {
  sigset_t set;
  siginfo_t info = {0};
  sigemptyset(&set);
  sigaddset(&set, SIGRTMIN + 6);
  if (sigtimedwait(&set, &info, &(struct timespec){1, 0}) != SIGRTMIN + 6) return -1;
  return info.si_code == SI_TIMER && timer_getoverrun(overrun) >= 0;
}

static int done(void) { return 0; }

static struct row rows[] = {
    {"signal actions", set_actions, get_actions, 0, 0, 0},
    {"blocked signals", set_mask, get_mask, 0, 0, 0},
    {"alternate signal stack", set_stack, get_stack, 0, 0, 0},
    {"pending signals with their information", set_pending, get_pending, 0, 0, 0},
    {"timers of each clock", set_timers, get_timers, 0, 0, 0},
    {"ids and signals of timers", done, get_kinds_of_timers, 0, 0, 0},
    {"interval timers", set_intervals, get_intervals, 0, 0, 0},
    {"overrun of a timer", set_overrun, get_overrun, 0, 0, 0},
    {0},
};
static void make_rows(void) { set_rows(rows); }
static void look_at_rows(int round) { (void)round, check_rows(rows); }

/* --- the time that a process has used: it begins anew with each move --- */

static long micros(clockid_t clock) {
  struct timespec now = {0};
  clock_gettime(clock, &now);
  return now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* More than all the rest of this program takes. */
#define USED_US 1000000

static void work(void) {
  while (micros(CLOCK_PROCESS_CPUTIME_ID) < USED_US) continue;
}

static long used_by(int who) {
  struct rusage used;
  getrusage(who, &used);
  return used.ru_utime.tv_sec * 1000000 + used.ru_utime.tv_usec + used.ru_stime.tv_sec * 1000000 + used.ru_stime.tv_usec;
}

static void make_used(void) {
  pid_t child = fork();
  if (child == 0) {
    work();
    _exit(0);
  }
  EXPECT(waitpid(child, NULL, 0) == child);
  work();
  EXPECT(used_by(RUSAGE_SELF) > USED_US / 2 && used_by(RUSAGE_CHILDREN) > USED_US / 2);
}

static void look_at_used(int round) {
  EXPECT(micros(CLOCK_PROCESS_CPUTIME_ID) < USED_US / 2 && micros(CLOCK_THREAD_CPUTIME_ID) < USED_US / 2);
  EXPECT(used_by(RUSAGE_SELF) < USED_US / 2 && used_by(RUSAGE_CHILDREN) < USED_US / 2);
  if (round < 3) work();
}

int main(int argc, char **argv) {
  static const struct thing things[] = {{"rows", make_rows, look_at_rows}, {"-anew", make_used, look_at_used}, {0}};
  return rounds(argc, argv, things);
}
