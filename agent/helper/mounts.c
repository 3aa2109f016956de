/*
 * The home's other mounts (/home, /tmp, a volume) at their places in a job's root. Each is there as a mount of its
 * own on every node, even where `files`, which has all of them, is one file system: CRIU restores mount by mount.
 * --bind-own: one that this node shares with the home, and so has itself.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

#include "helper.h"

/* This process stands in the new root, which shows only the root file system yet. */
void bind_mounts(char **argv, const char *files) {
  for (; *argv && strcmp(*argv, "--"); argv++) {
    bool own = !strcmp(*argv, "--bind-own");
    if (!own && strcmp(*argv, "--bind")) continue;
    const char *at = *++argv;
    char from[8192];
    if (!at || *at != '/') continue;
    snprintf(from, sizeof from, "%s%s", own || !strcmp(files, "/") ? "" : files, at);
    /* One that can't be bound (another user's FUSE mount, say) is not there for the job. */
    mount(from, at + 1, NULL, MS_BIND, NULL);
  }
}
