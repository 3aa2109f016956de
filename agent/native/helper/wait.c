/* Waits for the end of a job and reports it. */
#include <errno.h>
#include <stdio.h>
#include <sys/wait.h>

#include "helper.h"

int await_init(pid_t init, const char *report) {
  int status;
  pid_t ended;
  while ((ended = waitpid(-1, &status, __WALL)) != init)
    if (ended < 0 && errno != EINTR) return say_error("wait", errno);
  char text[64];
  if (WIFSIGNALED(status)) snprintf(text, sizeof text, "{\"signal\":%d}", WTERMSIG(status));
  else snprintf(text, sizeof text, "{\"code\":%d}", WEXITSTATUS(status));
  int kept = put_durably(report, text);
  say("{\"exited\":%s}", text);
  return kept ? say_error("report", errno) : 0;
}
