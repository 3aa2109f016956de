/*
 * A job's pseudo-terminal. Both of its ends are the job's own: PID 1 holds the master and carries what comes out of it
 * to the console, and what people type into it. So all of it moves with the job, and nothing outside is part of it.
 *
 * What people type comes as frames through a pipe that PID 1 holds both ends of; the agent of whatever node the job is
 * on has `type` write them (type.c). A frame that comes twice is taken once: each client counts its bytes,
 * and how far each has got is in PID 1's memory, which moves too. Which frame was taken last can be read from outside
 * as the position of the status file's descriptor, which nothing else uses. The state of a debugger's session, by
 * contrast, is handed over by the stub (debug/link/session.ts): here only PID 1 moves with the job.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "helper.h"

/* With its head a frame fits the size up to which a pipe takes all or nothing (PIPE_BUF, pipe(7)). */
#define MOST_TYPED 4000
/* Who has typed lately; beyond that, the one who typed longest ago is forgotten. */
#define MOST_CLIENTS 64

struct head {
  uint64_t id;
  uint64_t client;
  /* How many bytes the client had typed before these. */
  uint64_t at;
  uint16_t size;
  /* 0 and 0 for no change. */
  uint16_t rows, columns;
  /* Not 0: programs are made to draw their screen again. */
  uint16_t redraw;
};

static struct {
  struct head head;
  char bytes[MOST_TYPED];
  /* Of `bytes`, what the terminal has taken. */
  size_t written;
  /* There is a frame that the terminal has not wholly taken. */
  bool open;
} typed;

static struct {
  uint64_t client, taken, when;
} clients[MOST_CLIENTS];

static void open_at(int as, const char *path, int flags) {
  int fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC | flags);
  if (fd < 0) fail("terminal");
  if (fd == as) return;
  if (dup3(fd, as, O_CLOEXEC) < 0) fail("terminal");
  close(fd);
}

static void set_size(unsigned short rows, unsigned short columns) {
  ioctl(MASTER, TIOCSWINSZ, &(struct winsize){.ws_row = rows, .ws_col = columns});
}

void make_terminal(char **argv) {
  const char *size = option(argv, "--tty");
  unsigned short rows, columns;
  unsigned int number;
  int locked = 0, feed[2];
  char path[32];
  if (sscanf(size, "%hux%hu", &rows, &columns) != 2) {
    errno = EINVAL;
    fail("terminal");
  }
  open_at(MASTER, "/dev/pts/ptmx", O_NONBLOCK);
  if (ioctl(MASTER, TIOCSPTLCK, &locked) || ioctl(MASTER, TIOCGPTN, &number)) fail("terminal");
  snprintf(path, sizeof path, "/dev/pts/%u", number);
  open_at(SLAVE, path, 0);
  if (pipe2(feed, O_NONBLOCK | O_CLOEXEC)) fail("terminal");
  /* Nothing else is open here: the numbers are the next ones. */
  if (feed[0] != FEED_END || feed[1] != FEED) {
    errno = EMFILE;
    fail("terminal");
  }
  set_size(rows, columns);
}

void take_terminal(void) {
  if (ioctl(SLAVE, TIOCSCTTY, 0)) fail("terminal");
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
    if (dup2(SLAVE, fd) < 0) fail("terminal");
}

/* All of it, also over a full disk: the terminal waits meanwhile. */
static void print(const char *bytes, size_t size) {
  while (size > 0) {
    ssize_t written = write(STDOUT_FILENO, bytes, size);
    if (written > 0) bytes += written, size -= (size_t)written;
    else if (written < 0 && (errno == ENOSPC || errno == EDQUOT))
      nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    else if (written == 0 || errno != EINTR) return;
  }
}

/* More than the kernel keeps of a terminal's output (64 kB), in pieces as it gives them. */
#define ALL_THERE_IS 64
/* In between it is looked whether something is typed: Ctrl-C must reach a program that prints without end. */
#define A_WHILE 8

static void carry_output(int pieces) {
  char bytes[4096];
  for (ssize_t size; pieces-- > 0 && (size = read(MASTER, bytes, sizeof bytes)) > 0;) print(bytes, (size_t)size);
}

/* How far the client has got, to be changed. */
static uint64_t *taken_from(const struct head *head) {
  static uint64_t now;
  size_t found = 0;
  for (size_t i = 0; i < MOST_CLIENTS; i++) {
    if (clients[i].when && clients[i].client == head->client) {
      found = i;
      break;
    }
    if (clients[i].when < clients[found].when) found = i;
  }
  if (!clients[found].when || clients[found].client != head->client) {
    clients[found].client = head->client;
    clients[found].taken = head->at;
  }
  clients[found].when = ++now;
  return &clients[found].taken;
}

static void resize(const struct head *head) {
  struct winsize before = {0};
  pid_t group;
  ioctl(MASTER, TIOCGWINSZ, &before);
  const bool changes = head->rows && (before.ws_row != head->rows || before.ws_col != head->columns);
  /* The kernel signals programs when the size changes, and only then. */
  if (changes) set_size(head->rows, head->columns);
  else if (head->redraw && ioctl(MASTER, TIOCGPGRP, &group) == 0 && group > 0) kill(-group, SIGWINCH);
}

/* The next frame, if there is one: what of it is new is left to be written. */
static void take_frame(void) {
  struct head *head = &typed.head;
  if (read(FEED_END, head, sizeof *head) != sizeof *head) return;
  if (head->size > MOST_TYPED || read(FEED_END, typed.bytes, head->size) != head->size) return;
  uint64_t *taken = taken_from(head);
  typed.written = *taken > head->at ? *taken - head->at : 0;
  if (typed.written < head->size) *taken = head->at + head->size;
  typed.open = true;
  resize(head);
}

static void type(void) {
  while (typed.open && typed.written < typed.head.size) {
    ssize_t size = write(MASTER, typed.bytes + typed.written, typed.head.size - typed.written);
    if (size < 0 && errno == EAGAIN) return;
    if (size < 0 && errno == EINTR) continue;
    /* A terminal that takes nothing any more has no reader: its program is about to end. */
    if (size < 0) break;
    typed.written += (size_t)size;
  }
  if (typed.open) lseek(STATUS, (off_t)typed.head.id, SEEK_SET);
  typed.open = false;
}

static void wake(int number) { (void)number; }

int serve_terminal(pid_t program) {
  sigset_t child, others;
  int status;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  sigprocmask(SIG_BLOCK, &child, &others);
  signal(SIGCHLD, wake);
  for (;;) {
    pid_t ended;
    while ((ended = waitpid(-1, &status, WNOHANG)) > 0)
      if (ended == program) return carry_output(ALL_THERE_IS), status;
    struct pollfd ready[] = {
        {.fd = MASTER, .events = typed.open ? POLLIN | POLLOUT : POLLIN},
        {.fd = typed.open ? -1 : FEED_END, .events = POLLIN},
    };
    if (ppoll(ready, 2, NULL, &others) < 0) continue;
    if (ready[0].revents) carry_output(A_WHILE);
    if (ready[1].revents) take_frame();
    type();
  }
}
