/* What /proc says of a job's processes, whose names are the job's to choose, as `helper look` reads it. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../../agent/native/helper/helper.h"
#include "fuzz.h"

#define AT "/mnt"
/* As it stands below /proc. */
#define PROCESS "../mnt"

int LLVMFuzzerInitialize(int *count, char ***arguments) {
  (void)count, (void)arguments;
  enter_scratch(AT, "2m");
  become_nobody(AT);
  MUST(freopen("/dev/null", "w", stdout));
  MUST(!mkdir("fd", 0700) && !mkdir("fdinfo", 0700) && !mkdir("ns", 0700) && !mkdir("task", 0700));
  MUST(!mkdir("task/1", 0700) && !mkdir("map_files", 0700));
  return 0;
}

static void put_text(const char *path, struct input *input, size_t size) {
  char bytes[4096];
  if (size > input->left) size = input->left;
  if (size > sizeof bytes) size = sizeof bytes;
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  MUST(fd >= 0);
  take_bytes_of(input, bytes, size);
  MUST(write(fd, bytes, size) == (ssize_t)size);
  close(fd);
}

static void put_link(const char *path, struct input *input, size_t size) {
  char target[256] = "";
  take_bytes_of(input, target, size);
  unlink(path);
  if (*target) symlink(target, path);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  struct input input = {bytes, size};
  put_link("fd/1", &input, take_byte(&input));
  put_link("ns/net", &input, take_byte(&input));
  put_text("fdinfo/1", &input, take_byte(&input));
  put_text("task/1/status", &input, take_byte(&input));
  put_text("maps", &input, input.left);
  look((char *[]){PROCESS, NULL});
  count_requests(1);
  return 0;
}
