/* Every option of a socket that keeps state: set to what is not its default, and read back. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/errqueue.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <linux/in6.h>
#include <linux/net_tstamp.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "rounds.h"

#define UNUSED_PROTOCOL 253

/* In headers that are newer than this machine's. */
#ifndef SO_BUSY_POLL
#define SO_BUSY_POLL 46
#endif
#ifndef SO_PREFER_BUSY_POLL
#define SO_PREFER_BUSY_POLL 69
#endif
#define TXREHASH 74
#define RCVMARK 75
#define PASSPIDFD 76
#define PASSRIGHTS 83
#define RCVPRIORITY 82
#ifndef IP_LOCAL_PORT_RANGE
#define IP_LOCAL_PORT_RANGE 51
#endif
#ifndef TCP_RTO_MAX_MS
#define TCP_RTO_MAX_MS 44
#endif
#define TCP_RTO_MIN_MICROS 45
#define TCP_DELACK_MAX_MICROS 46
#ifndef IPV6_RECVERR_RFC4884
#define IPV6_RECVERR_RFC4884 31
#endif
#define IPV6_FREE_BIND 78
#define IPV6_MULTICAST_EVERY 29

enum which { STREAM, LISTENER, CONNECTED, DATAGRAMS, STREAM6, DATAGRAMS6, LOCAL, LOCAL_DATAGRAMS, ROUTES, RAW4, RAW6, FRAMES, ENCAPSULATED, SOCKETS };

static int sockets[SOCKETS], peer = -1;

/* An option with a number. */
struct option {
  const char *name;
  enum which at;
  int level, option, value;
  /* A kernel has none of it, or it is for root. */
  int optional;
  int was, left_out;
};

static struct option options[] = {
    {"SO_REUSEADDR", STREAM, SOL_SOCKET, SO_REUSEADDR, 1, 0, 0, 0},
    {"SO_REUSEPORT", STREAM, SOL_SOCKET, SO_REUSEPORT, 1, 0, 0, 0},
    {"SO_KEEPALIVE", STREAM, SOL_SOCKET, SO_KEEPALIVE, 1, 0, 0, 0},
    {"SO_BROADCAST", DATAGRAMS, SOL_SOCKET, SO_BROADCAST, 1, 0, 0, 0},
    {"SO_DONTROUTE", STREAM, SOL_SOCKET, SO_DONTROUTE, 1, 0, 0, 0},
    {"SO_OOBINLINE", STREAM, SOL_SOCKET, SO_OOBINLINE, 1, 0, 0, 0},
    {"SO_SNDBUF", STREAM, SOL_SOCKET, SO_SNDBUF, 50000, 0, 0, 0},
    {"SO_RCVBUF", STREAM, SOL_SOCKET, SO_RCVBUF, 60000, 0, 0, 0},
    {"SO_PRIORITY", STREAM, SOL_SOCKET, SO_PRIORITY, 3, 0, 0, 0},
    {"SO_MARK", STREAM, SOL_SOCKET, SO_MARK, 77, 1, 0, 0},
    {"SO_RCVLOWAT", STREAM, SOL_SOCKET, SO_RCVLOWAT, 17, 0, 0, 0},
    {"SO_NO_CHECK", DATAGRAMS, SOL_SOCKET, SO_NO_CHECK, 1, 0, 0, 0},
    {"SO_BUF_LOCK", STREAM, SOL_SOCKET, 72, 3, 1, 0, 0},
    {"SO_PASSCRED", LOCAL, SOL_SOCKET, SO_PASSCRED, 1, 0, 0, 0},
    {"SO_PASSSEC", LOCAL, SOL_SOCKET, SO_PASSSEC, 1, 0, 0, 0},

    {"TCP_NODELAY", CONNECTED, IPPROTO_TCP, TCP_NODELAY, 1, 0, 0, 0},
    {"TCP_CORK", STREAM, IPPROTO_TCP, TCP_CORK, 1, 0, 0, 0},
    {"TCP_KEEPIDLE", CONNECTED, IPPROTO_TCP, TCP_KEEPIDLE, 111, 0, 0, 0},
    {"TCP_KEEPINTVL", CONNECTED, IPPROTO_TCP, TCP_KEEPINTVL, 22, 0, 0, 0},
    {"TCP_KEEPCNT", CONNECTED, IPPROTO_TCP, TCP_KEEPCNT, 5, 0, 0, 0},

    {"IP_TOS", CONNECTED, IPPROTO_IP, IP_TOS, 0x10, 0, 0, 0},
    {"IP_TTL", STREAM, IPPROTO_IP, IP_TTL, 33, 0, 0, 0},
    {"IP_FREEBIND", STREAM, IPPROTO_IP, IP_FREEBIND, 1, 0, 0, 0},
    {"IP_PKTINFO", DATAGRAMS, IPPROTO_IP, IP_PKTINFO, 1, 0, 0, 0},
    {"IP_HDRINCL", RAW4, IPPROTO_IP, IP_HDRINCL, 1, 1, 0, 0},
    {"IP_NODEFRAG", RAW4, IPPROTO_IP, IP_NODEFRAG, 1, 1, 0, 0},

    {"IPV6_V6ONLY", STREAM6, IPPROTO_IPV6, IPV6_V6ONLY, 1, 0, 0, 0},
    {"IPV6_RECVPKTINFO", DATAGRAMS6, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1, 0, 0, 0},
    {"IPV6_FREEBIND", STREAM6, IPPROTO_IPV6, IPV6_FREE_BIND, 1, 1, 0, 0},
    {"IPV6_ADDR_PREFERENCES", DATAGRAMS6, IPPROTO_IPV6, 72, 0x100, 1, 0, 0},

    {"PACKET_RESERVE", FRAMES, SOL_PACKET, PACKET_RESERVE, 32, 1, 0, 0},
    {"PACKET_AUXDATA", FRAMES, SOL_PACKET, PACKET_AUXDATA, 1, 1, 0, 0},
    {"PACKET_ORIGDEV", FRAMES, SOL_PACKET, PACKET_ORIGDEV, 1, 1, 0, 0},
    {"PACKET_TIMESTAMP", FRAMES, SOL_PACKET, PACKET_TIMESTAMP, 1, 1, 0, 0},
    {"PACKET_LOSS", FRAMES, SOL_PACKET, PACKET_LOSS, 1, 1, 0, 0},

    {"SO_TIMESTAMP", DATAGRAMS, SOL_SOCKET, SO_TIMESTAMP, 1, 0, 0, 0},
    {"SO_TIMESTAMPNS", DATAGRAMS6, SOL_SOCKET, SO_TIMESTAMPNS, 1, 0, 0, 0},
    {"SO_TIMESTAMPING", DATAGRAMS, SOL_SOCKET, SO_TIMESTAMPING, 0x18, 0, 0, 0},
    {"SO_RXQ_OVFL", DATAGRAMS, SOL_SOCKET, SO_RXQ_OVFL, 1, 0, 0, 0},
    {"SO_WIFI_STATUS", DATAGRAMS, SOL_SOCKET, SO_WIFI_STATUS, 1, 0, 0, 0},
    {"SO_PEEK_OFF", LOCAL, SOL_SOCKET, SO_PEEK_OFF, 3, 0, 0, 0},
    {"SO_NOFCS", FRAMES, SOL_SOCKET, SO_NOFCS, 1, 1, 0, 0},
    {"SO_SELECT_ERR_QUEUE", DATAGRAMS, SOL_SOCKET, SO_SELECT_ERR_QUEUE, 1, 0, 0, 0},
    {"SO_BUSY_POLL", STREAM, SOL_SOCKET, SO_BUSY_POLL, 20, 1, 0, 0},
    {"SO_PREFER_BUSY_POLL", STREAM, SOL_SOCKET, SO_PREFER_BUSY_POLL, 1, 1, 0, 0},
    {"SO_INCOMING_CPU", STREAM, SOL_SOCKET, SO_INCOMING_CPU, 1, 1, 0, 0},
    {"SO_ZEROCOPY", STREAM, SOL_SOCKET, SO_ZEROCOPY, 1, 1, 0, 0},
    {"SO_TXREHASH", STREAM, SOL_SOCKET, TXREHASH, 0, 1, 0, 0},
    {"SO_RCVMARK", DATAGRAMS, SOL_SOCKET, RCVMARK, 1, 1, 0, 0},
    {"SO_RCVPRIORITY", DATAGRAMS, SOL_SOCKET, RCVPRIORITY, 1, 1, 0, 0},
    {"SO_PASSPIDFD", LOCAL, SOL_SOCKET, PASSPIDFD, 1, 1, 0, 0},
    {"SO_PASSRIGHTS", LOCAL_DATAGRAMS, SOL_SOCKET, PASSRIGHTS, 0, 1, 0, 0},
    {"TCP_MAXSEG", LISTENER, IPPROTO_TCP, TCP_MAXSEG, 1000, 0, 0, 0},
    {"TCP_SYNCNT", STREAM, IPPROTO_TCP, TCP_SYNCNT, 4, 0, 0, 0},
    {"TCP_LINGER2", CONNECTED, IPPROTO_TCP, TCP_LINGER2, 13, 0, 0, 0},
    {"TCP_DEFER_ACCEPT", LISTENER, IPPROTO_TCP, TCP_DEFER_ACCEPT, 3, 0, 0, 0},
    {"TCP_WINDOW_CLAMP", CONNECTED, IPPROTO_TCP, TCP_WINDOW_CLAMP, 40000, 0, 0, 0},
    {"TCP_QUICKACK", CONNECTED, IPPROTO_TCP, TCP_QUICKACK, 0, 0, 0, 0},
    {"TCP_USER_TIMEOUT", CONNECTED, IPPROTO_TCP, TCP_USER_TIMEOUT, 54321, 0, 0, 0},
    {"TCP_THIN_LINEAR_TIMEOUTS", CONNECTED, IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS, 1, 0, 0, 0},
    {"TCP_FASTOPEN", LISTENER, IPPROTO_TCP, TCP_FASTOPEN, 7, 0, 0, 0},
    {"TCP_FASTOPEN_CONNECT", STREAM, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1, 1, 0, 0},
    {"TCP_FASTOPEN_NO_COOKIE", STREAM, IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, 1, 0, 0, 0},
    {"TCP_NOTSENT_LOWAT", CONNECTED, IPPROTO_TCP, TCP_NOTSENT_LOWAT, 32000, 0, 0, 0},
    {"TCP_SAVE_SYN", LISTENER, IPPROTO_TCP, TCP_SAVE_SYN, 1, 0, 0, 0},
    {"TCP_INQ", CONNECTED, IPPROTO_TCP, TCP_INQ, 1, 0, 0, 0},
    {"TCP_TX_DELAY", STREAM, IPPROTO_TCP, TCP_TX_DELAY, 1000, 1, 0, 0},
    {"TCP_RTO_MAX_MS", CONNECTED, IPPROTO_TCP, TCP_RTO_MAX_MS, 9000, 1, 0, 0},
    {"TCP_RTO_MIN_US", CONNECTED, IPPROTO_TCP, TCP_RTO_MIN_MICROS, 90000, 1, 0, 0},
    {"TCP_DELACK_MAX_US", CONNECTED, IPPROTO_TCP, TCP_DELACK_MAX_MICROS, 90000, 1, 0, 0},
    {"IP_MINTTL", STREAM, IPPROTO_IP, IP_MINTTL, 1, 0, 0, 0},
    {"IP_MTU_DISCOVER", DATAGRAMS, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO, 0, 0, 0},
    {"IP_TRANSPARENT", STREAM, IPPROTO_IP, IP_TRANSPARENT, 1, 1, 0, 0},
    {"IP_BIND_ADDRESS_NO_PORT", STREAM, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1, 0, 0, 0},
    {"IP_LOCAL_PORT_RANGE", STREAM, IPPROTO_IP, IP_LOCAL_PORT_RANGE, 41000 << 16 | 40000, 1, 0, 0},
    {"IP_RECVTOS", DATAGRAMS, IPPROTO_IP, IP_RECVTOS, 1, 0, 0, 0},
    {"IP_RECVTTL", DATAGRAMS, IPPROTO_IP, IP_RECVTTL, 1, 0, 0, 0},
    {"IP_RECVOPTS", DATAGRAMS, IPPROTO_IP, IP_RECVOPTS, 1, 0, 0, 0},
    {"IP_RETOPTS", DATAGRAMS, IPPROTO_IP, IP_RETOPTS, 1, 0, 0, 0},
    {"IP_RECVERR", DATAGRAMS, IPPROTO_IP, IP_RECVERR, 1, 0, 0, 0},
    {"IP_RECVORIGDSTADDR", DATAGRAMS, IPPROTO_IP, IP_RECVORIGDSTADDR, 1, 0, 0, 0},
    {"IP_RECVFRAGSIZE", DATAGRAMS, IPPROTO_IP, IP_RECVFRAGSIZE, 1, 0, 0, 0},
    {"IP_CHECKSUM", DATAGRAMS, IPPROTO_IP, 23, 1, 0, 0, 0},
    {"IP_MULTICAST_TTL", DATAGRAMS, IPPROTO_IP, IP_MULTICAST_TTL, 4, 0, 0, 0},
    {"IP_MULTICAST_LOOP", DATAGRAMS, IPPROTO_IP, IP_MULTICAST_LOOP, 0, 0, 0, 0},
    {"IP_MULTICAST_ALL", DATAGRAMS, IPPROTO_IP, IP_MULTICAST_ALL, 0, 0, 0, 0},
    {"UDP_NO_CHECK6_TX", DATAGRAMS6, IPPROTO_UDP, UDP_NO_CHECK6_TX, 1, 0, 0, 0},
    {"UDP_NO_CHECK6_RX", DATAGRAMS6, IPPROTO_UDP, UDP_NO_CHECK6_RX, 1, 0, 0, 0},
    {"UDP_SEGMENT", DATAGRAMS, IPPROTO_UDP, UDP_SEGMENT, 500, 0, 0, 0},
    {"UDP_GRO", DATAGRAMS, IPPROTO_UDP, UDP_GRO, 1, 0, 0, 0},
    {"IPV6_UNICAST_HOPS", STREAM6, IPPROTO_IPV6, IPV6_UNICAST_HOPS, 44, 0, 0, 0},
    {"IPV6_TCLASS", STREAM6, IPPROTO_IPV6, IPV6_TCLASS, 0x20, 0, 0, 0},
    {"IPV6_MTU_DISCOVER", DATAGRAMS6, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DO, 0, 0, 0},
    {"IPV6_MULTICAST_HOPS", DATAGRAMS6, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 6, 0, 0, 0},
    {"IPV6_MULTICAST_LOOP", DATAGRAMS6, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0, 0, 0, 0},
    {"IPV6_MULTICAST_ALL", DATAGRAMS6, IPPROTO_IPV6, IPV6_MULTICAST_EVERY, 0, 1, 0, 0},
    {"IPV6_RECVHOPLIMIT", DATAGRAMS6, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1, 0, 0, 0},
    {"IPV6_RECVTCLASS", DATAGRAMS6, IPPROTO_IPV6, IPV6_RECVTCLASS, 1, 0, 0, 0},
    {"IPV6_RECVERR", DATAGRAMS6, IPPROTO_IPV6, IPV6_RECVERR, 1, 0, 0, 0},
    {"IPV6_DONTFRAG", DATAGRAMS6, IPPROTO_IPV6, IPV6_DONTFRAG, 1, 0, 0, 0},
    {"IPV6_AUTOFLOWLABEL", DATAGRAMS6, IPPROTO_IPV6, 70, 0, 1, 0, 0},
    {"IPV6_FLOWINFO_SEND", DATAGRAMS6, IPPROTO_IPV6, 33, 1, 1, 0, 0},
    {"IPV6_MINHOPCOUNT", STREAM6, IPPROTO_IPV6, 73, 1, 1, 0, 0},
    {"IPV6_RECVORIGDSTADDR", DATAGRAMS6, IPPROTO_IPV6, 74, 1, 1, 0, 0},
    {"NETLINK_PKTINFO", ROUTES, SOL_NETLINK, NETLINK_PKTINFO, 1, 0, 0, 0},
    {"NETLINK_BROADCAST_ERROR", ROUTES, SOL_NETLINK, NETLINK_BROADCAST_ERROR, 1, 0, 0, 0},
    {"NETLINK_NO_ENOBUFS", ROUTES, SOL_NETLINK, NETLINK_NO_ENOBUFS, 1, 0, 0, 0},
    {"NETLINK_CAP_ACK", ROUTES, SOL_NETLINK, NETLINK_CAP_ACK, 1, 0, 0, 0},
    {"NETLINK_EXT_ACK", ROUTES, SOL_NETLINK, NETLINK_EXT_ACK, 1, 0, 0, 0},
    {"NETLINK_GET_STRICT_CHK", ROUTES, SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1, 0, 0, 0},

    {"SO_REUSEPORT that is not set", CONNECTED, SOL_SOCKET, SO_REUSEPORT, 0, 0, 0, 0},
    {"SO_DEBUG", STREAM, SOL_SOCKET, SO_DEBUG, 1, 1, 0, 0},
    {"SO_TIMESTAMP_NEW", LOCAL_DATAGRAMS, SOL_SOCKET, 63, 1, 0, 0, 0},
    {"SO_TIMESTAMPNS_NEW", LOCAL, SOL_SOCKET, 64, 1, 0, 0, 0},
    {"SO_TIMESTAMPING_NEW", LOCAL, SOL_SOCKET, 65, 0x18, 0, 0, 0},
    {"UDP_ENCAP", ENCAPSULATED, IPPROTO_UDP, 100, 2, 1, 0, 0},
    {"IP_TOS of IPv6", STREAM6, IPPROTO_IP, IP_TOS, 0x10, 0, 0, 0},
    {"IP_TTL of IPv6", STREAM6, IPPROTO_IP, IP_TTL, 35, 0, 0, 0},
    {"IP_PASSSEC", DATAGRAMS, IPPROTO_IP, IP_PASSSEC, 1, 0, 0, 0},
    {"IP_RECVERR_RFC4884", DATAGRAMS, IPPROTO_IP, 26, 1, 1, 0, 0},
    {"IPV6_2292PKTINFO", DATAGRAMS6, IPPROTO_IPV6, 2, 1, 0, 0, 0},
    {"IPV6_2292HOPOPTS", DATAGRAMS6, IPPROTO_IPV6, 3, 1, 1, 0, 0},
    {"IPV6_2292DSTOPTS", DATAGRAMS6, IPPROTO_IPV6, 4, 1, 1, 0, 0},
    {"IPV6_2292RTHDR", DATAGRAMS6, IPPROTO_IPV6, 5, 1, 1, 0, 0},
    {"IPV6_2292HOPLIMIT", DATAGRAMS6, IPPROTO_IPV6, 8, 1, 0, 0, 0},
    {"IPV6_FLOWINFO", DATAGRAMS6, IPPROTO_IPV6, 11, 1, 1, 0, 0},
    {"IPV6_RECVERR_RFC4884", DATAGRAMS6, IPPROTO_IPV6, IPV6_RECVERR_RFC4884, 1, 1, 0, 0},
    {"IPV6_RECVHOPOPTS", DATAGRAMS6, IPPROTO_IPV6, IPV6_RECVHOPOPTS, 1, 1, 0, 0},
    {"IPV6_RECVRTHDR", DATAGRAMS6, IPPROTO_IPV6, IPV6_RECVRTHDR, 1, 1, 0, 0},
    {"IPV6_RECVDSTOPTS", DATAGRAMS6, IPPROTO_IPV6, IPV6_RECVDSTOPTS, 1, 1, 0, 0},
    {"IPV6_RECVPATHMTU", DATAGRAMS6, IPPROTO_IPV6, IPV6_RECVPATHMTU, 1, 0, 0, 0},
    {"IPV6_RECVFRAGSIZE", DATAGRAMS6, IPPROTO_IPV6, 77, 1, 1, 0, 0},
    {"IPV6_TRANSPARENT", STREAM6, IPPROTO_IPV6, 75, 1, 1, 0, 0},
    {"IPV6_CHECKSUM", RAW6, IPPROTO_RAW, 7, 6, 1, 0, 0},
    {"IPV6_MULTICAST_IF", DATAGRAMS6, IPPROTO_IPV6, IPV6_MULTICAST_IF, 1, 0, 0, 0},
    {"IPV6_UNICAST_IF", DATAGRAMS6, IPPROTO_IPV6, 76, 1 << 24, 0, 0, 0},
    {"IP_UNICAST_IF", DATAGRAMS, IPPROTO_IP, 50, 1 << 24, 0, 0, 0},
    {"NETLINK_LISTEN_ALL_NSID", ROUTES, SOL_NETLINK, 8, 1, 1, 0, 0},
    {"PACKET_QDISC_BYPASS", FRAMES, SOL_PACKET, 20, 1, 1, 0, 0},
    {"PACKET_IGNORE_OUTGOING", FRAMES, SOL_PACKET, 23, 1, 1, 0, 0},
};

#define COUNT(of) (sizeof of / sizeof *of)

static int get_option(const struct option *one) {
  int is = 0;
  socklen_t size = sizeof is;
  return getsockopt(sockets[one->at], one->level, one->option, &is, &size) ? -errno : is;
}

/* --- options with more than a number --- */

static int get_span(int fd, int level, int option, struct timeval *span) {
  socklen_t size = sizeof *span;
  return getsockopt(fd, level, option, span, &size);
}

static void set_structures(void) {
  struct timeval wait = {7, 200000};
  struct linger linger = {1, 9};
  struct sock_filter line = BPF_STMT(BPF_RET | BPF_K, 0xffff);
  struct sock_fprog filter = {1, &line};
  EXPECT(setsockopt(sockets[STREAM], SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) == 0);
  EXPECT(setsockopt(sockets[STREAM], SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait) == 0);
  EXPECT(setsockopt(sockets[CONNECTED], SOL_SOCKET, SO_LINGER, &linger, sizeof linger) == 0);
  EXPECT(setsockopt(sockets[DATAGRAMS], SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) == 0);
}

/* The kernel knows only sockets of one network: the addresses are on each node's loopback. */
static int join(int fd, int level, const char *address, const char *source, int how) {
  struct group_source_req wish = {.gsr_interface = 1};
  void *to[2] = {&wish.gsr_group, &wish.gsr_source};
  const char *from[2] = {address, source};
  for (int i = 0; i < 2 && from[i]; i++) {
    struct sockaddr_in *four = to[i];
    struct sockaddr_in6 *six = to[i];
    four->sin_family = level == IPPROTO_IP ? AF_INET : AF_INET6;
    inet_pton(four->sin_family, from[i], level == IPPROTO_IP ? (void *)&four->sin_addr : &six->sin6_addr);
  }
  struct group_req plain = {.gr_interface = 1, .gr_group = wish.gsr_group};
  return source ? setsockopt(fd, level, how, &wish, sizeof wish) : setsockopt(fd, level, how, &plain, sizeof plain);
}

static void join_groups(void) {
  const int four = sockets[DATAGRAMS], six = sockets[DATAGRAMS6];
  EXPECT(join(four, IPPROTO_IP, "239.1.2.3", NULL, MCAST_JOIN_GROUP) == 0);
  EXPECT(join(four, IPPROTO_IP, "239.1.2.4", "10.0.0.7", MCAST_JOIN_SOURCE_GROUP) == 0);
  EXPECT(join(four, IPPROTO_IP, "239.1.2.4", "10.0.0.8", MCAST_JOIN_SOURCE_GROUP) == 0);
  EXPECT(join(six, IPPROTO_IPV6, "ff15::77", NULL, MCAST_JOIN_GROUP) == 0);
  EXPECT(join(six, IPPROTO_IPV6, "ff15::77", "2001:db8::9", MCAST_BLOCK_SOURCE) == 0);
  EXPECT(join(six, IPPROTO_IP, "239.1.2.5", NULL, MCAST_JOIN_GROUP) == 0);
}

/* Left and joined again: what was not joined can't be left. */
static int rejoin(int fd, int level, const char *address) {
  return join(fd, level, address, NULL, MCAST_LEAVE_GROUP) || join(fd, level, address, NULL, MCAST_JOIN_GROUP);
}

static long filter_of(int fd, int level, const char *address) {
  union {
    struct group_filter head;
    char room[GROUP_FILTER_SIZE(4)];
  } filter = {.head = {.gf_interface = 1, .gf_numsrc = 4}};
  struct sockaddr_in *four = (void *)&filter.head.gf_group;
  struct sockaddr_in6 *six = (void *)&filter.head.gf_group;
  socklen_t size = sizeof filter;
  four->sin_family = level == IPPROTO_IP ? AF_INET : AF_INET6;
  inet_pton(four->sin_family, address, level == IPPROTO_IP ? (void *)&four->sin_addr : &six->sin6_addr);
  if (getsockopt(fd, level, MCAST_MSFILTER, &filter, &size)) return -errno;
  return filter.head.gf_fmode * 10 + filter.head.gf_numsrc;
}

static void set_more_structures(void) {
  struct ip_mreqn from = {.imr_address.s_addr = htonl(INADDR_LOOPBACK)};
  unsigned long pace = 123456789;
  EXPECT(setsockopt(sockets[STREAM], IPPROTO_TCP, TCP_CONGESTION, "reno", 4) == 0);
  EXPECT(setsockopt(sockets[CONNECTED], IPPROTO_TCP, TCP_CONGESTION, "reno", 4) == 0);
  EXPECT(setsockopt(sockets[DATAGRAMS], IPPROTO_IP, IP_MULTICAST_IF, &from, sizeof from) == 0);
  EXPECT(setsockopt(sockets[CONNECTED], SOL_SOCKET, SO_MAX_PACING_RATE, &pace, sizeof pace) == 0);
  EXPECT(setsockopt(sockets[LISTENER], IPPROTO_TCP, TCP_FASTOPEN_KEY, "0123456789abcdef", 16) == 0);
  EXPECT(setsockopt(sockets[DATAGRAMS], IPPROTO_IP, IP_OPTIONS, "\x01\x01\x01\x00", 4) == 0);
  EXPECT(setsockopt(sockets[DATAGRAMS], SOL_SOCKET, SO_TXTIME, (int[2]){CLOCK_MONOTONIC, 2}, 8) == 0);
  EXPECT(setsockopt(sockets[DATAGRAMS], SOL_SOCKET, SO_LOCK_FILTER, &(int){1}, sizeof(int)) == 0);
  join_groups();
}

static int told;
static void differs(const char *name, long was, long is) {
  if (was == is) return;
  printf("not so: %s stays: it was %ld and is %ld\n", name, was, is);
  told++;
}

static void check_structures(void) {
  struct timeval wait;
  struct linger linger = {0};
  struct sock_filter lines[8];
  socklen_t size = sizeof linger;
  differs("SO_RCVTIMEO", 7200000, get_span(sockets[STREAM], SOL_SOCKET, SO_RCVTIMEO, &wait) ? -1 : wait.tv_sec * 1000000 + wait.tv_usec);
  differs("SO_SNDTIMEO", 7200000, get_span(sockets[STREAM], SOL_SOCKET, SO_SNDTIMEO, &wait) ? -1 : wait.tv_sec * 1000000 + wait.tv_usec);
  getsockopt(sockets[CONNECTED], SOL_SOCKET, SO_LINGER, &linger, &size);
  differs("SO_LINGER", 109, linger.l_onoff * 100 + linger.l_linger);
  size = 8;
  differs("SO_ATTACH_FILTER", 0, getsockopt(sockets[DATAGRAMS], SOL_SOCKET, SO_GET_FILTER, lines, &size) || size != 1);
}

static long digest_of(int fd, int level, int option) {
  unsigned char bytes[64] = {0};
  socklen_t size = sizeof bytes;
  long sum = 0;
  if (getsockopt(fd, level, option, bytes, &size)) return -errno;
  for (socklen_t i = 0; i < size; i++) sum = sum * 31 + bytes[i];
  return sum;
}

/* As they were read after they had been set. */
static const struct {
  const char *name;
  enum which at;
  int level, option;
} structures[] = {
    {"TCP_CONGESTION", STREAM, IPPROTO_TCP, TCP_CONGESTION},
    {"TCP_CONGESTION of a connection", CONNECTED, IPPROTO_TCP, TCP_CONGESTION},
    {"IP_MULTICAST_IF", DATAGRAMS, IPPROTO_IP, IP_MULTICAST_IF},
    {"SO_MAX_PACING_RATE", CONNECTED, SOL_SOCKET, SO_MAX_PACING_RATE},
    {"TCP_FASTOPEN_KEY", LISTENER, IPPROTO_TCP, TCP_FASTOPEN_KEY},
    {"IP_OPTIONS", DATAGRAMS, IPPROTO_IP, IP_OPTIONS},
    {"SO_TXTIME", DATAGRAMS, SOL_SOCKET, SO_TXTIME},
    {"SO_LOCK_FILTER", DATAGRAMS, SOL_SOCKET, SO_LOCK_FILTER},
};
static long first[sizeof structures / sizeof *structures];

static void check_more_structures(int round) {
  for (size_t i = 0; i < sizeof structures / sizeof *structures; i++) {
    const long is = digest_of(sockets[structures[i].at], structures[i].level, structures[i].option);
    if (!round) first[i] = is;
    differs(structures[i].name, first[i], is);
  }
  differs("IP_ADD_MEMBERSHIP", MCAST_EXCLUDE * 10, filter_of(sockets[DATAGRAMS], IPPROTO_IP, "239.1.2.3"));
  differs("IP_ADD_SOURCE_MEMBERSHIP", MCAST_INCLUDE * 10 + 2, filter_of(sockets[DATAGRAMS], IPPROTO_IP, "239.1.2.4"));
  differs("IPV6_ADD_MEMBERSHIP", MCAST_EXCLUDE * 10 + 1, filter_of(sockets[DATAGRAMS6], IPPROTO_IPV6, "ff15::77"));
  differs("IP_ADD_MEMBERSHIP of IPv6", 0, rejoin(sockets[DATAGRAMS6], IPPROTO_IP, "239.1.2.5"));
}

/* --- */

static void connect_all(void) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof at;
  EXPECT((sockets[LISTENER] = socket(AF_INET, SOCK_STREAM, 0)) >= 0 && bind(sockets[LISTENER], (void *)&at, sizeof at) == 0);
  EXPECT(listen(sockets[LISTENER], 5) == 0 && getsockname(sockets[LISTENER], (void *)&at, &size) == 0);
  EXPECT((sockets[CONNECTED] = socket(AF_INET, SOCK_STREAM, 0)) >= 0 && connect(sockets[CONNECTED], (void *)&at, size) == 0);
  EXPECT((peer = accept(sockets[LISTENER], NULL, NULL)) >= 0);
  EXPECT((sockets[STREAM] = socket(AF_INET, SOCK_STREAM, 0)) >= 0);
  EXPECT((sockets[DATAGRAMS] = socket(AF_INET, SOCK_DGRAM, 0)) >= 0);
  EXPECT((sockets[ENCAPSULATED] = socket(AF_INET, SOCK_DGRAM, 0)) >= 0);
  EXPECT((sockets[STREAM6] = socket(AF_INET6, SOCK_STREAM, 0)) >= 0);
  EXPECT((sockets[DATAGRAMS6] = socket(AF_INET6, SOCK_DGRAM, 0)) >= 0);
  EXPECT((sockets[LOCAL] = socket(AF_UNIX, SOCK_STREAM, 0)) >= 0);
  EXPECT((sockets[LOCAL_DATAGRAMS] = socket(AF_UNIX, SOCK_DGRAM, 0)) >= 0);
  EXPECT((sockets[ROUTES] = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE)) >= 0);
  /* These are for root. */
  // Of a protocol that no other program uses (RFC 3692): they would get copies of its packets.
  sockets[RAW4] = socket(AF_INET, SOCK_RAW, UNUSED_PROTOCOL);
  sockets[RAW6] = socket(AF_INET6, SOCK_RAW, UNUSED_PROTOCOL);
  sockets[FRAMES] = socket(AF_PACKET, SOCK_DGRAM, 0);
}

static void set_all(struct option *of, size_t count) {
  for (struct option *one = of; one < of + count; one++) {
    now_at = one->name;
    if (setsockopt(sockets[one->at], one->level, one->option, &one->value, sizeof one->value)) {
      EXPECT(one->optional);
      if (getenv("SHOW")) fprintf(stderr, "left out: %s (%s)\n", one->name, strerror(errno));
      one->left_out = 1;
    }
  }
  /* Some have an effect on others. */
  for (struct option *one = of; one < of + count; one++)
    if (!one->left_out) one->was = get_option(one);
}

static void check_all(const struct option *of, size_t count) {
  for (const struct option *one = of; one < of + count; one++)
    if (!one->left_out) differs(one->name, one->was, get_option(one));
}

static void end_if_told(void) {
  fflush(stdout);
  if (told) _exit(1);
}

static void make_options(void) {
  connect_all();
  set_all(options, COUNT(options));
  set_structures();
  set_more_structures();
  check_structures();
  check_more_structures(0);
  end_if_told();
}

static void check_options(int round) {
  check_all(options, COUNT(options));
  check_structures();
  check_more_structures(round);
  end_if_told();
}

/* Datagrams are held back until it is taken away. */
static void make_corked(void) {
  int corked = socket(AF_INET, SOCK_DGRAM, 0);
  EXPECT(corked >= 0 && setsockopt(corked, IPPROTO_UDP, UDP_CORK, &(int){1}, sizeof(int)) == 0);
}
static void unchecked(int round) { (void)round; }

/* --- the numbers that the kernel gives to what was sent: its counters can't be read or set --- */

static int stamped = -1, copied = -1;

static void make_anew(void) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  const int how = SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_OPT_ID | SOF_TIMESTAMPING_OPT_TSONLY;
  EXPECT((stamped = socket(AF_INET, SOCK_DGRAM, 0)) >= 0 && connect(stamped, (void *)&at, sizeof at) == 0);
  EXPECT(setsockopt(stamped, SOL_SOCKET, SO_TIMESTAMPING, &how, sizeof how) == 0);
  EXPECT((copied = socket(AF_INET, SOCK_DGRAM, 0)) >= 0 && connect(copied, (void *)&at, sizeof at) == 0);
  EXPECT(setsockopt(copied, SOL_SOCKET, SO_ZEROCOPY, &(int){1}, sizeof(int)) == 0);
}

/* Sends, and waits for what the kernel says of it. An unused port may be reported meanwhile. */
static long number_of_sent(int fd, int flags) {
  static char bytes[4096];
  for (double until = seconds_now() + 10; send(fd, bytes, 512, flags) < 0;) EXPECT(errno == ECONNREFUSED && seconds_now() < until);
  for (double until = seconds_now() + 10; seconds_now() < until; pause_ms(1)) {
    char space[512];
    struct msghdr told = {.msg_control = space, .msg_controllen = sizeof space};
    if (recvmsg(fd, &told, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) continue;
    for (struct cmsghdr *one = CMSG_FIRSTHDR(&told); one; one = CMSG_NXTHDR(&told, one)) {
      const struct sock_extended_err *error = (void *)CMSG_DATA(one);
      if (one->cmsg_level == SOL_IP && one->cmsg_type == IP_RECVERR && error->ee_origin >= SO_EE_ORIGIN_TIMESTAMPING)
        return error->ee_data;
    }
  }
  return -1;
}

static void look_at_anew(int round) {
  (void)round;
  for (long number = 0; number < 2; number++) {
    EXPECT(number_of_sent(stamped, 0) == number);
    EXPECT(number_of_sent(copied, MSG_ZEROCOPY) == number);
  }
}

/* --- whom a Unix socket names as its other end: from the first move on the job's user, by one of its processes --- */

static int from_other;
static pid_t other;

static void give(int to, int fd) {
  char space[CMSG_SPACE(sizeof fd)] = {0}, byte = 0;
  struct iovec part = {&byte, 1};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
  struct cmsghdr *head = CMSG_FIRSTHDR(&message);
  *head = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
  memcpy(CMSG_DATA(head), &fd, sizeof fd);
  EXPECT(sendmsg(to, &message, 0) == 1);
}

static int given(int from) {
  char space[CMSG_SPACE(sizeof(int))], byte;
  int fd;
  struct iovec part = {&byte, 1};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
  EXPECT(recvmsg(from, &message, 0) == 1 && CMSG_FIRSTHDR(&message));
  memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
  return fd;
}

/* As another user: makes two ends, gives one away, and ends with this process. */
static void be_other(int way) {
  int ends[2];
  char byte;
  EXPECT(setgid(60) == 0 && setuid(5) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
  give(way, ends[0]);
  while (read(way, &byte, 1) < 0 && errno == EINTR) continue;
  _exit(0);
}

static struct ucred named_by(int fd) {
  struct ucred who;
  socklen_t size = sizeof who;
  EXPECT(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0);
  return who;
}

static void make_peers(void) {
  int way[2];
  EXPECT(socketpair(AF_UNIX, SOCK_STREAM, 0, way) == 0 && (other = fork()) >= 0);
  if (other == 0) {
    close(way[0]);
    be_other(way[1]);
  }
  close(way[1]);
  from_other = given(way[0]);
  const struct ucred who = named_by(from_other);
  EXPECT(who.pid == other && who.uid == 5 && who.gid == 60);
}

static void look_at_peers(int round) {
  int ends[2];
  (void)round;
  const struct ucred who = named_by(from_other);
  EXPECT(who.pid > 0 && kill(who.pid, 0) == 0 && who.uid == 0 && who.gid == 0);
  /* What is made after it names its makers. */
  EXPECT(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0 && named_by(ends[0]).pid == getpid());
  close(ends[0]), close(ends[1]);
}

int main(int argc, char **argv) {
  static const struct thing things[] = {
      {"options", make_options, check_options}, {"-anew", make_anew, look_at_anew},
      {"-peers", make_peers, look_at_peers}, {"-corked", make_corked, unchecked}, {0}};
  return rounds(argc, argv, things);
}
