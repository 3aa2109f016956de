/* The CPUs that a thread has chosen (sched_setaffinity(2)), as text. */
#ifndef CPUS_H
#define CPUS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Who has the same CPUs as the job's PID 1 has chosen none. */
void learn_cpus(pid_t init);
bool chosen_cpus(pid_t thread, char *text, size_t room);
/* Gives it those of the text that PID 1 has here too; where there is none of them, it keeps what it has. */
bool choose_cpus(pid_t thread, const char *text);

#endif
