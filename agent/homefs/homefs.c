/*
 * The home's file system on the host of a job: FUSE, whose two sides are on two machines.
 *
 *   mount    on the host: the kernel's requests go to the wire, the answers back
 *   sync     on the host: has all that was written there written at home
 *   unmount  on the host: takes that away, whether or not the home answers
 *   serve    on the home: answers from its own files
 */
#include "homefs.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *nth_option(char **argv, const char *key, int nth) {
  for (; *argv; argv++)
    if (!strcmp(*argv, key) && nth-- == 0) return argv[1];
  return NULL;
}

const char *option(char **argv, const char *key) { return nth_option(argv, key, 0); }

bool flag(char **argv, const char *key) {
  for (; *argv; argv++)
    if (!strcmp(*argv, key)) return true;
  return false;
}

static int wrong_usage(const char *what) {
  fprintf(stderr, "godwit-homefs: %s\n", what);
  return 2;
}

const char *required(char **argv, const char *key) {
  const char *value = option(argv, key);
  if (value) return value;
  fprintf(stderr, "godwit-homefs: %s is missing\n", key);
  exit(2);
}

void say(const char *format, ...) {
  char line[512];
  va_list values;
  va_start(values, format);
  int size = vsnprintf(line, sizeof line - 1, format, values);
  va_end(values);
  if (size >= (int)sizeof line - 1) size = sizeof line - 2;
  line[size++] = '\n';
  if (write(STDOUT_FILENO, line, size) < 0) return;
}

int say_error(const char *stage, int error) {
  say("{\"error\":{\"stage\":\"%s\",\"errno\":%d,\"message\":\"%s\"}}", stage, error, strerror(error));
  return 1;
}

int main(int argc, char **argv) {
  const char *verb = argc > 1 ? argv[1] : "";
  /* The keeper that reads what is said may die; files are served on. */
  signal(SIGPIPE, SIG_IGN);
  if (!strcmp(verb, "mount")) return mount_home(argv + 2);
  if (!strcmp(verb, "sync")) return sync_home(argv + 2);
  if (!strcmp(verb, "unmount")) return unmount_home(argv + 2);
  if (!strcmp(verb, "serve")) return serve(argv + 2);
  return wrong_usage("mount | sync | unmount | serve");
}
