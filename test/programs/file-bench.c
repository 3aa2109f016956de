/* file-bench DIR: does what programs do with files, and prints for each how much of it went in a second, as JSON. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BIG (128L << 20)
#define BLOCK (1 << 20)
/* Each kind is done for about so long, or until all of it is done. */
#define SECONDS 2.0

static char block[BLOCK];
static double begun;
static const char *comma = "{";

static double now(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return at.tv_sec + at.tv_nsec / 1e9;
}

static void done(const char *what, double amount) {
  printf("%s\"%s\":%.1f", comma, what, amount / (now() - begun));
  comma = ",";
  begun = now();
}

static int goes_on(void) { return now() - begun < SECONDS; }

static int file(const char *name, int flags) {
  int fd = open(name, flags, 0600);
  if (fd < 0) {
    perror(name);
    exit(1);
  }
  begun = now();
  return fd;
}

static void check(int good, const char *what) {
  if (good) return;
  perror(what);
  exit(1);
}

static void big_file(void) {
  int fd = file("big", O_CREAT | O_WRONLY | O_TRUNC);
  for (long at = 0; at < BIG; at += BLOCK) check(write(fd, block, BLOCK) == BLOCK, "write");
  done("sequential write, MB/s", BIG / 1e6);
  close(fd);
  fd = file("big", O_RDONLY);
  for (long at = 0; at < BIG; at += BLOCK) check(read(fd, block, BLOCK) == BLOCK, "read");
  done("sequential read, MB/s", BIG / 1e6);
  lseek(fd, 0, SEEK_SET);
  for (long at = 0; at < BIG; at += BLOCK) check(read(fd, block, BLOCK) == BLOCK, "read");
  done("the same again, MB/s", BIG / 1e6);
  close(fd);
  /* Another file's pages, so that none is on this machine yet. */
  fd = file("big2", O_CREAT | O_RDWR | O_TRUNC);
  for (long at = 0; at < BIG; at += BLOCK) check(write(fd, block, BLOCK) == BLOCK, "write");
  close(fd);
  fd = file("big2", O_RDONLY);
  posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
  long count = 0;
  srandom(1);
  for (; goes_on(); count++) check(pread(fd, block, 4096, random() % (BIG / 4096) * 4096) == 4096, "pread");
  done("random reads of 4 KiB, 1/s", count);
  close(fd);
}

static void small_writes(void) {
  long count = 0;
  int fd = file("log", O_CREAT | O_WRONLY | O_APPEND);
  for (; goes_on(); count++) check(write(fd, block, 100) == 100, "write");
  done("appends of 100 bytes, 1/s", count);
  close(fd);
}

static void small_files(void) {
  char name[32];
  long count = 0;
  struct stat is;
  begun = now();
  for (; goes_on() && count < 10000; count++) {
    snprintf(name, sizeof name, "small-%ld", count);
    int fd = open(name, O_CREAT | O_WRONLY, 0600);
    check(fd >= 0 && write(fd, block, 1000) == 1000, name);
    close(fd);
  }
  done("files made, with 1 kB each, 1/s", count);
  for (long i = 0; i < count; i++) {
    snprintf(name, sizeof name, "small-%ld", i);
    check(stat(name, &is) == 0, name);
  }
  done("stat of these, 1/s", count);
  for (long i = 0; i < count; i++) {
    snprintf(name, sizeof name, "small-%ld", i);
    int fd = open(name, O_RDONLY);
    check(fd >= 0 && read(fd, block, 2000) == 1000, name);
    close(fd);
  }
  done("files read, 1/s", count);
  for (long i = 0; i < count; i++) {
    snprintf(name, sizeof name, "small-%ld", i);
    unlink(name);
  }
  done("files removed, 1/s", count);
}

int main(int argc, char **argv) {
  if (argc < 2 || chdir(argv[1])) return 2;
  big_file();
  small_writes();
  small_files();
  printf("}\n");
  return 0;
}
