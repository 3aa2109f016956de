/*
 * Holds nothing of the node that it was launched on: linked statically, it writes numbered lines into the file that it is
 * given, and prints each as well where `aloud` is given, until SIGTERM asks for the last. That it can't be printed any
 * more is written into the file.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t last;

static void on_term(int signal) {
  (void)signal;
  last = 1;
}

static void say(int fd, const char *text) {
  if (write(fd, text, strlen(text)) < 0) return;
}

int main(int argc, char **argv) {
  const struct timespec pause = {0, 20 * 1000000L};
  char text[64];
  int aloud = argc > 2 && !strcmp(argv[2], "aloud");
  if (argc < 2) return 2;
  const int file = open(argv[1], O_WRONLY | O_CREAT | O_APPEND, 0600);
  if (file < 0) return 3;
  signal(SIGTERM, on_term);
  for (int line = 0; !last; line++) {
    snprintf(text, sizeof text, "line %d\n", line);
    say(file, text);
    if (aloud && write(STDOUT_FILENO, text, strlen(text)) < 0) {
      say(file, errno == ENOTCONN ? "not printed: ENOTCONN\n" : "not printed: another error\n");
      aloud = errno != ENOTCONN;
    }
    nanosleep(&pause, NULL);
  }
  say(file, "end\n");
  return 7;
}
