/*
 * Counts, a number a line, until it is told to end: the file `end` in its folder. The argument says how many MiB of memory it has
 * touched, a byte of each page anew with each number, so that there is something to be moved.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PAGE = 4096, PAUSE_US = 50000 };

int main(int argc, char **argv) {
  size_t size = (argc > 1 ? strtoul(argv[1], NULL, 10) : 1) << 20;
  unsigned char *memory = malloc(size);
  if (!memory) return 1;
  for (size_t at = 0; at < size; at++) memory[at] = (unsigned char)(at * 2654435761u >> 13);
  for (unsigned long number = 1; access("end", F_OK) != 0; number++) {
    for (size_t at = 0; at < size; at += PAGE) memory[at] = (unsigned char)number;
    for (size_t at = 0; at < size; at += PAGE)
      if (memory[at] != (unsigned char)number) return 2;
    printf("%lu\n", number);
    fflush(stdout);
    usleep(PAUSE_US);
  }
  return 0;
}
