/* What a job's processes refer to: how it is walked (identity.c), compared (recognise.c) and judged (excess-rights.c). */
#ifndef IDENTITY_H
#define IDENTITY_H

#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

struct reference {
  /* The process, as the job numbers it, and as this node does. */
  int inner;
  pid_t pid;
  /* `fd 5`, `map 7f0000000000`, `exe`, `cwd`, `root`. */
  char slot[32];
  /* What must be the same after a restore. */
  char token[320];
  struct stat status;
  /* Of a socket, as its kernel module calls it (`TCP`, `UNIX-STREAM`). */
  char protocol[64];
  /* What /proc calls it, without tabs and newlines. */
  char name[PATH_MAX];
};

/* The job's own number of a process; -1 where that has gone. */
int inner_of(const char *pid);

/* Goes on while it returns true. */
typedef bool visit(const struct reference *ref);
/*
 * Visits all that the processes refer to, in an order that is the same after a restore. `pids` begins with PID 1.
 * `is_abroad`: the job is not at home, so its root is a mount of the home's files, and what is not on it is the host's.
 */
void each_reference(char **pids, bool is_abroad, visit *visit);

/*
 * Of a user's job (`--uid`; any other has all that root has): do the processes have its user's ids and no more rights
 * than a job that was just launched, and are they in its namespaces? What is not so is printed.
 */
bool has_own_powers(char **argv, char **pids);
/* The same of one reference. */
bool is_permitted(const struct reference *ref);

#endif
