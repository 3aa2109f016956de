/*
 * Groups of which a job's sockets are members (ip(7), ipv6(7)). The kernel lists them by interface only; of each it then
 * says whether one socket is in it, and whose packets it takes (MCAST_MSFILTER).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "helper.h"
#include "traits.h"

#define MOST_GROUPS 4096
/* Of whom it takes packets, or takes none: a socket has rarely more than one. */
#define MOST_SOURCES 32
#define JOINED "joined"
#define BUT "joined but for "
#define ONLY "only from "

struct group {
  unsigned interface;
  struct sockaddr_storage address;
};

union filter {
  struct group_filter head;
  char room[GROUP_FILTER_SIZE(MOST_SOURCES)];
};

static struct group groups[MOST_GROUPS];
static size_t group_count;
static bool has_list;

static int level_of(const struct sockaddr_storage *address) {
  return address->ss_family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
}

static void add_group(unsigned interface, int family, const void *bytes) {
  if (group_count == MOST_GROUPS) return;
  struct group *one = &groups[group_count++];
  *one = (struct group){.interface = interface, .address.ss_family = (sa_family_t)family};
  if (family == AF_INET) memcpy(&((struct sockaddr_in *)&one->address)->sin_addr, bytes, 4);
  else memcpy(&((struct sockaddr_in6 *)&one->address)->sin6_addr, bytes, 16);
}

/* An interface, and on the lines below it its groups. */
static void read_list(void) {
  char line[256];
  unsigned interface = 0, address;
  FILE *list = fopen("/proc/self/net/igmp", "re");
  while (list && fgets(line, sizeof line, list))
    if (*line != '\t') interface = (unsigned)strtoul(line, NULL, 10);
    else if (sscanf(line, " %8x", &address) == 1) add_group(interface, AF_INET, &address);
  if (list) fclose(list);
}

static void read_list6(void) {
  char line[256], digits[33];
  unsigned char bytes[16];
  unsigned interface;
  FILE *list = fopen("/proc/self/net/igmp6", "re");
  while (list && fgets(line, sizeof line, list)) {
    size_t read = 0;
    if (sscanf(line, "%u %*s %32s", &interface, digits) != 2) continue;
    while (read < sizeof bytes && sscanf(digits + 2 * read, "%2hhx", &bytes[read]) == 1) read++;
    if (read == sizeof bytes) add_group(interface, AF_INET6, bytes);
  }
  if (list) fclose(list);
}

static const char *text_of(const struct sockaddr_storage *address, char text[INET6_ADDRSTRLEN]) {
  const void *bytes = address->ss_family == AF_INET ? (const void *)&((const struct sockaddr_in *)address)->sin_addr
                                                    : &((const struct sockaddr_in6 *)address)->sin6_addr;
  return inet_ntop(address->ss_family, bytes, text, INET6_ADDRSTRLEN) ? text : "?";
}

static bool address_of(const char *text, struct sockaddr_storage *address) {
  *address = (struct sockaddr_storage){.ss_family = strchr(text, ':') ? AF_INET6 : AF_INET};
  void *bytes = address->ss_family == AF_INET ? (void *)&((struct sockaddr_in *)address)->sin_addr
                                              : &((struct sockaddr_in6 *)address)->sin6_addr;
  return inet_pton(address->ss_family, text, bytes) == 1;
}

/* Does the socket have it? Whose packets it takes is the value then, as text that can be read again. */
static bool get_filter(int fd, const struct group *one, char *words, size_t room) {
  static union filter filter;
  char text[INET6_ADDRSTRLEN];
  socklen_t size = sizeof filter;
  memset(&filter, 0, sizeof filter);
  filter.head.gf_interface = one->interface;
  filter.head.gf_group = one->address;
  filter.head.gf_numsrc = MOST_SOURCES;
  if (getsockopt(fd, level_of(&one->address), MCAST_MSFILTER, &filter, &size)) return false;
  const unsigned count = filter.head.gf_numsrc;
  const bool includes = filter.head.gf_fmode == MCAST_INCLUDE;
  size_t used = (size_t)snprintf(words, room, "%s", includes ? ONLY : count ? BUT : JOINED);
  if (count > MOST_SOURCES) snprintf(words, room, "filtered by %u addresses", count);
  for (unsigned i = 0; count <= MOST_SOURCES && i < count && used < room; i++)
    used += (size_t)snprintf(words + used, room - used, "%s%s", i ? "," : "", text_of(&filter.head.gf_slist[i], text));
  return true;
}

void forget_groups(void) {
  group_count = 0;
  has_list = false;
}

void read_memberships(int fd, const struct reference *ref, struct traits *traits) {
  char slot[128], words[2048], text[INET6_ADDRSTRLEN], name[IF_NAMESIZE];
  if (!has_list) {
    read_list();
    read_list6();
  }
  has_list = true;
  for (size_t i = 0; i < group_count; i++) {
    if (!get_filter(fd, &groups[i], words, sizeof words)) continue;
    if (!if_indextoname(groups[i].interface, name)) snprintf(name, sizeof name, "#%u", groups[i].interface);
    snprintf(slot, sizeof slot, GROUP "%s on %s of descriptor %s", text_of(&groups[i].address, text), name,
             ref->slot + strlen("fd "));
    add_trait(traits, ref->inner, 0, slot, "%s", words);
  }
}

/* False for what is none of ours. */
static bool read_sources(const char *words, union filter *filter) {
  static const struct {
    const char *words;
    unsigned mode;
  } modes[] = {{BUT, MCAST_EXCLUDE}, {ONLY, MCAST_INCLUDE}};
  char list[2048], *rest = list;
  size_t at = 0;
  while (at < 2 && strncmp(words, modes[at].words, strlen(modes[at].words))) at++;
  if (at == 2) return false;
  filter->head.gf_fmode = modes[at].mode;
  snprintf(list, sizeof list, "%s", words + strlen(modes[at].words));
  for (char *one; (one = strsep(&rest, ","));)
    if (filter->head.gf_numsrc == MOST_SOURCES || !address_of(one, &filter->head.gf_slist[filter->head.gf_numsrc++]))
      return false;
  return true;
}

static bool join(int fd, const struct group_req *wish, const char *words, bool is_users) {
  static union filter filter;
  memset(&filter, 0, sizeof filter);
  const bool is_filtered = strcmp(words, JOINED) != 0;
  errno = EINVAL;
  if (is_filtered && !read_sources(words, &filter)) return false;
  const int level = level_of(&wish->gr_group);
  if (!set_option(fd, level, MCAST_JOIN_GROUP, wish, sizeof *wish, is_users)) return false;
  filter.head.gf_interface = wish->gr_interface;
  filter.head.gf_group = wish->gr_group;
  return !is_filtered ||
         set_option(fd, level, MCAST_MSFILTER, &filter, GROUP_FILTER_SIZE(filter.head.gf_numsrc), is_users);
}

bool join_again(pid_t pid, const char *slot, const char *noted, bool is_users) {
  char address[INET6_ADDRSTRLEN], name[IF_NAMESIZE];
  struct group_req wish = {0};
  int descriptor;
  errno = EINVAL;
  if (sscanf(slot, GROUP "%45s on %15s of descriptor %d", address, name, &descriptor) != 3) return false;
  if (!address_of(address, &wish.gr_group)) return false;
  if (!(wish.gr_interface = if_nametoindex(name))) return false;
  const int fd = share_descriptor_of(pid, descriptor);
  const bool is_in = fd >= 0 && join(fd, &wish, noted, is_users);
  const int error = errno;
  if (fd >= 0) close(fd);
  errno = error;
  return is_in;
}
