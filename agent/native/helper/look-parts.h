/* The parts of `look` (look.c has the lines that they print). */
#ifndef LOOK_PARTS_H
#define LOOK_PARTS_H

#include <stdbool.h>
#include <stddef.h>

struct mounts;

/* The target of a link, on one line; false when it has gone. */
bool target_of(const char *path, char *target, size_t size);

/* Whether any of them is a Unix socket. */
bool look_at_descriptors(const char *pid);
void look_at_mappings(const char *pid);

void learn_mounts(char **pids);
const struct mounts *mounts_of_job(void);
/* `path`: how this process opens the file that /proc calls `target`. */
void look_at_mount(const char *pid, const char *path, const char *target);
void look_at_places(const char *pid);

void look_at_program(const char *pid);
void look_at_namespaces(const char *pid, const char *init);
void look_at_threads(const char *pid, const char *init);
void look_at_undo(const char *pid);
/* Of all of the job's processes. */
void look_at_sharing(char **pids);
/* Of a descriptor of inotify or fanotify. */
void look_at_watches(const char *pid, const char *fd);
/* Prints the cgroups of a thread that are not the job's. */
void look_at_cgroups(const char *pid, const char *tid, const char *init);

/* Of the network namespace that this process is in. */
void look_at_unix_sockets(void);

#endif
