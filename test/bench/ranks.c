/*
 * A job like a node's part of an MPI program: a parent and four that compute and exchange messages without ever sleeping,
 * 18 MB in all. Runs until it is killed; prints `ready`.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RANKS = 4, BYTES = 18 << 20 };

/* Passes a message on, around the ring, and polls as MPI libraries do. */
static void rank(int from, int to, int first) {
  size_t size = BYTES / (RANKS + 1);
  char *memory = malloc(size), message[64] = {0};
  memset(memory, 1, size);
  if (first && write(to, message, sizeof message) < 0) _exit(1);
  for (size_t at = 0;; at = (at + 64) % size) {
    memory[at]++;
    struct pollfd ready = {.fd = from, .events = POLLIN};
    if (poll(&ready, 1, 0) <= 0) continue;
    if (read(from, message, sizeof message) <= 0 || write(to, message, sizeof message) < 0) _exit(1);
  }
}

int main(void) {
  int ring[RANKS][2];
  for (int at = 0; at < RANKS; at++)
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ring[at])) return 1;
  for (int at = 0; at < RANKS; at++)
    if (fork() == 0) rank(ring[at][0], ring[(at + 1) % RANKS][1], at == 0);
  char *memory = malloc(BYTES / (RANKS + 1));
  memset(memory, 1, BYTES / (RANKS + 1));
  puts("ready");
  fflush(stdout);
  wait(NULL);
  return memory[0];
}
