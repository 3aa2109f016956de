/*
 * A program that is moved, and after each move looks whether all that it has is as it was:
 *
 *   PROGRAM FOLDER ROUNDS [THING...]
 *
 * It makes its things (those that are named, or all but the ones that begin with a dash, which don't move), says `ready`, and waits for the file FOLDER/go-N before it
 * checks them for the Nth time and says `round N ok`. At the end it says `done` and exits with 7. What is not as it
 * should be ends it with 1, and its last line says where and what.
 */
#ifndef ROUNDS_H
#define ROUNDS_H

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct thing {
  const char *name;
  void (*make)(void);
  /* Called once a round, from 1. */
  void (*check)(int round);
};

/* Its own folder for files: new at the beginning, gone at the end. */
static char folder[2048];
static const char *now_at = "main";

#define EXPECT(what)                                                                                              \
  do {                                                                                                            \
    if (!(what)) wrong(__LINE__, #what);                                                                          \
  } while (0)

static void wrong(int line, const char *what) {
  char text[512];
  int size = snprintf(text, sizeof text, "%s, line %d: not so: %s (errno %d, %s)\n", now_at, line, what, errno,
                      strerror(errno));
  if (write(STDOUT_FILENO, text, size) < 0) _exit(2);
  _exit(1);
}

__attribute__((format(printf, 1, 2))) static inline const char *in_folder(const char *format, ...) {
  static char path[4096];
  va_list values;
  va_start(values, format);
  int size = snprintf(path, sizeof path, "%s/", folder);
  vsnprintf(path + size, sizeof path - size, format, values);
  va_end(values);
  return path;
}

static inline void pause_ms(int ms) {
  struct timespec left = {ms / 1000, ms % 1000 * 1000000L};
  while (nanosleep(&left, &left) && errno == EINTR) continue;
}

static inline double seconds_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec + now.tv_nsec / 1e9;
}

/* The bytes of a pattern: another one for each seed, and none repeats soon. */
static inline unsigned char byte_at(unsigned long seed, unsigned long at) {
  unsigned long mixed = (seed + at) * 0x9e3779b97f4a7c15ul;
  return mixed >> 56;
}

static inline void fill(void *to, size_t size, unsigned long seed) {
  for (size_t i = 0; i < size; i++) ((unsigned char *)to)[i] = byte_at(seed, i);
}

static inline int is_filled(const void *with, size_t size, unsigned long seed) {
  for (size_t i = 0; i < size; i++)
    if (((const unsigned char *)with)[i] != byte_at(seed, i)) return 0;
  return 1;
}

static int is_asked_for(const char *name, char **names) {
  if (!*names) return *name != '-';
  for (; *names; names++)
    if (!strcmp(*names, name)) return 1;
  return 0;
}

static inline int rounds(int argc, char **argv, const struct thing *things) {
  char go[4096];
  if (argc < 3) return 9;
  snprintf(folder, sizeof folder, "%s/of-XXXXXX", argv[1]);
  EXPECT(mkdtemp(folder) && chmod(folder, 0755) == 0);
  int wanted = argc - 3;
  const int count = atoi(argv[2]);
  for (const struct thing *one = things; one->name; one++) {
    if (!is_asked_for(one->name, argv + 3)) continue;
    now_at = one->name;
    one->make();
    wanted--;
  }
  if (argc > 3 && wanted) return 9;
  setvbuf(stdout, NULL, _IOLBF, 0);
  printf("ready\n");
  for (int round = 1; round <= count; round++) {
    snprintf(go, sizeof go, "%s/go-%d", argv[1], round);
    /* Seldom: each look goes over the network to the home. */
    while (access(go, F_OK)) pause_ms(200);
    for (const struct thing *one = things; one->name; one++) {
      if (!is_asked_for(one->name, argv + 3)) continue;
      now_at = one->name;
      one->check(round);
    }
    printf("round %d ok\n", round);
  }
  rmdir(folder);
  printf("done\n");
  return 7;
}

#endif
