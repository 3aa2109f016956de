/* Locks on files that are mapped as well, which only the process that has them can take again. */
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "rounds.h"

#define PAGE 4096

static int file, again, reader, private_only, open_file;

static int lock(int fd, short type, off_t start, off_t size) {
  struct flock wish = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = size};
  return fcntl(fd, F_SETLK, &wish);
}

static void *map(int fd, int flags, int rights) {
  void *at = mmap(NULL, 2 * PAGE, rights, flags, fd, 0);
  EXPECT(at != MAP_FAILED);
  return at;
}

static int new_file(const char *name, int more) {
  const int fd = open(in_folder("%s", name), O_CREAT | O_RDWR | more, 0600);
  EXPECT(fd >= 0 && ftruncate(fd, 2 * PAGE) == 0);
  return fd;
}

static void make_mapped(void) {
  file = new_file("mapped", 0);
  EXPECT((again = dup(file)) >= 0);
  map(file, MAP_SHARED, PROT_READ | PROT_WRITE);
  EXPECT(lock(file, F_WRLCK, 0, 1) == 0 && lock(file, F_RDLCK, 120, 8) == 0 && lock(file, F_WRLCK, 2 * PAGE, 0) == 0);
  /* By a descriptor that can't write. */
  new_file("read", 0);
  EXPECT((reader = open(in_folder("read"), O_RDONLY)) >= 0);
  map(reader, MAP_SHARED, PROT_READ);
  EXPECT(lock(reader, F_RDLCK, 5, 10) == 0);
  private_only = new_file("private", 0);
  map(private_only, MAP_PRIVATE, PROT_READ | PROT_WRITE);
  EXPECT(lock(private_only, F_WRLCK, 0, 0) == 0);
  open_file = new_file("open-file", 0);
  map(open_file, MAP_SHARED, PROT_READ);
  struct flock wish = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 3, .l_len = 4};
  EXPECT(fcntl(open_file, F_OFD_SETLK, &wish) == 0);
}

/* Seen by another process of the job; 0 for no lock there. */
static int seen(const char *name, short wanted, off_t start, struct flock *found) {
  const int fd = open(in_folder("%s", name), wanted == F_RDLCK ? O_RDONLY : O_RDWR);
  *found = (struct flock){.l_type = wanted, .l_whence = SEEK_SET, .l_start = start, .l_len = 1};
  EXPECT(fd >= 0 && fcntl(fd, F_GETLK, found) == 0);
  const int blocked = lock(fd, wanted, start, 1);
  close(fd);
  return found->l_type != F_UNLCK && blocked == -1;
}

static void look(pid_t holder) {
  struct flock found;
  EXPECT(seen("mapped", F_WRLCK, 0, &found) && found.l_type == F_WRLCK && found.l_len == 1 && found.l_pid == holder);
  EXPECT(!seen("mapped", F_WRLCK, 1, &found));
  EXPECT(seen("mapped", F_WRLCK, 127, &found) && found.l_type == F_RDLCK && found.l_start == 120 && found.l_len == 8);
  EXPECT(!seen("mapped", F_RDLCK, 121, &found) && !seen("mapped", F_WRLCK, 128, &found));
  EXPECT(seen("mapped", F_RDLCK, 1L << 40, &found) && found.l_start == 2 * PAGE && found.l_len == 0);
  EXPECT(seen("read", F_WRLCK, 14, &found) && found.l_pid == holder && !seen("read", F_WRLCK, 15, &found));
  EXPECT(seen("private", F_RDLCK, 77, &found) && found.l_type == F_WRLCK && found.l_pid == holder);
  EXPECT(seen("open-file", F_RDLCK, 3, &found) && found.l_pid == -1 && !seen("open-file", F_RDLCK, 2, &found));
}

static void check_mapped(int round) {
  int status;
  const pid_t holder = getpid(), other = fork();
  if (other == 0) {
    look(holder);
    _exit(0);
  }
  EXPECT(waitpid(other, &status, 0) == other && status == 0);
  if (round < 3) return;
  /* They go as they always did: with any descriptor of the file. */
  close(again);
  struct flock found;
  if (fork() == 0) _exit(seen("mapped", F_WRLCK, 0, &found));
  EXPECT(wait(&status) > 0 && status == 0);
  unlink(in_folder("mapped"));
  unlink(in_folder("read"));
  unlink(in_folder("private"));
  unlink(in_folder("open-file"));
}

/* --- two processes, with parts of one file that both have mapped; the one waits for the other's --- */

static struct {
  atomic_int asked, answered;
} *between;
static int shared_file;

static void neighbour(void) {
  EXPECT(lock(shared_file, F_WRLCK, 100, 50) == 0);
  for (int round = 0;; round++) {
    struct flock found = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 50};
    EXPECT(lock(shared_file, F_WRLCK, 49, 1) == -1);
    EXPECT(fcntl(shared_file, F_GETLK, &found) == 0 && found.l_type == F_WRLCK && found.l_pid == getppid());
    atomic_store(&between->answered, round);
    while (atomic_load(&between->asked) == round) pause_ms(5);
  }
}

static void check_neighbours(int round) {
  struct flock found = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 100, .l_len = 50};
  atomic_store(&between->asked, round);
  for (double until = seconds_now() + 30; atomic_load(&between->answered) < round && seconds_now() < until;) pause_ms(5);
  EXPECT(atomic_load(&between->answered) == round);
  EXPECT(fcntl(shared_file, F_GETLK, &found) == 0 && found.l_type == F_WRLCK && found.l_start == 100);
  if (round == 3) unlink(in_folder("shared"));
}

static void make_neighbours(void) {
  between = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  EXPECT(between != MAP_FAILED);
  atomic_store(&between->answered, -1);
  shared_file = new_file("shared", 0);
  map(shared_file, MAP_SHARED, PROT_READ | PROT_WRITE);
  EXPECT(lock(shared_file, F_WRLCK, 0, 50) == 0);
  if (fork() == 0) neighbour();
  while (atomic_load(&between->answered) < 0) pause_ms(1);
}

int main(int argc, char **argv) {
  static const struct thing things[] = {
      {"mapped", make_mapped, check_mapped}, {"neighbours", make_neighbours, check_neighbours}, {0}};
  return rounds(argc, argv, things);
}
