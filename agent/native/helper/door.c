/*
 * Carries what a job's programs ask an agent out of the job: accepts at the socket that its PID 1 listens at
 * (door-inside.c), and joins each connection with one to the agent's own socket, to which it first says whose it is.
 * The job can't be dumped while another process has an end of a connection of its: so all of them end with this process,
 * which ends when its standard input does, and first turns away who still waits. The agent ends it when the job is frozen,
 * so that none comes after.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "helper.h"

/* Of one job at once; those beyond it wait in the listener's own queue. */
#define MOST_JOINED 128
/* Of one connection, in one direction: a few messages. */
#define BUFFER_BYTES 16384
/* It has no such socket: its PID 1 is older, or its user has changed that. */
#define NO_DOOR 3

struct way {
  int from, to;
  size_t size, sent;
  bool is_over;
  char *bytes;
};

/* One that is joined, or none where `inner` is -1. `heard`: the agent has taken it over, and may be given more. */
struct joined {
  int inner, outer;
  bool heard;
  struct way out, in;
};

static struct joined all[MOST_JOINED];
/* Apart from the table, so that what no connection needs is never touched, and takes no memory. */
static char buffers[MOST_JOINED][2][BUFFER_BYTES];

/* A Unix socket that listens: descriptor DOOR of PID 1 is what the job's user makes of it. */
static bool is_door(int fd) {
  int domain = 0, type = 0, listens = 0;
  socklen_t size = sizeof domain;
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) || domain != AF_UNIX) return false;
  size = sizeof type;
  if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) || type != SOCK_STREAM) return false;
  size = sizeof listens;
  return !getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) && listens;
}

static void part(struct joined *joined) {
  close(joined->inner);
  close(joined->outer);
  joined->inner = joined->outer = -1;
}

static struct joined *free_place(void) {
  for (size_t i = 0; i < MOST_JOINED; i++)
    if (all[i].inner < 0) return &all[i];
  return NULL;
}

/* The agent restarts, or is busy: who asks is turned away, and asks again. */
static int reach_agent(const char *path, const char *job) {
  struct sockaddr_un at = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof at.sun_path) return -1;
  strcpy(at.sun_path, path);
  const int agent = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const ssize_t size = (ssize_t)strlen(job);
  if (agent >= 0 && !connect(agent, (const void *)&at, sizeof at) && send(agent, job, (size_t)size, MSG_NOSIGNAL) == size)
    return agent;
  if (agent >= 0) close(agent);
  return -1;
}

static void let_in(int door, const char *path, const char *job) {
  struct joined *joined = free_place();
  if (!joined) return;
  const int inner = accept4(door, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (inner < 0) return;
  const int outer = reach_agent(path, job);
  if (outer < 0) {
    close(inner);
    return;
  }
  joined->inner = inner;
  joined->outer = outer;
  joined->heard = false;
  joined->out.from = joined->in.to = inner;
  joined->out.to = joined->in.from = outer;
  joined->out.bytes = buffers[joined - all][0];
  joined->in.bytes = buffers[joined - all][1];
  joined->out.size = joined->out.sent = joined->in.size = joined->in.sent = 0;
  joined->out.is_over = joined->in.is_over = false;
}

/* Those that come while the job is frozen are none: what is left when there is no more to accept stays empty. */
static void turn_away(int door) {
  for (int fd; (fd = accept4(door, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0;) close(fd);
}

/* false: the connection is broken. An end that is read is handed on as one, when all before it was. */
static bool carry(struct way *way) {
  if (way->size == 0 && !way->is_over) {
    const ssize_t got = read(way->from, way->bytes, BUFFER_BYTES);
    if (got < 0) return errno == EAGAIN || errno == EINTR;
    if (got == 0) {
      way->is_over = true;
      return shutdown(way->to, SHUT_WR) == 0;
    }
    way->size = (size_t)got;
    way->sent = 0;
  }
  while (way->sent < way->size) {
    const ssize_t put = send(way->to, way->bytes + way->sent, way->size - way->sent, MSG_NOSIGNAL);
    if (put < 0) return errno == EAGAIN || errno == EINTR;
    way->sent += (size_t)put;
  }
  way->size = 0;
  return true;
}

/* The agent says by one byte that it has taken the connection over; what follows is for the program that asks. */
static bool hear(struct joined *joined) {
  char byte;
  const ssize_t got = read(joined->outer, &byte, 1);
  if (got < 0) return errno == EAGAIN || errno == EINTR;
  joined->heard = got == 1;
  return joined->heard;
}

static bool go_on(struct joined *joined) {
  if (!joined->heard && !hear(joined)) return false;
  if (!joined->heard) return true;
  return carry(&joined->out) && carry(&joined->in) && !(joined->out.is_over && joined->in.is_over);
}

/* What one end is waited for: it is read when what it gave before has gone, and written to while there is something. */
static short wanted(const struct way *from_it, const struct way *to_it) {
  return (short)((from_it->size == 0 && !from_it->is_over ? POLLIN : 0) | (to_it->size > 0 ? POLLOUT : 0));
}

/* A joined pair has two places in the table; one that waits for nothing is left out of the call (poll(2)). */
static void watch(const struct joined *joined, struct pollfd ends[2]) {
  const bool is = joined->inner >= 0;
  const short inner = is && joined->heard ? wanted(&joined->out, &joined->in) : 0;
  const short outer = !is ? 0 : joined->heard ? wanted(&joined->in, &joined->out) : POLLIN;
  ends[0] = (struct pollfd){.fd = inner ? joined->inner : -1, .events = inner};
  ends[1] = (struct pollfd){.fd = outer ? joined->outer : -1, .events = outer};
}

/* Until standard input ends, which is the agent's word or its end, or the job does. */
static int serve(int process, int listener, const char *path, const char *job) {
  struct pollfd ends[3 + 2 * MOST_JOINED];
  for (;;) {
    ends[0] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
    ends[1] = (struct pollfd){.fd = process, .events = POLLIN};
    ends[2] = (struct pollfd){.fd = free_place() ? listener : -1, .events = POLLIN};
    for (size_t i = 0; i < MOST_JOINED; i++) watch(&all[i], ends + 3 + 2 * i);
    if (poll(ends, sizeof ends / sizeof *ends, -1) < 0 && errno != EINTR) return say_error("poll", errno);
    if (ends[1].revents) return 0;
    if (ends[0].revents) return turn_away(listener), 0;
    for (size_t i = 0; i < MOST_JOINED; i++)
      if ((ends[3 + 2 * i].revents || ends[4 + 2 * i].revents) && !go_on(&all[i])) part(&all[i]);
    if (ends[2].revents & ~POLLIN) return NO_DOOR;
    if (ends[2].revents) let_in(listener, path, job);
  }
}

int door(char **argv) {
  if (!argv[0] || !argv[1] || !argv[2] || !argv[3]) return wrong_usage("door INIT CGROUP SOCKET JOB");
  signal(SIGPIPE, SIG_IGN);
  for (size_t i = 0; i < MOST_JOINED; i++) all[i].inner = all[i].outer = -1;
  const int process = open_member(argv[1], pid_of(argv[0]));
  /* The job has ended meanwhile. */
  if (process < 0) return 0;
  const int listener = share_descriptor(process, DOOR);
  if (listener < 0 || !is_door(listener)) return NO_DOOR;
  if (fcntl(listener, F_SETFL, O_RDWR | O_NONBLOCK)) return say_error("door", errno);
  return serve(process, listener, argv[2], argv[3]);
}
