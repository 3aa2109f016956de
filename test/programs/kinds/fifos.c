/* FIFOs: what waits in them, and what readers and writers are told of each other. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>

#include "rounds.h"

static int reader_of(const char *name, int flags) {
  EXPECT(mkfifo(in_folder("%s", name), 0600) == 0);
  int fd = open(in_folder("%s", name), O_RDONLY | O_NONBLOCK);
  EXPECT(fd >= 0 && fcntl(fd, F_SETFL, flags) == 0);
  return fd;
}

static int writer_of(const char *name) {
  int fd = open(in_folder("%s", name), O_WRONLY);
  EXPECT(fd >= 0);
  return fd;
}

/* Whatever poll(2) says of it now. */
static int told(int fd) {
  struct pollfd one = {.fd = fd, .events = POLLIN | POLLOUT};
  return poll(&one, 1, 0) == 1 ? one.revents : 0;
}

/* --- no writer has ever come: an event loop sleeps until one does --------------------------------------------------- */

static int lonely, lonely_nonblocking, lonely_copy;

static void make_lonely(void) {
  lonely = reader_of("lonely", 0);
  lonely_copy = dup(lonely);
  lonely_nonblocking = reader_of("lonely-nonblocking", O_NONBLOCK);
}

static void check_lonely(int round) {
  char byte;
  (void)round;
  EXPECT(told(lonely) == 0 && told(lonely_nonblocking) == 0 && told(lonely_copy) == 0);
  EXPECT(fcntl(lonely, F_GETFL) == fcntl(lonely_copy, F_GETFL));
  EXPECT(!(fcntl(lonely, F_GETFL) & O_NONBLOCK) && fcntl(lonely_nonblocking, F_GETFL) & O_NONBLOCK);
  if (round < 3) return;
  /* One comes and goes. */
  close(writer_of("lonely"));
  EXPECT(told(lonely) == POLLHUP && read(lonely, &byte, 1) == 0);
  unlink(in_folder("lonely"));
  unlink(in_folder("lonely-nonblocking"));
}

/* --- a writer has gone; one has gone and left something; one is there ----------------------------------------------- */

static int left, left_data, served, server;

static void make_left(void) {
  left = reader_of("left", 0);
  close(writer_of("left"));
  left_data = reader_of("left-data", 0);
  const int writer = writer_of("left-data");
  EXPECT(write(writer, "data", 4) == 4);
  close(writer);
  served = reader_of("served", 0);
  server = writer_of("served");
}

static void check_left(int round) {
  char bytes[8];
  int size;
  EXPECT(told(left) == POLLHUP);
  EXPECT(told(left_data) == (POLLIN | POLLHUP));
  EXPECT(ioctl(left_data, FIONREAD, &size) == 0 && size == 4);
  EXPECT(told(served) == 0 && told(server) == POLLOUT);
  EXPECT(write(server, "word", 4) == 4 && read(served, bytes, 8) == 4 && !memcmp(bytes, "word", 4));
  if (round < 3) return;
  EXPECT(read(left_data, bytes, 8) == 4 && !memcmp(bytes, "data", 4) && read(left_data, bytes, 8) == 0);
  close(server);
  EXPECT(told(served) == POLLHUP);
  for (const char *const *name = (const char *const[]){"left", "left-data", "served", NULL}; *name; name++)
    unlink(in_folder("%s", *name));
}

/* --- both ends in one descriptor; a writer without a reader --------------------------------------------------------- */

static int both, unread;

static void make_both(void) {
  EXPECT(mkfifo(in_folder("both"), 0600) == 0 && (both = open(in_folder("both"), O_RDWR)) >= 0);
  EXPECT(write(both, "own", 3) == 3);
  const int reader = reader_of("unread", 0);
  unread = writer_of("unread");
  close(reader);
  EXPECT(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
}

static void check_both(int round) {
  char bytes[8];
  EXPECT(told(both) == (POLLIN | POLLOUT) && read(both, bytes, 8) == 3 && !memcmp(bytes, "own", 3));
  EXPECT(told(both) == POLLOUT && write(both, "own", 3) == 3);
  EXPECT(told(unread) & POLLERR && write(unread, "x", 1) < 0 && errno == EPIPE);
  if (round < 3) return;
  unlink(in_folder("both"));
  unlink(in_folder("unread"));
}

int main(int argc, char **argv) {
  const struct thing things[] = {
      {"lonely", make_lonely, check_lonely},
      {"left", make_left, check_left},
      {"both", make_both, check_both},
      {NULL, NULL, NULL},
  };
  return rounds(argc, argv, things);
}
