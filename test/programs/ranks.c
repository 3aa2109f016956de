/*
 * Processes whose threads stand in known places, as the ranks of a parallel program do:
 *
 *   ranks PROCESSES EXCHANGING SOLVING
 *
 * In each process so many threads wait in exchange(), and so many compute in solve(); its first thread waits in
 * gather(). It says `ready` when all are there, and runs until it is ended.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

static atomic_int *there;
static volatile uint64_t sum;

static void exchange(int depth) {
  if (depth > 0) exchange(depth - 1);
  atomic_fetch_add(there, 1);
  for (;;) pause();
}

static void solve(void) {
  atomic_fetch_add(there, 1);
  for (uint64_t at = 0;; at++) {
    sum += at * at;
    sum ^= at;
  }
}

static void *exchanging(void *unused) {
  prctl(PR_SET_NAME, "exchanging");
  exchange(2);
  return unused;
}

static void *solving(void *unused) {
  prctl(PR_SET_NAME, "solving");
  solve();
  return unused;
}

static void gather(int is_first, int expected) {
  while (atomic_load(there) < expected) usleep(1000);
  if (is_first) {
    printf("ready\n");
    fflush(stdout);
  }
  for (;;) pause();
}

static void start(void *(*work)(void *), int count) {
  pthread_t thread;
  for (int nth = 0; nth < count; nth++)
    if (pthread_create(&thread, NULL, work, NULL)) exit(1);
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  const int processes = atoi(argv[1]), waiting = atoi(argv[2]), busy = atoi(argv[3]);
  int nth = 0;
  there = mmap(NULL, sizeof *there, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  while (nth + 1 < processes && fork() > 0) nth++;
  start(exchanging, waiting);
  start(solving, busy);
  gather(nth == processes - 1, processes * (waiting + busy));
}
