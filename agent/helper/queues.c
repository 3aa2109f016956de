/*
 * What is on its way through a frozen job's terminal: typed and not read yet, printed and not carried off yet. CRIU
 * loses a line that was begun, and has typed lines echoed a second time. So it finds the queues empty: `take-queues`
 * puts what is in them into a file, `put-queues` puts it back before the job is thawed.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "helper.h"

/* The kernel keeps 64 kB for each direction in front of the 4 kB of the terminal itself. */
#define MOST_QUEUED (128 * 1024)
/* What is typed reaches the queue a moment later, by a worker of the kernel's. */
#define LOOKS 3
#define LOOK_NS 1000000

struct queues {
  uint32_t typed, printed;
  char typed_bytes[MOST_QUEUED], printed_bytes[MOST_QUEUED];
};

struct terminal {
  int master, slave;
};

/*
 * The master is PID 1's, whatever its user has made of that; the slave is the one that the kernel has for that master
 * (TIOCGPTPEER(2const)), which only a pseudo-terminal's master has. Any other slave could be somebody else's terminal,
 * into which root may type; whoever holds a master may do so anyway.
 */
static int open_terminal(char **argv, struct terminal *terminal) {
  const int init = open_member(argv[1], pid_of(argv[0]));
  if (init < 0) return say_error("gone", errno);
  terminal->master = share_descriptor(init, MASTER);
  terminal->slave = ioctl(terminal->master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  return terminal->slave < 0 ? say_error("terminal", errno) : 0;
}

/* Reads until nothing more comes; how many bytes. */
static uint32_t empty(int fd, char *bytes) {
  uint32_t size = 0;
  for (int looks = 0; looks < LOOKS; looks++) {
    for (ssize_t got; (got = read(fd, bytes + size, MOST_QUEUED - size)) > 0; looks = 0) size += (uint32_t)got;
    nanosleep(&(struct timespec){.tv_nsec = LOOK_NS}, NULL);
  }
  return size;
}

/* A line that is not finished can be read only while the terminal does not wait for lines. */
static void take(const struct terminal *terminal, struct queues *queues) {
  struct termios before, raw;
  tcgetattr(terminal->slave, &before);
  raw = before;
  raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG);
  raw.c_cc[VMIN] = 1;
  raw.c_cc[VTIME] = 0;
  tcsetattr(terminal->slave, TCSANOW, &raw);
  queues->typed = empty(terminal->slave, queues->typed_bytes);
  tcsetattr(terminal->slave, TCSANOW, &before);
  queues->printed = empty(terminal->master, queues->printed_bytes);
}

/*
 * Each byte as it was taken, though the terminal still makes lines of them: nothing is echoed, no key means anything.
 * The end of input that somebody typed (Ctrl-D) stands in the queue as a zero.
 */
static void put_back(const struct terminal *terminal, const struct queues *queues) {
  struct termios before, plain;
  tcgetattr(terminal->slave, &before);
  plain = before;
  plain.c_iflag &= ~(tcflag_t)(ICRNL | INLCR | IGNCR | ISTRIP | IUCLC | IXON | IMAXBEL | PARMRK);
  plain.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ISIG | IEXTEN);
  plain.c_oflag &= ~(tcflag_t)OPOST;
  for (int key = 0; key < NCCS; key++)
    if (key != VEOF && key != VMIN && key != VTIME) plain.c_cc[key] = _POSIX_VDISABLE;
  tcsetattr(terminal->slave, TCSANOW, &plain);
  for (uint32_t at = 0; at < queues->typed; at++) {
    char byte = queues->typed_bytes[at];
    if (byte == 0 && before.c_lflag & ICANON) byte = (char)before.c_cc[VEOF];
    ioctl(terminal->slave, TIOCSTI, &byte);
  }
  for (uint32_t at = 0; at < queues->printed;) {
    ssize_t size = write(terminal->slave, queues->printed_bytes + at, queues->printed - at);
    if (size <= 0) break;
    at += (uint32_t)size;
  }
  tcsetattr(terminal->slave, TCSANOW, &before);
}

static bool move_bytes(int fd, struct queues *queues, ssize_t (*move)(int, void *, size_t)) {
  return move(fd, &queues->typed, sizeof queues->typed) == sizeof queues->typed &&
         move(fd, &queues->printed, sizeof queues->printed) == sizeof queues->printed &&
         queues->typed <= MOST_QUEUED && queues->printed <= MOST_QUEUED &&
         move(fd, queues->typed_bytes, queues->typed) == queues->typed &&
         move(fd, queues->printed_bytes, queues->printed) == queues->printed;
}

static ssize_t write_bytes(int fd, void *bytes, size_t size) { return write(fd, bytes, size); }

static int keep(const char *path, struct queues *queues) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return -1;
  const bool whole = move_bytes(fd, queues, write_bytes) && fsync(fd) == 0;
  close(fd);
  return whole ? 0 : -1;
}

int take_queues(char **argv) {
  static struct queues queues;
  struct terminal terminal;
  if (!argv[0] || !argv[1] || !argv[2]) return wrong_usage("take-queues INIT CGROUP FILE");
  if (open_terminal(argv, &terminal)) return 1;
  take(&terminal, &queues);
  if (queues.typed + queues.printed == 0 || keep(argv[2], &queues) == 0) return 0;
  const int error = errno;
  put_back(&terminal, &queues);
  return say_error("terminal", error);
}

int put_queues(char **argv) {
  static struct queues kept, found;
  struct terminal terminal;
  if (!argv[0] || !argv[1] || !argv[2]) return wrong_usage("put-queues INIT CGROUP FILE");
  int fd = open(argv[2], O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno == ENOENT ? 0 : say_error("terminal", errno);
  if (!move_bytes(fd, &kept, read)) return say_error("terminal", EINVAL);
  close(fd);
  if (open_terminal(argv, &terminal)) return 1;
  /* Nobody can have typed or printed meanwhile: what is there was put there by this, before somebody was ended. */
  take(&terminal, &found);
  put_back(&terminal, found.typed + found.printed ? &found : &kept);
  return unlink(argv[2]) ? say_error("terminal", errno) : 0;
}
