/* Signals and timers: what is pending keeps its value and order, what is blocked stays blocked, timers keep running. */
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/signalfd.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <ucontext.h>

#include "rounds.h"

/* The pending ones that a round looks at: two queues of a realtime signal, each in its order. */
#define FIRST (SIGRTMIN + 1)
#define SECOND (SIGRTMIN + 2)
#define THREADS_OWN (SIGRTMIN + 3)
#define QUEUED 20

static void block(int number) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, number);
  EXPECT(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
}

static int is_blocked(int number) {
  sigset_t set;
  EXPECT(pthread_sigmask(SIG_BLOCK, NULL, &set) == 0);
  return sigismember(&set, number);
}

/* Takes one pending signal off its queue: its value, or -1 where there is none. */
static int taken(int number, int *code) {
  sigset_t set;
  siginfo_t info;
  sigemptyset(&set);
  sigaddset(&set, number);
  if (sigtimedwait(&set, &info, &(struct timespec){0}) != number) return -1;
  *code = info.si_code;
  return info.si_value.sival_int;
}

/* --- pending: for the process, for a thread, plain ones --- */

static void queue_all(void) {
  for (int i = 0; i < QUEUED; i++) {
    EXPECT(sigqueue(getpid(), FIRST, (union sigval){.sival_int = 1000 + i}) == 0);
    EXPECT(sigqueue(getpid(), SECOND, (union sigval){.sival_int = 2000 + i}) == 0);
    EXPECT(pthread_sigqueue(pthread_self(), THREADS_OWN, (union sigval){.sival_int = 3000 + i}) == 0);
  }
  EXPECT(kill(getpid(), SIGUSR1) == 0);
}

static void make_pending(void) {
  block(FIRST);
  block(SECOND);
  block(THREADS_OWN);
  block(SIGUSR1);
  queue_all();
}

static void check_pending(int round) {
  int code;
  (void)round;
  EXPECT(is_blocked(FIRST) && is_blocked(SECOND) && is_blocked(THREADS_OWN) && is_blocked(SIGUSR1));
  for (int i = 0; i < QUEUED; i++) {
    EXPECT(taken(FIRST, &code) == 1000 + i && code == SI_QUEUE);
    EXPECT(taken(SECOND, &code) == 2000 + i && code == SI_QUEUE);
    EXPECT(taken(THREADS_OWN, &code) == 3000 + i && code == SI_QUEUE);
  }
  EXPECT(taken(FIRST, &code) == -1 && taken(SECOND, &code) == -1 && taken(THREADS_OWN, &code) == -1);
  sigset_t pending;
  EXPECT(sigpending(&pending) == 0 && sigismember(&pending, SIGUSR1));
  EXPECT(taken(SIGUSR1, &code) >= 0 && code == SI_USER);
  EXPECT(taken(SIGUSR1, &code) == -1);
  queue_all();
}

/* --- caught: SIGCONT, SIGINT and their like are never sent by a move --- */

static volatile sig_atomic_t caught[NSIG];

static void count(int number) { caught[number]++; }

static const int watched[] = {SIGCONT, SIGINT,  SIGTERM, SIGHUP,  SIGTRAP, SIGCHLD,
                              SIGTSTP, SIGQUIT, SIGUSR2, SIGURG, SIGWINCH};

static void make_caught(void) {
  struct sigaction action = {.sa_handler = count, .sa_flags = SA_RESTART};
  sigaddset(&action.sa_mask, SIGALRM);
  for (size_t i = 0; i < sizeof watched / sizeof *watched; i++) EXPECT(sigaction(watched[i], &action, NULL) == 0);
  EXPECT(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
}

static void check_caught(int round) {
  struct sigaction now;
  for (size_t i = 0; i < sizeof watched / sizeof *watched; i++) {
    EXPECT(caught[watched[i]] == (watched[i] == SIGUSR2 ? round - 1 : 0));
    EXPECT(sigaction(watched[i], NULL, &now) == 0 && now.sa_handler == count);
    EXPECT(now.sa_flags & SA_RESTART && sigismember(&now.sa_mask, SIGALRM));
  }
  EXPECT(sigaction(SIGPIPE, NULL, &now) == 0 && now.sa_handler == SIG_IGN);
  raise(SIGUSR2);
  EXPECT(caught[SIGUSR2] == round);
}

/* --- timers: they count on, keep their interval, and lose or double no tick beyond what the freeze took --- */

static volatile sig_atomic_t alarms, profiled, noticed;
static timer_t by_signal, by_thread, far;
static int timer_fd, far_fd, moment_fd;
static double moment;
static volatile int thread_ticks;

static void on_alarm(int number) { (void)number, alarms++; }
static void on_prof(int number) { (void)number, profiled++; }
static void on_notice(int number, siginfo_t *info, void *context) {
  (void)number, (void)context;
  EXPECT(info->si_code == SI_TIMER && info->si_value.sival_int == 77);
  noticed++;
}
static void on_thread(union sigval value) {
  EXPECT(value.sival_int == 78);
  thread_ticks++;
}

static void make_timers(void) {
  struct itimerval often = {{0, 20000}, {0, 20000}};
  struct itimerspec tick = {{0, 20000000}, {0, 20000000}}, late = {{5000, 0}, {10000, 0}};
  struct sigaction notice = {.sa_sigaction = on_notice, .sa_flags = SA_SIGINFO | SA_RESTART};
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 5, .sigev_value.sival_int = 77};
  EXPECT(signal(SIGALRM, on_alarm) != SIG_ERR && signal(SIGPROF, on_prof) != SIG_ERR);
  EXPECT(sigaction(SIGRTMIN + 5, &notice, NULL) == 0);
  EXPECT(setitimer(ITIMER_REAL, &often, NULL) == 0 && setitimer(ITIMER_PROF, &often, NULL) == 0);
  EXPECT(timer_create(CLOCK_MONOTONIC, &event, &by_signal) == 0);
  EXPECT(timer_settime(by_signal, 0, &tick, NULL) == 0);
  EXPECT(timer_create(CLOCK_REALTIME, &event, &far) == 0 && timer_settime(far, 0, &late, NULL) == 0);
  struct sigevent thread = {
      .sigev_notify = SIGEV_THREAD, .sigev_notify_function = on_thread, .sigev_value.sival_int = 78};
  EXPECT(timer_create(CLOCK_MONOTONIC, &thread, &by_thread) == 0);
  EXPECT(timer_settime(by_thread, 0, &tick, NULL) == 0);
  EXPECT((timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK)) >= 0);
  EXPECT(timerfd_settime(timer_fd, 0, &tick, NULL) == 0);
  EXPECT((far_fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC)) >= 0);
  EXPECT(timerfd_settime(far_fd, 0, &late, NULL) == 0);
  struct itimerspec at = {0};
  moment = seconds_now() + 5000;
  at.it_value.tv_sec = (time_t)moment;
  at.it_value.tv_nsec = (moment - (time_t)moment) * 1e9;
  EXPECT((moment_fd = timerfd_create(CLOCK_MONOTONIC, 0)) >= 0);
  EXPECT(timerfd_settime(moment_fd, TFD_TIMER_ABSTIME, &at, NULL) == 0);
}

static int still_far(const struct itimerspec *left) {
  return left->it_interval.tv_sec == 5000 && left->it_value.tv_sec > 9000 && left->it_value.tv_sec <= 10000;
}

static void check_timers(int round) {
  struct itimerspec left;
  uint64_t ticks = 0;
  (void)round;
  const int before[] = {alarms, noticed, thread_ticks, profiled};
  volatile unsigned long work = 0;
  EXPECT(read(timer_fd, &ticks, sizeof ticks) == sizeof ticks || errno == EAGAIN);
  for (double until = seconds_now() + 30; seconds_now() < until; work++)
    if (alarms - before[0] > 3 && noticed - before[1] > 3 && thread_ticks - before[2] > 3 && profiled > before[3])
      break;
  EXPECT(alarms - before[0] > 3 && noticed - before[1] > 3 && thread_ticks - before[2] > 3);
  EXPECT(profiled > before[3]);
  EXPECT(read(timer_fd, &ticks, sizeof ticks) == sizeof ticks && ticks >= 3);
  EXPECT(timer_gettime(far, &left) == 0 && still_far(&left));
  EXPECT(timerfd_gettime(far_fd, &left) == 0 && still_far(&left));
  /* It may ring late, never early. */
  EXPECT(timerfd_gettime(moment_fd, &left) == 0);
  EXPECT(left.it_value.tv_sec + left.it_value.tv_nsec / 1e9 > moment - seconds_now() - 0.001);
}

/* --- timers whose signals are for one thread: the first one, and another ------------------------------------------ */

static pid_t told[2];
static volatile int told_ticks[2];

static void on_told(int number, siginfo_t *info, void *context) {
  const int which = info->si_value.sival_int;
  (void)number, (void)context;
  EXPECT(info->si_code == SI_TIMER && (which == 0 || which == 1) && gettid() == told[which]);
  told_ticks[which]++;
}

static void tick_for(int which) {
  timer_t timer;
  const struct itimerspec tick = {{0, 20000000}, {0, 20000000}};
  struct sigevent event = {
      .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN + 8, .sigev_value.sival_int = which};
  event._sigev_un._tid = told[which] = gettid();
  EXPECT(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0 && timer_settime(timer, 0, &tick, NULL) == 0);
}

static void *be_told(void *unused) {
  (void)unused;
  tick_for(1);
  for (;;) pause();
  return NULL;
}

static void make_told(void) {
  pthread_t thread;
  const struct sigaction act = {.sa_sigaction = on_told, .sa_flags = SA_SIGINFO | SA_RESTART};
  EXPECT(sigaction(SIGRTMIN + 8, &act, NULL) == 0);
  tick_for(0);
  EXPECT(pthread_create(&thread, NULL, be_told, NULL) == 0);
}

static void check_told(int round) {
  const int before[] = {told_ticks[0], told_ticks[1]};
  (void)round;
  for (double until = seconds_now() + 30; seconds_now() < until;)
    if (told_ticks[0] - before[0] > 3 && told_ticks[1] - before[1] > 3) return;
  EXPECT(!"both threads are told");
}

/* --- signalfd, with what is pending behind it; a handler's own stack --- */

static int signal_fd;
static char *handler_stack;
static volatile uintptr_t handled_on;

static void on_own_stack(int number) {
  (void)number;
  handled_on = (uintptr_t)__builtin_frame_address(0);
}

static void make_descriptors(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGRTMIN + 6);
  EXPECT(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
  EXPECT((signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC)) >= 0);
  EXPECT(sigqueue(getpid(), SIGRTMIN + 6, (union sigval){.sival_int = 1}) == 0);
  stack_t own = {.ss_sp = handler_stack = malloc(SIGSTKSZ * 2), .ss_size = SIGSTKSZ * 2};
  EXPECT(sigaltstack(&own, NULL) == 0);
  struct sigaction action = {.sa_handler = on_own_stack, .sa_flags = SA_ONSTACK};
  EXPECT(sigaction(SIGRTMIN + 7, &action, NULL) == 0);
}

static void check_descriptors(int round) {
  struct signalfd_siginfo info;
  EXPECT(read(signal_fd, &info, sizeof info) == sizeof info);
  EXPECT(info.ssi_signo == (unsigned)SIGRTMIN + 6 && info.ssi_int == round && info.ssi_code == SI_QUEUE);
  EXPECT(read(signal_fd, &info, sizeof info) == -1 && errno == EAGAIN);
  EXPECT(sigqueue(getpid(), SIGRTMIN + 6, (union sigval){.sival_int = round + 1}) == 0);
  const uintptr_t stack = (uintptr_t)handler_stack;
  handled_on = 0;
  raise(SIGRTMIN + 7);
  EXPECT(handled_on > stack && handled_on < stack + SIGSTKSZ * 2);
}

/* --- sleeping calls return EINTR at most; those with SA_RESTART's meaning go on --- */

static int quiet[2];
static volatile int sleeping_ended, reading_ended;

static void *sleep_long(void *unused) {
  (void)unused;
  struct timespec left = {10000, 0};
  while (nanosleep(&left, &left)) EXPECT(errno == EINTR && left.tv_sec > 9000);
  sleeping_ended = 1;
  return NULL;
}

static void *read_long(void *unused) {
  (void)unused;
  char byte;
  ssize_t size;
  while ((size = read(quiet[0], &byte, 1)) < 0) EXPECT(errno == EINTR);
  EXPECT(size == 1 && byte == 'x');
  reading_ended = 1;
  return NULL;
}

static void make_sleeping(void) {
  pthread_t made;
  sigset_t all, before;
  sigfillset(&all);
  EXPECT(pipe(quiet) == 0);
  /* Their sleep is to be disturbed by nothing but moves. */
  EXPECT(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
  EXPECT(pthread_create(&made, NULL, sleep_long, NULL) == 0 && pthread_create(&made, NULL, read_long, NULL) == 0);
  EXPECT(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
}

static void check_sleeping(int round) {
  EXPECT(!sleeping_ended && !reading_ended);
  if (round < 3) return;
  EXPECT(write(quiet[1], "x", 1) == 1);
  for (double until = seconds_now() + 30; !reading_ended && seconds_now() < until;) pause_ms(2);
  EXPECT(reading_ended);
}

int main(int argc, char **argv) {
  static const struct thing things[] = {
      {"pending", make_pending, check_pending},
      {"caught", make_caught, check_caught},
      {"descriptors", make_descriptors, check_descriptors},
      {"sleeping", make_sleeping, check_sleeping},
      {"timers", make_timers, check_timers},
      {"told", make_told, check_told},
      {0},
  };
  return rounds(argc, argv, things);
}
