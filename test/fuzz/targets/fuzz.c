#include "fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOBODY 65534

const char program_name[] = "fuzz";

void take_bytes_of(struct input *input, void *to, size_t size) {
  size_t got = size < input->left ? size : input->left;
  memset(to, 0, size);
  if (got > 0) memcpy(to, input->at, got);
  input->at += got;
  input->left -= got;
}

uint8_t take_byte(struct input *input) {
  uint8_t byte;
  take_bytes_of(input, &byte, 1);
  return byte;
}

/* --- counting --------------------------------------------------------------------------------------------------- */

static uint64_t requests;

/* Also after a time limit, when the fuzzer ends the program itself: the reader takes the last line. */
static void tell(void) {
  fprintf(stderr, "requests: %llu\n", (unsigned long long)requests);
  fflush(stderr);
}

void count_requests(uint64_t more) {
  static uint64_t most, told;
  if (most == 0) {
    const char *text = getenv("FUZZ_REQUESTS");
    most = text ? strtoull(text, NULL, 10) : UINT64_MAX;
    atexit(tell);
  }
  requests += more;
  if (requests - told > (1 << 16)) {
    told = requests;
    tell();
  }
  if (requests < most) return;
  tell();
  _exit(0);
}

void must_fail(const char *what, const char *file, int line) {
  fprintf(stderr, "%s:%d: not so: %s\n", file, line, what);
  abort();
}

/* --- a place ---------------------------------------------------------------------------------------------------- */

static void give_up(const char *what) {
  perror(what);
  _exit(2);
}

void enter_scratch(const char *at, const char *size) {
  char options[64];
  snprintf(options, sizeof options, "size=%s,nr_inodes=4096,mode=755", size);
  if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) give_up("unshare");
  if (mount("fuzz", at, "tmpfs", MS_NODEV | MS_NOSUID, options) || chdir(at)) give_up("mount");
}

void become_nobody(const char *at) {
  if (chown(at, NOBODY, NOBODY) || setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY)) give_up("chown");
  if (setresuid(NOBODY, NOBODY, NOBODY)) give_up("setresuid");
}

void empty_folder(int folder) {
  fchmod(folder, 0700);
  int again = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *names = again < 0 ? NULL : fdopendir(again);
  if (!names) return;
  for (struct dirent *one; (one = readdir(names));) {
    if (!strcmp(one->d_name, ".") || !strcmp(one->d_name, "..")) continue;
    if (!unlinkat(folder, one->d_name, 0) || errno != EISDIR) continue;
    fchmodat(folder, one->d_name, 0700, 0);
    int inside = openat(folder, one->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (inside >= 0) {
      empty_folder(inside);
      close(inside);
    }
    unlinkat(folder, one->d_name, AT_REMOVEDIR);
  }
  closedir(names);
}
