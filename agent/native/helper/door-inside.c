/*
 * The socket by which a job's own programs ask an agent. PID 1 listens and never accepts: so it is the job's, is frozen,
 * dumped and restored with it, and a program that connects while no agent is there waits. Who accepts is outside (door.c).
 */
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "helper.h"

/* Where a job that starts many programs at once has them wait; the kernel's own bound is below it mostly (listen(2)). */
#define MOST_WAITING 128

void make_door(void) {
  struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = DOOR_PATH};
  const int door = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  /* Others in the job than its user (a job of root's may have such) are not to ask as this one. */
  const mode_t mask = umask(0177);
  if (door < 0 || bind(door, (const void *)&at, sizeof at) || listen(door, MOST_WAITING)) fail("init");
  umask(mask);
  if (door == DOOR) return;
  if (dup3(door, DOOR, O_CLOEXEC) < 0) fail("init");
  close(door);
}
