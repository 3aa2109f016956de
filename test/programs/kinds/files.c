/* Files: deleted but open, growing, locked, mapped, sparse, on the job's own tmpfs. */
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include "rounds.h"

#define PAGE 4096
#define MIB (1 << 20)

static unsigned char bytes[MIB];

static int new_file(const char *name, size_t size, unsigned long seed) {
  int fd = open(in_folder("%s", name), O_RDWR | O_CREAT | O_EXCL, 0640);
  EXPECT(fd >= 0);
  for (size_t at = 0; at < size; at += MIB) {
    const size_t part = size - at < MIB ? size - at : MIB;
    fill(bytes, part, seed + at);
    EXPECT(write(fd, bytes, part) == (ssize_t)part);
  }
  return fd;
}

static int has(int fd, size_t size, unsigned long seed) {
  struct stat about;
  if (fstat(fd, &about) || (size_t)about.st_size != size) return 0;
  for (size_t at = 0; at < size; at += MIB) {
    const size_t part = size - at < MIB ? size - at : MIB;
    if (pread(fd, bytes, part, at) != (ssize_t)part || !is_filled(bytes, part, seed + at)) return 0;
  }
  return 1;
}

/* --- deleted, and open all the same: small, large, mapped; never named; two kinds that are refused --- */

#define LARGE (6 * MIB)

static int small_gone, large_gone, mapped_gone, huge_gone, other_name, unnamed;
static unsigned char *mapped;

static void make_deleted(void) {
  small_gone = new_file("small", 100, 1);
  large_gone = new_file("large", LARGE, 2);
  mapped_gone = new_file("mapped", 10 * PAGE, 3);
  EXPECT((mapped = mmap(NULL, 10 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, mapped_gone, 0)) != MAP_FAILED);
  EXPECT(unlink(in_folder("small")) == 0 && unlink(in_folder("large")) == 0);
  EXPECT(unlink(in_folder("mapped")) == 0);
}

static void check_deleted(int round) {
  struct stat about;
  EXPECT(has(small_gone, 100, 1) && fstat(small_gone, &about) == 0 && about.st_nlink == 0);
  EXPECT(has(large_gone, LARGE, 2) && fstat(large_gone, &about) == 0 && about.st_nlink == 0);
  EXPECT(is_filled(mapped, 10 * PAGE, 2 + round) && has(mapped_gone, 10 * PAGE, 2 + round));
  fill(mapped, 10 * PAGE, 3 + round);
  EXPECT(access(in_folder("small"), F_OK) == -1 && access(in_folder("large"), F_OK) == -1);
}

static void unchecked(int round) { (void)round; }

static void make_other_name(void) {
  char first[4096];
  other_name = new_file("first", 100, 4);
  strcpy(first, in_folder("first"));
  EXPECT(other_name >= 0 && link(first, in_folder("second")) == 0 && unlink(first) == 0);
}

static void make_huge_gone(void) {
  EXPECT((huge_gone = new_file("huge", 10, 1)) >= 0 && posix_fallocate(huge_gone, 0, 300l * MIB) == 0);
  EXPECT(unlink(in_folder("huge")) == 0);
}

static void make_unnamed(void) {
  EXPECT((unnamed = open(folder, O_TMPFILE | O_RDWR, 0600)) >= 0 && write(unnamed, "no name", 7) == 7);
}

static void check_unnamed(int round) {
  (void)round;
  EXPECT(pread(unnamed, bytes, 7, 0) == 7 && !memcmp(bytes, "no name", 7));
  EXPECT(lseek(unnamed, 0, SEEK_CUR) == 7);
}

/* --- a log that two processes append to, all the time --- */

static int appended[2];
static pid_t writers[2];

static void make_log(void) {
  EXPECT(close(open(in_folder("log"), O_CREAT | O_EXCL | O_WRONLY, 0600)) == 0);
  for (int writer = 0; writer < 2; writer++) {
    EXPECT((appended[writer] = open(in_folder("log"), O_WRONLY | O_APPEND)) >= 0);
    if ((writers[writer] = fork()) == 0)
      for (int line = 0;; line++, pause_ms(20)) {
        char text[64];
        int size = snprintf(text, sizeof text, "writer %d line %d\n", writer, line);
        EXPECT(write(appended[writer], text, size) == size);
      }
  }
}

/* Every line once, whole, and each writer's in their order; the log grows between two looks. */
static void check_log(int round) {
  int next[2] = {0, 0}, writer, line;
  static int before[2];
  pause_ms(150);
  FILE *log = fopen(in_folder("log"), "r");
  char text[128];
  EXPECT(log);
  while (fgets(text, sizeof text, log) && strchr(text, '\n')) {
    EXPECT(sscanf(text, "writer %d line %d\n", &writer, &line) == 2 && (writer == 0 || writer == 1));
    EXPECT(line == next[writer]++);
  }
  fclose(log);
  for (int i = 0; i < 2; i++) {
    EXPECT(next[i] > before[i]);
    before[i] = next[i];
  }
  if (round < 3) return;
  for (int i = 0; i < 2; i++) EXPECT(kill(writers[i], 9) == 0 && waitpid(writers[i], NULL, 0) == writers[i]);
  EXPECT(unlink(in_folder("log")) == 0);
}

/* --- locks: of a file description, of a process, of a range --- */

static int flocked, posix_locked, ofd_locked;

static void make_flock(void) {
  flocked = new_file("flock", 10, 1);
  EXPECT(flock(flocked, LOCK_EX) == 0);
}

static void check_flock(int round) {
  int other = open(in_folder("flock"), O_RDWR);
  EXPECT(other >= 0 && flock(other, LOCK_EX | LOCK_NB) == -1 && errno == EWOULDBLOCK);
  EXPECT(flock(flocked, LOCK_UN) == 0 && flock(other, LOCK_EX | LOCK_NB) == 0);
  EXPECT(close(other) == 0 && flock(flocked, LOCK_EX | LOCK_NB) == 0);
  if (round == 3) unlink(in_folder("flock"));
}

static int lock_of_child(const char *name, int start) {
  int status;
  pid_t child = fork();
  if (child == 0) {
    struct flock lock = {.l_type = F_WRLCK, .l_start = start, .l_len = 1};
    int fd = open(in_folder("%s", name), O_RDWR);
    if (fcntl(fd, F_GETLK, &lock)) _exit(99);
    _exit(lock.l_type == F_UNLCK ? 0 : lock.l_type == F_WRLCK ? 1 : 2);
  }
  EXPECT(waitpid(child, &status, 0) == child && WIFEXITED(status));
  return WEXITSTATUS(status);
}

static void make_posix_lock(void) {
  posix_locked = new_file("posix", 100, 1);
  struct flock write_lock = {.l_type = F_WRLCK, .l_start = 10, .l_len = 5};
  struct flock read_lock = {.l_type = F_RDLCK, .l_start = 50, .l_len = 0};
  EXPECT(fcntl(posix_locked, F_SETLK, &write_lock) == 0 && fcntl(posix_locked, F_SETLK, &read_lock) == 0);
}

static void check_posix_lock(int round) {
  EXPECT(lock_of_child("posix", 9) == 0 && lock_of_child("posix", 10) == 1 && lock_of_child("posix", 14) == 1);
  EXPECT(lock_of_child("posix", 15) == 0 && lock_of_child("posix", 99) == 2);
  if (round == 3) unlink(in_folder("posix"));
}

static void make_ofd_lock(void) {
  ofd_locked = new_file("ofd", 100, 1);
  struct flock lock = {.l_type = F_WRLCK, .l_start = 20, .l_len = 5};
  EXPECT(fcntl(ofd_locked, F_OFD_SETLK, &lock) == 0);
}

static void check_ofd_lock(int round) {
  EXPECT(lock_of_child("ofd", 19) == 0 && lock_of_child("ofd", 20) == 1 && lock_of_child("ofd", 25) == 0);
  if (round == 3) unlink(in_folder("ofd"));
}

static int leased;
static void make_lease(void) {
  leased = new_file("leased", 10, 1);
  close(leased);
  EXPECT((leased = open(in_folder("leased"), O_RDONLY)) >= 0 && fcntl(leased, F_SETLEASE, F_RDLCK) == 0);
}

static void check_lease(int round) {
  EXPECT(fcntl(leased, F_GETLEASE) == F_RDLCK);
  if (round == 3) unlink(in_folder("leased"));
}

/* --- mapped: private with changes, shared and written, read only, with holes --- */

#define MAPPED (64 * PAGE)

static int private_file, shared_file, sparse_file;
static unsigned char *private_map, *shared_map, *code_map;

static void make_mapped(void) {
  private_file = new_file("private", MAPPED, 1);
  shared_file = new_file("shared-map", MAPPED, 2);
  EXPECT((private_map = mmap(NULL, MAPPED, PROT_READ | PROT_WRITE, MAP_PRIVATE, private_file, 0)) != MAP_FAILED);
  EXPECT((shared_map = mmap(NULL, MAPPED, PROT_READ | PROT_WRITE, MAP_SHARED, shared_file, 0)) != MAP_FAILED);
  EXPECT((code_map = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, private_file, 0)) != MAP_FAILED);
  fill(private_map + 3 * PAGE, PAGE, 9);
  sparse_file = new_file("sparse", 10, 1);
  EXPECT(pwrite(sparse_file, "end", 3, 1l << 32) == 3);
}

static void check_mapped(int round) {
  struct stat about;
  EXPECT(is_filled(private_map, 3 * PAGE, 1) && is_filled(private_map + 3 * PAGE, PAGE, 8 + round));
  EXPECT(is_filled(private_map + 4 * PAGE, MAPPED - 4 * PAGE, 1 + 4 * PAGE) && is_filled(code_map, PAGE, 1));
  EXPECT(has(private_file, MAPPED, 1));
  fill(private_map + 3 * PAGE, PAGE, 9 + round);
  EXPECT(is_filled(shared_map, MAPPED, 1 + round) && has(shared_file, MAPPED, 1 + round));
  fill(shared_map, MAPPED, 2 + round);
  /* On another node the home's file has them when they are synchronized. */
  EXPECT(msync(shared_map, MAPPED, MS_SYNC) == 0);
  EXPECT(fstat(sparse_file, &about) == 0 && about.st_size == (1l << 32) + 3);
  EXPECT(pread(sparse_file, bytes, 3, 1l << 32) == 3 && !memcmp(bytes, "end", 3));
  if (round < 3) return;
  EXPECT(unlink(in_folder("private")) == 0 && unlink(in_folder("shared-map")) == 0);
  EXPECT(unlink(in_folder("sparse")) == 0);
}

/* --- /dev/shm is the job's own, and travels with it --- */

#define FILES 200

static int open_there;

static void make_shm(void) {
  EXPECT(mkdir("/dev/shm/kinds", 0751) == 0);
  for (int i = 0; i < FILES; i++) {
    char path[64];
    snprintf(path, sizeof path, "/dev/shm/kinds/file-%d", i);
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600 | i % 8);
    fill(bytes, i * 500, i);
    EXPECT(fd >= 0 && write(fd, bytes, i * 500) == i * 500 && close(fd) == 0);
  }
  EXPECT(symlink("file-7", "/dev/shm/kinds/link") == 0);
  EXPECT((open_there = open("/dev/shm/kinds/file-9", O_RDWR)) >= 0 && lseek(open_there, 10, SEEK_SET) == 10);
}

static void check_shm(int round) {
  struct stat about;
  (void)round;
  EXPECT(stat("/dev/shm/kinds", &about) == 0 && (about.st_mode & 0777) == 0751);
  for (int i = 0; i < FILES; i++) {
    char path[64];
    snprintf(path, sizeof path, "/dev/shm/kinds/file-%d", i);
    int fd = open(path, O_RDONLY);
    EXPECT(fd >= 0 && fstat(fd, &about) == 0 && about.st_size == i * 500);
    EXPECT(read(fd, bytes, sizeof bytes) == i * 500 && is_filled(bytes, i * 500, i) && close(fd) == 0);
  }
  EXPECT(readlink("/dev/shm/kinds/link", (char *)bytes, 10) == 6 && !memcmp(bytes, "file-7", 6));
  EXPECT(lseek(open_there, 0, SEEK_CUR) == 10);
}

int main(int argc, char **argv) {
  static const struct thing things[] = {
      {"deleted", make_deleted, check_deleted},
      {"unnamed", make_unnamed, check_unnamed},
      {"log", make_log, check_log},
      {"flock", make_flock, check_flock},
      {"posix-lock", make_posix_lock, check_posix_lock},
      {"ofd-lock", make_ofd_lock, check_ofd_lock},
      {"lease", make_lease, check_lease},
      {"mapped", make_mapped, check_mapped},
      {"shm", make_shm, check_shm},
      {"-other-name", make_other_name, unchecked},
      {"-huge", make_huge_gone, unchecked},
      {0},
  };
  return rounds(argc, argv, things);
}
