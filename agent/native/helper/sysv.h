/* A job's System V objects: shared memory, semaphores, message queues (sysvipc(7)). */
#ifndef SYSV_H
#define SYSV_H

#include <stdbool.h>

#include "traits.h"

/* This process enters the IPC namespace of a job: 0, or -1 with errno. */
int enter_ipc(const char *init);
bool has_semaphores(void);

/* How the slots begin; an id follows, and then what it is about. */
#define SEGMENT "segment "
#define QUEUE "message queue "
#define REMOVED "removed"
#define LOCKED "locked"
#define ROOM "room"

/* The segment goes with its last user. */
bool remove_segment(int id);
/* The bytes that a message queue takes: for a user's job no more than the namespace's limit. */
bool set_room(int id, const char *bytes, bool is_users);

#endif
