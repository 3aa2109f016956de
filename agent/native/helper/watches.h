/* What a descriptor of inotify or fanotify watches (proc_pid_fdinfo(5)). */
#ifndef WATCHES_H
#define WATCHES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "mountinfo.h"

/* Larger ones are of no file system (open_by_handle_at(2), MAX_HANDLE_SZ). */
#define MOST_HANDLE 128

struct watch {
  /* Of inotify; 0 of fanotify, which has none. */
  int number;
  unsigned mask;
  unsigned long inode;
  /* The device on which that is. */
  unsigned major, minor;
  /* How the file system finds it; 0 bytes where it can't. */
  struct {
    unsigned bytes;
    int type;
    unsigned char data[MOST_HANDLE];
  } handle;
};

/* Of a process's descriptor; NULL where it has gone. */
FILE *watches_of(const char *pid, const char *fd);
/* The next; false at the end. */
bool next_watch(FILE *info, struct watch *watch);
/* The first of what is found on one of the mounts as watched, an O_PATH descriptor, that `accepts`; -1. */
int find_watched(const struct watch *watch, const struct mounts *mounts, bool accepts(int fd, const char *pid));

#endif
