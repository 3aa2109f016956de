/*
 * Who has changed a file: the host that is served, or others (a program at home, a job on another host). Pages that the
 * host has of it are dropped for what others have changed only. For what it has written itself that would not be safe:
 * its kernel writes through from pages that count as good meanwhile. One that is dropped, and read anew before its write
 * has come here, would keep for good what was there before.
 */
#include <errno.h>
#include <time.h>

#include "serve-parts.h"

/* A file that changed this lately may change again without another time: its times prove nothing yet. */
#define SETTLED_S 2
/* How often open files are looked at; of how many the host is told at once, which it has room for. */
#define LOOK_EVERY_S 1
#define MOST_TOLD 64

static bool same_time(struct timespec a, struct timespec b) { return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec; }

static bool is_settled(const struct stat *status) {
  struct timespec now;
  return !clock_gettime(CLOCK_REALTIME, &now) && status->st_mtim.tv_sec + SETTLED_S <= now.tv_sec &&
         status->st_ctim.tv_sec + SETTLED_S <= now.tv_sec;
}

/* Of a file that the host writes, other times than that of its content change by names and rights. */
static bool is_as_seen(const struct node *node, const struct stat *status) {
  const struct seen *seen = &node->seen;
  return seen->size == status->st_size && same_time(seen->modified, status->st_mtim) &&
         (seen->by_host || same_time(seen->changed, status->st_ctim));
}

static void see(struct node *node, const struct stat *status, bool by_host) {
  node->seen = (struct seen){.any = true,
                             .by_host = by_host,
                             .settled = is_settled(status),
                             .modified = status->st_mtim,
                             .changed = status->st_ctim,
                             .size = status->st_size};
}

/* With the node's lock: notes whether it is another than was seen. While the host changes it that can't be told. */
static void look(struct node *node) {
  struct stat status;
  if (node->changing > 0 || fstat(node->fd, &status)) return;
  const bool was_seen = node->seen.any, is_same = is_as_seen(node, &status);
  /* Unless the host writes it: what it is told twice then would not be safe. */
  const bool is_doubtful = !node->seen.settled && !node->seen.by_host && !node->writable && is_settled(&status);
  if (was_seen && is_same && !is_doubtful) return;
  if (was_seen) node->changed_by_others = true;
  see(node, &status, false);
}

void change_begins(struct node *node) {
  pthread_mutex_lock(&node->lock);
  look(node);
  node->changing++;
  pthread_mutex_unlock(&node->lock);
}

void change_ends(struct node *node) {
  struct stat status;
  pthread_mutex_lock(&node->lock);
  if (--node->changing == 0 && !fstat(node->fd, &status)) see(node, &status, true);
  pthread_mutex_unlock(&node->lock);
}

/* Whether others have changed it since this was asked last. */
static bool take_changed(struct node *node) {
  pthread_mutex_lock(&node->lock);
  look(node);
  const bool changed = node->changed_by_others;
  node->changed_by_others = false;
  pthread_mutex_unlock(&node->lock);
  return changed;
}

bool is_unchanged(struct node *node, bool to_write) {
  pthread_mutex_lock(&node->lock);
  node->writable |= to_write;
  const bool is_certain = node->seen.any && (node->seen.settled || node->seen.by_host || node->writable);
  pthread_mutex_unlock(&node->lock);
  return !take_changed(node) && is_certain;
}

void *changes_watch(void *unused) {
  (void)unused;
  for (uint64_t number = 0;;) {
    int told = 0;
    nanosleep(&(struct timespec){.tv_sec = LOOK_EVERY_S}, NULL);
    for (struct handle *handle; told < MOST_TOLD && (handle = handle_next(&number));) {
      if (handle->node->type == S_IFREG && take_changed(handle->node)) {
        tell_changed(handle->node->number);
        told++;
      }
      handle_release(handle);
    }
  }
}
