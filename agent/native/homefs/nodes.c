#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../common/shown.h"
#include "homefs.h"
#include "serve-parts.h"

#define BUCKETS (1 << 14)
/* How many are looked at for each that is used: more than one becomes warm at a time, and some are in use. */
#define COOL_AT_ONCE 64
/* Folders above a file that is found again. Those of names that were moved at home meanwhile may form a circle. */
#define MAX_DEPTH 1024
#define ROOT_NODE FUSE_ROOT_ID
/*
 * Files that the host may know of at once, at some 160 bytes each, and 120 more where it was opened or changed: little
 * more than a gigabyte. Its kernel has several times as much to keep of each, and forgets some before it has that many.
 */
#define MAX_NODES (1 << 22)
/* Numbers that there is room for at first. */
#define FIRST_ROOM 1024

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct node *buckets[BUCKETS];
/* By number, and the numbers that are free again. */
static struct node **nodes;
static uint64_t *free_numbers;
static uint64_t node_room, node_count = ROOT_NODE, free_count, max_nodes = MAX_NODES;
static dev_t root_device;

static size_t bucket_of(dev_t device, ino_t inode) { return (inode * 31 + device) % BUCKETS; }

const char *fd_path(int fd, char path[PROC_PATH]) {
  snprintf(path, PROC_PATH, "/proc/self/fd/%d", fd);
  return path;
}

const char *node_path(const struct node *node, char path[PROC_PATH]) { return fd_path(node->fd, path); }

/* --- what is shown ---------------------------------------------------------------------------------------------- */

void fill_attributes(struct fuse_attr *attributes, const struct stat *status) {
  *attributes = (struct fuse_attr){
      .ino = shown_inode(status, root_device),
      .size = (uint64_t)status->st_size,
      .blocks = (uint64_t)status->st_blocks,
      .atime = (uint64_t)status->st_atim.tv_sec,
      .mtime = (uint64_t)status->st_mtim.tv_sec,
      .ctime = (uint64_t)status->st_ctim.tv_sec,
      .atimensec = (uint32_t)status->st_atim.tv_nsec,
      .mtimensec = (uint32_t)status->st_mtim.tv_nsec,
      .ctimensec = (uint32_t)status->st_ctim.tv_nsec,
      .mode = status->st_mode,
      .nlink = (uint32_t)status->st_nlink,
      .uid = status->st_uid,
      .gid = status->st_gid,
      .rdev = (uint32_t)status->st_rdev,
      .blksize = (uint32_t)status->st_blksize,
  };
}

/* --- the table -------------------------------------------------------------------------------------------------- */

/* For one more number: false if there is no memory, or there are too many. */
static bool make_room(void) {
  if (free_count > 0 || node_count < node_room) return true;
  uint64_t room = node_room ? 2 * node_room : FIRST_ROOM;
  if (room > max_nodes) return false;
  struct node **more = realloc(nodes, room * sizeof *more);
  if (more) nodes = more;
  uint64_t *free_more = realloc(free_numbers, room * sizeof *free_more);
  if (free_more) free_numbers = free_more;
  if (!more || !free_more) return false;
  memset(nodes + node_room, 0, (room - node_room) * sizeof *nodes);
  node_room = room;
  return true;
}

/* --- warm and cold ---------------------------------------------------------------------------------------------- */

/*
 * The warm, in two lists: those on the root's file system and those on others. Of a list's head, `newer` is the oldest
 * and `older` the newest.
 */
static struct node warm[2] = {{.older = &warm[0], .newer = &warm[0]}, {.older = &warm[1], .newer = &warm[1]}};
static int warm_count, warm_limit = 256;

/* A mount at home that is not used here must not be busy: what is on others than the root's rests soon. */
#define REST_S 1
static pthread_cond_t others_came = PTHREAD_COND_INITIALIZER;

void nodes_limit(int most) { warm_limit = most; }

static time_t now_s(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return now.tv_sec;
}

static void leave_warm(struct node *node) {
  node->older->newer = node->newer;
  node->newer->older = node->older;
  warm_count--;
}

static void join_warm(struct node *node) {
  struct node *head = &warm[node->device != root_device];
  if (head == &warm[1] && head->newer == head) pthread_cond_signal(&others_came);
  node->used = now_s();
  node->older = head->older;
  node->newer = head;
  head->older->newer = node;
  head->older = node;
  warm_count++;
}

/* With the lock: closes its descriptor, unless it is in use. */
static void cool_one(struct node *node) {
  leave_warm(node);
  if (node->users > 0 || node->opens > 0 || !node->name) {
    join_warm(node);
    return;
  }
  close(node->fd);
  node->fd = -1;
}

static struct node *oldest(void) {
  struct node *home = warm[0].newer, *other = warm[1].newer;
  if (home == &warm[0]) return other;
  return other == &warm[1] || home->used <= other->used ? home : other;
}

/* With the lock: closes the descriptors of those that were not used for longest, if there are too many. */
static void cool(void) {
  for (int left = COOL_AT_ONCE; left > 0 && warm_count > warm_limit; left--) cool_one(oldest());
}

void *nodes_rest(void *unused) {
  (void)unused;
  pthread_mutex_lock(&lock);
  for (;;) {
    while (warm[1].newer == &warm[1]) pthread_cond_wait(&others_came, &lock);
    pthread_mutex_unlock(&lock);
    nanosleep(&(struct timespec){.tv_sec = REST_S}, NULL);
    pthread_mutex_lock(&lock);
    const time_t before = now_s() - REST_S;
    while (warm[1].newer != &warm[1] && warm[1].newer->used < before) cool_one(warm[1].newer);
  }
}

/* With the lock. Takes `fd` over. */
static void warm_up(struct node *node, int fd) {
  if (node->fd >= 0) {
    close(fd);
    leave_warm(node);
  } else node->fd = fd;
  join_warm(node);
}

/*
 * With the lock: that is where it will be looked for. Without a name it stays warm, and so does the root, which may be
 * seen below itself too where the home has mounted it there.
 */
static void remember_name(struct node *node, uint64_t parent, const char *name) {
  if (!name || node->number == ROOT_NODE) return;
  if (!node->name || strcmp(node->name, name)) {
    char *copy = strdup(name);
    if (!copy) return;
    free(node->name);
    node->name = copy;
  }
  node->parent = parent;
}

/* Opens a referenced node anew that has become cold. */
static bool find_again(struct node *node) {
  static _Thread_local int depth;
  char name[NAME_MAX + 1];
  struct stat status;
  pthread_mutex_lock(&lock);
  uint64_t number = node->parent;
  snprintf(name, sizeof name, "%s", node->name);
  pthread_mutex_unlock(&lock);
  if (depth == MAX_DEPTH) return false;
  depth++;
  struct node *parent = node_hold(number);
  depth--;
  if (!parent) return false;
  int fd = openat(parent->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  node_release(parent);
  if (fd < 0) return false;
  bool same = !fstatat(fd, "", &status, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) && status.st_dev == node->device &&
              status.st_ino == node->inode && (status.st_mode & S_IFMT) == node->type;
  if (!same) {
    close(fd);
    return false;
  }
  pthread_mutex_lock(&lock);
  warm_up(node, fd);
  pthread_mutex_unlock(&lock);
  return true;
}

/* --- nodes ------------------------------------------------------------------------------------------------------ */

static struct node *known(const struct stat *status) {
  struct node *node = buckets[bucket_of(status->st_dev, status->st_ino)];
  while (node && (node->inode != status->st_ino || node->device != status->st_dev)) node = node->next;
  return node;
}

/* With the lock: the node of a file, new if need be; it takes `fd` over. NULL if there is no room for one. */
static struct node *node_of(int fd, const struct stat *status, bool veiled) {
  struct node *node = known(status);
  if (!node) {
    node = make_room() ? calloc(1, sizeof *node) : NULL;
    if (!node) {
      close(fd);
      return NULL;
    }
    struct node **bucket = &buckets[bucket_of(status->st_dev, status->st_ino)];
    node->number = free_count > 0 ? free_numbers[--free_count] : node_count++;
    node->fd = -1;
    node->device = status->st_dev;
    node->inode = status->st_ino;
    node->type = status->st_mode & S_IFMT;
    node->veiled = veiled;
    node->next = *bucket;
    *bucket = node;
    nodes[node->number] = node;
  }
  warm_up(node, fd);
  return node;
}

/* With the lock. */
static void drop_if_unused(struct node *node) {
  if (node->lookups > 0 || node->users > 0 || node->opens > 0) return;
  struct node **at = &buckets[bucket_of(node->device, node->inode)];
  while (*at != node) at = &(*at)->next;
  *at = node->next;
  nodes[node->number] = NULL;
  free_numbers[free_count++] = node->number;
  if (node->fd >= 0) {
    leave_warm(node);
    close(node->fd);
  }
  changes_forget(node);
  free(node->name);
  free(node);
}

/* With the lock. No file has a number below the root's. */
static struct node *numbered(uint64_t number) {
  return number >= ROOT_NODE && number < node_count ? nodes[number] : NULL;
}

struct node *node_hold(uint64_t number) {
  pthread_mutex_lock(&lock);
  struct node *node = numbered(number);
  bool cold = node && node->fd < 0;
  if (node) node->users++;
  pthread_mutex_unlock(&lock);
  if (!cold || find_again(node)) return node;
  node_release(node);
  return NULL;
}

void node_release(struct node *node) {
  pthread_mutex_lock(&lock);
  assert(node->users > 0);
  node->users--;
  drop_if_unused(node);
  cool();
  pthread_mutex_unlock(&lock);
}

void node_opened(struct node *node) {
  pthread_mutex_lock(&lock);
  node->opens++;
  pthread_mutex_unlock(&lock);
}

void node_closed(struct node *node) {
  pthread_mutex_lock(&lock);
  assert(node->opens > 0);
  node->opens--;
  drop_if_unused(node);
  pthread_mutex_unlock(&lock);
}

void node_forget(uint64_t number, uint64_t lookups) {
  pthread_mutex_lock(&lock);
  struct node *node = number != ROOT_NODE ? numbered(number) : NULL;
  if (node) {
    node->lookups -= lookups < node->lookups ? lookups : node->lookups;
    drop_if_unused(node);
  }
  pthread_mutex_unlock(&lock);
}

/* --- names ------------------------------------------------------------------------------------------------------ */

/* Takes `fd`, an O_PATH descriptor, over. */
static int enter(struct node *parent, const char *name, int fd, struct fuse_entry_out *entry) {
  struct stat status;
  if (fstatat(fd, "", &status, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW)) {
    int error = errno;
    close(fd);
    return -error;
  }
  bool veiled = is_veiled(parent, name, fd, &status);
  pthread_mutex_lock(&lock);
  struct node *node = node_of(fd, &status, veiled);
  if (node) {
    node->lookups++;
    remember_name(node, parent->number, name);
    *entry = (struct fuse_entry_out){.nodeid = node->number, .entry_valid = TRUSTED_S, .attr_valid = TRUSTED_S};
    cool();
  }
  pthread_mutex_unlock(&lock);
  if (!node) return -ENFILE;
  fill_attributes(&entry->attr, &status);
  return 0;
}

int node_enter(struct node *parent, const char *name, struct fuse_entry_out *entry) {
  if (parent->veiled) return -ENOENT;
  int fd = openat(parent->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  return fd < 0 ? -errno : enter(parent, name, fd, entry);
}

int node_enter_open(struct node *parent, const char *name, int file, struct fuse_entry_out *entry) {
  char path[PROC_PATH];
  int fd = open(fd_path(file, path), O_PATH | O_CLOEXEC);
  return fd < 0 ? -errno : enter(parent, name, fd, entry);
}

void node_moved(struct node *parent, const char *name) {
  struct stat status;
  if (fstatat(parent->fd, name, &status, AT_SYMLINK_NOFOLLOW)) return;
  pthread_mutex_lock(&lock);
  struct node *node = known(&status);
  if (node) remember_name(node, parent->number, name);
  pthread_mutex_unlock(&lock);
}

/* --- the beginning ---------------------------------------------------------------------------------------------- */

int nodes_open(const char *root, char **argv) {
  struct stat status;
  if (option(argv, "--max-nodes")) max_nodes = number_option(argv, "--max-nodes");
  const int failed = veil_folders(argv);
  if (failed) return failed;
  int fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &status)) return errno;
  root_device = status.st_dev;
  struct node *node = node_of(fd, &status, false);
  if (!node) return ENOMEM;
  node->lookups = 1;
  return 0;
}
