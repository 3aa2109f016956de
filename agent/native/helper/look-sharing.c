/*
 * What processes share, and threads do not, in a way that CRIU can't bring back, as `look` prints it: processes with one
 * memory (vfork(2), clone(2)), threads that have left what their process has (unshare(2), setns(2)). Between clone and
 * exec many a program is so for a moment.
 */
#include <dirent.h>
#include <errno.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "look-parts.h"

/* Root directory, working directory and file mode mask are one thing to the kernel (CLONE_FS). */
static const struct {
  int kind;
  const char *name;
} shared[] = {{KCMP_VM, "memory"}, {KCMP_FS, "places"}, {KCMP_FILES, "descriptors"}};

/* kcmp(2): 0 where both have the same; else the order of the two, by which the kernel lets them be sorted. */
static int compare(pid_t one, pid_t other, int kind) { return (int)syscall(SYS_kcmp, one, other, kind, 0, 0); }

/* --- processes ---------------------------------------------------------------------------------------------------- */

static int kind_to_sort;

static int by_kernel(const void *a, const void *b) {
  const int order = compare(*(const pid_t *)a, *(const pid_t *)b, kind_to_sort);
  return order == 0 ? 0 : order == 1 ? -1 : 1;
}

/* A process that has ended has nothing, as all of those have. */
static size_t living(char **pids, pid_t *found) {
  char path[64], target[8];
  size_t count = 0;
  for (; *pids; pids++) {
    snprintf(path, sizeof path, "/proc/%.20s/exe", *pids);
    if (readlink(path, target, sizeof target) > 0) found[count++] = atoi(*pids);
  }
  return count;
}

/* As ones that share something, the others and the lowest number of them: the same pairs at each look. */
static void tell(const pid_t *group, size_t count, const char *what) {
  pid_t first = group[0];
  for (size_t i = 1; i < count; i++)
    if (group[i] < first) first = group[i];
  for (size_t i = 0; i < count; i++)
    if (group[i] != first) printf("h\t%d\t%d\t%s\n", group[i], first, what);
}

static void look_at_processes(char **pids) {
  size_t count = 0;
  while (pids[count]) count++;
  pid_t *const found = calloc(count, sizeof *found);
  if (!found) return;
  count = living(pids, found);
  for (size_t kind = 0; kind < sizeof shared / sizeof *shared; kind++) {
    kind_to_sort = shared[kind].kind;
    qsort(found, count, sizeof *found, by_kernel);
    for (size_t first = 0, end; first < count; first = end) {
      for (end = first + 1; end < count && by_kernel(&found[first], &found[end]) == 0;) end++;
      tell(&found[first], end - first, shared[kind].name);
    }
  }
  free(found);
}

/* --- threads ------------------------------------------------------------------------------------------------------ */

static bool namespace_of(pid_t pid, pid_t tid, const char *name, char space[64]) {
  char path[96];
  snprintf(path, sizeof path, "/proc/%d/task/%d/ns/%s", pid, tid, name);
  return target_of(path, space, 64);
}

/* One for its children has no name as long as it has none; a thread that has ended has not even the others. */
static bool has_namespace(pid_t pid, pid_t tid, const char *name) {
  char own[64], process[64];
  if (!namespace_of(pid, tid, name, own)) return errno != ENOENT || !namespace_of(pid, tid, "uts", own);
  return !namespace_of(pid, pid, name, process) || !strcmp(own, process);
}

/* A thread can't leave the users and the time of its process. */
static void look_at_thread(pid_t pid, pid_t tid) {
  static const char *const namespaces[] = {"mnt", "net", "uts", "ipc", "cgroup", "pid_for_children", "time_for_children"};
  for (size_t i = 0; i < sizeof shared / sizeof *shared; i++)
    if (compare(pid, tid, shared[i].kind) > 0) printf("l\t%d\t%d\t%s\n", pid, tid, shared[i].name);
  for (size_t i = 0; i < sizeof namespaces / sizeof *namespaces; i++)
    if (!has_namespace(pid, tid, namespaces[i])) printf("l\t%d\t%d\t%s\n", pid, tid, namespaces[i]);
}

static void look_at_threads_of(pid_t pid) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/task", pid);
  DIR *folder = opendir(path);
  if (!folder) return;
  for (struct dirent *one; (one = readdir(folder));)
    if (one->d_name[0] != '.' && atoi(one->d_name) != pid) look_at_thread(pid, atoi(one->d_name));
  closedir(folder);
}

void look_at_sharing(char **pids) {
  pid_t pid;
  look_at_processes(pids);
  /* One whose first thread has ended has nothing to compare with. */
  for (; *pids; pids++)
    if (living((char *[]){*pids, NULL}, &pid)) look_at_threads_of(pid);
}
