/* What the parts of godwit-homefs share. */
#ifndef HOMEFS_H
#define HOMEFS_H

#include <linux/fuse.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../common/command.h"

/* One request or reply, and the room for the largest. */
#define MAX_DATA (1 << 20)
#define MAX_MESSAGE (MAX_DATA + (8 << 10))
/*
 * Requests that are on their way to the home or worked on there: what it has to hold at once. More wait in the
 * kernel of the host.
 */
#define MAX_UNANSWERED 128

/* On the host: mounts the home's file system, and carries the kernel's requests to the wire and the answers back. */
int mount_home(char **argv);
/* On the host: has what was written to the mount through mappings written at home, and waits for it. */
int sync_home(char **argv);
/* On the host: takes such a mount away, whether or not its home answers. */
int unmount_home(char **argv);
/* On the home: answers the requests that come over the wire. */
int serve(char **argv);

/* The kernel gets no answer about what it has forgotten. */
static inline bool wants_answer(uint32_t opcode) { return opcode != FUSE_FORGET && opcode != FUSE_BATCH_FORGET; }

/* The kernel's number for the FUSE connection that is mounted at `at`; 0 if none is. Asks nothing of the mount. */
unsigned int connection_at(const char *at);

#endif
