/*
 * Pseudo-terminals that a program has made itself, as tmux, script, expect and ssh do: what was typed and not read yet,
 * what was printed and not carried off yet, and the state that they are in.
 */
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>

#include "rounds.h"

struct pair {
  int master, slave;
};

static struct pair opened(void) {
  struct pair pair;
  EXPECT(openpty(&pair.master, &pair.slave, NULL, NULL, NULL) == 0);
  return pair;
}

static int is_ready(int fd, short events) {
  struct pollfd one = {.fd = fd, .events = events};
  return poll(&one, 1, 0) == 1 && one.revents & events;
}

/* A worker of the kernel's carries it: on a busy machine that takes its time. */
static int comes(int fd, short events, int wanted) {
  for (double until = seconds_now() + 30; seconds_now() < until; pause_ms(1))
    if (!is_ready(fd, events) == !wanted) return 1;
  return 0;
}

/* As many bytes as that at least, and what else comes within a moment. */
static int all_of(int fd, char *bytes, size_t room, size_t least) {
  size_t size = 0;
  while (size < least && comes(fd, POLLIN, 1)) {
    ssize_t got = read(fd, bytes + size, room - size);
    if (got <= 0) return (int)size;
    size += (size_t)got;
  }
  for (int looks = 0; looks < 20; looks++, pause_ms(1))
    while (is_ready(fd, POLLIN)) {
      ssize_t got = read(fd, bytes + size, room - size);
      if (got <= 0) return (int)size;
      size += (size_t)got;
    }
  return (int)size;
}

static void type(int master, const char *text) {
  EXPECT(write(master, text, strlen(text)) == (ssize_t)strlen(text));
}

static int reads(int fd, const char *text) {
  char bytes[256];
  ssize_t size = comes(fd, POLLIN, 1) ? read(fd, bytes, sizeof bytes) : -1;
  return size == (ssize_t)strlen(text) && !memcmp(bytes, text, (size_t)size);
}

/* --- a line that was begun, after one that is finished ------------------------------------------------------------ */

static struct pair begun;

static void type_begun(void) {
  char echo[256];
  type(begun.master, "whole\nhal");
  EXPECT(all_of(begun.master, echo, sizeof echo, 10) == 10 && !memcmp(echo, "whole\r\nhal", 10));
}

static void make_begun(void) {
  begun = opened();
  type_begun();
}

static void check_begun(int round) {
  char echo[256];
  (void)round;
  EXPECT(all_of(begun.master, echo, sizeof echo, 0) == 0);
  EXPECT(reads(begun.slave, "whole\n"));
  EXPECT(!is_ready(begun.slave, POLLIN));
  type(begun.master, "f\n");
  EXPECT(reads(begun.slave, "half\n"));
  EXPECT(all_of(begun.master, echo, sizeof echo, 3) == 3);
  type_begun();
}

/* --- more than the terminal's own queue, without lines ------------------------------------------------------------ */

static struct pair raw;
#define MUCH 9000

static void type_much(void) {
  char bytes[MUCH];
  fill(bytes, sizeof bytes, 3);
  EXPECT(write(raw.master, bytes, sizeof bytes) == sizeof bytes);
  EXPECT(write(raw.slave, bytes, 3000) == 3000);
}

static void make_raw(void) {
  struct termios modes;
  raw = opened();
  EXPECT(tcgetattr(raw.slave, &modes) == 0);
  cfmakeraw(&modes);
  EXPECT(tcsetattr(raw.slave, TCSANOW, &modes) == 0);
  EXPECT(fcntl(raw.slave, F_SETFL, O_NONBLOCK) == 0);
  type_much();
}

static void check_raw(int round) {
  char bytes[MUCH + 1];
  (void)round;
  EXPECT(all_of(raw.slave, bytes, sizeof bytes, MUCH) == MUCH && is_filled(bytes, MUCH, 3));
  EXPECT(all_of(raw.master, bytes, sizeof bytes, 3000) == 3000 && is_filled(bytes, 3000, 3));
  type_much();
}

/* --- packet mode: what was printed, and what the master is told beside it ------------------------------------------ */

static struct pair packets;

static void print_packets(void) {
  EXPECT(tcflush(packets.slave, TCIFLUSH) == 0);
  type(packets.slave, "packet\n");
}

static void make_packets(void) {
  packets = opened();
  EXPECT(ioctl(packets.master, TIOCPKT, &(int){1}) == 0);
  print_packets();
}

static void check_packets(int round) {
  char bytes[64];
  (void)round;
  EXPECT(is_ready(packets.master, POLLPRI));
  EXPECT(read(packets.master, bytes, sizeof bytes) == 1 && *bytes & TIOCPKT_FLUSHREAD);
  EXPECT(read(packets.master, bytes, sizeof bytes) == 9 && !memcmp(bytes, "\0packet\r\n", 9));
  EXPECT(!is_ready(packets.master, POLLIN));
  print_packets();
}

/* --- output that was stopped by Ctrl-S, with what was printed before ----------------------------------------------- */

static struct pair stopped;

static void stop(void) {
  type(stopped.slave, "before\n");
  type(stopped.master, "\x13");
  EXPECT(comes(stopped.slave, POLLOUT, 0));
}

static void make_stopped(void) {
  stopped = opened();
  EXPECT(fcntl(stopped.slave, F_SETFL, O_NONBLOCK) == 0);
  stop();
}

static void check_stopped(int round) {
  (void)round;
  EXPECT(!is_ready(stopped.slave, POLLOUT));
  EXPECT(write(stopped.slave, "after\n", 6) < 0 && errno == EAGAIN);
  EXPECT(reads(stopped.master, "before\r\n"));
  type(stopped.master, "\x11");
  EXPECT(comes(stopped.slave, POLLOUT, 1));
  EXPECT(write(stopped.slave, "after\n", 6) == 6);
  EXPECT(reads(stopped.master, "after\r\n"));
  stop();
}

/* The same by tcflow(3): keys don't start it. */
static struct pair flow;

static void make_flow(void) {
  struct termios modes;
  flow = opened();
  EXPECT(fcntl(flow.slave, F_SETFL, O_NONBLOCK) == 0);
  EXPECT(tcgetattr(flow.slave, &modes) == 0);
  modes.c_iflag &= ~(tcflag_t)IXON;
  EXPECT(tcsetattr(flow.slave, TCSANOW, &modes) == 0);
  EXPECT(tcflow(flow.slave, TCOOFF) == 0);
}

static void check_flow(int round) {
  (void)round;
  EXPECT(!is_ready(flow.slave, POLLOUT));
  EXPECT(tcflow(flow.slave, TCOON) == 0 && is_ready(flow.slave, POLLOUT));
  EXPECT(tcflow(flow.slave, TCOOFF) == 0);
}

/* --- exclusive, locked, of another size ---------------------------------------------------------------------------- */

static struct pair exclusive;
static int locked;

static void make_states(void) {
  exclusive = opened();
  EXPECT(ioctl(exclusive.slave, TIOCEXCL) == 0);
  EXPECT(ioctl(exclusive.master, TIOCSWINSZ, &(struct winsize){33, 77, 5, 6}) == 0);
  EXPECT((locked = posix_openpt(O_RDWR | O_NOCTTY)) >= 0);
}

static void check_states(int round) {
  struct winsize size;
  int set;
  (void)round;
  EXPECT(ioctl(exclusive.slave, TIOCGEXCL, &set) == 0 && set == 1);
  EXPECT(ioctl(exclusive.master, TIOCGEXCL, &set) == 0 && set == 0);
  EXPECT(ioctl(exclusive.slave, TIOCGWINSZ, &size) == 0);
  EXPECT(size.ws_row == 33 && size.ws_col == 77 && size.ws_xpixel == 5 && size.ws_ypixel == 6);
  EXPECT(ioctl(locked, TIOCGPTLCK, &set) == 0 && set == 1);
  /* Its slave was never opened, and so never closed. */
  EXPECT(!is_ready(locked, POLLHUP));
}

/* --- a slave that was closed: the reader of the master is told so, after the last words ---------------------------- */

static struct pair closed;

static void make_closed(void) {
  closed = opened();
  type(closed.slave, "last\n");
  close(closed.slave);
}

static void check_closed(int round) {
  char bytes[8];
  EXPECT(is_ready(closed.master, POLLHUP));
  if (round == 1) EXPECT(reads(closed.master, "last\r\n"));
  EXPECT(read(closed.master, bytes, sizeof bytes) < 0 && errno == EIO);
}

/* --- the foreground of a session of its own ------------------------------------------------------------------------ */

static int session_master;
static pid_t leader;

static void make_session(void) {
  char word;
  leader = forkpty(&session_master, NULL, NULL, NULL);
  EXPECT(leader >= 0);
  if (leader == 0) {
    const pid_t child = fork();
    if (child == 0) {
      setpgid(0, 0);
      for (;;) pause();
    }
    signal(SIGTTOU, SIG_IGN);
    setpgid(child, child);
    tcsetpgrp(0, child);
    if (write(1, "!", 1) < 0) _exit(1);
    for (;;) pause();
  }
  EXPECT(read(session_master, &word, 1) == 1);
  type(session_master, "typed ahe");
  char echo[64];
  EXPECT(all_of(session_master, echo, sizeof echo, 9) == 9);
}

static void check_session(int round) {
  char echo[64];
  (void)round;
  const pid_t group = tcgetpgrp(session_master);
  EXPECT(group > leader && kill(-group, 0) == 0);
  EXPECT(all_of(session_master, echo, sizeof echo, 0) == 0);
  if (round < 3) return;
  kill(-group, SIGKILL);
  kill(leader, SIGKILL);
  EXPECT(waitpid(leader, NULL, 0) == leader);
}

int main(int argc, char **argv) {
  const struct thing things[] = {
      {"begun", make_begun, check_begun},       {"raw", make_raw, check_raw},
      {"packets", make_packets, check_packets}, {"stopped", make_stopped, check_stopped},
      {"flow", make_flow, check_flow},          {"states", make_states, check_states},
      {"closed", make_closed, check_closed},    {"session", make_session, check_session},
      {NULL, NULL, NULL},
  };
  return rounds(argc, argv, things);
}
