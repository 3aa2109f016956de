/* MEBIBYTES SECONDS AFTER: takes that much memory, evenly over so many seconds, and holds it for as many seconds after.
   It computes for a third of the time, with all that it has. Ends with 1 where something in it is not as it was. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

enum { STEPS_A_SECOND = 20, WORD = sizeof(uint64_t) };

static void spin(double seconds) {
  struct timespec used;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  const double until = (double)used.tv_sec + (double)used.tv_nsec / 1e9 + seconds;
  do clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  while ((double)used.tv_sec + (double)used.tv_nsec / 1e9 < until);
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  const size_t words = strtoul(argv[1], NULL, 10) * (1 << 20) / WORD;
  const size_t growing = strtoul(argv[2], NULL, 10) * STEPS_A_SECOND, after = strtoul(argv[3], NULL, 10) * STEPS_A_SECOND;
  uint64_t *all = mmap(NULL, words * WORD, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (all == MAP_FAILED) return 2;
  puts("ready");
  fflush(stdout);
  size_t have = 0;
  for (size_t step = 1; step <= growing + after; step++) {
    const size_t want = step < growing ? words / growing * step : words;
    for (; have < want; have++) all[have] = have;
    const struct timespec pause = {.tv_nsec = 1000000000 / STEPS_A_SECOND * 2 / 3};
    spin(1.0 / STEPS_A_SECOND / 3);
    nanosleep(&pause, NULL);
  }
  for (size_t word = 0; word < have; word++)
    if (all[word] != word) return 1;
  puts("whole");
  return 0;
}
