/* Memory of every kind, and what the processor's registers hold while a thread runs. */
#include <fenv.h>
#include <immintrin.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "rounds.h"

#define PAGE 4096
#define MIB (1ul << 20)

/* --- a few hundred megabytes at most, by argument through the environment: summed after each move --- */

static unsigned char *heap;
static size_t heap_size = 24 * MIB;

static uint64_t word_at(size_t at, int round) { return (at + 1) * 0x9e3779b97f4a7c15ul ^ (uint64_t)round << 56; }

static void make_heap(void) {
  if (getenv("MEGABYTES")) heap_size = strtoul(getenv("MEGABYTES"), NULL, 10) * MIB;
  EXPECT((heap = mmap(NULL, heap_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) != MAP_FAILED);
  for (size_t at = 0; at < heap_size / 8; at++) ((uint64_t *)heap)[at] = word_at(at, 1);
}

static void check_heap(int round) {
  size_t bad = 0;
  for (size_t at = 0; at < heap_size / 8; at++) {
    bad += ((uint64_t *)heap)[at] != word_at(at, round);
    ((uint64_t *)heap)[at] = word_at(at, round + 1);
  }
  EXPECT(bad == 0);
}

/* --- protections, advice, locked and growing memory --- */

static sigjmp_buf back;
static unsigned char *guard, *read_only, *locked, *huge, *untouched, *wiped, *shared_after_fork;
static char *grown;

static void on_fault(int number) { siglongjmp(back, number); }

static int faults(volatile unsigned char *at, int writing) {
  if (sigsetjmp(back, 1)) return 1;
  if (writing) *at = 1;
  else (void)*at;
  return 0;
}

static unsigned char *map(size_t size, int protection, int flags) {
  unsigned char *at = mmap(NULL, size, protection, MAP_ANONYMOUS | flags, -1, 0);
  EXPECT(at != MAP_FAILED);
  return at;
}

static void make_kinds(void) {
  EXPECT(signal(SIGSEGV, on_fault) != SIG_ERR);
  guard = map(3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
  fill(guard, 3 * PAGE, 1);
  EXPECT(mprotect(guard + PAGE, PAGE, PROT_NONE) == 0);
  read_only = map(PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
  fill(read_only, PAGE, 2);
  EXPECT(mprotect(read_only, PAGE, PROT_READ) == 0);
  locked = map(4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_POPULATE);
  fill(locked, 4 * PAGE, 3);
  EXPECT(mlock(locked, 4 * PAGE) == 0);
  huge = map(4 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE);
  EXPECT(madvise(huge, 4 * MIB, MADV_HUGEPAGE) == 0);
  fill(huge, 4 * MIB, 4);
  untouched = map(8l << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE);
  fill(untouched + (5l << 30), PAGE, 5);
  wiped = map(PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
  fill(wiped, PAGE, 6);
  EXPECT(madvise(wiped, PAGE, MADV_WIPEONFORK) == 0);
  shared_after_fork = map(16 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
  fill(shared_after_fork, 16 * PAGE, 7);
  grown = sbrk(5 * PAGE);
  fill(grown, 5 * PAGE, 8);
}

static void check_kinds(int round) {
  int status;
  (void)round;
  EXPECT(is_filled(guard, PAGE, 1) && faults(guard + PAGE, 0) && !faults(guard + 2 * PAGE, 0));
  EXPECT(mprotect(guard + PAGE, PAGE, PROT_READ) == 0 && is_filled(guard, 3 * PAGE, 1));
  EXPECT(mprotect(guard + PAGE, PAGE, PROT_NONE) == 0);
  EXPECT(is_filled(read_only, PAGE, 2) && faults(read_only, 1));
  EXPECT(is_filled(locked, 4 * PAGE, 3) && is_filled(huge, 4 * MIB, 4));
  EXPECT(is_filled(untouched + (5l << 30), PAGE, 5) && untouched[0] == 0 && untouched[8l << 30 >> 1] == 0);
  EXPECT(is_filled(shared_after_fork, 16 * PAGE, 7) && is_filled(grown, 5 * PAGE, 8));
  pid_t child = fork();
  if (child == 0) {
    shared_after_fork[0] ^= 1;
    _exit(wiped[0] == 0 && wiped[1] == 0 && is_filled(guard, PAGE, 1) ? 0 : 1);
  }
  EXPECT(waitpid(child, &status, 0) == child && status == 0 && is_filled(wiped, PAGE, 6));
  shared_after_fork[0] ^= 1;
  EXPECT(is_filled(shared_after_fork, 16 * PAGE, 7));
}

/* --- one page that two processes have from before their fork, one of them changed --- */

static unsigned char *both;
static atomic_int *verdict;

static void make_forked(void) {
  both = map(2 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE);
  verdict = (void *)map(PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
  fill(both, 2 * MIB, 11);
  if (fork() == 0) {
    fill(both + MIB, PAGE, 12);
    for (int round = 1;; round++) {
      while (atomic_load(verdict) < 2 * round - 1) pause_ms(1);
      EXPECT(is_filled(both, MIB, 11) && is_filled(both + MIB, PAGE, 12));
      EXPECT(is_filled(both + MIB + PAGE, MIB - PAGE, 11 + MIB + PAGE));
      atomic_store(verdict, 2 * round);
    }
  }
}

static void check_forked(int round) {
  EXPECT(is_filled(both, 2 * MIB, 11));
  atomic_store(verdict, 2 * round - 1);
  for (double until = seconds_now() + 30; atomic_load(verdict) < 2 * round && seconds_now() < until;) pause_ms(1);
  EXPECT(atomic_load(verdict) == 2 * round);
}

/* --- registers: threads that never leave them. Whatever is lost in a move shows in what they count --- */

static atomic_int going = 1, losses;
static atomic_ulong turns[4];

/* x87 and SSE: rounding modes, and a value that stays on the x87 stack. */
static void *in_x87(void *unused) {
  (void)unused;
  long double sum = 1.0L / 3.0L;
  EXPECT(fesetround(FE_DOWNWARD) == 0);
  while (atomic_load_explicit(&going, memory_order_relaxed)) {
    __asm__ volatile("fldt %0\n\tmov $1000000, %%ecx\n1:\n\tdec %%ecx\n\tjnz 1b\n\tfstpt %0" : "+m"(sum) : : "ecx");
    if (sum != 1.0L / 3.0L || fegetround() != FE_DOWNWARD) atomic_fetch_add(&losses, 1);
    atomic_fetch_add(&turns[0], 1);
  }
  return NULL;
}

static void *in_general(void *unused) {
  (void)unused;
  while (atomic_load_explicit(&going, memory_order_relaxed)) {
    uint64_t ok;
    __asm__ volatile("mov $0x1122334455667788, %%r8\n\tmov %%r8, %%r9\n\tmov %%r8, %%r12\n\tmov %%r8, %%r15\n\t"
                     "mov $1000000, %%ecx\n1:\n\tdec %%ecx\n\tjnz 1b\n\t"
                     "xor %%r8, %%r9\n\txor %%r8, %%r12\n\txor %%r8, %%r15\n\tor %%r9, %%r12\n\tor %%r12, %%r15\n\t"
                     "mov %%r15, %0"
                     : "=r"(ok)
                     :
                     : "rcx", "r8", "r9", "r12", "r15", "cc");
    if (ok) atomic_fetch_add(&losses, 1);
    atomic_fetch_add(&turns[1], 1);
  }
  return NULL;
}

__attribute__((target("avx2"))) static void *in_avx2(void *unused) {
  (void)unused;
  uint64_t in[16], out[16];
  for (int i = 0; i < 16; i++) in[i] = word_at(i, 3);
  while (atomic_load_explicit(&going, memory_order_relaxed)) {
    __asm__ volatile("vmovdqu (%0), %%ymm0\n\tvmovdqu 32(%0), %%ymm7\n\tvmovdqu 64(%0), %%ymm8\n\tvmovdqu 96(%0), %%ymm15\n\t"
                     "mov $1000000, %%ecx\n1:\n\tdec %%ecx\n\tjnz 1b\n\t"
                     "vmovdqu %%ymm0, (%1)\n\tvmovdqu %%ymm7, 32(%1)\n\tvmovdqu %%ymm8, 64(%1)\n\tvmovdqu %%ymm15, 96(%1)"
                     :
                     : "r"(in), "r"(out)
                     : "ecx", "memory", "xmm0", "xmm7", "xmm8", "xmm15");
    if (memcmp(in, out, sizeof in)) atomic_fetch_add(&losses, 1);
    atomic_fetch_add(&turns[2], 1);
  }
  return NULL;
}

__attribute__((target("avx512f"))) static void *in_avx512(void *unused) {
  (void)unused;
  uint64_t in[17], out[17] = {0};
  for (int i = 0; i < 16; i++) in[i] = word_at(i, 4);
  in[16] = 0xa5c3;
  while (atomic_load_explicit(&going, memory_order_relaxed)) {
    __asm__ volatile("vmovdqu64 (%0), %%zmm1\n\tvmovdqu64 64(%0), %%zmm31\n\tmov 128(%0), %%rax\n\tkmovw %%eax, %%k3\n\t"
                     "mov $1000000, %%ecx\n1:\n\tdec %%ecx\n\tjnz 1b\n\t"
                     "vmovdqu64 %%zmm1, (%1)\n\tvmovdqu64 %%zmm31, 64(%1)\n\tkmovw %%k3, %%eax\n\tmov %%rax, 128(%1)"
                     :
                     : "r"(in), "r"(out)
                     : "rax", "ecx", "memory", "xmm1", "xmm31", "k3");
    if (memcmp(in, out, sizeof in)) atomic_fetch_add(&losses, 1);
    atomic_fetch_add(&turns[3], 1);
  }
  return NULL;
}

static int has_unit[4] = {1, 1, 0, 0};
static void *(*const units[])(void *) = {in_x87, in_general, in_avx2, in_avx512};

/* It computes at each freeze, and lets the thread that judges go first. */
static void *computes(void *unit) {
  EXPECT(setpriority(PRIO_PROCESS, (id_t)gettid(), 19) == 0);
  return (*(void *(*const *)(void *))unit)(NULL);
}

static void make_registers(void) {
  has_unit[2] = __builtin_cpu_supports("avx2") != 0;
  has_unit[3] = __builtin_cpu_supports("avx512f") != 0;
  for (int unit = 0; unit < 4; unit++) {
    pthread_t made;
    if (has_unit[unit]) EXPECT(pthread_create(&made, NULL, computes, (void *)&units[unit]) == 0);
  }
}

static void check_registers(int round) {
  for (int unit = 0; unit < 4; unit++) {
    if (!has_unit[unit]) continue;
    const unsigned long before = atomic_load(&turns[unit]);
    for (double until = seconds_now() + 30; atomic_load(&turns[unit]) < before + 2 && seconds_now() < until;) pause_ms(1);
    EXPECT(atomic_load(&turns[unit]) >= before + 2);
  }
  EXPECT(atomic_load(&losses) == 0);
  if (round == 3) atomic_store(&going, 0);
}

int main(int argc, char **argv) {
  static const struct thing things[] = {
      {"heap", make_heap, check_heap},       {"kinds", make_kinds, check_kinds},
      {"forked", make_forked, check_forked}, {"registers", make_registers, check_registers}, {0},
  };
  return rounds(argc, argv, things);
}
