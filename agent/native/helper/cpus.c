#include "cpus.h"

#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* More CPUs than a kernel can have (NR_CPUS of x86-64 is 8192). */
#define WORDS 128

static uint64_t inits[WORDS];

static bool cpus_of(pid_t thread, uint64_t cpus[WORDS]) {
  memset(cpus, 0, WORDS * sizeof *cpus);
  return syscall(SYS_sched_getaffinity, thread, WORDS * sizeof *cpus, cpus) > 0;
}

void learn_cpus(pid_t init) { cpus_of(init, inits); }

/* Groups in hexadecimal, the lowest CPUs first, without those at the end that are empty. */
static void write_cpus(const uint64_t cpus[WORDS], char *text, size_t room) {
  int last = WORDS - 1;
  size_t size = 0;
  while (last > 0 && !cpus[last]) last--;
  for (int i = 0; i <= last && size < room; i++)
    size += (size_t)snprintf(text + size, room - size, i ? ",%lx" : "%lx", (unsigned long)cpus[i]);
}

static bool read_cpus(const char *text, uint64_t cpus[WORDS]) {
  memset(cpus, 0, WORDS * sizeof *cpus);
  for (int i = 0; i < WORDS; i++) {
    unsigned long word;
    int size = 0;
    if (sscanf(text, "%16lx%n", &word, &size) != 1) return false;
    cpus[i] = word;
    text += size;
    if (!*text) return true;
    if (*text++ != ',') return false;
  }
  return false;
}

bool chosen_cpus(pid_t thread, char *text, size_t room) {
  uint64_t cpus[WORDS];
  if (!cpus_of(thread, cpus) || !memcmp(cpus, inits, sizeof inits)) return false;
  write_cpus(cpus, text, room);
  return true;
}

bool choose_cpus(pid_t thread, const char *text) {
  uint64_t cpus[WORDS], any = 0;
  if (!read_cpus(text, cpus)) return false;
  for (int i = 0; i < WORDS; i++) any |= cpus[i] &= inits[i];
  return !any || syscall(SYS_sched_setaffinity, thread, sizeof cpus, cpus) == 0;
}
