/*
 * What each watch of inotify is for. CRIU (4.2) brings back which events those are, and neither that a watch is good for
 * one (IN_ONESHOT) nor that it is not for what has lost its name (IN_EXCL_UNLINK).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "helper.h"
#include "traits.h"
#include "watches.h"

/* What of a watch the kernel tells (inotify(7)). */
#define KEPT (IN_ALL_EVENTS | IN_ONESHOT | IN_EXCL_UNLINK)

void read_watches(const struct reference *ref, struct traits *traits) {
  char pid[16], slot[64];
  struct watch watch;
  if (strcmp(ref->name, "anon_inode:inotify") || strncmp(ref->slot, "fd ", 3)) return;
  snprintf(pid, sizeof pid, "%d", ref->pid);
  FILE *info = watches_of(pid, ref->slot + strlen("fd "));
  if (!info) return;
  while (next_watch(info, &watch)) {
    snprintf(slot, sizeof slot, WATCH "%s %d", ref->slot + strlen("fd "), watch.number);
    add_trait(traits, ref->inner, 0, slot, "%x", watch.mask);
  }
  fclose(info);
}

static bool has_number(const char *pid, const char *fd, int number, struct watch *watch) {
  bool found = false;
  FILE *info = watches_of(pid, fd);
  if (!info) return false;
  while (!found && next_watch(info, watch)) found = watch->number == number;
  fclose(info);
  return found;
}

static bool is_any(int fd, const char *pid) {
  (void)fd, (void)pid;
  return true;
}

/* Many watches are of one process. */
static const struct mounts *mounts_of(const char *pid) {
  static struct mounts mounts;
  static char whose[16];
  if (strcmp(whose, pid)) {
    clear_mounts(&mounts);
    strcpy(whose, pid);
    add_mounts(&mounts, whose, NULL);
  }
  return &mounts;
}

/* The kernel knows by the file that it is that watch. */
static bool set_mask(int fd, int watched, unsigned mask, int number) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", watched);
  const int set = inotify_add_watch(fd, path, mask);
  if (set == number) return true;
  if (set >= 0) inotify_rm_watch(fd, set), errno = ESTALE;
  return false;
}

bool watch_again(pid_t pid, const char *slot, const char *noted) {
  char process[16], fd[16];
  int number;
  struct watch watch;
  const unsigned mask = (unsigned)strtoul(noted, NULL, 16) & KEPT;
  snprintf(process, sizeof process, "%d", pid);
  if (!mask || sscanf(slot, WATCH "%15[0-9] %d", fd, &number) != 2 || !has_number(process, fd, number, &watch))
    return errno = ENOENT, false;
  const int watched = find_watched(&watch, mounts_of(process), is_any);
  const int own = watched < 0 ? -1 : share_descriptor_of(pid, atoi(fd));
  const bool done = own >= 0 && set_mask(own, watched, mask, number);
  const int error = errno;
  if (own >= 0) close(own);
  if (watched >= 0) close(watched);
  errno = error;
  return done;
}
