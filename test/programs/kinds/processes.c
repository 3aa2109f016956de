/* Processes and threads: trees, groups, zombies, stopped and sleeping ones, 500 threads, locks between processes. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "rounds.h"

#define THREADS 500
#define DEPTH 4

static void *shared(size_t size) {
  void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  EXPECT(at != MAP_FAILED);
  return at;
}

/* --- a tree of processes: each knows its parent, group and session, and answers from its depth --- */

static struct {
  atomic_int asked;
  struct {
    pid_t pid, parent, group, session;
    atomic_int answered;
  } at[DEPTH][2];
} *tree;

static void grow(int depth, int side);

static void branch(int depth, int side) {
  tree->at[depth][side].pid = getpid();
  tree->at[depth][side].parent = getppid();
  if (side == 1) EXPECT(setpgid(0, 0) == 0);
  if (side == 1 && depth == 2) setsid();
  tree->at[depth][side].group = getpgrp();
  tree->at[depth][side].session = getsid(0);
  for (int child = 0; depth + 1 < DEPTH && side == 0 && child < 2; child++) grow(depth + 1, child);
  for (int round = 0;; round++) {
    atomic_store(&tree->at[depth][side].answered, round);
    while (atomic_load(&tree->asked) == round) pause_ms(5);
    EXPECT(getpid() == tree->at[depth][side].pid && getppid() == tree->at[depth][side].parent);
    EXPECT(getpgrp() == tree->at[depth][side].group && getsid(0) == tree->at[depth][side].session);
  }
}

static void grow(int depth, int side) {
  pid_t pid = fork();
  EXPECT(pid >= 0);
  if (pid == 0) branch(depth, side);
}

static void tree_has_answered(int round) {
  for (int depth = 0; depth < DEPTH; depth++)
    for (int side = depth == 0; side < 2; side++) {
      double until = seconds_now() + 30;
      while (atomic_load(&tree->at[depth][side].answered) < round && seconds_now() < until) pause_ms(5);
      EXPECT(atomic_load(&tree->at[depth][side].answered) == round);
    }
}

static void make_tree(void) {
  tree = shared(sizeof *tree);
  for (int depth = 0; depth < DEPTH; depth++)
    for (int side = 0; side < 2; side++) atomic_store(&tree->at[depth][side].answered, -1);
  /* The left one at depth 0 is the program itself. */
  grow(0, 1);
  grow(1, 0);
  grow(1, 1);
  tree_has_answered(0);
}

static void check_tree(int round) {
  atomic_store(&tree->asked, round);
  tree_has_answered(round);
}

/* --- children that have ended and are not waited for, that are stopped, that sleep --- */

static pid_t zombies[3], stopped, sleeper, orphan;
static atomic_int *stopped_steps;

static void make_children(void) {
  stopped_steps = shared(sizeof *stopped_steps);
  for (int i = 0; i < 3; i++) {
    if ((zombies[i] = fork()) == 0) _exit(40 + i);
    siginfo_t info;
    EXPECT(waitid(P_PID, zombies[i], &info, WEXITED | WNOWAIT) == 0);
  }
  if ((stopped = fork()) == 0)
    for (;;) {
      atomic_fetch_add(stopped_steps, 1);
      pause_ms(1);
    }
  EXPECT(kill(stopped, SIGSTOP) == 0);
  siginfo_t info;
  EXPECT(waitid(P_PID, stopped, &info, WSTOPPED) == 0 && info.si_status == SIGSTOP);
  if ((sleeper = fork()) == 0) {
    struct timespec left = {1000000, 0};
    while (nanosleep(&left, &left)) EXPECT(errno == EINTR && left.tv_sec > 900000);
    _exit(0);
  }
  int pid[2];
  EXPECT(pipe(pid) == 0);
  pid_t between = fork();
  if (between == 0) {
    pid_t left = fork();
    if (left == 0)
      for (;;) pause();
    EXPECT(write(pid[1], &left, sizeof left) == sizeof left);
    _exit(0);
  }
  EXPECT(read(pid[0], &orphan, sizeof orphan) == sizeof orphan && waitpid(between, NULL, 0) == between);
  close(pid[0]);
  close(pid[1]);
}

static void check_children(int round) {
  siginfo_t info = {0};
  const int steps = atomic_load(stopped_steps);
  /* CRIU stops a stopped process anew, of which its parent is told once more; of nothing else. */
  EXPECT(waitid(P_ALL, 0, &info, WSTOPPED | WCONTINUED | WNOHANG) == 0);
  EXPECT(info.si_pid == 0 || (info.si_pid == stopped && info.si_status == SIGSTOP));
  EXPECT(waitid(P_ALL, 0, &info, WSTOPPED | WCONTINUED | WNOHANG) == 0 && info.si_pid == 0);
  pause_ms(20);
  EXPECT(atomic_load(stopped_steps) == steps);
  if (round == 1) EXPECT(waitid(P_PID, zombies[0], &info, WEXITED) == 0 && info.si_status == 40);
  EXPECT(waitid(P_PID, zombies[1], &info, WEXITED | WNOWAIT) == 0 && info.si_status == 41);
  EXPECT(waitid(P_PID, zombies[2], &info, WEXITED | WNOWAIT) == 0 && info.si_status == 42);
  EXPECT(kill(stopped, SIGCONT) == 0);
  EXPECT(waitid(P_PID, stopped, &info, WCONTINUED) == 0);
  while (atomic_load(stopped_steps) == steps) pause_ms(1);
  EXPECT(kill(stopped, SIGSTOP) == 0 && waitid(P_PID, stopped, &info, WSTOPPED) == 0);
  EXPECT(kill(sleeper, 0) == 0 && kill(orphan, 0) == 0);
  EXPECT(waitid(P_PID, sleeper, &info, WEXITED | WNOHANG) == 0);
}

/* --- 500 threads, each with a number and a name of its own, taking turns on a condition --- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int wanted, arrived;
static __thread unsigned long own;

static void *thread(void *number) {
  const unsigned long me = (unsigned long)number;
  char name[16], found[16];
  own = me * me;
  snprintf(name, sizeof name, "thread-%lu", me);
  prctl(PR_SET_NAME, name);
  const pid_t tid = gettid();
  for (int round = 0;; round++) {
    pthread_mutex_lock(&lock);
    arrived++;
    pthread_cond_broadcast(&changed);
    while (wanted == round) pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    prctl(PR_GET_NAME, found);
    EXPECT(own == me * me && gettid() == tid && !strcmp(found, name));
  }
  return NULL;
}

static void all_arrived(void) {
  pthread_mutex_lock(&lock);
  while (arrived < THREADS) pthread_cond_wait(&changed, &lock);
  pthread_mutex_unlock(&lock);
}

static void make_threads(void) {
  pthread_attr_t small;
  pthread_attr_init(&small);
  pthread_attr_setstacksize(&small, 64 * 1024);
  for (unsigned long i = 0; i < THREADS; i++) {
    pthread_t made;
    EXPECT(pthread_create(&made, &small, thread, (void *)i) == 0);
  }
  all_arrived();
}

static void check_threads(int round) {
  pthread_mutex_lock(&lock);
  arrived = 0;
  wanted = round;
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&lock);
  all_arrived();
}

/* --- a condition and a robust mutex between processes; the one who holds the mutex dies in the last round --- */

static struct {
  pthread_mutex_t lock, robust;
  pthread_cond_t turn;
  int round, done;
} *between;
static pid_t partner;

static void be_partner(void) {
  EXPECT(pthread_mutex_lock(&between->robust) == 0);
  for (int round = 1;; round++) {
    pthread_mutex_lock(&between->lock);
    while (between->round < round) pthread_cond_wait(&between->turn, &between->lock);
    between->done = round;
    pthread_cond_broadcast(&between->turn);
    pthread_mutex_unlock(&between->lock);
  }
}

static void make_between(void) {
  between = shared(sizeof *between);
  pthread_mutexattr_t mutex;
  pthread_condattr_t condition;
  pthread_mutexattr_init(&mutex);
  pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED);
  pthread_mutex_init(&between->lock, &mutex);
  pthread_mutexattr_setrobust(&mutex, PTHREAD_MUTEX_ROBUST);
  pthread_mutex_init(&between->robust, &mutex);
  pthread_condattr_init(&condition);
  pthread_condattr_setpshared(&condition, PTHREAD_PROCESS_SHARED);
  pthread_cond_init(&between->turn, &condition);
  if ((partner = fork()) == 0) be_partner();
  while (pthread_mutex_trylock(&between->robust) == 0) {
    pthread_mutex_unlock(&between->robust);
    pause_ms(1);
  }
}

static void check_between(int round) {
  pthread_mutex_lock(&between->lock);
  between->round = round;
  pthread_cond_broadcast(&between->turn);
  while (between->done < round) pthread_cond_wait(&between->turn, &between->lock);
  pthread_mutex_unlock(&between->lock);
  EXPECT(pthread_mutex_trylock(&between->robust) == EBUSY);
  if (round < 3) return;
  EXPECT(kill(partner, SIGKILL) == 0 && waitpid(partner, NULL, 0) == partner);
  EXPECT(pthread_mutex_lock(&between->robust) == EOWNERDEAD);
  EXPECT(pthread_mutex_consistent(&between->robust) == 0 && pthread_mutex_unlock(&between->robust) == 0);
}

/* --- a robust mutex in a file, in which nothing else is: it is held by one who sleeps, and looked at long after a move --- */

static pthread_mutex_t *held;
static pid_t holder;

static void make_held(void) {
  const int file = open(in_folder("held"), O_RDWR | O_CREAT | O_EXCL, 0600);
  EXPECT(file >= 0 && ftruncate(file, sizeof *held) == 0);
  held = mmap(NULL, sizeof *held, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  EXPECT(held != MAP_FAILED && close(file) == 0);
  pthread_mutexattr_t mutex;
  pthread_mutexattr_init(&mutex);
  pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED);
  pthread_mutexattr_setrobust(&mutex, PTHREAD_MUTEX_ROBUST);
  pthread_mutex_init(held, &mutex);
  if ((holder = fork()) == 0) {
    EXPECT(pthread_mutex_lock(held) == 0);
    for (;;) pause();
  }
  while (pthread_mutex_trylock(held) == 0) {
    pthread_mutex_unlock(held);
    pause_ms(1);
  }
}

static void check_held(int round) {
  EXPECT(pthread_mutex_trylock(held) == EBUSY);
  if (round < 3) return;
  EXPECT(kill(holder, SIGKILL) == 0 && waitpid(holder, NULL, 0) == holder);
  EXPECT(pthread_mutex_lock(held) == EOWNERDEAD);
  EXPECT(unlink(in_folder("held")) == 0);
}

/* --- what the kernel keeps of a process besides: its place, its mask, its limits, its rights --- */

static void make_traits(void) {
  EXPECT(chdir(folder) == 0);
  umask(027);
  EXPECT(setpriority(PRIO_PROCESS, 0, 3) == 0);
  EXPECT(prctl(PR_SET_PDEATHSIG, SIGTERM) == 0);
  EXPECT(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
  EXPECT(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
  struct rlimit files = {512, 1024};
  EXPECT(setrlimit(RLIMIT_NOFILE, &files) == 0);
}

static void check_traits(int round) {
  char at[4096];
  int signal = 0, reaper = 0;
  (void)round;
  EXPECT(getcwd(at, sizeof at) && !strcmp(at, folder));
  EXPECT(umask(027) == 027);
  EXPECT(getpriority(PRIO_PROCESS, 0) == 3);
  EXPECT(prctl(PR_GET_PDEATHSIG, &signal) == 0 && signal == SIGTERM);
  EXPECT(prctl(PR_GET_CHILD_SUBREAPER, &reaper) == 0 && reaper == 1);
  EXPECT(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
  struct rlimit files;
  EXPECT(getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur == 512 && files.rlim_max == 1024);
}

int main(int argc, char **argv) {
  static const struct thing things[] = {
      {"tree", make_tree, check_tree},          {"children", make_children, check_children},
      {"between", make_between, check_between}, {"held", make_held, check_held},
      {"traits", make_traits, check_traits},    {"threads", make_threads, check_threads},
      {0},
  };
  return rounds(argc, argv, things);
}
