/*
 * Traits: what the kernel keeps of a job's processes and threads besides what they hold, one value each. How they are
 * kept and compared (traits.c), read (threads.c, locks.c, sysv.c, fill.c, options.c, multicast.c, watch-traits.c) and made again
 * (recreate.c).
 */
#ifndef TRAITS_H
#define TRAITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

#include "identity.h"

struct trait {
  /* As the job numbers them; thread 0 is the process itself, and process 0 is the job. */
  int process, thread;
  /* What it is, as text for people, and its value. Neither has a tab or a newline. */
  char *slot, *value;
};

struct traits {
  struct trait *all;
  size_t count, room;
};

/* The value of what was not noted, or is not there. */
#define NONE "-"

void add_trait(struct traits *traits, int process, int thread, const char *slot, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* In the order in which two of them are compared. */
void sort_traits(struct traits *traits);
void clear_traits(struct traits *traits);
bool write_traits(FILE *to, const struct traits *traits);
/* What a peer wrote; false for what is none of ours. */
bool read_traits(FILE *from, struct traits *traits);

/* A trait that is not what was noted; either side may be absent (NULL). Goes on while it returns true. */
typedef bool differs(const struct trait *noted, const struct trait *found, void *more);
bool each_difference(const struct traits *noted, const struct traits *found, differs *differs, void *more);

/* Does the slot begin with these words? */
bool is_slot(const struct trait *trait, const char *words);

/* --- read --------------------------------------------------------------------------------------------------------- */

/* Of the processes and their threads. `init` is the job's PID 1: its CPUs are those that all have who chose none. */
void read_threads(char **pids, struct traits *traits);
/* This node's number of a thread that the job numbers so; -1 where there is none. */
pid_t thread_numbered(pid_t pid, int thread);
/* Of the job's System V objects. This process is in the IPC namespace of `init` from then on. */
void read_sysv(const char *init, struct traits *traits);
/* Of a descriptor: locks that are held by it, and how full a pipe or a stream is. */
void read_locks(const struct reference *ref, struct traits *traits);
void read_fill(const struct reference *ref, struct traits *traits);
/*
 * Of a socket: its options that are not a fresh one's, and the multicast groups that it is in. A socket is read once,
 * until they are forgotten. This process is in the job's network from then on.
 */
#define OPTION "option "
#define GROUP "group "
void read_options(const struct reference *ref, struct traits *traits);
void read_memberships(int fd, const struct reference *ref, struct traits *traits);
void forget_groups(void);
void forget_sockets(void);
/* Of an inotify descriptor: what each of its watches is for. */
#define WATCH "watch "
void read_watches(const struct reference *ref, struct traits *traits);
/* Does anybody on this machine hold a lock that one of these could have? */
void look_for_locks(char **pids);

/* --- made again --------------------------------------------------------------------------------------------------- */

struct place {
  /* The job's processes as this node numbers them, PID 1 first. */
  char **pids;
  /* The leaves of its cgroup: frozen, and never frozen. */
  const char *run, *attach;
  /* The job is a user's: it gets no more than its user may have set. */
  bool is_users;
};

/*
 * Makes what was noted so again, as far as the kernel lets it; what could not be is still a difference then. Returns the
 * last errno that was met on the way.
 */
int make_again(const struct place *place, const struct traits *noted, const struct traits *found);
/* Of a socket's; `noted` is NULL for what a fresh one has. False with errno where it can't be. */
bool option_again(pid_t pid, const char *slot, const char *noted, bool is_users);
bool join_again(pid_t pid, const char *slot, const char *noted, bool is_users);
/* Of a watch that is there. */
bool watch_again(pid_t pid, const char *slot, const char *noted);
/* As setsockopt(2), for a user's job with no more rights than a user has. */
bool set_option(int fd, int level, int number, const void *value, size_t size, bool is_users);
/* May the difference stay? Some things can't be on every node. */
bool may_differ(const struct trait *noted, const struct trait *found);
/* What a user's job can't have by itself; NULL where nothing is wrong. */
const char *beyond_rights(const struct trait *found);

#endif
