/*
 * Works with files of its home in every usual way, and checks each time that they are what it left: to be moved while
 * it does. In the folder FOLDER: prints `line N` a round, `end N` when it is told to end (then status 7), or what was
 * wrong (status 1). The folder has one of 10,000 entries, `many`.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENTRIES 10000
#define LARGE (64 << 20)
#define BLOCK (64 << 10)
#define INPUT (1 << 20)

static volatile sig_atomic_t told_to_end;
static void on_term(int number) { (void)number, told_to_end = 1; }

static void wrong(const char *what, int round) {
  printf("wrong in round %d: %s (%s)\n", round, what, strerror(errno));
  fflush(stdout);
  _exit(1);
}
#define CHECK(condition, round) \
  if (!(condition)) wrong(#condition, round)

static int opened(const char *name, int flags) {
  int fd = open(name, flags, 0644);
  if (fd < 0) wrong(name, -1);
  return fd;
}

static void *mapped(const char *name, int protection, int flags, size_t size) {
  int fd = opened(name, protection & PROT_WRITE && flags == MAP_SHARED ? O_RDWR : O_RDONLY);
  void *at = mmap(NULL, size, protection, flags, fd, 0);
  if (at == MAP_FAILED) wrong(name, -1);
  close(fd);
  return at;
}

static unsigned char input_at(int at) { return at * 31 + (at >> 8); }

static void prepare(void) {
  unsigned char *bytes = malloc(INPUT);
  for (int i = 0; i < INPUT; i++) bytes[i] = input_at(i);
  int fd = opened("input", O_WRONLY | O_CREAT | O_TRUNC);
  CHECK(write(fd, bytes, INPUT) == INPUT, -1);
  close(fd);
  free(bytes);
  fd = opened("shared", O_RDWR | O_CREAT | O_TRUNC);
  CHECK(ftruncate(fd, 2 * BLOCK) == 0, -1);
  close(fd);
}

static int entries(void) {
  int count = 0;
  DIR *folder = opendir("many");
  if (!folder) return -1;
  for (struct dirent *entry; (entry = readdir(folder));) count += entry->d_name[0] != '.';
  closedir(folder);
  return count;
}

int main(int argc, char **argv) {
  if (argc != 2 || chdir(argv[1])) return 2;
  signal(SIGTERM, on_term);
  prepare();
  int log = opened("log", O_WRONLY | O_CREAT | O_APPEND | O_TRUNC);
  int large = opened("large", O_RDWR | O_CREAT | O_TRUNC);
  int gone = opened("gone", O_RDWR | O_CREAT | O_TRUNC);
  CHECK(unlink("gone") == 0, -1);
  long *shared = mapped("shared", PROT_READ | PROT_WRITE, MAP_SHARED, 2 * BLOCK);
  const unsigned char *seen = mapped("input", PROT_READ, MAP_SHARED, INPUT);
  unsigned char *own = mapped("input", PROT_READ | PROT_WRITE, MAP_PRIVATE, INPUT);
  static char block[BLOCK], back[BLOCK];
  int round = 0;
  for (; !told_to_end; round++) {
    char text[64], name[64];
    int size = snprintf(text, sizeof text, "line %d\n", round);
    CHECK(write(log, text, size) == size, round);

    memset(block, 'a' + round % 26, BLOCK);
    off_t at = (off_t)(round * 7919L % (LARGE / BLOCK)) * BLOCK;
    CHECK(pwrite(large, block, BLOCK, at) == BLOCK, round);
    CHECK(pread(large, back, BLOCK, at) == BLOCK && !memcmp(block, back, BLOCK), round);

    CHECK(shared[0] == round && shared[BLOCK / sizeof *shared] == round, round);
    shared[0]++;
    shared[BLOCK / sizeof *shared]++;
    if (round % 5 == 0) CHECK(msync(shared, 2 * BLOCK, MS_SYNC) == 0, round);

    int place = round * 4099 % INPUT;
    CHECK(seen[place] == input_at(place) && own[place] == (unsigned char)(input_at(place) + (round >= INPUT)), round);
    own[(round + INPUT / 2) % INPUT] = 0;
    CHECK(own[(round + INPUT / 2) % INPUT] == 0 && seen[(round + INPUT / 2) % INPUT] == input_at((round + INPUT / 2) % INPUT), round);
    own[(round + INPUT / 2) % INPUT] = input_at((round + INPUT / 2) % INPUT);

    CHECK(pwrite(gone, &round, sizeof round, (off_t)round % 1000 * sizeof round) == sizeof round, round);
    int earlier = -1, which = round < 1000 ? 0 : round;
    CHECK(pread(gone, &earlier, sizeof earlier, (off_t)which % 1000 * sizeof which) == sizeof earlier && earlier == which, round);

    snprintf(name, sizeof name, "name-%d", round);
    close(opened(name, O_WRONLY | O_CREAT | O_EXCL));
    CHECK(rename(name, "renamed") == 0 && access(name, F_OK) != 0 && access("renamed", F_OK) == 0, round);
    if (round % 2) CHECK(unlink("renamed") == 0 && access("renamed", F_OK) != 0, round);
    if (round % 50 == 0) CHECK(entries() == ENTRIES, round);

    printf("line %d\n", round);
    fflush(stdout);
    usleep(10000);
  }
  struct stat status;
  CHECK(fstat(gone, &status) == 0 && status.st_nlink == 0, round);
  printf("end %d\n", round);
  fflush(stdout);
  return 7;
}
