/*
 * One end of a wire: what stands on its standard input goes over it, what comes over it to its standard output.
 * Records, here and there: a 4-byte length in the machine's own order, then as many bytes.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../agent/native/homefs/wire.h"

static void read_all(void *to, size_t size) {
  for (size_t at = 0; at < size;) {
    ssize_t got = read(STDIN_FILENO, (char *)to + at, size - at);
    if (got == 0) pause();
    if (got < 0) exit(1);
    at += got;
  }
}

static void write_all(const void *from, size_t size) {
  for (size_t at = 0; at < size;) {
    ssize_t put = write(STDOUT_FILENO, (const char *)from + at, size - at);
    if (put <= 0) exit(1);
    at += put;
  }
}

static void *send_records(void *wire) {
  char *bytes = malloc(WIRE_MAX_WRITE);
  for (;;) {
    uint32_t size;
    read_all(&size, sizeof size);
    read_all(bytes, size);
    wire_write(wire, (struct iovec[]){{&size, sizeof size}, {bytes, size}}, 2);
  }
  return NULL;
}

int main(int argc, char **argv) {
  struct wire *wire = argc > 2 ? wire_listen(argv[1], argv[2]) : NULL;
  pthread_t thread;
  if (!wire || pthread_create(&thread, NULL, send_records, wire)) return 1;
  char *bytes = malloc(WIRE_MAX_WRITE);
  for (;;) {
    uint32_t size;
    wire_read(wire, &size, sizeof size);
    wire_read(wire, bytes, size);
    write_all(&size, sizeof size);
    write_all(bytes, size);
  }
}
