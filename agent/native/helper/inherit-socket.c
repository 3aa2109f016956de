/*
 * Starts a program with a connection to the Unix socket at PATH as its descriptor 3: so the bytes pass between it and
 * the listener there, and through no third process. When the listener ends, the program sees the connection end.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "helper.h"

int inherit_socket(char **argv) {
  struct sockaddr_un at = {.sun_family = AF_UNIX};
  if (!argv[0] || strlen(argv[0]) >= sizeof at.sun_path) return wrong_usage("inherit-socket PATH -- PROGRAM [ARG...]");
  strcpy(at.sun_path, argv[0]);
  char **program = after_dashes(argv);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, (void *)&at, sizeof at)) return say_error("inherit-socket", errno);
  /* A copy does not close at the exec; one that has the right number already does. */
  if (fd == LAUNCHER ? fcntl(fd, F_SETFD, 0) : dup2(fd, LAUNCHER) < 0) return say_error("inherit-socket", errno);
  execvp(program[0], program);
  return say_error("inherit-socket", errno);
}
