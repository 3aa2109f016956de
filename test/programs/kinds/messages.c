/* Messages that wait in Unix sockets, and what they have besides their bytes: none of it moves (`-NAME`). */
#include <fcntl.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "rounds.h"

static int pair[2];
static void unchecked(int round) { (void)round; }

static void make_credentials(void) {
  EXPECT(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  EXPECT(setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &(int){1}, sizeof(int)) == 0);
  EXPECT(write(pair[1], "who", 3) == 3);
}

static int named(const char *name) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  const int size = snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "%s%s", folder, name);
  const int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
  EXPECT(bind(fd, (void *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)size)) == 0);
  return fd;
}

static void send_to(int from, int to, const char *text) {
  struct sockaddr_un address;
  socklen_t size = sizeof address;
  EXPECT(getsockname(to, (void *)&address, &size) == 0);
  EXPECT(sendto(from, text, strlen(text), 0, (void *)&address, size) == (ssize_t)strlen(text));
}

static void make_sender(void) { send_to(named("client"), named("server"), "question"); }

/* Only what is behind the first message would be lost: that can't be seen while the program runs. */
static void make_second(void) {
  const int server = named("server"), nobody = socket(AF_UNIX, SOCK_DGRAM, 0);
  send_to(nobody, server, "from nobody");
  send_to(named("client"), server, "question");
}

static void make_empty(void) {
  const int server = named("server"), nobody = socket(AF_UNIX, SOCK_DGRAM, 0);
  send_to(nobody, server, "");
  send_to(nobody, server, "behind it");
}

/* Those whose sender is not asked for, with a descriptor. */
static int anonymous;

static void send_descriptor(void) {
  char control[CMSG_SPACE(sizeof(int))] = {0};
  struct iovec part = {"with", 4};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
  const int fd = open("/dev/null", O_RDONLY);
  rights->cmsg_level = SOL_SOCKET, rights->cmsg_type = SCM_RIGHTS, rights->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(rights), &fd, sizeof fd);
  EXPECT(sendmsg(pair[1], &message, 0) == 4 && close(fd) == 0);
}

static void make_plain(void) {
  const int nobody = socket(AF_UNIX, SOCK_DGRAM, 0);
  anonymous = named("anonymous");
  send_to(nobody, anonymous, "one");
  send_to(nobody, anonymous, "two");
  EXPECT(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  send_descriptor();
}

static void check_plain(int round) {
  char bytes[16], control[CMSG_SPACE(sizeof(int))];
  struct iovec part = {bytes, sizeof bytes};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  int fd;
  EXPECT(recv(anonymous, bytes, sizeof bytes, MSG_DONTWAIT) == 3 && !memcmp(bytes, "one", 3));
  EXPECT(recv(anonymous, bytes, sizeof bytes, MSG_DONTWAIT) == 3 && !memcmp(bytes, "two", 3));
  EXPECT(recvmsg(pair[0], &message, MSG_DONTWAIT) == 4 && CMSG_FIRSTHDR(&message));
  memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
  EXPECT(read(fd, bytes, 1) == 0 && close(fd) == 0);
  if (round == 3) return;
  const int nobody = socket(AF_UNIX, SOCK_DGRAM, 0);
  send_to(nobody, anonymous, "one");
  send_to(nobody, anonymous, "two");
  close(nobody);
  send_descriptor();
}

int main(int argc, char **argv) {
  const struct thing things[] = {
      {"plain", make_plain, check_plain},        {"-credentials", make_credentials, unchecked},
      {"-sender", make_sender, unchecked},       {"-second", make_second, unchecked},
      {"-empty", make_empty, unchecked},         {NULL, NULL, NULL},
  };
  return rounds(argc, argv, things);
}
