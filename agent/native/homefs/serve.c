/* The home's half: takes requests from the wire, has them worked on by several threads, and sends their answers. */
#include "serve-parts.h"

#include <errno.h>
#include <malloc.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "homefs.h"
#include "wire.h"

/* A request may wait for a disk; the others go on. */
#define WORKERS 16
/* More descriptors than this are not used even where they may be. */
#define MAX_WARM (1 << 18)
/* The largest of messages stay in the process's memory instead of being mapped for each. */
#define MMAP_THRESHOLD (16 << 20)

/* How often open files are looked at; of how many the host is told at once, which it has room for. */
#define LOOK_EVERY_S 1
#define MOST_TOLD 64

struct job {
  struct job *next;
  size_t size;
  char message[];
};

static struct wire *wire;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t arrived = PTHREAD_COND_INITIALIZER;
static struct job *first, **last = &first;
static int waiting;

/* Does what the message asks for, with `room` for the answer, and sends that if one is wanted. */
static void respond(const struct job *job, char *room) {
  const struct fuse_in_header *in = (const struct fuse_in_header *)job->message;
  struct request request = {
      .in = in, .body = job->message + sizeof *in, .size = job->size - sizeof *in, .answer = room};
  int error = perform(&request);
  if (!wants_answer(in->opcode)) return;
  size_t size = error ? 0 : request.answer_size;
  struct fuse_out_header header = {.len = (uint32_t)(sizeof header + size), .error = error, .unique = in->unique};
  wire_write(wire, (struct iovec[]){{&header, sizeof header}, {room, size}}, size > 0 ? 2 : 1);
}

static char *make_room(void) {
  char *room = malloc(MAX_DATA);
  if (!room) exit(say_error("memory", ENOMEM));
  return room;
}

/* --- workers ---------------------------------------------------------------------------------------------------- */

static struct job *next_job(void) {
  pthread_mutex_lock(&lock);
  while (!first) pthread_cond_wait(&arrived, &lock);
  struct job *job = first;
  first = job->next;
  if (!first) last = &first;
  waiting--;
  pthread_mutex_unlock(&lock);
  return job;
}

static void add_job(struct job *job) {
  pthread_mutex_lock(&lock);
  /* The relay sends no more than it has room for itself. */
  if (++waiting > MAX_UNANSWERED) exit(say_error("requests", EPROTO));
  job->next = NULL;
  *last = job;
  last = &job->next;
  pthread_cond_signal(&arrived);
  pthread_mutex_unlock(&lock);
}

static void *worker(void *argument) {
  (void)argument;
  char *room = make_room();
  /* A mask of its own for the files that it makes. */
  if (unshare(CLONE_FS)) exit(say_error("thread", errno));
  umask(0);
  for (;;) {
    struct job *job = next_job();
    respond(job, room);
    free(job);
  }
  return NULL;
}

/* --- what others have changed ----------------------------------------------------------------------------------- */

/* The host is to drop what it has of the file. */
static void tell_changed(uint64_t number) {
  struct {
    struct fuse_out_header header;
    struct fuse_notify_inval_inode_out all;
  } told = {{.len = sizeof told, .error = FUSE_NOTIFY_INVAL_INODE}, {.ino = number}};
  wire_write(wire, &(struct iovec){&told, sizeof told}, 1);
}

/* A thread: looks at the files that the host has open. */
static void *watch(void *unused) {
  (void)unused;
  for (uint64_t number = 0;;) {
    int told = 0;
    nanosleep(&(struct timespec){.tv_sec = LOOK_EVERY_S}, NULL);
    for (struct handle *handle; told < MOST_TOLD && (handle = handle_next(&number));) {
      if (handle->node->type == S_IFREG && is_changed_by_others(handle->node)) {
        tell_changed(handle->node->number);
        told++;
      }
      handle_release(handle);
    }
  }
  return NULL;
}

/* --- the server ------------------------------------------------------------------------------------------------- */

/* Half of the descriptors for files that the host knows of, the other half for those that are open. */
static void raise_limit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit)) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  nodes_limit(limit.rlim_max < MAX_WARM ? (int)limit.rlim_max / 2 : MAX_WARM / 2);
}

static struct job *read_job(void) {
  struct fuse_in_header header;
  wire_read(wire, &header, sizeof header);
  if (header.len < sizeof header || header.len > MAX_MESSAGE) exit(say_error("request", EPROTO));
  struct job *job = malloc(sizeof *job + header.len);
  if (!job) exit(say_error("memory", ENOMEM));
  job->size = header.len;
  memcpy(job->message, &header, sizeof header);
  wire_read(wire, job->message + sizeof header, header.len - sizeof header);
  return job;
}

int serve(char **argv) {
  const char *root = option(argv, "--root");
  mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD);
  mallopt(M_TRIM_THRESHOLD, MMAP_THRESHOLD);
  raise_limit();
  umask(0);
  /* Before there is a thread that would go without it. */
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return say_error("rights", errno);
  /* The socket is made as root, for root alone; the files are opened with the user's rights. */
  wire = wire_listen(required(argv, "--socket"), required(argv, "--id"));
  if (!wire) return say_error("socket", errno);
  int error = nodes_open(root ? root : "/", argv);
  if (error) return say_error("root", error);
  error = rights_take(argv);
  if (error) return say_error("rights", error);
  pthread_t thread;
  if (pthread_create(&thread, NULL, nodes_rest, NULL) || pthread_create(&thread, NULL, watch, NULL))
    return say_error("thread", EAGAIN);
  for (int i = 0; i < WORKERS; i++) {
    if (pthread_create(&thread, NULL, worker, NULL)) return say_error("thread", EAGAIN);
  }
  say("{\"serving\":{\"pid\":%d}}", getpid());
  for (char *room = make_room();;) {
    struct job *job = read_job();
    if (!is_done_at_once(((struct fuse_in_header *)job->message)->opcode)) {
      add_job(job);
      continue;
    }
    respond(job, room);
    free(job);
  }
}
