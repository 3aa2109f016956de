/* What the kernel has of a process besides its references: program, namespaces and threads, as `look` prints it. */
#include <dirent.h>
#include <errno.h>
#include <linux/kcmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "look-parts.h"
#include "scheduling.h"

/* A process can be given only a program that has an execute permission (PR_SET_MM_EXE_FILE, prctl(2)). */
void look_at_program(const char *pid) {
  char path[64], target[4096];
  struct stat about;
  snprintf(path, sizeof path, "/proc/%.20s/exe", pid);
  if (stat(path, &about) || about.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)) return;
  if (target_of(path, target, sizeof target)) printf("x\t%s\t%s\n", pid, target);
}

static bool namespace_of(const char *pid, const char *name, char space[64]) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%.20s/ns/%s", pid, name);
  return target_of(path, space, 64);
}

/*
 * One that it puts its children into has no name as long as it has none of them. A process that has ended has a number
 * until its status was asked for, and nothing else.
 */
static bool has_nameless(const char *pid) {
  char space[64];
  return errno == ENOENT && namespace_of(pid, "uts", space);
}

static void look_at_childrens_namespace(const char *pid, const char *name, const char *jobs) {
  char childrens[64], full[32];
  snprintf(full, sizeof full, "%s_for_children", name);
  if (namespace_of(pid, full, childrens) ? strcmp(childrens, jobs) : has_nameless(pid))
    printf("n\t%s\t%s\n", pid, full);
}

void look_at_namespaces(const char *pid, const char *init) {
  static const char *const names[] = {"pid", "time", "user", "mnt", "net", "uts", "ipc", "cgroup"};
  char own[64], jobs[64];
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (!namespace_of(pid, names[i], own) || !namespace_of(init, names[i], jobs)) continue;
    if (strcmp(own, jobs)) printf("n\t%s\t%s\n", pid, names[i]);
    /* pid and time */
    else if (i < 2) look_at_childrens_namespace(pid, names[i], jobs);
  }
}

/* Of what CRIU does itself inside a thread it is told by this signal: it can't where one waits already. */
#define TRAP (1ULL << (SIGTRAP - 1))

struct standing {
  int tracer;
  bool has_trap;
};

static bool standing_of(const char *path, struct standing *found) {
  char line[256];
  unsigned long long waiting;
  FILE *status = fopen(path, "re");
  *found = (struct standing){0};
  if (!status) return false;
  while (fgets(line, sizeof line, status)) {
    if (sscanf(line, "SigPnd: %llx", &waiting) == 1 || sscanf(line, "ShdPnd: %llx", &waiting) == 1)
      found->has_trap |= (waiting & TRAP) != 0;
    else sscanf(line, "TracerPid: %d", &found->tracer);
  }
  fclose(status);
  return true;
}

void look_at_threads(const char *pid, const char *init) {
  char path[128], line[256];
  struct standing found;
  char policy[16];
  snprintf(path, sizeof path, "/proc/%s/task", pid);
  DIR *folder = opendir(path);
  if (!folder) return;
  for (struct dirent *one; (one = readdir(folder));) {
    if (one->d_name[0] == '.') continue;
    snprintf(path, sizeof path, "/proc/%s/task/%.20s/status", pid, one->d_name);
    if (!standing_of(path, &found)) continue;
    look_at_cgroups(pid, one->d_name, init);
    if (found.tracer) printf("t\t%s\t%s\t%d\n", pid, one->d_name, found.tracer);
    /* With a debugger it is the debugger's, which takes it before a move. */
    else if (found.has_trap) printf("g\t%s\t%s\n", pid, one->d_name);
    if (scheduling_of(atoi(one->d_name), line, sizeof line) && sscanf(line, "%15s", policy) == 1 &&
        (!strcmp(policy, "deadline") || !strcmp(policy, "ext")))
      printf("y\t%s\t%s\t%s\n", pid, one->d_name, policy);
  }
  closedir(folder);
}

/*
 * The kernel does not show what it would undo. A thread has a list of that from its first operation of the kind on, and
 * all that were made by pthread_create(3) share one, whether or not anything is in it. This process has none.
 */
void look_at_undo(const char *pid) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%.20s/task", pid);
  DIR *folder = opendir(path);
  if (!folder) return;
  for (struct dirent *one; (one = readdir(folder));)
    if (one->d_name[0] != '.' && syscall(SYS_kcmp, atoi(one->d_name), getpid(), KCMP_SYSVSEM, 0, 0) > 0)
      printf("s\t%s\t%s\n", pid, one->d_name);
  closedir(folder);
}
