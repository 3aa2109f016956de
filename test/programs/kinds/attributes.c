/* What the kernel keeps of processes and threads besides what they hold: how they are scheduled, what they asked for. */
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "rounds.h"

#ifndef PR_SET_MEMORY_MERGE
#define PR_SET_MEMORY_MERGE 67
#define PR_GET_MEMORY_MERGE 68
#endif

/* --- threads, each with something of its own, that look when they are told --- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int told, looked, threads;

struct one {
  void (*ask)(void);
  void (*look)(void);
};

static void *thread(void *argument) {
  const struct one *one = argument;
  one->ask();
  one->look();
  for (int round = 0;; round++) {
    pthread_mutex_lock(&lock);
    looked++;
    pthread_cond_broadcast(&changed);
    while (told == round) pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    one->look();
  }
  return NULL;
}

static void all_have_looked(void) {
  pthread_mutex_lock(&lock);
  while (looked < threads) pthread_cond_wait(&changed, &lock);
  pthread_mutex_unlock(&lock);
}

static void start(const struct one *ones, int count) {
  for (int i = 0; i < count; i++) {
    pthread_t made;
    threads++;
    EXPECT(pthread_create(&made, NULL, thread, (void *)&ones[i]) == 0);
  }
  all_have_looked();
}

static void check_threads(int round) {
  pthread_mutex_lock(&lock);
  looked = 0;
  told = round;
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&lock);
  all_have_looked();
}

/* --- scheduling --- */

struct attributes {
  uint32_t size, policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime, deadline, period;
};

static int set(const struct attributes *wanted) { return syscall(SYS_sched_setattr, 0, wanted, 0); }

static int is_scheduled(const struct attributes *wanted) {
  struct attributes found = {.size = sizeof found};
  EXPECT(syscall(SYS_sched_getattr, 0, &found, sizeof found, 0) == 0);
  return found.policy == wanted->policy && found.flags == wanted->flags && found.priority == wanted->priority &&
         (wanted->policy == SCHED_FIFO || wanted->policy == SCHED_RR || found.nice == wanted->nice) &&
         (!wanted->runtime || found.runtime == wanted->runtime) && found.period == wanted->period;
}

#define SCHEDULED(name, ...)                                                             \
  static const struct attributes name = {.size = sizeof name, __VA_ARGS__};              \
  static void ask_##name(void) { EXPECT(set(&name) == 0); }                              \
  static void look_##name(void) { EXPECT(is_scheduled(&name)); }

SCHEDULED(batch, .policy = SCHED_BATCH, .nice = 5)
SCHEDULED(idle, .policy = SCHED_IDLE)
SCHEDULED(slice, .policy = SCHED_OTHER, .runtime = 7000000)
SCHEDULED(fifo, .policy = SCHED_FIFO, .priority = 11)
SCHEDULED(robin, .policy = SCHED_RR, .priority = 3, .flags = 1 /* SCHED_FLAG_RESET_ON_FORK */)
SCHEDULED(deadline, .policy = 6, .runtime = 1000000, .deadline = 50000000, .period = 100000000)

static void make_scheduling(void) {
  static const struct one ones[] = {{ask_batch, look_batch}, {ask_idle, look_idle}, {ask_slice, look_slice}};
  start(ones, 3);
}

static void make_real_time(void) {
  static const struct one ones[] = {{ask_fifo, look_fifo}, {ask_robin, look_robin}};
  start(ones, 2);
}

static void make_deadline(void) {
  static const struct one ones[] = {{ask_deadline, look_deadline}};
  start(ones, 1);
}

/* --- the priority of its reads and writes: best effort 6, and idle --- */

static void ask_effort(void) { EXPECT(syscall(SYS_ioprio_set, 1, 0, 2 << 13 | 6) == 0); }
static void look_effort(void) { EXPECT(syscall(SYS_ioprio_get, 1, 0) == (2 << 13 | 6)); }
static void ask_leisure(void) { EXPECT(syscall(SYS_ioprio_set, 1, 0, 3 << 13) == 0); }
static void look_leisure(void) { EXPECT(syscall(SYS_ioprio_get, 1, 0) >> 13 == 3); }

/* --- its CPUs: the first, and the last --- */

static void choose(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  EXPECT(sched_setaffinity(0, sizeof set, &set) == 0);
}

static int has_chosen(int cpu) {
  cpu_set_t set;
  EXPECT(sched_getaffinity(0, sizeof set, &set) == 0);
  return CPU_COUNT(&set) == 1 && CPU_ISSET(cpu, &set);
}

static int last_cpu(void) { return (int)sysconf(_SC_NPROCESSORS_ONLN) - 1; }
static void ask_first(void) { choose(0); }
static void look_first(void) { EXPECT(has_chosen(0)); }
static void ask_last(void) { choose(last_cpu()); }
static void look_last(void) { EXPECT(has_chosen(last_cpu())); }

/* --- what prctl(2) sets of a thread --- */

static void ask_slack(void) { EXPECT(prctl(PR_SET_TIMERSLACK, 123456) == 0); }
static void look_slack(void) { EXPECT(prctl(PR_GET_TIMERSLACK) == 123456); }
static void ask_early(void) { EXPECT(prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0) == 0); }
static void look_early(void) { EXPECT(prctl(PR_MCE_KILL_GET, 0, 0, 0, 0) == PR_MCE_KILL_EARLY); }
static void ask_late(void) { EXPECT(prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_LATE, 0, 0) == 0); }
static void look_late(void) { EXPECT(prctl(PR_MCE_KILL_GET, 0, 0, 0, 0) == PR_MCE_KILL_LATE); }

static int can_switch(int what) {
  const int state = prctl(PR_GET_SPECULATION_CTRL, what, 0, 0, 0);
  return state >= 0 && state & PR_SPEC_PRCTL && !(state & PR_SPEC_FORCE_DISABLE);
}

static int store_was, branch_was;
static void ask_speculation(void) {
  if (can_switch(PR_SPEC_STORE_BYPASS))
    EXPECT(prctl(PR_SET_SPECULATION_CTRL, PR_SPEC_STORE_BYPASS, PR_SPEC_DISABLE, 0, 0) == 0);
  if (can_switch(PR_SPEC_INDIRECT_BRANCH))
    EXPECT(prctl(PR_SET_SPECULATION_CTRL, PR_SPEC_INDIRECT_BRANCH, PR_SPEC_FORCE_DISABLE, 0, 0) == 0);
  store_was = prctl(PR_GET_SPECULATION_CTRL, PR_SPEC_STORE_BYPASS, 0, 0, 0);
  branch_was = prctl(PR_GET_SPECULATION_CTRL, PR_SPEC_INDIRECT_BRANCH, 0, 0, 0);
}
static void look_speculation(void) {
  EXPECT(prctl(PR_GET_SPECULATION_CTRL, PR_SPEC_STORE_BYPASS, 0, 0, 0) == store_was);
  EXPECT(prctl(PR_GET_SPECULATION_CTRL, PR_SPEC_INDIRECT_BRANCH, 0, 0, 0) == branch_was);
}

static void make_of_threads(void) {
  static const struct one ones[] = {{ask_effort, look_effort}, {ask_leisure, look_leisure}, {ask_first, look_first},
                                    {ask_last, look_last},     {ask_slack, look_slack},     {ask_early, look_early},
                                    {ask_late, look_late},     {ask_speculation, look_speculation}};
  start(ones, sizeof ones / sizeof *ones);
}

/* --- what a process has asked for: also one that has a filter against asking again --- */

static void write_own(const char *path, const char *text) {
  const int fd = open(path, O_WRONLY);
  EXPECT(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
  close(fd);
}

static int read_own(const char *path, int base) {
  char text[64] = "";
  const int fd = open(path, O_RDONLY);
  EXPECT(fd >= 0 && read(fd, text, sizeof text - 1) > 0);
  close(fd);
  return (int)strtoul(text, NULL, base);
}

static int huge_pages;

static void make_asked(void) {
  EXPECT(personality(ADDR_NO_RANDOMIZE) >= 0);
  EXPECT(prctl(PR_SET_MEMORY_MERGE, 1, 0, 0, 0) == 0);
  /* But where it advises them, which kernels know since 6.18. */
  if (prctl(PR_SET_THP_DISABLE, 1, 2, 0, 0)) EXPECT(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) == 0);
  huge_pages = prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0);
  write_own("/proc/self/oom_score_adj", "300");
  write_own("/proc/self/coredump_filter", "0x17");
}

/* The next program would be at other addresses. */
static void *stack_of_next(void) {
  void *at = NULL;
  int way[2];
  EXPECT(pipe(way) == 0);
  const pid_t child = fork();
  if (child == 0) {
    dup2(way[1], STDOUT_FILENO);
    execl("/bin/sh", "sh", "-c", "exec cut -d ' ' -f 28 /proc/self/stat", NULL);
    _exit(127);
  }
  char text[64] = "";
  close(way[1]);
  EXPECT(read(way[0], text, sizeof text - 1) > 0);
  close(way[0]);
  waitpid(child, NULL, 0);
  sscanf(text, "%p", &at);
  return at;
}

static void check_asked(int round) {
  static void *stack;
  EXPECT(personality(0xffffffff) == ADDR_NO_RANDOMIZE);
  EXPECT(prctl(PR_GET_MEMORY_MERGE, 0, 0, 0, 0) == 1);
  EXPECT(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) == huge_pages);
  EXPECT(read_own("/proc/self/oom_score_adj", 10) == 300);
  EXPECT(read_own("/proc/self/coredump_filter", 16) == 0x17);
  if (round == 1) stack = stack_of_next();
  EXPECT(stack_of_next() == stack);
}

static atomic_int *answered;
static atomic_int *asked;

static void forbid(int call) {
  struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)call, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
  EXPECT(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
  EXPECT(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0);
}

static void make_filtered(void) {
  answered = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  EXPECT(answered != MAP_FAILED);
  asked = answered + 1;
  atomic_store(answered, -1);
  if (fork() == 0) {
    EXPECT(personality(ADDR_COMPAT_LAYOUT) >= 0);
    forbid(SYS_personality);
    for (int round = 0;; round++) {
      EXPECT(read_own("/proc/self/personality", 16) == ADDR_COMPAT_LAYOUT);
      atomic_store(answered, round);
      while (atomic_load(asked) == round) pause_ms(5);
    }
  }
  while (atomic_load(answered) < 0) pause_ms(1);
}

static void check_filtered(int round) {
  atomic_store(asked, round);
  for (double until = seconds_now() + 30; atomic_load(answered) < round && seconds_now() < until; pause_ms(5)) continue;
  EXPECT(atomic_load(answered) == round);
}

/* --- a process that stands stopped, in whose name something is asked for again all the same --- */

static pid_t stopped;

static void be_stopped(void) {
  EXPECT(personality(ADDR_NO_RANDOMIZE | SHORT_INODE) >= 0);
  EXPECT(prctl(PR_SET_TIMERSLACK, 99999) == 0);
  raise(SIGSTOP);
  EXPECT(personality(0xffffffff) == (ADDR_NO_RANDOMIZE | SHORT_INODE) && prctl(PR_GET_TIMERSLACK) == 99999);
  _exit(33);
}

static int is_stopped(void) {
  char path[64], state = 0;
  snprintf(path, sizeof path, "/proc/%d/stat", stopped);
  FILE *stat = fopen(path, "r");
  EXPECT(stat && fscanf(stat, "%*d %*s %c", &state) == 1);
  fclose(stat);
  return state == 'T';
}

static void make_stopped(void) {
  siginfo_t info;
  if ((stopped = fork()) == 0) be_stopped();
  EXPECT(waitid(P_PID, stopped, &info, WSTOPPED) == 0 && is_stopped());
}

static void check_stopped(int round) {
  char path[64];
  int status;
  snprintf(path, sizeof path, "/proc/%d/personality", stopped);
  EXPECT(is_stopped() && read_own(path, 16) == (ADDR_NO_RANDOMIZE | SHORT_INODE));
  if (round < 3) return;
  EXPECT(kill(stopped, SIGCONT) == 0 && waitpid(stopped, &status, 0) == stopped);
  EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 33);
}

static void check_nothing(int round) { (void)round; }

int main(int argc, char **argv) {
  /* All threads look in the check of the last that were started. */
  static const struct thing things[] = {
      {"asked", make_asked, check_asked},
      {"filtered", make_filtered, check_filtered},
      {"stopped", make_stopped, check_stopped},
      {"-real-time", make_real_time, check_nothing},
      {"-deadline", make_deadline, check_nothing},
      {"scheduling", make_scheduling, check_nothing},
      {"of-threads", make_of_threads, check_threads},
      {0},
  };
  return rounds(argc, argv, things);
}
