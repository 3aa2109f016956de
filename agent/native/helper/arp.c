/*
 * A job's own address among its neighbours (RFC 826, RFC 5227): is it in use, and where it is now. ip(8) can do neither.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/if_ether.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "helper.h"

/* A neighbour answers within milliseconds; the second and third are for a lost packet. */
enum { PROBES = 3, PROBE_MS = 200 };

struct frame {
  struct ether_header ethernet;
  struct ether_arp arp;
};

/* A socket for ARP on one interface, whose own address comes into `mac`. */
static int open_arp(const char *interface, unsigned char mac[ETH_ALEN]) {
  struct ifreq request = {0};
  snprintf(request.ifr_name, sizeof request.ifr_name, "%s", interface);
  struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ARP)};
  int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ARP));
  at.sll_ifindex = (int)if_nametoindex(interface);
  if (fd < 0 || !at.sll_ifindex || ioctl(fd, SIOCGIFHWADDR, &request)) return -1;
  if (bind(fd, (struct sockaddr *)&at, sizeof at)) return -1;
  memcpy(mac, request.ifr_hwaddr.sa_data, ETH_ALEN);
  return fd;
}

/* A question to all that concerns `ip`: without a sender's address, or (an announcement) from its owner. */
static int send_request(int fd, const unsigned char mac[ETH_ALEN], struct in_addr ip, bool owned) {
  struct frame frame = {
      .ethernet = {.ether_type = htons(ETHERTYPE_ARP)},
      .arp.ea_hdr = {htons(ARPHRD_ETHER), htons(ETHERTYPE_IP), ETH_ALEN, sizeof ip, htons(ARPOP_REQUEST)},
  };
  memset(frame.ethernet.ether_dhost, 0xff, ETH_ALEN);
  memcpy(frame.ethernet.ether_shost, mac, ETH_ALEN);
  memcpy(frame.arp.arp_sha, mac, ETH_ALEN);
  if (owned) memcpy(frame.arp.arp_spa, &ip, sizeof ip);
  memcpy(frame.arp.arp_tpa, &ip, sizeof ip);
  return send(fd, &frame, sizeof frame, 0) == sizeof frame ? 0 : -1;
}

/* Waits for a reply of the machine that has the address: 1 with its `owner`, 0 when there was none, or -1. */
static int heard_owner(int fd, struct in_addr ip, const unsigned char mac[ETH_ALEN], unsigned char owner[ETH_ALEN]) {
  struct frame frame;
  struct pollfd ready = {fd, POLLIN, 0};
  for (int left = PROBE_MS; left > 0; left -= 10) {
    if (poll(&ready, 1, 10) < 0 && errno != EINTR) return -1;
    while (recv(fd, &frame, sizeof frame, MSG_DONTWAIT) >= (ssize_t)sizeof frame) {
      if (memcmp(frame.arp.arp_spa, &ip, sizeof ip) || !memcmp(frame.arp.arp_sha, mac, ETH_ALEN)) continue;
      memcpy(owner, frame.arp.arp_sha, ETH_ALEN);
      return 1;
    }
  }
  return 0;
}

static int probe(int fd, struct in_addr ip, const unsigned char mac[ETH_ALEN]) {
  unsigned char by[ETH_ALEN];
  for (int i = 0; i < PROBES; i++) {
    if (send_request(fd, mac, ip, false)) return say_error("arp", errno);
    int heard = heard_owner(fd, ip, mac, by);
    if (heard < 0) return say_error("arp", errno);
    if (!heard) continue;
    say("{\"owner\":\"%02x:%02x:%02x:%02x:%02x:%02x\"}", by[0], by[1], by[2], by[3], by[4], by[5]);
    return 0;
  }
  say("{\"owner\":null}");
  return 0;
}

int arp(char **argv) {
  unsigned char mac[ETH_ALEN];
  struct in_addr ip;
  if (!argv[0] || !argv[1] || !argv[2] || inet_pton(AF_INET, argv[2], &ip) != 1)
    return wrong_usage("arp probe|announce INTERFACE IP");
  int fd = open_arp(argv[1], mac);
  if (fd < 0) return say_error("arp", errno);
  if (!strcmp(argv[0], "probe")) return probe(fd, ip, mac);
  if (strcmp(argv[0], "announce")) return wrong_usage("arp probe|announce INTERFACE IP");
  return send_request(fd, mac, ip, true) ? say_error("arp", errno) : 0;
}
