/*
 * What the kernel keeps of each process and each thread, as everybody can read it: from files of /proc and by calls that
 * take a thread's number. Nothing is asked of the processes themselves.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cpus.h"
#include "helper.h"
#include "scheduling.h"
#include "traits.h"

/* As many groups as a user may be in (NGROUPS_MAX), each of ten digits, in one line. */
#define MOST_STATUS (1 << 20)

/* include/linux/sched.h: what a thread has asked for with prctl(2), in its `flags` of /proc/PID/stat. */
#define PF_MCE_PROCESS 0x00000080u
#define PF_MEMALLOC_NOIO 0x00080000u
#define PF_LOCAL_THROTTLE 0x00100000u
#define PF_MCE_EARLY 0x08000000u

static char text[MOST_STATUS];

/* The whole of a small file; false when it is not there. */
static bool read_file(const char *path) {
  size_t size = 0;
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  for (ssize_t got; size < sizeof text - 1 && (got = read(fd, text + size, sizeof text - 1 - size)) > 0;)
    size += (size_t)got;
  close(fd);
  text[size] = 0;
  return size > 0;
}

/* What is in its line after `NAME:` and blanks, cut out of the text; NULL where there is no such line. */
static const char *line_of(char *status, const char *name, char *value, size_t room) {
  const size_t size = strlen(name);
  for (char *at = status; at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL) {
    if (strncmp(at, name, size) || at[size] != ':') continue;
    at += size + 1;
    at += strspn(at, " \t");
    snprintf(value, room, "%.*s", (int)strcspn(at, "\n"), at);
    return value;
  }
  return NULL;
}

struct at {
  struct traits *traits;
  int process, thread;
  /* As this node numbers the process and the thread. */
  pid_t pid, tid;
};

#define ADD(at, slot, ...) add_trait((at)->traits, (at)->process, (at)->thread, slot, __VA_ARGS__)

/* --- a thread ----------------------------------------------------------------------------------------------------- */

/*
 * Lines of its status that are the same after a restore. Not what is pending, which may come while it is frozen, nor what
 * is blocked: in ppoll(2) and its like that is the call's own mask, with which the call is made anew.
 */
static void read_credentials(const struct at *at) {
  static const char *const names[] = {"Uid",    "Gid",        "CapInh",  "CapPrm",         "CapEff",
                                      "CapAmb", "NoNewPrivs", "Seccomp", "Seccomp_filters"};
  static char value[512];
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (line_of(text, names[i], value, sizeof value)) ADD(at, names[i], "%s", value);
}

/* Only what it has asked for: otherwise the value is the machine's. */
static void read_speculation(const struct at *at) {
  static char value[64];
  if (line_of(text, "Speculation_Store_Bypass", value, sizeof value) &&
      (!strcmp(value, "thread mitigated") || !strcmp(value, "thread force mitigated")))
    ADD(at, "speculative store bypass", "%s", strstr(value, "force") ? "off for good" : "off");
  if (line_of(text, "SpeculationIndirectBranch", value, sizeof value) && strstr(value, "conditional") &&
      strstr(value, "disabled"))
    ADD(at, "speculative indirect branches", "%s", strstr(value, "force") ? "off for good" : "off");
}

static void read_flags(const struct at *at) {
  char path[96];
  unsigned flags = 0;
  snprintf(path, sizeof path, "/proc/%d/task/%d/stat", at->pid, at->tid);
  if (!read_file(path)) return;
  const char *after = strrchr(text, ')');
  if (!after || sscanf(after, ") %*c %*d %*d %*d %*d %*d %u", &flags) != 1) return;
  const char *name = strchr(text, '(');
  if (name) ADD(at, "name", "%.*s", (int)(after - name - 1), name + 1);
  if (flags & PF_MCE_PROCESS) ADD(at, "memory failures", "%s", flags & PF_MCE_EARLY ? "early" : "late");
  if (flags & PF_MEMALLOC_NOIO && flags & PF_LOCAL_THROTTLE) ADD(at, "flusher of I/O", "yes");
}

static void read_number(const struct at *at, const char *slot, const char *path) {
  if (!read_file(path)) return;
  text[strcspn(text, "\n")] = 0;
  ADD(at, slot, "%s", text);
}

static void read_thread(const struct at *at) {
  char path[96];
  static char value[512];
  read_credentials(at);
  read_speculation(at);
  read_flags(at);
  snprintf(path, sizeof path, "/proc/%d/timerslack_ns", at->tid);
  read_number(at, "timer slack", path);
  snprintf(path, sizeof path, "/proc/%d/task/%d/personality", at->pid, at->tid);
  read_number(at, "personality", path);
  if (scheduling_of(at->tid, value, sizeof value)) ADD(at, "scheduling", "%s", value);
  const long priority = syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, at->tid);
  if (priority >= 0) ADD(at, "I/O priority", "%ld", priority);
  if (chosen_cpus(at->tid, value, sizeof value)) ADD(at, "CPUs", "%s", value);
}

/* --- a process ---------------------------------------------------------------------------------------------------- */

/* Soft and hard, in the kernel's order. */
static void read_limits(const struct at *at) {
  char path[64], slot[64], soft[32], hard[32];
  snprintf(path, sizeof path, "/proc/%d/limits", at->pid);
  if (!read_file(path)) return;
  for (char *line = strchr(text, '\n'); line && line[1]; line = strchr(line + 1, '\n')) {
    /* The name has 26 places and blanks in it. */
    if (sscanf(line + 1 + 26, "%31s %31s", soft, hard) != 2) continue;
    snprintf(slot, sizeof slot, "limit of %.21s", line + 1 + strlen("Max "));
    for (size_t size = strlen(slot); size && slot[size - 1] == ' '; size--) slot[size - 1] = 0;
    ADD(at, slot, "%s:%s", soft, hard);
  }
}

static const char *second_of(const char *numbers) {
  const char *at = numbers + strcspn(numbers, " \t");
  return at + strspn(at, " \t");
}

static void read_status(const struct at *at) {
  static const char *const names[] = {"Umask", "SigIgn", "SigCgt", "THP_enabled"};
  static char value[512];
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (line_of(text, names[i], value, sizeof value)) ADD(at, names[i], "%s", value);
  if (line_of(text, "NSpgid", value, sizeof value)) ADD(at, "process group", "%s", second_of(value));
  if (line_of(text, "NSsid", value, sizeof value)) ADD(at, "session", "%s", second_of(value));
}

static void read_process(const struct at *at) {
  char path[64];
  struct stat status;
  snprintf(path, sizeof path, "/proc/%d/oom_score_adj", at->pid);
  read_number(at, "oom_score_adj", path);
  snprintf(path, sizeof path, "/proc/%d/coredump_filter", at->pid);
  read_number(at, "core dump filter", path);
  snprintf(path, sizeof path, "/proc/%d/ksm_stat", at->pid);
  if (read_file(path) && strstr(text, "ksm_merge_any: yes")) ADD(at, "merging of memory", "yes");
  /* Its folder is its own where others of its user may look into it. */
  snprintf(path, sizeof path, "/proc/%d", at->pid);
  if (!stat(path, &status)) ADD(at, "owner of /proc/PID", "%u:%u", status.st_uid, status.st_gid);
  read_limits(at);
}

/* --- all ---------------------------------------------------------------------------------------------------------- */

/* The last number: that of the innermost namespace it is in. */
static int inner_number(void) {
  static char value[128];
  int inner = -1;
  if (line_of(text, "NSpid", value, sizeof value)) inner = atoi(second_of(value));
  return inner;
}

/* Of the process that was asked about last: it is frozen, so they stay the same. */
static struct {
  pid_t pid;
  size_t count;
  struct {
    pid_t tid;
    int inner;
  } *all;
} known;

static void learn_threads(pid_t pid) {
  char path[96];
  known.pid = pid;
  known.count = 0;
  snprintf(path, sizeof path, "/proc/%d/task", pid);
  DIR *folder = opendir(path);
  if (!folder) return;
  for (struct dirent *one; (one = readdir(folder));) {
    snprintf(path, sizeof path, "/proc/%d/task/%.20s/status", pid, one->d_name);
    if (one->d_name[0] == '.' || !read_file(path)) continue;
    void *more = realloc(known.all, (known.count + 1) * sizeof *known.all);
    if (!more) break;
    known.all = more;
    known.all[known.count].tid = atoi(one->d_name);
    known.all[known.count++].inner = inner_number();
  }
  closedir(folder);
}

pid_t thread_numbered(pid_t pid, int thread) {
  if (known.pid != pid) learn_threads(pid);
  for (size_t i = 0; i < known.count; i++)
    if (known.all[i].inner == thread) return known.all[i].tid;
  return -1;
}

static void read_all_of(pid_t pid, struct traits *traits) {
  char path[96];
  struct at at = {.traits = traits, .pid = pid};
  snprintf(path, sizeof path, "/proc/%d/status", pid);
  if (!read_file(path)) return;
  at.process = inner_number();
  read_status(&at);
  read_process(&at);
  snprintf(path, sizeof path, "/proc/%d/task", pid);
  DIR *folder = opendir(path);
  if (!folder) return;
  for (struct dirent *one; (one = readdir(folder));) {
    if (one->d_name[0] == '.') continue;
    at.tid = atoi(one->d_name);
    snprintf(path, sizeof path, "/proc/%d/task/%d/status", pid, at.tid);
    if (!read_file(path)) continue;
    at.thread = inner_number();
    read_thread(&at);
  }
  closedir(folder);
}

void read_threads(char **pids, struct traits *traits) {
  learn_cpus(atoi(pids[0]));
  learn_slice(atoi(pids[0]));
  for (char **pid = pids; *pid; pid++) read_all_of(atoi(*pid), traits);
}
