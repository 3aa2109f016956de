/* What is in the queues of one pseudo-terminal, and what else CRIU forgets of it, taken into a record and put back. */
#include "terminal-queues.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "helper.h"

/* What a terminal that has room at all takes without making the writer wait. */
#define PIECE 256

/* Is that so now? What the kernel has still to carry to the queue, by a worker of its own, is there afterwards. */
bool is_ready(int fd, short events) {
  struct pollfd one = {.fd = fd, .events = events};
  return poll(&one, 1, 0) == 1 && one.revents & events;
}

bool open_master(const char *cgroup, pid_t pid, int fd, struct terminal *terminal) {
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
 * (TIOCGPTPEER(2const)), which only a pseudo-terminal's master has. Any other slave could be another person's terminal,
 * into which root may type; a process that holds a master may do so anyway. False with errno.
 */
bool open_slave(struct terminal *terminal) {
  int locked = 0;
  if (ioctl(terminal->master, TIOCGPTLCK, &locked)) return false;
  if (locked) ioctl(terminal->master, TIOCSPTLCK, &(int){0});
  terminal->slave = ioctl(terminal->master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  const int error = errno;
  if (locked) ioctl(terminal->master, TIOCSPTLCK, &(int){1});
  errno = error;
  return terminal->slave >= 0;
}

void close_terminal(const struct terminal *terminal) {
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

/* What a master in packet mode gets to know comes before what was printed, and alone. */
static void take_news(const struct terminal *terminal, struct record *record) {
  unsigned char news;
  if (is_ready(terminal->master, POLLPRI) && read(terminal->master, &news, 1) == 1) record->news = news;
}

void describe_terminal(const struct terminal *terminal, struct record *record) {
  int set;
  tcgetattr(terminal->slave, &record->modes);
  if (ioctl(terminal->master, TIOCGPTLCK, &set) == 0 && set) record->state |= LOCKED;
  if (ioctl(terminal->master, TIOCGPKT, &set) == 0 && set) record->state |= PACKETS;
  if (ioctl(terminal->master, TIOCGEXCL, &set) == 0 && set) record->state |= MASTER_EXCLUSIVE;
  if (ioctl(terminal->slave, TIOCGEXCL, &set) == 0 && set) record->state |= SLAVE_EXCLUSIVE;
}

void empty_queues(const struct terminal *terminal, struct record *record) {
  if (record->state & PACKETS) {
    take_news(terminal, record);
    set_packets(terminal, 0);
  }
  set_raw(terminal, &record->modes);
  if (ioctl(terminal->slave, FIONREAD, &record->processed)) record->processed = 0;
  empty(terminal->slave, &record->typed, record->bytes);
  empty(terminal->master, &record->printed, record->bytes + record->typed.taken);
  /* Nothing waits at the master: that there is no room for more is because it was stopped. */
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

/* The end of input that was typed (Ctrl-D) is in the queue as a zero. */
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

/* Has the kernel report again whether keys stop the output, whichever of the two it was. */
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

/* What is in its queues already: put there by this before it was ended, or never taken. */
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

void fill_queues(const struct terminal *terminal, const struct record *record) {
  const struct termios *modes = &record->modes;
  const char *printed = record->bytes + size_of(&record->typed);
  const uint32_t typed = settled(&record->typed, record->bytes);
  const uint32_t processed = record->processed < typed ? record->processed : typed;
  const uint32_t flushes = record->news & (TIOCPKT_FLUSHREAD | TIOCPKT_FLUSHWRITE);
  set_packets(terminal, 0);
  look_what_is_there(terminal, record);
  if (record->state & PACKETS && flushes) {
    /* Reported only when it happens, so before there is anything to be lost by it. */
    set_packets(terminal, 1);
    tcflush(terminal->slave, flushes == TIOCPKT_FLUSHREAD    ? TCIFLUSH
                             : flushes == TIOCPKT_FLUSHWRITE ? TCOFLUSH
                                                             : TCIOFLUSH);
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
