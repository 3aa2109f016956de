/* The mounts that a process sees (proc_pid_mountinfo(5)). */
#ifndef MOUNTINFO_H
#define MOUNTINFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mounted {
  uint64_t id, parent;
  unsigned major, minor;
  char *at;
  /* Of a process that sees it. */
  const char *pid;
};

/* All that are seen by processes of a job, in the order of their ids. */
struct mounts {
  struct mounted *all;
  size_t count, room;
};

/* Space, tab, newline and backslash are written as octal numbers: in place, as they are. */
void decode_place(char *text);
/* Adds all that a process sees; `each` (or NULL) is given the lines. The caller sorts them. */
void add_mounts(struct mounts *mounts, const char *pid, void each(const char *line));
void sort_mounts(struct mounts *mounts);
void clear_mounts(struct mounts *mounts);
/* NULL where there is none. */
const struct mounted *mounted_as(const struct mounts *mounts, uint64_t id);
/* What a process finds at a path, without a link that it would follow at the end; -1. */
int open_in_root(const char *pid, const char *path, unsigned long flags);
/* The folder that is mounted; -1 for one that is covered, or is no folder. */
int open_mounted(const struct mounted *mount);
/* Does the path of a file on this mount lead to another mount, because that is over it? */
bool is_covered(const struct mounts *mounts, const struct mounted *mount, const char *path);

#endif
