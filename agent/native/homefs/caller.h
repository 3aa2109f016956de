/* Who is behind a request to the mount: a thread of the host, by the number that its kernel has written there. */
#ifndef HOMEFS_CALLER_H
#define HOMEFS_CALLER_H

#include <linux/fuse.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Whose files are mounted. */
struct owner {
  uid_t user;
  /* The job's cgroup (v2), as /proc/PID/cgroup has it; NULL if there is none. */
  const char *cgroup;
};

/* Whether the request goes to the home. One that the kernel must get done in any case does. */
bool is_served(const struct owner *owner, const struct fuse_in_header *request);
/* Whether the thread, which waits for an answer, is one of the job's; one that is gone waits for nothing, and is. */
bool waits_as_job(const struct owner *owner, uint32_t thread);
/* Whether the thread has a SIGKILL to die of, which is also how the kernel ends a process's other threads. */
bool is_dying(uint32_t thread);
/*
 * The answer to a request that is not the home's, where `error` is why. It is never that a name is wrong or gone: the
 * kernel would drop it for everybody, and unmount what is mounted on it (d_invalidate). It keeps what it has if asking
 * failed for want of memory.
 */
int refusal(uint32_t opcode, int error);

#endif
