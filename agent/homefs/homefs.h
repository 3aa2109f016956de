/* What the parts of godwit-homefs share: its arguments, and what it says. */
#ifndef HOMEFS_H
#define HOMEFS_H

#include <stdbool.h>
#include <stddef.h>

/* The value of `--key value`; NULL when it is not there. */
const char *option(char **argv, const char *key);
/* The same, but a missing one ends the program with wrong usage (2). */
const char *required(char **argv, const char *key);
bool flag(char **argv, const char *key);
/* The value that stands `nth` (from 0) among all of `--key value`; NULL after the last. */
const char *nth_option(char **argv, const char *key, int nth);

/* One line on standard output. A reader that has gone is no error. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Why it failed, as {"error":{"stage","errno","message"}}; returns the exit status 1. */
int say_error(const char *stage, int error);

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

/* The kernel's number for the FUSE connection that is mounted at `at`; 0 if none is. Asks nothing of the mount. */
unsigned int connection_at(const char *at);

#endif
