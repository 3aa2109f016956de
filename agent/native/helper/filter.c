/*
 * What a program asks of the kernel, no other process can see, and a restore would lose: jobs find a kernel without it,
 * and report it or do without. A sandbox that would be gone after the first move is worse than none.
 */
#include <asm/prctl.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "filter.h"

/* In headers that are newer than some machines'. The numbers of new calls are the same on all (asm-generic/unistd.h). */
#define NR_LANDLOCK_CREATE_RULESET 444
#define NR_LANDLOCK_ADD_RULE 445
#define NR_LANDLOCK_RESTRICT_SELF 446
#define NR_MSEAL 462
#define SET_MDWE 65
#define SET_CPUID 0x1012
/* The other numbers of x86-64's calls (x32) differ by this alone. */
#define X32_BIT 0x40000000u

#define ANY (-1)

struct rule {
  /* 0: whichever. */
  uint32_t arch;
  uint32_t number;
  /* Its first two arguments; ANY where they don't matter. */
  long first, second;
  /* As a kernel without it answers. */
  int error;
};

static const struct rule io_uring = {0, SYS_io_uring_setup, ANY, ANY, ENOSYS};

/* clang-format off */
#define PROCESS_RULES(arch, prctl, pkey_alloc)                                            \
  {arch, pkey_alloc, ANY, ANY, ENOSPC}, {arch, prctl, SET_MDWE, ANY, EINVAL},             \
      {arch, prctl, PR_SET_SYSCALL_USER_DISPATCH, ANY, EINVAL}, {arch, prctl, PR_SET_TSC, PR_TSC_SIGSEGV, EINVAL}

static const struct rule rules[] = {
    {0, NR_LANDLOCK_CREATE_RULESET, ANY, ANY, ENOSYS},
    {0, NR_LANDLOCK_ADD_RULE, ANY, ANY, ENOSYS},
    {0, NR_LANDLOCK_RESTRICT_SELF, ANY, ANY, ENOSYS},
    {0, NR_MSEAL, ANY, ANY, ENOSYS},
    PROCESS_RULES(AUDIT_ARCH_X86_64, 157, 330),
    {AUDIT_ARCH_X86_64, 158, SET_CPUID, 0, ENODEV},
    PROCESS_RULES(AUDIT_ARCH_I386, 172, 381),
    {AUDIT_ARCH_I386, 384, SET_CPUID, 0, ENODEV},
    PROCESS_RULES(AUDIT_ARCH_AARCH64, 167, 289),
};
/* clang-format on */
#define RULES (sizeof rules / sizeof *rules)

/* Of one rule. */
#define MOST_LINES 11

/* What is to be equal for the rule to hold: a jump over the rest of it, which is corrected when its end is known. */
static void when(struct sock_filter **next, uint32_t offset, uint32_t is, uint32_t mask) {
  *(*next)++ = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset);
  if (mask) *(*next)++ = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, mask);
  *(*next)++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, is, 0, 0);
}

/* The lower half of an argument: x86 and arm are little-endian. */
static uint32_t argument(int nth) { return offsetof(struct seccomp_data, args) + (uint32_t)nth * sizeof(__u64); }

static struct sock_filter *write_rule(struct sock_filter *first, const struct rule *rule) {
  struct sock_filter *next = first;
  if (rule->arch) when(&next, offsetof(struct seccomp_data, arch), rule->arch, 0);
  when(&next, offsetof(struct seccomp_data, nr), rule->number, ~X32_BIT);
  if (rule->first != ANY) when(&next, argument(0), (uint32_t)rule->first, 0);
  if (rule->second != ANY) when(&next, argument(1), (uint32_t)rule->second, 0);
  *next++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)rule->error);
  for (struct sock_filter *one = first; one < next; one++)
    if (BPF_CLASS(one->code) == BPF_JMP) one->jf = (__u8)(next - one - 1);
  return next;
}

int filter_calls(bool may_use_io_uring) {
  struct sock_filter lines[(RULES + 1) * MOST_LINES + 1], *next = lines;
  if (!may_use_io_uring) next = write_rule(next, &io_uring);
  for (size_t i = 0; i < RULES; i++) next = write_rule(next, &rules[i]);
  *next++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  struct sock_fprog filter = {(unsigned short)(next - lines), lines};
  return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
}
