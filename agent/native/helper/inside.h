/*
 * System calls made by a frozen process itself, for what the kernel lets no other process do. None of its own
 * instructions is executed. A helper that is killed meanwhile takes the process along: only a copy that may be lost is
 * treated so.
 */
#ifndef INSIDE_H
#define INSIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct inside {
  pid_t pid;
  const char *run, *attach;
  /* Its threads, each in a stop of ours. */
  pid_t *threads;
  size_t count;
  /* Its memory; an instruction that makes a system call; a place that can be written. */
  int memory;
  uint64_t gate, room;
};

/* The process of a frozen `run` is stopped by this one and moved into `attach`: 0, or -1 with errno. */
int go_inside(struct inside *inside, pid_t pid, const char *run, const char *attach);
/*
 * One of its threads makes a call. `data`, if there is any (64 bytes at the most), is in its memory meanwhile, and the
 * argument `where` (from 0) is its address. What the call returned, or -1 with errno.
 */
long call_inside(struct inside *inside, pid_t thread, long number, const long args[5], const void *data, size_t size,
                 int where);
/* As it was: frozen in `run`, untraced. 0, or -1 with errno. */
int leave_inside(struct inside *inside);

#endif
