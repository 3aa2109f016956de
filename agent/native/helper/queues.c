/*
 * What is on its way through the pseudo-terminals of a frozen job: typed and not read yet, printed and not carried off
 * yet. CRIU loses a line that was begun, and has typed lines echoed a second time. So it finds the queues empty:
 *
 *   take-queues --cgroup RUN --file FILE [--opened N...] -- PID:FD...
 *                   puts what is in them, and what else CRIU forgets of a terminal, into a file; FD is a master, N the
 *                   number of one whose slave is open
 *   put-queues --cgroup RUN --file FILE -- PID...
 *                   puts it back, here or in a restored, frozen copy, and removes the file
 *
 * Killed at any line, nothing is lost: what is read goes by one system call out of the terminal into the file, and what
 * is changed at a terminal for it is in the file before. A record is not WHOLE until its terminal was left as it was
 * found; `put-queues` then adds what is there to what is still in the queue.
 */
#include "terminal-queues.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "helper.h"
#include "identity.h"

/* Descriptors are below it (sysctl fs.nr_open can be no more, proc_sys_fs(5)). */
#define MOST_DESCRIPTORS (1 << 30)
/* Pseudo-terminals have numbers below it (NR_UNIX98_PTY_MAX, linux/tty.h). */
#define MOST_TERMINALS (1 << 20)
/* What there must be a record of though the queues are empty. CRIU keeps the lock and the packet mode itself. */
#define LOST (MASTER_EXCLUSIVE | SLAVE_EXCLUSIVE | STOPPED | HUNG_UP)

#define ROOM (sizeof(struct record) + 2 * MOST_QUEUED)

/* From there on, a record of its own; the disk has the room before anything is taken. NULL with errno. */
static struct record *map_record(int file, off_t at, char **mapped, size_t *size) {
  const off_t page = sysconf(_SC_PAGESIZE), from = at / page * page;
  if ((errno = posix_fallocate(file, at, ROOM))) return NULL;
  *size = (size_t)(at - from) + ROOM;
  *mapped = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_SHARED, file, from);
  return *mapped == MAP_FAILED ? NULL : (struct record *)(*mapped + (at - from));
}

/* In whole words: the next record begins there. */
static size_t whole_size(const struct record *record) {
  const size_t size = sizeof *record + size_of(&record->typed) + size_of(&record->printed);
  return (size + sizeof(uint64_t) - 1) / sizeof(uint64_t) * sizeof(uint64_t);
}

static bool is_worth_a_record(const struct record *record) {
  return record->typed.taken || record->printed.taken || record->state & LOST || record->news;
}

/*
 * A slave that was never opened must not be opened: closing it again would hang up the master's reader.
 */
static bool is_opened(char **argv, unsigned int number) {
  const char *one;
  for (int nth = 0; (one = nth_option(argv, "--opened", nth)); nth++)
    if (strtoul(one, NULL, 10) == number) return true;
  return false;
}

/* Several may have one master: it is taken from once. */
static bool is_first(unsigned int number) {
  static unsigned char seen[MOST_TERMINALS / 8];
  const unsigned char bit = (unsigned char)(1 << number % 8);
  if (number >= MOST_TERMINALS || seen[number / 8] & bit) return false;
  seen[number / 8] |= bit;
  return true;
}

/* False with errno. */
static bool take_from(char **argv, const char *pid, int fd, struct record *record) {
  struct terminal terminal;
  unsigned int number;
  bool done = open_master(required(argv, "--cgroup"), pid_of(pid), fd, &terminal) &&
              ioctl(terminal.master, TIOCGPTN, &number) == 0;
  const bool is_hung_up = done && is_ready(terminal.master, POLLHUP);
  if (done && is_first(number) && (is_hung_up || is_opened(argv, number)) && (done = open_slave(&terminal))) {
    if (is_hung_up) record->state |= HUNG_UP;
    describe_terminal(&terminal, record);
    record->master = fd;
    /* From here on there is a record. */
    record->process = inner_of(pid);
    empty_queues(&terminal, record);
  }
  const int error = errno;
  close_terminal(&terminal);
  errno = error;
  return done;
}

/* One of `PID:FD`; false with errno. */
static bool take_one(char **argv, const char *which, int file, off_t *at) {
  char pid[16], *mapped, *end;
  size_t size;
  const size_t digits = strcspn(which, ":");
  if (which[digits] != ':' || digits >= sizeof pid) return errno = EINVAL, false;
  snprintf(pid, sizeof pid, "%.*s", (int)digits, which);
  const long fd = strtol(which + digits + 1, &end, 10);
  if (*end || fd < 0 || fd >= MOST_DESCRIPTORS) return errno = EINVAL, false;
  struct record *record = map_record(file, *at, &mapped, &size);
  if (!record) return false;
  const bool done = take_from(argv, pid, (int)fd, record);
  const int error = errno;
  if (is_worth_a_record(record)) *at += (off_t)whole_size(record);
  munmap(mapped, size);
  errno = error;
  /* What was there for a longer one is 0 again for the next. */
  return done && ftruncate(file, *at) == 0;
}

int take_queues(char **argv) {
  const char *path = required(argv, "--file");
  off_t at = 0;
  const int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return say_error("terminal", errno);
  for (char **which = after_dashes(argv); *which; which++)
    if (!take_one(argv, *which, file, &at)) return say_error("terminal", errno);
  if (at == 0) unlink(path);
  else if (fsync(file)) return say_error("terminal", errno);
  close(file);
  return 0;
}

/* The job's processes, by their own numbers. */
static pid_t pid_with(char **pids, int inner) {
  for (; *pids; pids++)
    if (inner_of(*pids) == inner) return pid_of(*pids);
  return -1;
}

/* A peer may have written it: its sizes are not trusted. */
static const struct record *next_record(const char *file, size_t size, size_t *at) {
  struct record *record = (struct record *)(file + *at);
  if (size - *at < sizeof *record) return NULL;
  if (size_of(&record->typed) > MOST_QUEUED || size_of(&record->printed) > MOST_QUEUED) return NULL;
  const size_t bytes = sizeof *record + size_of(&record->typed) + size_of(&record->printed);
  if (bytes > size - *at) return NULL;
  const size_t whole = whole_size(record);
  *at += whole < size - *at ? whole : size - *at;
  return record;
}

static int put_all(char **argv) {
  const char *cgroup = required(argv, "--cgroup"), *path = required(argv, "--file");
  char **pids = after_dashes(argv);
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return errno == ENOENT ? 0 : say_error("terminal", errno);
  const off_t size = lseek(file, 0, SEEK_END);
  if (size <= 0) return size ? say_error("terminal", errno) : 0;
  const char *records = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, file, 0);
  if (records == MAP_FAILED) return say_error("terminal", errno);
  int failed = 0, count = 0;
  for (size_t at = 0; at < (size_t)size && count < MOST_TERMINALS; count++) {
    struct terminal terminal;
    const struct record *record = next_record(records, (size_t)size, &at);
    if (!record) return say_error("terminal", EINVAL);
    /* Nothing was taken there: the previous helper was killed before it wrote. */
    if (record->process == 0) break;
    if (open_master(cgroup, pid_with(pids, record->process), record->master, &terminal) && open_slave(&terminal))
      fill_queues(&terminal, record);
    else failed = errno;
    close_terminal(&terminal);
  }
  close(file);
  return failed ? say_error("terminal", failed) : 0;
}

int put_queues(char **argv) {
  const int status = put_all(argv);
  if (status) return status;
  return unlink(required(argv, "--file")) && errno != ENOENT ? say_error("terminal", errno) : 0;
}
