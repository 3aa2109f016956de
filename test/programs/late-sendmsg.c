/*
 * sendmsg(2) for a thread that is not given the processor after it: with -Dsendmsg=late_sendmsg, what else goes on in a
 * program has often got far when it comes back.
 */
#undef sendmsg
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

ssize_t late_sendmsg(int fd, const struct msghdr *message, int flags) {
  ssize_t sent = sendmsg(fd, message, flags);
  int error = errno;
  if (random() % 3 == 0) usleep(random() % 20000);
  errno = error;
  return sent;
}
