/*
 * What the kernel would keep and a move would lose is not there, for a job's processes and their children: before any
 * move, and after each. Each answers as on a kernel without it.
 */
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <asm/prctl.h>

#include "rounds.h"

/* In headers that are newer than some machines'. */
#define NR_LANDLOCK 444
#define NR_MSEAL 462
#define SET_MDWE 65
#define SET_CPUID 0x1012

static int answers(long result, int error) { return result == -1 && errno == error; }

/* Asks for each: where it is there, this process has it for good. */
static void ask(void) {
  static char selector;
  const uint64_t handled[1] = {1};
  EXPECT(answers(syscall(NR_LANDLOCK, handled, sizeof handled, 0), ENOSYS));
  /* Which version there is: how programs ask whether there is any. */
  EXPECT(answers(syscall(NR_LANDLOCK, NULL, 0, 1), ENOSYS));
  EXPECT(answers(syscall(NR_LANDLOCK + 1, -1, 0, NULL, 0), ENOSYS));
  EXPECT(answers(syscall(NR_LANDLOCK + 2, -1, 0), ENOSYS));
  void *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  EXPECT(page != MAP_FAILED && answers(syscall(NR_MSEAL, page, 4096, 0), ENOSYS) && munmap(page, 4096) == 0);
  EXPECT(answers(prctl(SET_MDWE, 1, 0, 0, 0), EINVAL));
  EXPECT(answers(prctl(PR_SET_SYSCALL_USER_DISPATCH, 1, 0, 1ul << 47, &selector), EINVAL));
  EXPECT(answers(prctl(PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0), EINVAL));
  EXPECT(answers(pkey_alloc(0, 0), ENOSPC));
#ifdef __x86_64__
  EXPECT(answers(syscall(SYS_arch_prctl, SET_CPUID, 0), ENODEV));
#endif
  /* What is asked of them besides is answered as ever. */
  EXPECT(prctl(PR_SET_TSC, PR_TSC_ENABLE, 0, 0, 0) == 0 && prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) >= 0);
}

static void ask_in_child(void) {
  int status = 0;
  const pid_t child = fork();
  EXPECT(child >= 0);
  if (child == 0) {
    ask();
    _exit(0);
  }
  EXPECT(waitpid(child, &status, 0) == child && status == 0);
}

static void look(int round) {
  (void)round;
  ask();
  ask_in_child();
}
static void make(void) { look(0); }

int main(int argc, char **argv) {
  static const struct thing things[] = {{"calls", make, look}, {0}};
  return rounds(argc, argv, things);
}
