/* Requests of a host to the home's file server, one after another. */
#include <stdlib.h>

#include "../../../agent/native/homefs/homefs.h"
#include "messages.h"

static char *room;

int LLVMFuzzerInitialize(int *count, char ***arguments) {
  (void)count, (void)arguments;
  open_server();
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  struct input input = {bytes, size};
  struct fuse_in_header *message;
  size_t messages = 0;
  if (!room) room = malloc(MAX_DATA);
  for (; messages < MOST_MESSAGES && (message = next_message(&input)); messages++) {
    answer_message(message, room);
    free(message);
  }
  begin_anew(messages);
  count_requests(messages);
  return 0;
}
