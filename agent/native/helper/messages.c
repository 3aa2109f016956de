/*
 * Messages that wait in a job's Unix sockets, and what of them CRIU (4.2) would lose or refuse: it saves what they say
 * and the descriptors in them, not who sent them.
 *
 *   messages --cgroup RUN -- PID:FD...
 *             prints for each socket of a frozen job that has one a line: PID, FD, and what would be lost (lost_of)
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "helper.h"

/* SCM_MAX_FD (unix(7)), and a sender's ids. */
#define MOST_CONTROL (CMSG_SPACE(253 * sizeof(int)) + CMSG_SPACE(sizeof(struct ucred)) + 256)

static int option_of(int fd, int option) {
  int value = 0;
  socklen_t size = sizeof value;
  return getsockopt(fd, SOL_SOCKET, option, &value, &size) ? -1 : value;
}

/* Descriptors that come with a message are this process's as well. */
static void close_rights(struct msghdr *message) {
  for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    for (size_t at = 0; at + sizeof(int) <= part->cmsg_len - CMSG_LEN(0); at += sizeof(int)) {
      int fd;
      memcpy(&fd, CMSG_DATA(part) + at, sizeof fd);
      close(fd);
    }
  }
}

/* Looks at the next message: its length or -1, and whether its sender has a name. */
static ssize_t peek(int fd, char *bytes, size_t room, bool *is_named) {
  static char control[MOST_CONTROL];
  struct sockaddr_un sender;
  struct iovec part = {.iov_base = bytes, .iov_len = room};
  struct msghdr message = {.msg_name = &sender,
                           .msg_namelen = sizeof sender,
                           .msg_iov = &part,
                           .msg_iovlen = 1,
                           .msg_control = control,
                           .msg_controllen = sizeof control};
  const ssize_t size = recvmsg(fd, &message, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (size < 0) return -1;
  close_rights(&message);
  *is_named = message.msg_namelen > sizeof sender.sun_family;
  return size;
}

static const char *lost_of_first(int fd, int type) {
  bool is_named = false;
  char first[1];
  const ssize_t size = peek(fd, first, sizeof first, &is_named);
  if (size < 0) return NULL;
  if (option_of(fd, SO_PASSCRED) > 0) return "credentials";
  if (type != SOCK_DGRAM) return NULL;
  /* CRIU takes an empty one for the end. */
  return is_named ? "sender" : size == 0 ? "empty" : NULL;
}

/* Only while no other process looks: the socket keeps where the next look begins (SO_PEEK_OFF, socket(7)). */
static const char *lost_of_others(int fd) {
  const int room = option_of(fd, SO_RCVBUF);
  const char *lost = NULL;
  bool is_named = false;
  char *bytes = room > 0 ? malloc((size_t)room) : NULL;
  if (!bytes || setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &(int){0}, sizeof(int))) return free(bytes), NULL;
  for (ssize_t size; !lost && (size = peek(fd, bytes, (size_t)room, &is_named)) >= 0;)
    lost = is_named ? "sender" : size == 0 ? "empty" : NULL;
  free(bytes);
  return lost;
}

const char *lost_of(int fd, bool is_frozen) {
  const int type = option_of(fd, SO_TYPE), before = option_of(fd, SO_PEEK_OFF);
  if (option_of(fd, SO_ACCEPTCONN) != 0 || (before >= 0 && !is_frozen)) return NULL;
  const char *lost = lost_of_first(fd, type);
  if (!lost && is_frozen && type == SOCK_DGRAM) lost = lost_of_others(fd);
  if (is_frozen) setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &before, sizeof before);
  return lost;
}

int messages(char **argv) {
  const char *cgroup = required(argv, "--cgroup");
  for (char **which = after_dashes(argv); *which; which++) {
    int pid, number;
    char end;
    if (sscanf(*which, "%d:%d%c", &pid, &number, &end) != 2 || pid <= 0 || number < 0)
      return say_error("message", EINVAL);
    const int process = open_member(cgroup, pid), fd = process < 0 ? -1 : share_descriptor(process, number);
    if (fd < 0) return say_error("message", errno);
    const char *lost = lost_of(fd, true);
    if (lost) printf("%d\t%d\t%s\n", pid, number, lost);
    close(fd);
    close(process);
  }
  return 0;
}
