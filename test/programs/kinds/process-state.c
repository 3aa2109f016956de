/* What the kernel keeps of a process or a thread besides its memory and its files: each set, and read back. */
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/membarrier.h>
#include <linux/mempolicy.h>
#include <linux/seccomp.h>
#include <linux/filter.h>
#include <linux/audit.h>
#include <linux/securebits.h>
#include <sched.h>
#include <stddef.h>
#include <signal.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <asm/prctl.h>

#include "table.h"

static int prctl_set(int option, unsigned long value, unsigned long more) {
  return prctl(option, value, more, 0, 0) < 0 ? -1 : 0;
}

/* Of those that answer with their value. */
#define PLAIN(name, set_option, value, more, get_option, argument)                                                    \
  static int set_##name(void) { return prctl_set(set_option, value, more); }                                         \
  static long get_##name(void) { return prctl(get_option, argument, 0, 0, 0); }
/* Of those that write it somewhere. */
#define WRITTEN(name, set_option, value, get_option)                                                                  \
  static int set_##name(void) { return prctl_set(set_option, value, 0); }                                            \
  static long get_##name(void) {                                                                                     \
    int is = -1;                                                                                                     \
    return prctl(get_option, &is, 0, 0, 0) ? -errno : is;                                                            \
  }

WRITTEN(pdeathsig, PR_SET_PDEATHSIG, SIGUSR1, PR_GET_PDEATHSIG)
WRITTEN(subreaper, PR_SET_CHILD_SUBREAPER, 1, PR_GET_CHILD_SUBREAPER)
WRITTEN(tsc, PR_SET_TSC, PR_TSC_ENABLE, PR_GET_TSC)
PLAIN(dumpable, PR_SET_DUMPABLE, 0, 0, PR_GET_DUMPABLE, 0)
PLAIN(keepcaps, PR_SET_KEEPCAPS, 1, 0, PR_GET_KEEPCAPS, 0)
PLAIN(securebits, PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP | SECBIT_KEEP_CAPS, 0, PR_GET_SECUREBITS, 0)
PLAIN(no_new_privs, PR_SET_NO_NEW_PRIVS, 1, 0, PR_GET_NO_NEW_PRIVS, 0)
PLAIN(thp, PR_SET_THP_DISABLE, 1, 0, PR_GET_THP_DISABLE, 0)
PLAIN(bounding, PR_CAPBSET_DROP, CAP_SYS_BOOT, 0, PR_CAPBSET_READ, CAP_SYS_BOOT)

static int set_comm(void) { return prctl_set(PR_SET_NAME, (unsigned long)"another name", 0); }
static long get_comm(void) {
  char name[16] = {0};
  prctl(PR_GET_NAME, name, 0, 0, 0);
  return digest(name, sizeof name);
}

static int set_gs(void) { return syscall(SYS_arch_prctl, ARCH_SET_GS, 0x123456789000) ? -1 : 0; }
static long get_gs(void) {
  unsigned long base = 0;
  syscall(SYS_arch_prctl, ARCH_GET_GS, &base);
  return (long)base;
}

static int set_ambient(void) {
  struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2];
  if (syscall(SYS_capget, &head, data)) return -1;
  data[0].inheritable |= 1 << CAP_KILL;
  if (syscall(SYS_capset, &head, data)) return -1;
  return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0);
}
static long get_ambient(void) { return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_KILL, 0, 0); }

static int set_capabilities(void) {
  struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2];
  if (syscall(SYS_capget, &head, data)) return -1;
  data[0].effective &= ~(1u << CAP_NET_BROADCAST);
  data[0].permitted &= ~(1u << CAP_LEASE);
  data[0].effective &= data[0].permitted;
  return syscall(SYS_capset, &head, data) ? -1 : 0;
}
static long get_capabilities(void) {
  struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2] = {0};
  syscall(SYS_capget, &head, data);
  return digest(data, sizeof data);
}

static int set_groups(void) { return setgroups(3, (gid_t[]){20, 30, 40}); }
static long get_groups(void) {
  gid_t groups[64] = {0};
  int count = getgroups(64, groups);
  return digest(groups, count * sizeof *groups);
}

static int set_fsuid(void) { return setfsuid(1234) < 0 || setfsgid(2345) < 0; }
static long get_fsuid(void) { return setfsuid(-1) * 10000l + setfsgid(-1); }

/* --- scheduling --- */

struct attributes {
  uint32_t size, policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime, deadline, period;
  uint32_t least, most;
};
static struct attributes scheduled(void) {
  struct attributes now = {0};
  syscall(SYS_sched_getattr, 0, &now, sizeof now, 0);
  return now;
}
static int set_policy(void) { return sched_setscheduler(0, SCHED_BATCH | SCHED_RESET_ON_FORK, &(struct sched_param){0}); }
static long get_policy(void) { return sched_getscheduler(0); }
static int set_nice(void) { return setpriority(PRIO_PROCESS, 0, 7); }
static long get_nice(void) { return getpriority(PRIO_PROCESS, 0); }
static int set_slice(void) {
  struct attributes wish = scheduled();
  wish.flags |= 0x10;
  wish.flags &= ~(uint64_t)0x60;
  wish.runtime = 5000000;
  return syscall(SYS_sched_setattr, 0, &wish, 0) ? -1 : 0;
}
static long get_slice(void) { return (long)scheduled().runtime; }

/* --- what /proc lets be set --- */

static int write_proc(const char *name, const char *text) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/%s", name);
  int fd = open(path, O_WRONLY);
  int result = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
  if (fd >= 0) close(fd);
  return result;
}
static long read_proc(const char *name) {
  char path[64], text[65536];
  snprintf(path, sizeof path, "/proc/self/%s", name);
  int fd = open(path, O_RDONLY);
  if (fd < 0) return -errno;
  size_t size = 0;
  for (ssize_t got; size < sizeof text && (got = read(fd, text + size, sizeof text - size)) > 0;) size += got;
  close(fd);
  return digest(text, size);
}
static int set_oom(void) { return write_proc("oom_score_adj", "321"); }
static long get_oom(void) { return read_proc("oom_score_adj"); }
static int nothing(void) { return 0; }
static long get_cmdline(void) { return read_proc("cmdline"); }
static long get_environ(void) { return read_proc("environ"); }
static long get_auxv(void) { return read_proc("auxv"); }
static long get_exe(void) {
  char target[4096];
  ssize_t size = readlink("/proc/self/exe", target, sizeof target);
  return digest(target, size > 0 ? size : 0);
}

/* --- the rest --- */

static int set_umask(void) {
  umask(0137);
  return 0;
}
static long get_umask(void) { return umask(0137); }

static int set_limits(void) {
  for (int which = 0; which < RLIM_NLIMITS; which++) {
    struct rlimit now;
    if (which == RLIMIT_AS || which == RLIMIT_DATA || which == RLIMIT_CPU || which == RLIMIT_NPROC) continue;
    if (getrlimit(which, &now)) return -1;
    rlim_t lower = now.rlim_max == RLIM_INFINITY ? 1 << 30 : now.rlim_max;
    struct rlimit wish = {lower - lower / 7, lower};
    if (setrlimit(which, &wish)) return -1;
  }
  struct rlimit time = {100000, 200000};
  return setrlimit(RLIMIT_CPU, &time);
}
static long get_limits(void) {
  struct rlimit all[RLIM_NLIMITS];
  memset(all, 0, sizeof all);
  for (int which = 0; which < RLIM_NLIMITS; which++) getrlimit(which, &all[which]);
  return digest(all, sizeof all);
}

static int set_membarrier(void) {
  return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) ||
                 syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0)
             ? -1
             : 0;
}
/* Who is not registered may not call. */
static long get_membarrier(void) {
  return syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) * 10 +
         syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0);
}

static int set_policy_of_memory(void) {
  unsigned long nodes = 1;
  return syscall(SYS_set_mempolicy, MPOL_INTERLEAVE, &nodes, 8 * sizeof nodes) ? -1 : 0;
}
static long get_policy_of_memory(void) {
  int mode = -1;
  unsigned long nodes[16] = {0};
  if (syscall(SYS_get_mempolicy, &mode, nodes, 8 * sizeof nodes, NULL, 0)) return -errno;
  return mode * 100 + nodes[0];
}

static long robust[3];
static int set_robust(void) {
  robust[0] = (long)robust;
  return syscall(SYS_set_robust_list, robust, sizeof robust) ? -1 : 0;
}
static long get_robust(void) {
  void *head = NULL;
  size_t size = 0;
  syscall(SYS_get_robust_list, 0, &head, &size);
  return (long)head;
}

static int tid_cell;
static int set_tid_cell(void) { return syscall(SYS_set_tid_address, &tid_cell) < 0; }
static long get_tid_cell(void) {
  int *where = NULL;
  return prctl(PR_GET_TID_ADDRESS, &where, 0, 0, 0) ? -errno : (long)where;
}

/* A filter that answers one odd call with one odd error. */
static int set_seccomp(void) {
  struct sock_filter lines[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_acct, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ESTALE),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof lines / sizeof *lines, lines};
  return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}
static long get_seccomp(void) {
  errno = 0;
  syscall(SYS_acct, "/nowhere");
  return errno * 10 + prctl(PR_GET_SECCOMP, 0, 0, 0, 0);
}

static struct row rows[] = {
    {"PR_SET_PDEATHSIG", set_pdeathsig, get_pdeathsig, 0, 0, 0},
    {"PR_SET_CHILD_SUBREAPER", set_subreaper, get_subreaper, 0, 0, 0},
    {"PR_SET_NAME", set_comm, get_comm, 0, 0, 0},
    {"PR_SET_TSC", set_tsc, get_tsc, 0, 0, 0},
    {"PR_SET_KEEPCAPS", set_keepcaps, get_keepcaps, 0, 0, 0},
    {"PR_SET_THP_DISABLE", set_thp, get_thp, 0, 0, 0},
    {"ARCH_SET_GS", set_gs, get_gs, 0, 0, 0},
    {"oom_score_adj", set_oom, get_oom, 0, 0, 0},
    {"command line", nothing, get_cmdline, 0, 0, 0},
    {"environment", nothing, get_environ, 0, 0, 0},
    {"auxiliary vector", nothing, get_auxv, 0, 0, 0},
    {"executable", nothing, get_exe, 0, 0, 0},
    {"scheduling policy", set_policy, get_policy, 0, 0, 0},
    {"nice value", set_nice, get_nice, 0, 0, 0},
    {"time slice", set_slice, get_slice, 1, 0, 0},
    {"file mode mask", set_umask, get_umask, 0, 0, 0},
    {"resource limits", set_limits, get_limits, 0, 0, 0},
    {"membarrier registrations", set_membarrier, get_membarrier, 0, 0, 0},
    {"robust futex list", set_robust, get_robust, 0, 0, 0},
    {"clear_child_tid", set_tid_cell, get_tid_cell, 1, 0, 0},
    {"PR_SET_NO_NEW_PRIVS", set_no_new_privs, get_no_new_privs, 0, 0, 0},
    {"seccomp filter", set_seccomp, get_seccomp, 0, 0, 0},
    {0},
};

/* Which a user may not set, or not for long. */
static struct row rights[] = {
    {"supplementary groups", set_groups, get_groups, 1, 0, 0},
    {"PR_SET_SECUREBITS", set_securebits, get_securebits, 1, 0, 0},
    {"PR_CAPBSET_DROP", set_bounding, get_bounding, 1, 0, 0},
    {"ambient capabilities", set_ambient, get_ambient, 1, 0, 0},
    {"capability sets", set_capabilities, get_capabilities, 0, 0, 0},
    {"file system identity", set_fsuid, get_fsuid, 1, 0, 0},
    {0},
};

/* Which are not what they were after a move. */
static struct row lost[] = {
    {"memory policy", set_policy_of_memory, get_policy_of_memory, 1, 0, 0},
    {0},
};
static void make_lost(void) { set_rows(lost); }
static void look_at_lost(int round) { (void)round, check_rows(lost); }

static struct row odd[] = {{"PR_SET_DUMPABLE", set_dumpable, get_dumpable, 0, 0, 0}, {0}};

static void make_rows(void) { set_rows(rows); }
static void look_at_rows(int round) { (void)round, check_rows(rows); }
static void make_rights(void) { set_rows(rights); }
static void look_at_rights(int round) { (void)round, check_rows(rights); }
static void make_odd(void) { set_rows(odd); }
static void look_at_odd(int round) { (void)round, check_rows(odd); }

int main(int argc, char **argv) {
  static const struct thing things[] = {
      {"-lost", make_lost, look_at_lost}, {"rows", make_rows, look_at_rows},     {"-rights", make_rights, look_at_rights},
      {"-odd", make_odd, look_at_odd},       {0},
  };
  return rounds(argc, argv, things);
}
