/*
 * file-random FILE SHADOW SEED STEPS: does the same random things to both files, and compares what it reads. Ends with
 * 0 if they never differed.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define LARGEST (1 << 20)
#define MOST (300 << 10)

static const char *paths[2];
static int files[2];
static char bytes[MOST], read_back[2][LARGEST];

static void fail(const char *what, long step) {
  printf("step %ld: %s: %s\n", step, what, strerror(errno));
  exit(1);
}

static long size_of(int file) {
  struct stat is;
  return fstat(file, &is) ? -1 : is.st_size;
}

/* The same result for both, or it ends. */
static long both(const char *what, long step, long one, long other) {
  if (one == other) return one;
  printf("step %ld: %s: %ld, and %ld in the shadow\n", step, what, one, other);
  exit(1);
}

static void reopen(int flags) {
  for (int i = 0; i < 2; i++) {
    close(files[i]);
    files[i] = open(paths[i], O_RDWR | flags, 0600);
    if (files[i] < 0) fail("open", 0);
  }
}

static void map(long step, size_t at, size_t size) {
  long end = both("size", step, size_of(files[0]), size_of(files[1]));
  if (end <= (long)at) return;
  if (size > end - at) size = end - at;
  for (int i = 0; i < 2; i++) {
    char *to = mmap(NULL, end, PROT_READ | PROT_WRITE, MAP_SHARED, files[i], 0);
    if (to == MAP_FAILED) fail("mmap", step);
    memcpy(read_back[i], to + at, size);
    memcpy(to + at, bytes, size);
    if (random() % 2 && msync(to, end, MS_SYNC)) fail("msync", step);
    munmap(to, end);
  }
  if (memcmp(read_back[0], read_back[1], size)) fail("the mapping differs", step);
}

static void look(long step, size_t at, size_t size) {
  long got = both("read", step, pread(files[0], read_back[0], size, at), pread(files[1], read_back[1], size, at));
  if (got > 0 && memcmp(read_back[0], read_back[1], got)) fail("what was read differs", step);
}

#define BOTH(call, file) both(#call, step, ({ int file = files[0]; (long)call; }), ({ int file = files[1]; (long)call; }))

static void act(long step) {
  size_t size = random() % (random() % 4 ? 5000 : MOST) + 1, at = random() % (LARGEST - size);
  for (size_t i = 0; i < size; i++) bytes[i] = random();
  switch (random() % 12) {
    case 0:
    case 1:
    case 2:
      BOTH(pwrite(file, bytes, size, at), file);
      break;
    case 3:
    case 4:
    case 5:
      look(step, at, size);
      break;
    case 6:
      BOTH(ftruncate(file, at), file);
      break;
    case 7:
      reopen(random() % 8 == 0 ? O_TRUNC : 0);
      break;
    case 8:
      map(step, at, size);
      break;
    case 9:
      BOTH(fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, size), file);
      break;
    case 10:
      BOTH(fsync(file), file);
      break;
    default:
      if (both("size", step, size_of(files[0]), size_of(files[1])) + size > LARGEST) break;
      reopen(O_APPEND);
      BOTH(write(file, bytes, size), file);
      reopen(0);
  }
}

int main(int argc, char **argv) {
  if (argc < 5) return 2;
  paths[0] = argv[1];
  paths[1] = argv[2];
  srandom(atoi(argv[3]));
  files[0] = files[1] = -1;
  reopen(O_CREAT | O_TRUNC);
  for (long step = 1, last = atol(argv[4]); step <= last; step++) act(step);
  look(0, 0, LARGEST);
  return 0;
}
