/*
 * How many bytes wait in pipes and in streams between Unix sockets. Not in what processes outside can fill or empty while
 * the job is frozen (named FIFOs, the network, what its PID 1 is fed by), nor in terminals, whose queues are taken out for
 * the dump.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "helper.h"
#include "traits.h"

static bool is_stream(int fd) {
  int domain = 0, type = 0;
  socklen_t size = sizeof domain;
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) || domain != AF_UNIX) return false;
  size = sizeof type;
  return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type != SOCK_DGRAM;
}

static void read_shared(int fd, const struct reference *ref, struct traits *traits) {
  int bytes = 0;
  char slot[64];
  if (S_ISSOCK(ref->status.st_mode) && !is_stream(fd)) return;
  if (ioctl(fd, FIONREAD, &bytes)) return;
  snprintf(slot, sizeof slot, "bytes in descriptor %s", ref->slot + strlen("fd "));
  add_trait(traits, ref->inner, 0, slot, "%d", bytes);
}

void read_fill(const struct reference *ref, struct traits *traits) {
  if (strncmp(ref->slot, "fd ", 3) || ref->inner == 1) return;
  const bool is_unix = !strncmp(ref->name, "socket:[", 8) && !strncmp(ref->protocol, "UNIX", 4);
  if (!is_unix && strncmp(ref->name, "pipe:[", 6)) return;
  const int fd = share_descriptor_of(ref->pid, atoi(ref->slot + strlen("fd ")));
  if (fd < 0) return;
  read_shared(fd, ref, traits);
  close(fd);
}
