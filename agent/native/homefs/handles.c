#include <stdlib.h>
#include <unistd.h>

#include "serve-parts.h"

/* A job has no more files open than its limit allows, which is far below. */
#define MAX_HANDLES (1 << 20)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* By number, from 1; those that are free again. */
static struct handle **handles;
static uint64_t *free_numbers;
static uint64_t handle_room, handle_count = 1, free_count;

static bool make_room(void) {
  if (free_count > 0 || handle_count < handle_room) return true;
  uint64_t room = handle_room ? 2 * handle_room : 256;
  struct handle **more = room <= MAX_HANDLES ? realloc(handles, room * sizeof *more) : NULL;
  if (more) handles = more;
  uint64_t *free_more = more ? realloc(free_numbers, room * sizeof *free_more) : NULL;
  if (free_more) free_numbers = free_more;
  if (!free_more) return false;
  handle_room = room;
  return true;
}

uint64_t handle_new(struct node *node, int fd, bool folder) {
  struct handle *handle = calloc(1, sizeof *handle);
  pthread_mutex_lock(&lock);
  if (!handle || !make_room()) {
    pthread_mutex_unlock(&lock);
    free(handle);
    close(fd);
    return 0;
  }
  uint64_t number = free_count > 0 ? free_numbers[--free_count] : handle_count++;
  *handle = (struct handle){.number = number, .node = node, .fd = fd, .users = 1, .folder = folder};
  pthread_mutex_init(&handle->lock, NULL);
  node_opened(node);
  /* From here on the host may close it, which is then the last of it: numbers can be guessed. */
  handles[number] = handle;
  pthread_mutex_unlock(&lock);
  return number;
}

struct handle *handle_hold(uint64_t number, bool folder) {
  pthread_mutex_lock(&lock);
  struct handle *handle = number > 0 && number < handle_count ? handles[number] : NULL;
  if (handle && (handle->released || handle->folder != folder)) handle = NULL;
  if (handle) handle->users++;
  pthread_mutex_unlock(&lock);
  return handle;
}

void handle_release(struct handle *handle) {
  pthread_mutex_lock(&lock);
  bool last = --handle->users == 0;
  if (last) {
    handles[handle->number] = NULL;
    free_numbers[free_count++] = handle->number;
  }
  pthread_mutex_unlock(&lock);
  if (!last) return;
  close(handle->fd);
  node_closed(handle->node);
  pthread_mutex_destroy(&handle->lock);
  free(handle);
}

void handle_close(uint64_t number) {
  pthread_mutex_lock(&lock);
  struct handle *handle = number > 0 && number < handle_count ? handles[number] : NULL;
  bool open = handle && !handle->released;
  if (open) handle->released = true;
  pthread_mutex_unlock(&lock);
  if (open) handle_release(handle);
}

struct handle *handle_next(uint64_t *number) {
  struct handle *handle = NULL;
  pthread_mutex_lock(&lock);
  while (!handle && ++*number < handle_count)
    if (handles[*number] && !handles[*number]->released && !handles[*number]->folder) handle = handles[*number];
  if (handle) handle->users++;
  else *number = 0;
  pthread_mutex_unlock(&lock);
  return handle;
}
