#include "caller.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* With a line for each of cgroup v1's hierarchies, which have the same limit on a path as all others (4096). */
#define MAX_CGROUPS (64 << 10)
/* The line of the v2 hierarchy, which is the last one (cgroups(7)). */
#define V2 "0::"

/* The text of a file of /proc, cut at its room; false if the thread is gone. */
static bool read_proc(uint32_t thread, const char *file, char *text, size_t room) {
  char path[64];
  size_t size = 0;
  ssize_t got = 0;
  snprintf(path, sizeof path, "/proc/%u/%s", thread, file);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  while (size < room - 1 && (got = read(fd, text + size, room - 1 - size)) > 0) size += (size_t)got;
  close(fd);
  text[size] = 0;
  return got >= 0;
}

static bool is_below(const char *path, const char *folder) {
  size_t size = strlen(folder);
  return !strncmp(path, folder, size) && (path[size] == '/' || path[size] == '\n');
}

/* The whole path counts: people may make groups of any name below those that are theirs. */
static bool is_in_group(uint32_t thread, const char *group, bool if_gone) {
  static _Thread_local char text[MAX_CGROUPS];
  if (!read_proc(thread, "cgroup", text, sizeof text)) return if_gone;
  for (const char *line = text; line; line = strchr(line, '\n')) {
    if (*line == '\n') line++;
    if (!strncmp(line, V2, sizeof V2 - 1)) return is_below(line + sizeof V2 - 1, group);
  }
  return false;
}

bool waits_as_job(const struct owner *owner, uint32_t thread) {
  return !owner->cgroup || is_in_group(thread, owner->cgroup, true);
}

bool is_dying(uint32_t thread) {
  static _Thread_local char text[8192];
  if (!read_proc(thread, "status", text, sizeof text)) return false;
  const char *pending = strstr(text, "\nSigPnd:");
  return pending && strtoull(pending + sizeof "\nSigPnd:" - 1, NULL, 16) & (1ULL << (SIGKILL - 1));
}

/* What the kernel sends on its own account, for any user: files closed for good, and names it has forgotten. */
static bool is_clearing(uint32_t opcode) {
  return opcode == FUSE_FORGET || opcode == FUSE_BATCH_FORGET || opcode == FUSE_RELEASE || opcode == FUSE_RELEASEDIR;
}

/*
 * The kernel's own user ids, whatever namespace a thread is in. Root launches jobs, dumps and restores them; pages that
 * are written back have no sender and are root's too. `allow_other` has to be: without it the kernel lets only
 * the owner in, not even root (fuse_allow_current_process).
 *
 * The processes of a user's job are that user's for good. Those of a job of root's may become others, whose
 * namesakes outside of the job have no business here. A thread waits for the answer, so that its number stays its own.
 */
bool is_served(const struct owner *owner, const struct fuse_in_header *request) {
  if (request->uid == 0 || is_clearing(request->opcode)) return true;
  if (owner->user != 0) return request->uid == owner->user;
  return owner->cgroup && is_in_group(request->pid, owner->cgroup, false);
}

int refusal(uint32_t opcode, int error) { return opcode == FUSE_LOOKUP ? -ENOMEM : -error; }
