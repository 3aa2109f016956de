/*
 * Who has changed a file: the host that is served, or others (a program at home, a job on another host). Pages that the
 * host has of it are dropped for what others have changed only. For what it has written itself that would not be safe:
 * its kernel writes through from pages that count as good meanwhile. One that is dropped, and read anew before its write
 * has come here, would keep for good what was there before.
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "homefs.h"
#include "serve-parts.h"

/* A file that changed this lately may change again without another time: its times prove nothing yet. */
#define SETTLED_S 2

/* What a file was like when it was last looked at, by the host's own doing or by that of others. */
struct seen {
  struct timespec modified, changed;
  off_t size;
  bool any, by_host, settled;
};

/* `changing`: requests of the host's that change it now; `writable`: the host has opened it for that. */
struct changes {
  pthread_mutex_t lock;
  struct seen seen;
  int changing;
  bool writable, by_others;
};

static struct changes *make_changes(struct node *node) {
  struct changes *there = NULL, *made = calloc(1, sizeof *made);
  if (!made) exit(say_error("memory", ENOMEM));
  pthread_mutex_init(&made->lock, NULL);
  if (atomic_compare_exchange_strong(&node->changes, &there, made)) return made;
  free(made);
  return there;
}

static struct changes *changes_of(struct node *node) {
  struct changes *there = atomic_load(&node->changes);
  return there ? there : make_changes(node);
}

void changes_forget(struct node *node) { free(atomic_load(&node->changes)); }

static bool same_time(struct timespec a, struct timespec b) { return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec; }

static bool is_settled(const struct stat *status) {
  struct timespec now;
  return !clock_gettime(CLOCK_REALTIME, &now) && status->st_mtim.tv_sec + SETTLED_S <= now.tv_sec &&
         status->st_ctim.tv_sec + SETTLED_S <= now.tv_sec;
}

/* Of a file that the host writes, other times than that of its content change by names and rights. */
static bool is_as_seen(const struct seen *seen, const struct stat *status) {
  return seen->size == status->st_size && same_time(seen->modified, status->st_mtim) &&
         (seen->by_host || same_time(seen->changed, status->st_ctim));
}

static struct seen seen_in(const struct stat *status, bool by_host) {
  return (struct seen){.any = true,
                       .by_host = by_host,
                       .settled = is_settled(status),
                       .modified = status->st_mtim,
                       .changed = status->st_ctim,
                       .size = status->st_size};
}

/* With the lock: notes whether it is another than was seen. While the host changes it that can't be told. */
static void look(struct changes *changes, const struct node *node) {
  const struct seen *seen = &changes->seen;
  struct stat status;
  if (changes->changing > 0 || fstat(node->fd, &status)) return;
  /* Where the host writes, to have pages dropped once more, for safety's sake, would not be safe. */
  const bool is_doubtful = !seen->settled && !seen->by_host && !changes->writable && is_settled(&status);
  if (seen->any && is_as_seen(seen, &status) && !is_doubtful) return;
  if (seen->any) changes->by_others = true;
  changes->seen = seen_in(&status, false);
}

void change_begins(struct node *node) {
  struct changes *changes = changes_of(node);
  pthread_mutex_lock(&changes->lock);
  look(changes, node);
  changes->changing++;
  pthread_mutex_unlock(&changes->lock);
}

void change_ends(struct node *node) {
  struct changes *changes = changes_of(node);
  struct stat status;
  pthread_mutex_lock(&changes->lock);
  if (--changes->changing == 0 && !fstat(node->fd, &status)) changes->seen = seen_in(&status, true);
  pthread_mutex_unlock(&changes->lock);
}

/* With the lock: whether others have changed it since this was asked last. */
static bool take_changed(struct changes *changes, const struct node *node) {
  look(changes, node);
  const bool changed = changes->by_others;
  changes->by_others = false;
  return changed;
}

bool is_unchanged(struct node *node, bool to_write) {
  struct changes *changes = changes_of(node);
  const struct seen *seen = &changes->seen;
  pthread_mutex_lock(&changes->lock);
  changes->writable |= to_write;
  const bool is_certain = seen->any && (seen->settled || seen->by_host || changes->writable);
  const bool is_changed = take_changed(changes, node);
  pthread_mutex_unlock(&changes->lock);
  return is_certain && !is_changed;
}

bool is_changed_by_others(struct node *node) {
  struct changes *changes = changes_of(node);
  pthread_mutex_lock(&changes->lock);
  const bool is_changed = take_changed(changes, node);
  pthread_mutex_unlock(&changes->lock);
  return is_changed;
}
