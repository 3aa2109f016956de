/*
 * What a home answers, as the mount takes it from the wire and gives it to the kernel: nothing that was not asked, but
 * that files have changed, and whole. The kernel is a function here.
 */
#define exit end_of_mount
#define write write_to_kernel

#include <setjmp.h>
#include <stdlib.h>
#include <unistd.h>

void end_of_mount(int status) __attribute__((noreturn));
ssize_t write_to_kernel(int fd, const void *message, size_t size);

#include "../../../agent/native/homefs/mount.c"

#undef exit
#undef write

#include "fuzz.h"

static struct relay relay = {.lock = PTHREAD_MUTEX_INITIALIZER, .answered = PTHREAD_COND_INITIALIZER};
static struct input input;
static jmp_buf over;
static bool was_asked[256];

void end_of_mount(int status) { longjmp(over, status + 1); }

ssize_t write_to_kernel(int fd, const void *message, size_t size) {
  const struct fuse_out_header *header = message;
  (void)fd;
  MUST(size == header->len && size >= sizeof *header && size <= MAX_MESSAGE);
  MUST(header->unique < 256 && was_asked[header->unique]);
  was_asked[header->unique] = false;
  return (ssize_t)size;
}

void wire_read(struct wire *wire, void *to, size_t size) {
  (void)wire;
  if (input.left == 0) longjmp(over, 1);
  take_bytes_of(&input, to, size);
}

void wire_write(struct wire *wire, const struct iovec *parts, int count) { (void)wire, (void)parts, (void)count; }

struct wire *wire_listen(const char *path, const char *id) {
  (void)path, (void)id;
  return NULL;
}

int LLVMFuzzerInitialize(int *count, char ***arguments) {
  (void)count, (void)arguments;
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  static char *buffer;
  static volatile uint64_t answers;
  if (!buffer) buffer = malloc(MAX_MESSAGE);
  input = (struct input){bytes, size};
  answers = 0;
  relay.unanswered = 0;
  relay.changed_count = 0;
  memset(was_asked, 0, sizeof was_asked);
  for (int left = take_byte(&input) % MAX_UNANSWERED; left > 0; left--) {
    struct fuse_in_header request = {.unique = take_byte(&input), .opcode = FUSE_LOOKUP, .pid = 1};
    if (was_asked[request.unique]) continue;
    was_asked[request.unique] = true;
    note_asked(&relay, &request);
  }
  if (!setjmp(over))
    for (;;) {
      carry_answer(&relay, buffer);
      answers++;
    }
  count_requests(answers + 1);
  return 0;
}
