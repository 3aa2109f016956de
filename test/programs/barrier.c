/*
 * Sixteen threads and a barrier: in each round every thread makes its share of a table from all shares of the round
 * before. One wrong share, one round too few or too many, and the sum at the end is another.
 *
 *   barrier [ROUNDS]
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define THREADS 16
#define SHARE 6000

static uint64_t table[2][THREADS][SHARE];
static pthread_barrier_t barrier;
static int rounds;
/* Rises each time that a quarter of all rounds is over. */
int quarters;
static __thread uint64_t mine;

static uint64_t stir(uint64_t value) {
  value ^= value >> 31;
  value *= 0x9e3779b97f4a7c15u;
  return value ^ (value >> 29);
}

static void make_share(int me, int round) {
  uint64_t(*from)[SHARE] = table[round % 2], *to = table[1 - round % 2][me];
  for (int at = 0; at < SHARE; at++) {
    uint64_t value = mine;
    for (int other = 0; other < THREADS; other++) value = stir(value ^ from[other][(at * 7 + me) % SHARE]);
    to[at] = value;
  }
  mine = stir(mine + to[round % SHARE]);
}

static uint64_t sum_of(int round) {
  uint64_t sum = 0;
  for (int thread = 0; thread < THREADS; thread++)
    for (int at = 0; at < SHARE; at++) sum = stir(sum ^ table[round % 2][thread][at]);
  return sum;
}

static uint64_t sum_often(int times) {
  uint64_t sum = 0;
  for (int time = 0; time < times; time++) sum = stir(sum + sum_of(0) + sum_of(1));
  return sum;
}

static int report(int round) {
  int quarter = round / (rounds / 4);
  uint64_t sum = sum_of(round);
  unsigned high = sum >> 32;
  unsigned low = (unsigned)sum;
  if (round % 100 == 0) printf("round %4d %08x%08x\n", round, high, low);
  if (quarter != quarters) quarters = quarter;
  return quarter;
}

static void *run(void *argument) {
  int me = (int)(long)argument;
  mine = me + 1;
  for (int round = 0; round < rounds; round++) {
    make_share(me, round);
    pthread_barrier_wait(&barrier);
    if (me == 0) {
      report(round + 1);
      if (round + 1 == rounds / 2 + 4) {
        uint64_t often = sum_often(5000);
        printf("often %016llx\n", (unsigned long long)often);
      }
    }
    pthread_barrier_wait(&barrier);
  }
  return NULL;
}

int main(int argc, char **argv) {
  pthread_t threads[THREADS];
  rounds = argc > 1 ? atoi(argv[1]) : 1600;
  setvbuf(stdout, NULL, _IOLBF, 0);
  pthread_barrier_init(&barrier, NULL, THREADS);
  for (long i = 1; i < THREADS; i++) pthread_create(&threads[i], NULL, run, (void *)i);
  run((void *)0);
  for (int i = 1; i < THREADS; i++) pthread_join(threads[i], NULL);
  printf("end %d %016llx\n", quarters, (unsigned long long)sum_of(rounds));
  return quarters == 4 ? 0 : 1;
}
