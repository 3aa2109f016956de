/* What is written into the pipe by which a job's terminal is fed, and what PID 1 of the job makes of it. */
#include "../../../agent/native/helper/terminal.c"

#include "fuzz.h"

static int move_to(int fd, int as) {
  MUST(fd >= 0 && dup3(fd, as, O_CLOEXEC) == as);
  return close(fd);
}

void fail(const char *stage) { must_fail(stage, __FILE__, __LINE__); }

int LLVMFuzzerInitialize(int *count, char ***arguments) {
  (void)count, (void)arguments;
  char path[64];
  int unlock = 0, feed[2], master = fcntl(posix_openpt(O_RDWR | O_NOCTTY), F_DUPFD_CLOEXEC, 100);
  MUST(master >= 0 && !ioctl(master, TIOCSPTLCK, &unlock) && !ptsname_r(master, path, sizeof path));
  int slave = fcntl(open(path, O_RDWR | O_NOCTTY), F_DUPFD_CLOEXEC, 100);
  struct termios raw;
  tcgetattr(slave, &raw);
  cfmakeraw(&raw);
  MUST(!tcsetattr(slave, TCSANOW, &raw) && !pipe2(feed, O_NONBLOCK | O_CLOEXEC));
  int ends[2] = {fcntl(feed[0], F_DUPFD_CLOEXEC, 100), fcntl(feed[1], F_DUPFD_CLOEXEC, 100)};
  move_to(open("/dev/null", O_RDWR), STATUS);
  move_to(master, MASTER);
  move_to(slave, SLAVE);
  move_to(ends[0], FEED_END);
  move_to(ends[1], FEED);
  fcntl(MASTER, F_SETFL, O_NONBLOCK);
  fcntl(SLAVE, F_SETFL, O_NONBLOCK);
  return 0;
}

static void drain(int fd) {
  char bytes[4096];
  while (read(fd, bytes, sizeof bytes) > 0) continue;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  if (size > 4096) return 0;
  memset(clients, 0, sizeof clients);
  typed.open = false;
  MUST(write(FEED, bytes, size) == (ssize_t)size);
  uint64_t frames = 0;
  for (int left = 1; left > 0; frames++) {
    take_frame();
    type();
    drain(SLAVE);
    MUST(!ioctl(FEED_END, FIONREAD, &left));
  }
  drain(MASTER);
  count_requests(frames);
  return 0;
}
