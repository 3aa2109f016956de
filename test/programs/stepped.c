/*
 * What a debugger is timed on: lines without end to be stepped through, at the bottom of as many frames as the first
 * argument says, beside as many threads as the second says, with a million numbers to be looked at. It ends when it is
 * killed.
 */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

enum { MANY = 1000000 };

static int many[MANY];
static volatile long counter;

static void *wait_here(void *unused) {
  for (;;) pause();
  return unused;
}

static void lines(int depth) {
  long a = depth, b = 1, c = 2;
  for (;;) { /* begin */
    a += b;
    b += c;
    c += 1;
    counter += a;
    a ^= c;
    b ^= a;
    c += b & 1;
    counter -= c;
  }
}

static void down(int left) {
  if (left > 0) down(left - 1);
  else lines(left);
  counter++;
}

int main(int argc, char **argv) {
  const int depth = argc > 1 ? atoi(argv[1]) : 5;
  const int threads = argc > 2 ? atoi(argv[2]) : 0;
  for (int at = 0; at < MANY; at++) many[at] = at;
  for (int begun = 0; begun < threads; begun++) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, wait_here, NULL) != 0) return 1;
  }
  down(depth);
  return 0;
}
