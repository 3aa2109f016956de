/*
 * One frame of what people type (terminal.c), from standard input into the pipe that PID 1 of a job holds. That
 * descriptor FEED is that pipe is up to the job's user, who owns PID 1: so it is checked before it is written to.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "helper.h"

/* How long it waits for room. The caller looks in between whether the job is still here. */
#define ROOM_MS 500

/* The end of a nameless pipe that is open for writing. */
static bool is_pipe_to_write(int fd) {
  struct stat about;
  struct statfs where;
  const int flags = fcntl(fd, F_GETFL);
  return !fstat(fd, &about) && S_ISFIFO(about.st_mode) && !fstatfs(fd, &where) && where.f_type == PIPEFS_MAGIC &&
         flags >= 0 && !(flags & O_PATH) && (flags & O_ACCMODE) == O_WRONLY;
}

/* All of standard input: a frame fits what a pipe takes whole or not at all (PIPE_BUF, pipe(7)). */
static size_t read_frame(char frame[PIPE_BUF]) {
  size_t size = 0;
  for (ssize_t got; size < PIPE_BUF && (got = read(STDIN_FILENO, frame + size, PIPE_BUF - size)) > 0;)
    size += (size_t)got;
  return size;
}

static int write_frame(int pipe, const char *frame, size_t size) {
  struct pollfd room = {.fd = pipe, .events = POLLOUT};
  signal(SIGPIPE, SIG_IGN);
  if (poll(&room, 1, ROOM_MS) < 0) return say_error("write", errno);
  if (!(room.revents & (POLLOUT | POLLERR))) return say("{\"fed\":false}"), 0;
  if (write(pipe, frame, size) == (ssize_t)size) return say("{\"fed\":true}"), 0;
  if (errno == EAGAIN) return say("{\"fed\":false}"), 0;
  return say_error(errno == EPIPE ? "gone" : "write", errno);
}

int type_frame(char **argv) {
  char frame[PIPE_BUF];
  if (!argv[0] || !argv[1]) return wrong_usage("type INIT CGROUP <FRAME");
  const size_t size = read_frame(frame);
  const int init = open_member(argv[1], pid_of(argv[0]));
  if (init < 0) return say_error("gone", errno);
  const int pipe = share_descriptor(init, FEED);
  if (pipe < 0) return say_error(errno == EBADF ? "pipe" : "gone", errno);
  if (!is_pipe_to_write(pipe)) return say_error("pipe", EINVAL);
  return write_frame(pipe, frame, size);
}
