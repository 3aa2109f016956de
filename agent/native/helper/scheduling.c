#include "scheduling.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* As the kernel has it since 5.3 (include/uapi/linux/sched/types.h). */
struct attributes {
  uint32_t size, policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime, deadline, period;
  uint32_t util_min, util_max;
};

/* sched(7) */
enum { OTHER = 0, FIFO = 1, ROUND_ROBIN = 2, BATCH = 3, IDLE = 5, DEADLINE = 6 };
static const char *const names[] = {"other", "fifo", "rr", "batch", NULL, "idle", "deadline", "ext"};
#define POLICIES (sizeof names / sizeof *names)

/* IOPRIO_PRIO_CLASS and IOPRIO_CLASS_RT of include/uapi/linux/ioprio.h. */
#define IO_CLASS_SHIFT 13
#define IO_CLASS_REAL_TIME 1

/* SCHED_FLAG_UTIL_CLAMP_MIN and _MAX; what a thread has that was never clamped, where the kernel does that. */
#define CLAMP_FLAGS 0x60u
#define MOST_CLAMP 1024

static uint64_t inits_slice;

static bool look_at(pid_t thread, struct attributes *found) {
  *found = (struct attributes){.size = sizeof *found};
  if (syscall(SYS_sched_getattr, thread, found, sizeof *found, 0)) return false;
  return found->policy < POLICIES && names[found->policy];
}

static bool is_fair(const struct attributes *one) {
  return one->policy == OTHER || one->policy == BATCH || one->policy == IDLE;
}

void learn_slice(pid_t init) {
  struct attributes found;
  inits_slice = look_at(init, &found) && is_fair(&found) ? found.runtime : 0;
}

bool scheduling_of(pid_t thread, char *text, size_t room) {
  struct attributes found;
  if (!look_at(thread, &found)) return false;
  /* A slice of its own (kernel 6.12) is reported as the runtime of a deadline. */
  if (is_fair(&found) && found.runtime == inits_slice) found.runtime = 0;
  if (found.util_min == 0 && found.util_max == MOST_CLAMP) found.util_max = 0;
  snprintf(text, room, "%s flags %llx nice %d priority %u runtime %llu deadline %llu period %llu clamp %u %u",
           names[found.policy], (unsigned long long)found.flags, found.nice, found.priority,
           (unsigned long long)found.runtime, (unsigned long long)found.deadline, (unsigned long long)found.period,
           found.util_min, found.util_max);
  return true;
}

static bool read_scheduling(const char *text, struct attributes *wanted) {
  char name[16];
  unsigned long long flags, runtime, deadline, period;
  *wanted = (struct attributes){.size = sizeof *wanted, .policy = POLICIES};
  if (sscanf(text, "%15s flags %llx nice %d priority %u runtime %llu deadline %llu period %llu clamp %u %u", name,
             &flags, &wanted->nice, &wanted->priority, &runtime, &deadline, &period, &wanted->util_min,
             &wanted->util_max) != 9)
    return false;
  wanted->flags = flags, wanted->runtime = runtime, wanted->deadline = deadline, wanted->period = period;
  if (wanted->util_min || wanted->util_max) wanted->flags |= CLAMP_FLAGS;
  for (unsigned i = 0; i < POLICIES; i++)
    if (names[i] && !strcmp(name, names[i])) wanted->policy = i;
  return wanted->policy < POLICIES;
}

bool set_scheduling(pid_t thread, const char *text) {
  struct attributes wanted;
  if (!read_scheduling(text, &wanted)) {
    errno = EINVAL;
    return false;
  }
  /* An ordinary policy has no priority, and its nice value is ignored by the others but kept. */
  if (wanted.policy == FIFO || wanted.policy == ROUND_ROBIN) setpriority(PRIO_PROCESS, (id_t)thread, wanted.nice);
  return syscall(SYS_sched_setattr, thread, &wanted, 0) == 0;
}

/* The highest that this process could give to a job. */
static unsigned long most(int resource) {
  struct rlimit own;
  return getrlimit(resource, &own) ? 0 : own.rlim_max;
}

bool is_users_scheduling(const char *text) {
  struct attributes wanted;
  if (!read_scheduling(text, &wanted) || wanted.policy == DEADLINE) return false;
  /* What this process has, a job that is launched here has too. */
  if (wanted.nice < getpriority(PRIO_PROCESS, 0) && (unsigned long)(20 - wanted.nice) > most(RLIMIT_NICE)) return false;
  return wanted.priority <= most(RLIMIT_RTPRIO);
}

bool is_users_io_priority(const char *text) { return atoi(text) >> IO_CLASS_SHIFT != IO_CLASS_REAL_TIME; }
