/* What Unix sockets are connected to, as `look` prints it. */
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "look-parts.h"

/* What the kernel reports of a socket; a connection that was not accepted yet has a peer without a number. */
struct told {
  uint32_t peer, unread;
  const uint32_t *clients;
  size_t count;
};

static void learn_part(const struct rtattr *part, struct told *told) {
  const void *value = part + 1;
  const size_t size = part->rta_len - sizeof *part;
  if (part->rta_type == UNIX_DIAG_PEER && size == sizeof told->peer) told->peer = *(const uint32_t *)value;
  if (part->rta_type == UNIX_DIAG_RQLEN && size == sizeof(struct unix_diag_rqlen))
    told->unread = ((const struct unix_diag_rqlen *)value)->udiag_wqueue;
  if (part->rta_type != UNIX_DIAG_ICONS) return;
  told->clients = value;
  told->count = size / sizeof *told->clients;
}

/* `size` bytes of attributes follow the socket (rtnetlink(7)). */
static void tell_socket(const struct unix_diag_msg *socket, size_t size) {
  struct told told = {0};
  const char *at = (const char *)(socket + 1);
  for (size_t step; size >= sizeof(struct rtattr); at += step, size -= step) {
    const struct rtattr *part = (const void *)at;
    if (part->rta_len < sizeof *part || part->rta_len > size) break;
    learn_part(part, &told);
    step = NLMSG_ALIGN(part->rta_len) < size ? NLMSG_ALIGN(part->rta_len) : size;
  }
  if (told.peer) printf("u\t%u\t%u\n", socket->udiag_ino, told.peer);
  /* Of one that listens this is its backlog. */
  else if (told.unread && socket->udiag_state == TCP_ESTABLISHED) printf("o\t%u\t%u\n", socket->udiag_ino, told.unread);
  for (size_t i = 0; i < told.count; i++) printf("i\t%u\t%u\n", socket->udiag_ino, told.clients[i]);
}

/* Prints each socket in an answer of the kernel's (netlink(7)); false when it was the last. */
static bool tell_sockets(const char *answer, size_t size) {
  for (size_t step; size >= sizeof(struct nlmsghdr); answer += step, size -= step) {
    const struct nlmsghdr *head = (const void *)answer;
    if (head->nlmsg_len < sizeof *head || head->nlmsg_len > size) return false;
    if (head->nlmsg_type != SOCK_DIAG_BY_FAMILY) return false;
    if (head->nlmsg_len < NLMSG_LENGTH(sizeof(struct unix_diag_msg))) return false;
    tell_socket((const void *)(head + 1), head->nlmsg_len - NLMSG_LENGTH(sizeof(struct unix_diag_msg)));
    step = NLMSG_ALIGN(head->nlmsg_len) < size ? NLMSG_ALIGN(head->nlmsg_len) : size;
  }
  return true;
}

/* sock_diag(7): the Unix sockets of the network namespace that this process is in. */
void look_at_unix_sockets(void) {
  struct {
    struct nlmsghdr head;
    struct unix_diag_req wish;
  } ask = {
      .head = {.nlmsg_len = sizeof ask, .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
      .wish = {.sdiag_family = AF_UNIX,
               .udiag_states = ~0U,
               .udiag_show = UDIAG_SHOW_PEER | UDIAG_SHOW_ICONS | UDIAG_SHOW_RQLEN}};
  static char space[32768] __attribute__((aligned(NLMSG_ALIGNTO)));
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
  if (fd < 0) return;
  for (bool more = send(fd, &ask, sizeof ask, 0) == sizeof ask; more;) {
    const ssize_t size = recv(fd, space, sizeof space, 0);
    more = size > 0 && tell_sockets(space, (size_t)size);
  }
  close(fd);
}
