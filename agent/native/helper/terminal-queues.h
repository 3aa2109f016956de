/* The queues of a pseudo-terminal: what they hold as a record (terminal-queues.c), and its file (queues.c). */
#ifndef TERMINAL_QUEUES_H
#define TERMINAL_QUEUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <termios.h>

/* The kernel keeps 8 kB (64 of other terminals) for each direction in front of the 4 kB of the terminal itself. */
#define MOST_QUEUED (128 * 1024)

enum {
  /* The terminal is as it was found: nothing of it is being changed any more. */
  WHOLE = 1,
  /* TIOCSPTLCK: the slave can't be opened. */
  LOCKED = 2,
  /* TIOCPKT: the master's reader gets what happens at the slave. */
  PACKETS = 4,
  /* TIOCEXCL, of either end. */
  MASTER_EXCLUSIVE = 8,
  SLAVE_EXCLUSIVE = 16,
  /* Ctrl-S, or tcflow(3). */
  STOPPED = 32,
  /* The slave was open and is not any more: the master's reader sees a hang-up. */
  HUNG_UP = 64,
};
struct queue {
  /* Bytes that were taken, and how many the next read asked for: those are there if one of them is not 0. */
  uint32_t taken, begun;
};

struct record {
  /* The process as the job numbers it, and its descriptor of the master. */
  int32_t process, master;
  uint32_t state;
  /* Of a master in packet mode: what it has not read yet (TIOCPKT(2const)). */
  uint32_t news;
  /* Of what was typed, the bytes that the terminal had made lines of and echoed; the rest waited in front of it. */
  uint32_t processed;
  struct queue typed, printed;
  struct termios modes;
  /* The bytes that were typed, then those that were printed. */
  char bytes[];
};

struct terminal {
  int master, slave;
};

static inline size_t size_of(const struct queue *queue) { return (size_t)queue->taken + queue->begun; }

/* The two ends of a terminal of the job's, by its master's descriptor in a process of it. False with errno. */
bool open_master(const char *cgroup, pid_t pid, int fd, struct terminal *terminal);
bool open_slave(struct terminal *terminal);
void close_terminal(const struct terminal *terminal);
/* Is that so now? */
bool is_ready(int fd, short events);

/* What the record has of the terminal before anything is taken; then what is in its queues is taken into it. */
void describe_terminal(const struct terminal *terminal, struct record *record);
void empty_queues(const struct terminal *terminal, struct record *record);
/* Puts it back, and what else is in the queues by then behind it. */
void fill_queues(const struct terminal *terminal, const struct record *record);

#endif
