/* ROUNDS of the same work, in one or more processors' time: a job that only computes. Prints its sum at the end. */
#include <stdio.h>
#include <stdlib.h>

/* One round is about a hundredth of a second of a processor of today. */
enum { STEPS = 2500000 };

int main(int argc, char **argv) {
  unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 1;
  volatile double sum = 0;
  for (unsigned long round = 0; round < rounds; round++)
    for (int step = 0; step < STEPS; step++) sum += (double)(step & 7) * 0.5;
  printf("%.0f\n", sum);
  return 0;
}
