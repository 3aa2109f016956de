/*
 * What a job has set of its sockets, each named by the first descriptor that it has: what is not as in a fresh socket
 * of the kind in the same network. How one is set: set-option.c.
 */
#include "socket-options.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <search.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "helper.h"
#include "traits.h"

#define MOST_KINDS 64
/* The kernel's list has 132; there is room for more. */
#define MOST_KNOWN 160

struct value {
  /* -1 where the kernel gives none. */
  int size;
  unsigned char bytes[MOST_OPTION];
};

struct kind {
  int domain, type, protocol;
  /* What a fresh one has. */
  struct value fresh[MOST_KNOWN];
};

static int number_of(int fd, int name) {
  int value = 0;
  socklen_t size = sizeof value;
  return getsockopt(fd, SOL_SOCKET, name, &value, &size) ? -1 : value;
}

static bool has_level(const struct kind *kind, int level) {
  const bool internet = kind->domain == AF_INET || kind->domain == AF_INET6;
  switch (level) {
    case SOL_SOCKET: return true;
    case IPPROTO_TCP: return internet && kind->type == SOCK_STREAM && kind->protocol == IPPROTO_TCP;
    case SOL_UDP: return internet && kind->type == SOCK_DGRAM && kind->protocol == IPPROTO_UDP;
    case IPPROTO_IP: return internet;
    case IPPROTO_IPV6: return kind->domain == AF_INET6;
    case IPPROTO_RAW: return kind->domain == AF_INET6 && kind->type == SOCK_RAW;
    case SOL_NETLINK: return kind->domain == AF_NETLINK;
    case SOL_PACKET: return kind->domain == AF_PACKET;
    default: return false;
  }
}

static void get(int fd, const struct known_option *one, struct value *value) {
  socklen_t size = sizeof value->bytes;
  memset(value, 0, sizeof *value);
  value->size = getsockopt(fd, one->level, one->number, value->bytes, &size) ? -1 : (int)size;
}

/* --- kinds of sockets --------------------------------------------------------------------------------------------- */

/* This process is in the network of the job's from then on. */
static void enter_network(pid_t pid) {
  static bool is_in;
  char path[64];
  if (is_in) return;
  snprintf(path, sizeof path, "/proc/%d/ns/net", pid);
  const int space = open(path, O_RDONLY | O_CLOEXEC);
  if (space < 0 || setns(space, CLONE_NEWNET)) exit(say_error("network", errno));
  close(space);
  is_in = true;
}

static void learn_fresh(struct kind *kind) {
  const int fd = socket(kind->domain, kind->type | SOCK_CLOEXEC, kind->protocol);
  for (size_t i = 0; i < known_count; i++) {
    kind->fresh[i].size = -1;
    if (fd >= 0 && has_level(kind, known_options[i].level)) get(fd, &known_options[i], &kind->fresh[i]);
  }
  if (fd >= 0) close(fd);
}

/* NULL for what is no socket of a kind that moves. */
static const struct kind *kind_of(int fd, pid_t pid) {
  static struct kind kinds[MOST_KINDS];
  static size_t count;
  const int domain = number_of(fd, SO_DOMAIN), type = number_of(fd, SO_TYPE), protocol = number_of(fd, SO_PROTOCOL);
  if (domain != AF_UNIX && domain != AF_INET && domain != AF_INET6 && domain != AF_NETLINK && domain != AF_PACKET)
    return NULL;
  for (size_t i = 0; i < count; i++)
    if (kinds[i].domain == domain && kinds[i].type == type && kinds[i].protocol == protocol) return &kinds[i];
  enter_network(pid);
  struct kind *kind = &kinds[count < MOST_KINDS ? count++ : count - 1];
  *kind = (struct kind){.domain = domain, .type = type, .protocol = protocol};
  learn_fresh(kind);
  return kind;
}

static enum when state_of(int fd, const struct kind *kind) {
  struct sockaddr_storage peer;
  socklen_t size = sizeof peer;
  if (!has_level(kind, IPPROTO_TCP)) return getpeername(fd, (void *)&peer, &size) ? UNCONNECTED : ALWAYS;
  unsigned char state = 0;
  size = sizeof state;
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &state, &size)) return ALWAYS;
  return state == TCP_CLOSE ? CLOSED : state == TCP_LISTEN ? UNCONNECTED : ALWAYS;
}

/* --- values as text ----------------------------------------------------------------------------------------------- */

static void write_interface(unsigned index, char *text) {
  if (!if_indextoname(index, text)) snprintf(text, IF_NAMESIZE, "#%u", index);
}

static void write_value(enum form form, const struct value *value, char text[2 * MOST_OPTION + 1]) {
  int number;
  unsigned long large;
  memcpy(&number, value->bytes, sizeof number);
  memcpy(&large, value->bytes, sizeof large);
  if (form == NUMBER) sprintf(text, "%d", number);
  else if (form == LONG) sprintf(text, "%lu", large);
  else if (form == WORD || form == SIGN) sprintf(text, "%.*s", value->size, (const char *)value->bytes);
  else if (form == INTERFACE) write_interface((unsigned)number, text);
  else if (form == INTERFACE_SWAPPED) write_interface(ntohl((unsigned)number), text);
  else
    for (int i = 0; i <= value->size && i < MOST_OPTION; i++)
      sprintf(text + 2 * i, i < value->size ? "%02x" : "", value->bytes[i]);
}

static bool keep(struct value *value, const void *bytes, size_t size) {
  value->size = (int)size;
  memcpy(value->bytes, bytes, size);
  return true;
}

static bool keep_bytes(struct value *value, const char *text) {
  const size_t size = strlen(text) / 2;
  if (strlen(text) % 2 || size > MOST_OPTION) return false;
  for (size_t i = 0; i < size; i++)
    if (sscanf(text + 2 * i, "%2hhx", &value->bytes[i]) != 1) return false;
  value->size = (int)size;
  return true;
}

static bool read_value(enum form form, const char *text, struct value *value) {
  char *end = "";
  if (form == BYTES) return keep_bytes(value, text);
  if (form == WORD) return strlen(text) < MOST_OPTION && keep(value, text, strlen(text));
  if (form == SIGN) return false;
  const unsigned long large = form == LONG ? strtoul(text, &end, 10) : 0;
  if (form == LONG) return !*end && keep(value, &large, sizeof large);
  const unsigned index = form == NUMBER ? 0 : if_nametoindex(text);
  if (form != NUMBER && !index) return false;
  const int number = form == NUMBER ? (int)strtol(text, &end, 10) : (int)(form == INTERFACE ? index : htonl(index));
  return !*end && keep(value, &number, sizeof number);
}

/* --- read --------------------------------------------------------------------------------------------------------- */

static bool is_told(const struct known_option *one, const struct kind *kind, enum when state) {
  if (!has_level(kind, one->level)) return false;
  return one->when == NO_STREAM ? kind->type != SOCK_STREAM : one->when <= state;
}

static bool is_same(const struct value *one, const struct value *other) {
  return one->size == other->size && (one->size < 0 || !memcmp(one->bytes, other->bytes, (size_t)one->size));
}

static void read_one(int fd, const struct reference *ref, const struct kind *kind, size_t at, struct traits *traits) {
  const struct known_option *one = &known_options[at];
  struct value value;
  char slot[96], text[2 * MOST_OPTION + 1];
  get(fd, one, &value);
  if (value.size < 0 || is_same(&value, &kind->fresh[at])) return;
  snprintf(slot, sizeof slot, OPTION "%s of descriptor %s", one->name, ref->slot + strlen("fd "));
  write_value(one->form, &value, text);
  add_trait(traits, ref->inner, 0, slot, "%s", text);
}

static int by_number(const void *one, const void *other) {
  return (uintptr_t)one < (uintptr_t)other ? -1 : one != other;
}

static void *known_sockets;
static void nothing(void *node) { (void)node; }

void forget_sockets(void) {
  tdestroy(known_sockets, nothing);
  known_sockets = NULL;
  forget_groups();
}

static bool is_known(ino_t inode) {
  if (tfind((void *)(uintptr_t)inode, &known_sockets, by_number)) return true;
  if (!tsearch((void *)(uintptr_t)inode, &known_sockets, by_number)) exit(say_error("sockets", ENOMEM));
  return false;
}

void read_options(const struct reference *ref, struct traits *traits) {
  if (strncmp(ref->slot, "fd ", 3) || ref->inner == 1 || strncmp(ref->name, "socket:[", 8)) return;
  if (is_known(ref->status.st_ino)) return;
  const int fd = share_descriptor_of(ref->pid, atoi(ref->slot + strlen("fd ")));
  const struct kind *kind = fd < 0 ? NULL : kind_of(fd, ref->pid);
  const enum when state = kind ? state_of(fd, kind) : ALWAYS;
  for (size_t i = 0; kind && i < known_count; i++)
    if (is_told(&known_options[i], kind, state)) read_one(fd, ref, kind, i, traits);
  if (kind && kind->type != SOCK_STREAM) read_memberships(fd, ref, traits);
  if (fd >= 0) close(fd);
}

/* --- set ---------------------------------------------------------------------------------------------------------- */

/* With the one the kernel sets the other (ip(7)). */
static bool set_tos(int fd, const struct value *value, bool is_users) {
  const int priority = number_of(fd, SO_PRIORITY);
  const bool is_set = set_option(fd, IPPROTO_IP, IP_TOS, value->bytes, (size_t)value->size, is_users);
  return is_set && set_option(fd, SOL_SOCKET, SO_PRIORITY, &priority, sizeof priority, is_users);
}

/* What was not noted was as in a fresh one. Some options are set with another: SO_TIMESTAMP_NEW with SO_TIMESTAMPNS_NEW. */
static bool set_known(int fd, pid_t pid, size_t at, const char *noted, bool is_users) {
  const struct known_option *one = &known_options[at];
  const struct kind *kind = kind_of(fd, pid);
  struct value value = {.size = -1}, is;
  errno = EINVAL;
  if (!kind || !has_level(kind, one->level)) return false;
  if (!noted) value = kind->fresh[at];
  else if (!read_value(one->form, noted, &value)) return false;
  if (value.size < 0 || one->form == SIGN) return false;
  get(fd, one, &is);
  if (is_same(&is, &value)) return true;
  if (one->level == IPPROTO_IP && one->number == IP_TOS) return set_tos(fd, &value, is_users);
  return set_option(fd, one->level, one->number, value.bytes, (size_t)value.size, is_users);
}

bool option_again(pid_t pid, const char *slot, const char *noted, bool is_users) {
  char name[40];
  int descriptor;
  errno = EINVAL;
  if (sscanf(slot, OPTION "%39s of descriptor %d", name, &descriptor) != 2) return false;
  const int fd = share_descriptor_of(pid, descriptor);
  bool is_set = false;
  for (size_t i = 0; fd >= 0 && i < known_count; i++)
    if (!strcmp(name, known_options[i].name)) is_set = set_known(fd, pid, i, noted, is_users);
  const int error = errno;
  if (fd >= 0) close(fd);
  errno = error;
  return is_set;
}
