/* A process held still for a moment, as its tracer: the registers of its threads, and what of their stacks is in use. */
#ifndef STANDSTILL_H
#define STANDSTILL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/procfs.h>
#include <sys/types.h>

/* As the kernel has it (TASK_COMM_LEN). */
#define COMM_ROOM 16

struct thread {
  pid_t tid;
  char comm[COMM_ROOM];
  bool stopped, gone;
  /* One that it is about to get, and gets when it goes on. */
  int signal;
  elf_gregset_t registers;
  /* Of its stack: from the stack pointer up, as many bytes as were read; they are `at` in the process's copy. */
  uint64_t stack;
  size_t size, at;
};

struct mapping {
  uint64_t start, end;
};

struct process {
  pid_t pid;
  /* A thread of it that lives: its first may have ended before the others, and has no memory then. */
  pid_t living;
  struct thread *threads;
  /* Their numbers alone, which are looked through often. */
  pid_t *tids;
  size_t count;
  struct mapping *mappings;
  size_t mapped;
  /* The text of /proc/PID/maps. */
  char *maps;
  size_t maps_size;
  /* The stacks of all threads, one after the other. */
  char *copy;
  size_t copied;
  /* How long its threads stood still, the longest of them. */
  double ms;
  /* Why nothing could be read: "gone", "debugged", "refused" (by the kernel), "narrow" (not of 64 bits), "many" threads. */
  const char *failure;
};

/* Holds the process still, reads, and lets it go; only threads that the kernel does not stop are still traced then. */
void read_standing(struct process *process, pid_t pid);
void forget_process(struct process *process);

#endif
