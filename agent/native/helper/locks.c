/*
 * Locks on files, of each descriptor by which they can be seen (fdinfo, proc(5)): those that its process has (fcntl(2)'s
 * F_SETLK), and those of the open file itself (F_OFD_SETLK, flock(2)).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "helper.h"
#include "traits.h"

static bool has_locks;

static bool is_among(pid_t pid, char **pids) {
  for (; *pids; pids++)
    if (atoi(*pids) == pid) return true;
  return false;
}

/* Those of a process name it; those of an open file name the process that took them, or none. */
void look_for_locks(char **pids) {
  char line[256], kind[16];
  int pid;
  FILE *all = fopen("/proc/locks", "re");
  has_locks = !all;
  if (!all) return;
  while (!has_locks && fgets(line, sizeof line, all))
    if (sscanf(line, "%*s %15s %*s %*s %d", kind, &pid) == 2) has_locks = strcmp(kind, "POSIX") || is_among(pid, pids);
  fclose(all);
}

/* `lock:	1: POSIX  ADVISORY  WRITE 714 00:1d:9 0 EOF`; a lock that is waited for is not listed here. */
static void add_lock(const char *line, const struct reference *ref, struct traits *traits) {
  char kind[16], type[16], start[24], end[24], slot[128];
  if (sscanf(line, "lock: %*s %15s %*s %15s %*s %*s %23s %23s", kind, type, start, end) != 4) return;
  if (strcmp(kind, "POSIX") && strcmp(kind, "OFDLCK") && strcmp(kind, "FLOCK")) return;
  snprintf(slot, sizeof slot, "lock %s %s %s %s %s", ref->slot + strlen("fd "), kind, type, start, end);
  add_trait(traits, ref->inner, 0, slot, "%s", "held");
}

void read_locks(const struct reference *ref, struct traits *traits) {
  char path[64], line[256];
  if (!has_locks || strncmp(ref->slot, "fd ", 3) || S_ISSOCK(ref->status.st_mode)) return;
  snprintf(path, sizeof path, "/proc/%d/fdinfo/%s", ref->pid, ref->slot + strlen("fd "));
  FILE *info = fopen(path, "re");
  if (!info) return;
  while (fgets(line, sizeof line, info)) add_lock(line, ref, traits);
  fclose(info);
}
