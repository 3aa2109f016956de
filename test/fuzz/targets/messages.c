#include "messages.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../../agent/native/homefs/homefs.h"
#include "../../../agent/native/homefs/serve-parts.h"

#define AT "/mnt"
/* Above the operations that there are are some that there are not. */
#define OPERATIONS 64
/* A number that stands in its eight bytes. */
#define WHOLE_NUMBER 255
/* Small enough for the largest of requests to fill it. */
#define SIZE "2m"
/* The form of an error (errno(3)). */
#define LAST_ERROR 4095

static int root;

static void make_files(void) {
  int file = openat(root, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  MUST(file >= 0 && write(file, "content", 7) == 7);
  close(file);
  MUST(!mkdirat(root, "folder", 0755) && !symlinkat("file", root, "link") && !mknodat(root, "fifo", S_IFIFO | 0600, 0));
  MUST(!linkat(root, "file", root, "folder/second", 0));
}

void open_server(void) {
  static char *options[] = {"--uid", "65534", NULL};
  struct fuse_init_in init = {.major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION, .flags = UINT32_MAX};
  struct fuse_in_header in = {.len = sizeof in + sizeof init, .opcode = FUSE_INIT};
  char room[sizeof(struct fuse_init_out)];
  enter_scratch(AT, SIZE);
  become_nobody(AT);
  umask(0);
  root = open(AT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  MUST(root >= 0 && !nodes_open(AT, options));
  /* Descriptors become few soon, so that files are closed and found again. */
  nodes_limit(4);
  make_files();
  struct request request = {.in = &in, .body = (const char *)&init, .size = sizeof init, .answer = room};
  MUST(perform(&request) == 0);
}

struct fuse_in_header *next_message(struct input *input) {
  if (input->left < 3) return NULL;
  uint8_t opcode = take_byte(input), node = take_byte(input);
  uint64_t number = node;
  if (node == WHOLE_NUMBER) take_bytes_of(input, &number, sizeof number);
  size_t size = take_byte(input);
  if (size > input->left) size = input->left;
  struct fuse_in_header *message = malloc(sizeof *message + size);
  MUST(message);
  *message = (struct fuse_in_header){
      .len = (uint32_t)(sizeof *message + size), .opcode = opcode % OPERATIONS, .unique = 1, .nodeid = number};
  take_bytes_of(input, message + 1, size);
  return message;
}

void answer_message(struct fuse_in_header *message, char *room) {
  struct request request = {.in = message,
                            .body = (const char *)(message + 1),
                            .size = message->len - sizeof *message,
                            .answer = room};
  int result = perform(&request);
  MUST(result <= 0 && result >= -LAST_ERROR);
  MUST(request.answer_size <= MAX_DATA);
}

void begin_anew(size_t messages) {
  /* One request makes a handle at the most, and knows of one file or a folder's. The lowest are given out next. */
  for (uint64_t number = messages; number > 0; number--) handle_close(number);
  for (uint64_t number = 2 * messages + 64; number > 0; number--) node_forget(number, UINT64_MAX);
  empty_folder(root);
  make_files();
}
