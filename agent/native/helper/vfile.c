/*
 * A job's files for its debugger: opened and read in the job's root, as the job's user, so that the kernel judges.
 *
 *   read-files --init PID [--uid N --gid N --groups N,…]
 *
 * It answers on its standard output what it is asked on its standard input, one at a time, in this machine's byte order
 * (struct ask, struct answer), and ends with its input. Only regular files, only for reading. For root's jobs it is
 * root of their root, who may read and search everything there, and nothing more.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helper.h"

enum { OPEN = 1, CLOSE, READ, STAT, READ_LINK };

struct ask {
  uint32_t what;
  /* A file, as OPEN has answered it. */
  int32_t file;
  /* READ: bytes wanted. OPEN, READ_LINK: bytes of the path, which follow. */
  uint32_t size;
  uint32_t unused;
  uint64_t offset;
};
struct answer {
  /* At least 0, or an errno as a negative number. */
  int32_t result;
  /* Bytes that follow. */
  uint32_t size;
};
/* STAT is answered with these. */
struct about {
  uint64_t dev, ino, mode, nlink, uid, gid, rdev, size, blksize, blocks, atime, mtime, ctime;
};

/* Bytes of one answer; the debugger's packets hold less. */
#define MOST 0x4000
/* PATH_MAX. */
#define PATH_ROOM 4096

static char space[MOST];
static char path[PATH_ROOM];

static int open_file(void) {
  struct stat about;
  /* Looked at before it is opened, for some files do something when they are. */
  const int place = open(path, O_PATH | O_CLOEXEC);
  if (place < 0) return -errno;
  const int failed = fstat(place, &about);
  close(place);
  if (failed) return -errno;
  if (S_ISDIR(about.st_mode)) return -EISDIR;
  if (!S_ISREG(about.st_mode)) return -EACCES;
  const int file = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (file < 0) return -errno;
  if (fstat(file, &about) == 0 && S_ISREG(about.st_mode)) return file;
  close(file);
  return -EACCES;
}

static int describe(int file) {
  struct stat found;
  if (fstat(file, &found)) return -errno;
  const struct about about = {found.st_dev,   found.st_ino,   found.st_mode, found.st_nlink,   found.st_uid,
                              found.st_gid,   found.st_rdev,  found.st_size, found.st_blksize, found.st_blocks,
                              found.st_atime, found.st_mtime, found.st_ctime};
  memcpy(space, &about, sizeof about);
  return sizeof about;
}

/* The standard streams are not files that anybody has opened here. */
static bool is_file(int file) { return file > STDERR_FILENO; }

static int answer_to(const struct ask *ask) {
  if (ask->what == OPEN) return open_file();
  ssize_t size = -1;
  if (ask->what == READ_LINK) size = readlink(path, space, sizeof space);
  else if (!is_file(ask->file)) return -EBADF;
  else if (ask->what == STAT) return describe(ask->file);
  else if (ask->what == CLOSE) size = close(ask->file);
  else if (ask->what == READ) size = pread(ask->file, space, ask->size < MOST ? ask->size : MOST, ask->offset);
  else return -EINVAL;
  return size < 0 ? -errno : size;
}

static bool take(void *room, size_t size) {
  for (size_t have = 0; have < size;) {
    const ssize_t got = read(STDIN_FILENO, (char *)room + have, size - have);
    if (got <= 0) return false;
    have += got;
  }
  return true;
}

static bool give(const void *bytes, size_t size) {
  for (size_t done = 0; done < size;) {
    const ssize_t put = write(STDOUT_FILENO, (const char *)bytes + done, size - done);
    if (put <= 0) return false;
    done += put;
  }
  return true;
}

static bool serve(void) {
  struct ask ask;
  if (!take(&ask, sizeof ask)) return false;
  const bool named = ask.what == OPEN || ask.what == READ_LINK;
  if (named && (ask.size >= PATH_ROOM || !take(path, ask.size))) return false;
  if (named) path[ask.size] = 0;
  struct answer answer = {.result = answer_to(&ask)};
  if (answer.result > 0 && ask.what != OPEN) answer.size = answer.result;
  return give(&answer, sizeof answer) && give(space, answer.size);
}

int read_files(char **argv) {
  char root[64];
  snprintf(root, sizeof root, "/proc/%.20s/root", required(argv, "--init"));
  if (chroot(root) || chdir("/")) return say_error("root", errno);
  close_range(STDERR_FILENO + 1, ~0u, 0);
  confine(argv, is_for_root(argv) ? CAP_DAC_READ_SEARCH : -1);
  while (serve()) continue;
  return 0;
}
