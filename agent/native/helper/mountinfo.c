#include "mountinfo.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

void decode_place(char *text) {
  char *to = text;
  for (unsigned code; *text; text++) {
    const bool coded = *text == '\\' && sscanf(text + 1, "%3o", &code) == 1;
    *to++ = coded ? (char)code : *text;
    if (coded) text += 3;
  }
  *to = 0;
}

static void add_mounted(struct mounts *mounts, const char *pid, const char *line) {
  struct mounted one = {.pid = pid};
  char at[4096];
  if (sscanf(line, "%" SCNu64 " %" SCNu64 " %u:%u %*s %4095s", &one.id, &one.parent, &one.major, &one.minor, at) != 5) return;
  decode_place(at);
  /* On one line, as paths are here (look-links.c). */
  for (char *end = at; (end = strpbrk(end, "\n\t"));) *end = '?';
  if (mounts->count == mounts->room) {
    const size_t room = mounts->room ? 2 * mounts->room : 64;
    struct mounted *more = realloc(mounts->all, room * sizeof *more);
    if (!more) return;
    *mounts = (struct mounts){more, mounts->count, room};
  }
  if ((one.at = strdup(at))) mounts->all[mounts->count++] = one;
}

void add_mounts(struct mounts *mounts, const char *pid, void each(const char *line)) {
  char path[64], *line = NULL;
  size_t room = 0;
  snprintf(path, sizeof path, "/proc/%.20s/mountinfo", pid);
  FILE *info = fopen(path, "re");
  if (!info) return;
  while (getline(&line, &room, info) > 0) {
    add_mounted(mounts, pid, line);
    if (each) each(line);
  }
  free(line);
  fclose(info);
}

void clear_mounts(struct mounts *mounts) {
  for (size_t i = 0; i < mounts->count; i++) free(mounts->all[i].at);
  free(mounts->all);
  *mounts = (struct mounts){0};
}

static int by_id(const void *a, const void *b) {
  const uint64_t left = ((const struct mounted *)a)->id, right = ((const struct mounted *)b)->id;
  return left < right ? -1 : left > right;
}

void sort_mounts(struct mounts *mounts) {
  if (mounts->count) qsort(mounts->all, mounts->count, sizeof *mounts->all, by_id);
}

const struct mounted *mounted_as(const struct mounts *mounts, uint64_t id) {
  const struct mounted wanted = {.id = id};
  return mounts->count ? bsearch(&wanted, mounts->all, mounts->count, sizeof wanted, by_id) : NULL;
}

int open_in_root(const char *pid, const char *path, unsigned long flags) {
  char place[64];
  const struct open_how how = {.flags = flags | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
  snprintf(place, sizeof place, "/proc/%.20s/root", pid);
  const int root = open(place, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (root < 0) return -1;
  const int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof how);
  close(root);
  return fd;
}

int open_mounted(const struct mounted *mount) {
  struct statx about;
  const int fd = open_in_root(mount->pid, mount->at, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) return -1;
  if (!statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID, &about) && about.stx_mnt_id == mount->id) return fd;
  close(fd);
  return -1;
}

static bool is_at_or_in(const char *path, const char *at) {
  const size_t size = strcmp(at, "/") ? strlen(at) : 0;
  return !strncmp(path, at, size) && (path[size] == '/' || !path[size]);
}

/* The mount to which a path leads first out of this one; NULL where it stays. */
static const struct mounted *next_on(const struct mounts *mounts, const struct mounted *from, const char *path) {
  const struct mounted *next = NULL;
  for (const struct mounted *one = mounts->all; one < mounts->all + mounts->count; one++)
    if (one->parent == from->id && one != from && is_at_or_in(path, one->at) &&
        (!next || strlen(one->at) < strlen(next->at)))
      next = one;
  return next;
}

/* The root of a namespace may be its own parent. No way is longer than there are mounts. */
bool is_covered(const struct mounts *mounts, const struct mounted *mount, const char *path) {
  const struct mounted *at = mount, *above, *next;
  if (!is_at_or_in(path, mount->at)) return false;
  for (size_t i = 0; i < mounts->count && (above = mounted_as(mounts, at->parent)) && above->id != at->id; i++) at = above;
  for (size_t i = 0; i < mounts->count && (next = next_on(mounts, at, path)); i++) at = next;
  return at->id != mount->id;
}
