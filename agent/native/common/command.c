#include "command.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *nth_option(char **argv, const char *key, int nth) {
  for (; *argv && strcmp(*argv, "--"); argv++)
    if (!strcmp(*argv, key) && nth-- == 0) return argv[1];
  return NULL;
}

const char *option(char **argv, const char *key) { return nth_option(argv, key, 0); }

bool flag(char **argv, const char *key) {
  for (; *argv && strcmp(*argv, "--"); argv++)
    if (!strcmp(*argv, key)) return true;
  return false;
}

int wrong_usage(const char *what) {
  fprintf(stderr, "%s: %s\n", program_name, what);
  return 2;
}

const char *required(char **argv, const char *key) {
  const char *value = option(argv, key);
  if (value) return value;
  fprintf(stderr, "%s: %s is missing\n", program_name, key);
  exit(2);
}

unsigned int number_option(char **argv, const char *key) {
  const char *text = required(argv, key);
  char *end;
  errno = 0;
  unsigned long number = strtoul(text, &end, 10);
  if (*text >= '0' && *text <= '9' && !*end && !errno && number < UINT_MAX) return (unsigned int)number;
  fprintf(stderr, "%s: %s %s is no number\n", program_name, key, text);
  exit(2);
}

char **after_dashes(char **argv) {
  while (*argv && strcmp(*argv, "--")) argv++;
  if (*argv && argv[1]) return argv + 1;
  exit(wrong_usage("nothing comes after --"));
}

void say(const char *format, ...) {
  char line[512];
  va_list values;
  va_start(values, format);
  int said = vsnprintf(line, sizeof line - 1, format, values);
  va_end(values);
  if (said < 0) return;
  size_t size = (size_t)said < sizeof line - 1 ? (size_t)said : sizeof line - 2;
  line[size++] = '\n';
  if (write(STDOUT_FILENO, line, size) < 0) return;
}

int say_error(const char *stage, int error) {
  say("{\"error\":{\"stage\":\"%s\",\"errno\":%d,\"message\":\"%s\"}}", stage, error, strerror(error));
  return 1;
}
