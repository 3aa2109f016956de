/* How a thread is scheduled (sched_setattr(2), ioprio_set(2)), as text. */
#ifndef SCHEDULING_H
#define SCHEDULING_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* ioprio_set(2) has no header of its own. */
#define IOPRIO_WHO_PROCESS 1

/* Who has the same slice of time as the job's PID 1 has chosen none: it depends on a machine's CPUs. */
void learn_slice(pid_t init);
bool scheduling_of(pid_t thread, char *text, size_t room);
bool set_scheduling(pid_t thread, const char *text);
/* Could a user have set this, by the limits that a job launched here could have? */
bool is_users_scheduling(const char *text);
bool is_users_io_priority(const char *text);

#endif
