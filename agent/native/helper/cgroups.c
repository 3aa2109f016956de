/* Which of a job's threads are in other cgroups than Godwit has put the job into: those are of its own making. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "look-parts.h"

/* One line a hierarchy, of which there are a dozen; a path has at most 4096 bytes. */
#define MOST (1 << 16)

static char jobs[MOST];

/* HIERARCHY:CONTROLLERS:PATH, a line each (proc_pid_cgroup(5)); false for a thread that has gone. */
static bool read_groups(const char *pid, const char *tid, char text[MOST]) {
  char path[96];
  ssize_t size, all = 0;
  snprintf(path, sizeof path, "/proc/%.20s/task/%.20s/cgroup", pid, tid);
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  while ((size = read(fd, text + all, MOST - 1 - (size_t)all)) > 0) all += size;
  close(fd);
  text[all] = 0;
  return all > 0;
}

/* Up to the last component. */
static size_t folder_size(const char *line, size_t size) {
  while (size > 0 && line[size - 1] != '/') size--;
  return size;
}

/* While a debugger is attached to it, a process is in the leaf beside that of the others. */
static bool is_beside(const char *line, size_t size, const char *own, size_t own_size) {
  const size_t folder = folder_size(line, size), own_folder = folder_size(own, own_size);
  if (strncmp(line, "0::", 3) || folder != own_folder || strncmp(line, own, folder)) return false;
  return size - folder == strlen("attach") && !strncmp(line + folder, "attach", size - folder);
}

static bool is_jobs(const char *line, size_t size) {
  for (const char *own = jobs; *own;) {
    const size_t own_size = strcspn(own, "\n");
    if ((own_size == size && !strncmp(own, line, size)) || is_beside(line, size, own, own_size)) return true;
    own += own_size + (own[own_size] == '\n');
  }
  return false;
}

/* A thread that is ending is in no cgroup of v1 any more (proc_pid_stat(5): flags). */
static bool is_ending(const char *pid, const char *tid) {
  enum { PF_EXITING = 4 };
  char path[96], line[512];
  unsigned flags = PF_EXITING;
  snprintf(path, sizeof path, "/proc/%.20s/task/%.20s/stat", pid, tid);
  FILE *stat = fopen(path, "re");
  if (!stat) return true;
  const char *end = fgets(line, sizeof line, stat) ? strrchr(line, ')') : NULL;
  if (end) sscanf(end, ") %*c %*d %*d %*d %*d %*d %u", &flags);
  fclose(stat);
  return flags & PF_EXITING;
}

void look_at_cgroups(const char *pid, const char *tid, const char *init) {
  static char groups[MOST];
  if (!*jobs && !read_groups(init, init, jobs)) return;
  if (!read_groups(pid, tid, groups) || !strcmp(groups, jobs) || is_ending(pid, tid)) return;
  for (const char *line = groups; *line;) {
    const size_t size = strcspn(line, "\n");
    if (!is_jobs(line, size)) printf("c\t%s\t%.*s\n", pid, (int)size, line);
    line += size + (line[size] == '\n');
  }
}
