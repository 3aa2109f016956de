/*
 * What is on its way through the pseudo-terminals of a frozen job: typed and not read yet, printed and not carried off
 * yet. CRIU loses a line that was begun, and has typed lines echoed a second time. So it finds the queues empty:
 *
 *   take-queues --cgroup RUN --file FILE [--opened N...] -- PID:FD...
 *                   puts what is in them, and what else CRIU forgets of a terminal, into a file; FD is a master, N the
 *                   number of one whose slave somebody has open
 *   put-queues --cgroup RUN --file FILE -- PID...
 *                   puts it back, here or in a restored, frozen copy, and removes the file
 *
 * Whoever is killed, and when: what is read goes by one system call out of the terminal into the file, and what is
 * changed at a terminal for it is in the file before. A record is not WHOLE until its terminal was left as it was found;
 * `put-queues` then adds what is there to what is still in the queue.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <termios.h>
#include <unistd.h>

#include "helper.h"
#include "identity.h"

/* The kernel keeps 8 kB (64 of other terminals) for each direction in front of the 4 kB of the terminal itself. */
#define MOST_QUEUED (128 * 1024)
/* What a terminal that has room at all takes without making whoever writes wait. */
#define PIECE 256
/* Descriptors are below it (sysctl fs.nr_open can be no more, proc_sys_fs(5)). */
#define MOST_DESCRIPTORS (1 << 30)
/* Pseudo-terminals have numbers below it (NR_UNIX98_PTY_MAX, linux/tty.h). */
#define MOST_TERMINALS (1 << 20)

enum {
  /* The terminal is as it was found: nothing of it is being changed any more. */
  WHOLE = 1,
  /* TIOCSPTLCK: nobody may open the slave. */
  LOCKED = 2,
  /* TIOCPKT: the master is told of what happens at the slave. */
  PACKETS = 4,
  /* TIOCEXCL, of either end. */
  MASTER_EXCLUSIVE = 8,
  SLAVE_EXCLUSIVE = 16,
  /* Ctrl-S, or tcflow(3). */
  STOPPED = 32,
  /* Whoever had the slave open has closed it: whoever reads the master is told so. */
  HUNG_UP = 64,
};
/* What there must be a record of though the queues are empty. CRIU keeps the lock and the packet mode itself. */
#define LOST (MASTER_EXCLUSIVE | SLAVE_EXCLUSIVE | STOPPED | HUNG_UP)

struct queue {
  /* Bytes that were taken, and how many the next read asked for: those are there if one of them is not 0. */
  uint32_t taken, begun;
};

struct record {
  /* The process as the job numbers it, and its descriptor of the master. */
  int32_t process, master;
  uint32_t state;
  /* Of a master in packet mode: what it has not been told yet (TIOCPKT(2const)). */
  uint32_t news;
  /* Of what was typed, the bytes that the terminal had made lines of and echoed; the rest waited in front of it. */
  uint32_t processed;
  struct queue typed, printed;
  struct termios modes;
  /* The bytes that were typed, then those that were printed. */
  char bytes[];
};

struct terminal {
  int master, slave;
};

static size_t size_of(const struct queue *queue) { return (size_t)queue->taken + queue->begun; }

/* Is that so now? What the kernel has still to carry to the queue, by a worker of its own, is there afterwards. */
static bool is_ready(int fd, short events) {
  struct pollfd one = {.fd = fd, .events = events};
  return poll(&one, 1, 0) == 1 && one.revents & events;
}

static bool open_master(const char *cgroup, pid_t pid, int fd, struct terminal *terminal) {
  const int process = open_member(cgroup, pid);
  *terminal = (struct terminal){-1, -1};
  if (process < 0) return false;
  terminal->master = share_descriptor(process, fd);
  const int error = errno;
  close(process);
  errno = error;
  return terminal->master >= 0;
}

/*
 * The master is the job's, whatever its user has made of that; the slave is the one that the kernel has for that master
 * (TIOCGPTPEER(2const)), which only a pseudo-terminal's master has. Any other slave could be somebody else's terminal,
 * into which root may type; whoever holds a master may do so anyway. False with errno.
 */
static bool open_slave(struct terminal *terminal) {
  int locked = 0;
  if (ioctl(terminal->master, TIOCGPTLCK, &locked)) return false;
  if (locked) ioctl(terminal->master, TIOCSPTLCK, &(int){0});
  terminal->slave = ioctl(terminal->master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  const int error = errno;
  if (locked) ioctl(terminal->master, TIOCSPTLCK, &(int){1});
  errno = error;
  return terminal->slave >= 0;
}

static void close_terminal(const struct terminal *terminal) {
  if (terminal->slave >= 0) close(terminal->slave);
  if (terminal->master >= 0) close(terminal->master);
}

/* Reads until nothing more comes. The master may be one that would wait: no more is asked for than there is. */
static void empty(int fd, struct queue *queue, char *bytes) {
  for (int waiting = 0; is_ready(fd, POLLIN) && ioctl(fd, FIONREAD, &waiting) == 0 && waiting > 0;) {
    const uint32_t room = MOST_QUEUED - queue->taken;
    queue->begun = (uint32_t)waiting < room ? (uint32_t)waiting : room;
    const ssize_t got = queue->begun ? read(fd, bytes + queue->taken, queue->begun) : 0;
    if (got > 0) queue->taken += (uint32_t)got;
    queue->begun = 0;
    if (got <= 0) return;
  }
}

/* A line that is not finished can be read only while the terminal does not wait for lines. */
static void set_raw(const struct terminal *terminal, const struct termios *modes) {
  struct termios raw = *modes;
  raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG);
  raw.c_cc[VMIN] = 1;
  raw.c_cc[VTIME] = 0;
  tcsetattr(terminal->slave, TCSANOW, &raw);
}

static void set_packets(const struct terminal *terminal, int on) { ioctl(terminal->master, TIOCPKT, &on); }

/* What a master in packet mode is told comes before what was printed, and alone. */
static void take_news(const struct terminal *terminal, struct record *record) {
  unsigned char news;
  if (is_ready(terminal->master, POLLPRI) && read(terminal->master, &news, 1) == 1) record->news = news;
}

static void describe(const struct terminal *terminal, struct record *record) {
  int set;
  tcgetattr(terminal->slave, &record->modes);
  if (ioctl(terminal->master, TIOCGPTLCK, &set) == 0 && set) record->state |= LOCKED;
  if (ioctl(terminal->master, TIOCGPKT, &set) == 0 && set) record->state |= PACKETS;
  if (ioctl(terminal->master, TIOCGEXCL, &set) == 0 && set) record->state |= MASTER_EXCLUSIVE;
  if (ioctl(terminal->slave, TIOCGEXCL, &set) == 0 && set) record->state |= SLAVE_EXCLUSIVE;
}

static void take(const struct terminal *terminal, struct record *record) {
  if (record->state & PACKETS) {
    take_news(terminal, record);
    set_packets(terminal, 0);
  }
  set_raw(terminal, &record->modes);
  if (ioctl(terminal->slave, FIONREAD, &record->processed)) record->processed = 0;
  empty(terminal->slave, &record->typed, record->bytes);
  empty(terminal->master, &record->printed, record->bytes + record->typed.taken);
  /* Nothing waits at the master: that there is no room for more is because somebody has stopped it. */
  if (!is_ready(terminal->slave, POLLOUT)) record->state |= STOPPED;
  tcsetattr(terminal->slave, TCSANOW, &record->modes);
  if (record->state & PACKETS) set_packets(terminal, 1);
  record->state |= WHOLE;
}

/* --- back --------------------------------------------------------------------------------------------------------- */

/* Lines as before, and every byte as it is: nothing is echoed, no key but the end of input means anything. */
static void set_plain(const struct terminal *terminal, const struct termios *modes) {
  struct termios plain = *modes;
  plain.c_iflag &= ~(tcflag_t)(ICRNL | INLCR | IGNCR | ISTRIP | IUCLC | IXON | IMAXBEL | PARMRK);
  plain.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ISIG | IEXTEN);
  plain.c_oflag &= ~(tcflag_t)OPOST;
  for (int key = 0; key < NCCS; key++)
    if (key != VEOF && key != VEOL && key != VEOL2 && key != VMIN && key != VTIME) plain.c_cc[key] = _POSIX_VDISABLE;
  tcsetattr(terminal->slave, TCSANOW, &plain);
}

/* The end of input that somebody typed (Ctrl-D) stands in the queue as a zero. */
static void type_all(const struct terminal *terminal, const struct termios *modes, const char *bytes, size_t size) {
  for (size_t at = 0; at < size; at++) {
    char byte = bytes[at];
    if (byte == 0 && modes->c_lflag & ICANON) byte = (char)modes->c_cc[VEOF];
    ioctl(terminal->slave, TIOCSTI, &byte);
  }
}

static void write_all_to(int fd, const char *bytes, size_t size) {
  for (size_t at = 0; at < size && is_ready(fd, POLLOUT);) {
    const ssize_t written = write(fd, bytes + at, size - at < PIECE ? size - at : PIECE);
    if (written <= 0) break;
    at += (size_t)written;
  }
}

/*
 * By the key, where keys stop it, so that a key starts it again. One that takes no such keys is stopped otherwise: the
 * kernel starts it when they are switched off.
 */
static void stop(const struct terminal *terminal, const struct termios *modes) {
  struct termios keyed = *modes;
  if (!(modes->c_iflag & IXON)) {
    ioctl(terminal->slave, TCXONC, TCOOFF);
    return;
  }
  keyed.c_lflag &= ~(tcflag_t)EXTPROC;
  if (keyed.c_cc[VSTOP] == _POSIX_VDISABLE) keyed.c_cc[VSTOP] = 'S' & 0x1f;
  tcsetattr(terminal->slave, TCSANOW, &keyed);
  ioctl(terminal->slave, TIOCSTI, &keyed.c_cc[VSTOP]);
  tcsetattr(terminal->slave, TCSANOW, modes);
}

/* Whether keys stop the output, said once more; whichever of the two it was. */
static void say_flow(const struct terminal *terminal, const struct termios *modes) {
  struct termios other = *modes;
  other.c_iflag ^= IXON;
  tcsetattr(terminal->slave, TCSANOW, &other);
  tcsetattr(terminal->slave, TCSANOW, modes);
}

/* Some bytes of a read that was begun: none are there where all are 0, for then it was not made. */
static uint32_t settled(const struct queue *queue, const char *bytes) {
  for (uint32_t i = 0; i < queue->begun; i++)
    if (bytes[queue->taken + i]) return queue->taken + queue->begun;
  return queue->taken;
}

/* What is in its queues already: put there by this before somebody was ended, or never taken. */
static struct {
  struct queue typed, printed;
  char typed_bytes[MOST_QUEUED], printed_bytes[MOST_QUEUED];
} found;

static void look_what_is_there(const struct terminal *terminal, const struct record *record) {
  found.typed = found.printed = (struct queue){0};
  set_raw(terminal, &record->modes);
  empty(terminal->slave, &found.typed, found.typed_bytes);
  empty(terminal->master, &found.printed, found.printed_bytes);
  if (record->state & WHOLE) found.typed = found.printed = (struct queue){0};
}

static void put_back(const struct terminal *terminal, const struct record *record) {
  const struct termios *modes = &record->modes;
  const char *printed = record->bytes + size_of(&record->typed);
  const uint32_t typed = settled(&record->typed, record->bytes);
  const uint32_t processed = record->processed < typed ? record->processed : typed;
  const uint32_t flushes = record->news & (TIOCPKT_FLUSHREAD | TIOCPKT_FLUSHWRITE);
  set_packets(terminal, 0);
  look_what_is_there(terminal, record);
  if (record->state & PACKETS && flushes) {
    /* Told only when it happens, and before there is anything to be lost by it. */
    set_packets(terminal, 1);
    tcflush(terminal->slave, flushes == TIOCPKT_FLUSHREAD ? TCIFLUSH : flushes == TIOCPKT_FLUSHWRITE ? TCOFLUSH : TCIOFLUSH);
  }
  ioctl(terminal->slave, TCXONC, TCOON);
  set_plain(terminal, modes);
  type_all(terminal, modes, record->bytes, processed);
  type_all(terminal, modes, found.typed_bytes, found.typed.taken);
  write_all_to(terminal->slave, printed, settled(&record->printed, printed));
  write_all_to(terminal->slave, found.printed_bytes, found.printed.taken);
  tcsetattr(terminal->slave, TCSANOW, modes);
  /* It is processed when there is room for it, as it would have been. */
  write_all_to(terminal->master, record->bytes + processed, typed - processed);
  if (record->state & PACKETS && !flushes) set_packets(terminal, 1);
  if (record->news & (TIOCPKT_DOSTOP | TIOCPKT_NOSTOP)) say_flow(terminal, modes);
  if (record->state & STOPPED) stop(terminal, modes);
  if (record->state & MASTER_EXCLUSIVE) ioctl(terminal->master, TIOCEXCL);
  if (record->state & SLAVE_EXCLUSIVE) ioctl(terminal->slave, TIOCEXCL);
  if (record->state & LOCKED) ioctl(terminal->master, TIOCSPTLCK, &(int){1});
}

/* --- the file ----------------------------------------------------------------------------------------------------- */

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
 * A slave that nobody has opened yet must not be opened: as it is closed again, the master's reader would be told of it.
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
    describe(&terminal, record);
    record->master = fd;
    /* From here on there is a record. */
    record->process = inner_of(pid);
    take(&terminal, record);
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

/* A peer may have written it: its sizes are its own word. */
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
    /* Nothing was done there: whoever took was killed before. */
    if (record->process == 0) break;
    if (open_master(cgroup, pid_with(pids, record->process), record->master, &terminal) && open_slave(&terminal))
      put_back(&terminal, record);
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
