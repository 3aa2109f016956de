/*
 * What comes over a connection to either end of the wire: a hello, then frames. The input says what has been carried
 * before, and is what the other end sends.
 */
#include "../../../agent/native/homefs/wire.c"

#include "fuzz.h"

/* Of the counts that an input can begin with: beyond the ring, so that it goes around. */
#define MOST_COUNTED (3 * KEPT)

static struct wire *wire;

int LLVMFuzzerInitialize(int *count, char ***arguments) {
  (void)count, (void)arguments;
  wire = calloc(1, sizeof *wire);
  MUST(wire && (wire->ring = calloc(1, KEPT)));
  pthread_mutex_init(&wire->lock, NULL);
  pthread_cond_init(&wire->changed, NULL);
  pthread_cond_init(&wire->waiting, NULL);
  wire->listening = -1;
  strcpy(wire->id, "one");
  return 0;
}

static void check(void) {
  MUST(wire->kept <= wire->offered && wire->next <= wire->offered && wire->offered <= wire->written);
  MUST(wire->written - wire->kept <= KEPT);
  MUST(wire->told <= wire->received);
}

static uint64_t count_of(struct input *input, uint64_t least, uint64_t most) {
  uint32_t count;
  take_bytes_of(input, &count, sizeof count);
  return least + count % (most - least + 1);
}

/* The counts of an end that has carried something, and a hello that fits them, unless the input changes it. */
static void set_counts(struct input *input, struct hello *hello) {
  wire->kept = count_of(input, 0, MOST_COUNTED);
  wire->written = count_of(input, wire->kept, wire->kept + KEPT);
  wire->next = wire->offered = wire->written;
  wire->received = wire->told = count_of(input, 0, MOST_COUNTED);
  *hello = own_hello(wire);
  hello->received = htole64(count_of(input, wire->kept, wire->written));
  hello->kept = hello->written = htole64(wire->received);
  uint8_t change = take_byte(input);
  if (change < sizeof *hello) ((char *)hello)[change] ^= (char)take_byte(input);
}

/* As wire_read does, until the connection is good for nothing more. */
static uint64_t read_all(void) {
  static char bytes[READ_BUFFER + 4096];
  uint64_t pieces = 0;
  for (struct connection *connection; (connection = hold(wire)); pieces++) {
    size_t got = take_bytes(wire, connection, bytes, pieces % 3 ? sizeof bytes : 7);
    if (got == 0) cut(wire, connection);
    wire->received += got;
    if (owes_ack(wire)) flush(wire, MSG_DONTWAIT);
    let_go(connection);
    check();
  }
  return pieces;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  struct input input = {bytes, size};
  struct hello hello;
  int ends[2];
  set_counts(&input, &hello);
  MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  MUST(send(ends[1], &hello, sizeof hello, MSG_NOSIGNAL) == sizeof hello);
  if (input.left > 0) MUST(send(ends[1], input.at, input.left, MSG_NOSIGNAL) == (ssize_t)input.left);
  shutdown(ends[1], SHUT_WR);
  join(wire, ends[0]);
  check();
  count_requests(1 + read_all());
  close(ends[1]);
  return 0;
}
