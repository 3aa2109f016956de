/*
 * The resource limits of the process at the other end of a Unix socket, which is this one's descriptor 3: what it asks
 * for is up to itself, what it may have is the kernel's. Printed as the kernel does, in the rows of /proc/PID/limits.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "helper.h"

#define CONNECTION 3
/* Since Linux 6.5 (socket(7)); C libraries know it later. */
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif
/* The kernel's table has 17 rows of 80 bytes (fs/proc/base.c). */
#define MOST_TOLD 4096

/* The process that connected. The check of its user guards against reuse of the pid. */
static int open_peer(const struct ucred *peer) {
  int process = -1;
  socklen_t size = sizeof process;
  if (getsockopt(CONNECTION, SOL_SOCKET, SO_PEERPIDFD, &process, &size) == 0) return process;
  if (errno != ENOPROTOOPT) return -1;
  return open_process(peer->pid);
}

/* All of its user ids: what gains rights (a set-user-ID program) may have gained limits too. */
static bool is_wholly(pid_t pid, uid_t user) {
  char path[64], line[256];
  unsigned int ids[4] = {0};
  bool found = false;
  snprintf(path, sizeof path, "/proc/%d/status", pid);
  FILE *status = fopen(path, "re");
  if (!status) return false;
  while (!found && fgets(line, sizeof line, status))
    found = sscanf(line, "Uid: %u %u %u %u", &ids[0], &ids[1], &ids[2], &ids[3]) == 4;
  fclose(status);
  for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
    if (ids[i] != user) return false;
  return found;
}

static size_t read_limits(pid_t pid, char table[MOST_TOLD]) {
  char path[64];
  size_t size = 0;
  snprintf(path, sizeof path, "/proc/%d/limits", pid);
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  for (ssize_t got; size < MOST_TOLD && (got = read(fd, table + size, MOST_TOLD - size)) > 0;) size += (size_t)got;
  close(fd);
  return size;
}

int peer(char **argv) {
  char table[MOST_TOLD];
  struct ucred who;
  socklen_t length = sizeof who;
  uid_t user;
  if (!argv[0] || !number_of_id(argv[0], &user)) return wrong_usage("peer UID, a connection as descriptor 3");
  if (getsockopt(CONNECTION, SOL_SOCKET, SO_PEERCRED, &who, &length)) return say_error("peer", errno);
  /* Root may ask at anybody's socket. */
  if (who.uid != user && who.uid != 0) return say_error("user", EPERM);
  const int process = open_peer(&who);
  if (process < 0) return say_error("gone", errno);
  const bool theirs = is_wholly(who.pid, who.uid);
  const size_t size = read_limits(who.pid, table);
  if (!is_alive(process)) return say_error("gone", ESRCH);
  if (!theirs || size == 0) return say_error("user", EPERM);
  return write(STDOUT_FILENO, table, size) == (ssize_t)size ? 0 : say_error("peer", errno);
}
