#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

#include "caller.h"
#include "homefs.h"
#include "wire.h"

/* Reads ahead of a sequential reader: several of the largest requests at once, as the home is a round trip away. */
#define READ_AHEAD_KB 4096
/* How often, and after how long, it is checked whether the thread that waits for an answer is being killed. */
#define LOOK_EVERY_MS 250
#define LOOK_AFTER_MS 500

/*
 * How long others than the job wait for a home that does not answer. CRIU must come to an end by itself: killed in the
 * middle of its work it can take a process along.
 */
#define OTHERS_WAIT_MS 10000

/* A request that the home has, and the thread that waits for the answer (0: none does). */
struct asked {
  uint64_t unique;
  uint32_t thread, opcode;
  int64_t since;
};

/* Of so many files the home may have said that they have changed, while the kernel drops what it has of them. */
#define MAX_CHANGED 4096

struct relay {
  int device;
  struct owner owner;
  struct wire *wire;
  pthread_mutex_t lock;
  pthread_cond_t answered;
  struct asked asked[MAX_UNANSWERED];
  int unanswered;
  /* Of those, how many are not for a lock that another holds; since when there are any, in microseconds. */
  int delaying;
  int64_t delayed_since;
  /* For how long there have been any, altogether: what the job would not wait at its home. The agent reads it. */
  _Atomic uint64_t *delayed_us;
  /* Files, by their numbers, that have changed at home. */
  pthread_cond_t changed_came;
  uint64_t changed[MAX_CHANGED];
  int changed_count;
};

static int64_t now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

static int64_t now_ms(void) { return now_us() / 1000; }

static void answer(const struct relay *relay, const void *message, size_t size) {
  /* ENOENT: it was answered already. EINVAL and others: the kernel reports them to the caller. */
  if (write(relay->device, message, size) < 0 && errno == ENODEV) exit(0);
}

static void refuse(const struct relay *relay, uint64_t unique, uint32_t opcode, int error) {
  struct fuse_out_header header = {.len = sizeof header, .error = refusal(opcode, error), .unique = unique};
  answer(relay, &header, sizeof header);
}

/* --- how long the job waits for its home ------------------------------------------------------------------------- */

/* A new file of one number. */
static _Atomic uint64_t *delay_in(const char *file) {
  const size_t size = sizeof(_Atomic uint64_t);
  int fd = open(file, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0 || ftruncate(fd, (off_t)size)) return NULL;
  void *mapped = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  return mapped == MAP_FAILED ? NULL : mapped;
}

/* With the lock, as the next. */
static void delay_begins(struct relay *relay, uint32_t opcode, int64_t now) {
  if (opcode != FUSE_SETLKW && relay->delaying++ == 0) relay->delayed_since = now;
}

static void delay_ends(struct relay *relay, uint32_t opcode) {
  if (opcode != FUSE_SETLKW && --relay->delaying == 0)
    atomic_fetch_add_explicit(relay->delayed_us, (uint64_t)(now_us() - relay->delayed_since), memory_order_relaxed);
}

/* --- from the kernel to the home -------------------------------------------------------------------------------- */

static void note_asked(struct relay *relay, const struct fuse_in_header *request) {
  pthread_mutex_lock(&relay->lock);
  while (relay->unanswered == MAX_UNANSWERED) pthread_cond_wait(&relay->answered, &relay->lock);
  const int64_t now = now_us();
  relay->asked[relay->unanswered++] = (struct asked){request->unique, request->pid, request->opcode, now / 1000};
  delay_begins(relay, request->opcode, now);
  pthread_mutex_unlock(&relay->lock);
}

static void *carry_requests(void *argument) {
  struct relay *relay = argument;
  char *buffer = malloc(MAX_MESSAGE);
  struct fuse_in_header *request = (struct fuse_in_header *)buffer;
  if (!buffer) exit(say_error("memory", ENOMEM));
  for (;;) {
    ssize_t size = read(relay->device, buffer, MAX_MESSAGE);
    if (size < 0 && (errno == EINTR || errno == EAGAIN || errno == ENOENT)) continue;
    /* The mount is gone: no request comes any more. */
    if (size < (ssize_t)sizeof *request) exit(0);
    /* What is interrupted is waited for all the same (a file is no terminal), unless its thread is being killed. */
    if (request->opcode == FUSE_INTERRUPT) continue;
    if (!is_served(&relay->owner, request)) {
      refuse(relay, request->unique, request->opcode, EACCES);
      continue;
    }
    if (wants_answer(request->opcode)) note_asked(relay, request);
    wire_write(relay->wire, &(struct iovec){buffer, (size_t)size}, 1);
  }
  return NULL;
}

/* --- from the home to the kernel -------------------------------------------------------------------------------- */

/* False if the home was asked nothing of this number. */
static bool note_answered(struct relay *relay, uint64_t unique) {
  bool asked = false;
  pthread_mutex_lock(&relay->lock);
  for (int i = 0; i < relay->unanswered && !asked; i++)
    if (relay->asked[i].unique == unique) {
      delay_ends(relay, relay->asked[i].opcode);
      relay->asked[i] = relay->asked[--relay->unanswered];
      pthread_cond_signal(&relay->answered);
      asked = true;
    }
  pthread_mutex_unlock(&relay->lock);
  return asked;
}

/* With what has changed already: no file twice. */
static void note_changed(struct relay *relay, uint64_t number) {
  pthread_mutex_lock(&relay->lock);
  int at = 0;
  while (at < relay->changed_count && relay->changed[at] != number) at++;
  if (at == MAX_CHANGED) exit(say_error("changes", EPROTO));
  relay->changed[at] = number;
  if (at == relay->changed_count) relay->changed_count++;
  pthread_cond_signal(&relay->changed_came);
  pthread_mutex_unlock(&relay->lock);
}

static uint64_t next_changed(struct relay *relay) {
  pthread_mutex_lock(&relay->lock);
  while (relay->changed_count == 0) pthread_cond_wait(&relay->changed_came, &relay->lock);
  const uint64_t number = relay->changed[--relay->changed_count];
  pthread_mutex_unlock(&relay->lock);
  return number;
}

/* A thread of its own: the kernel may have to write a page before it drops it, and waits for the home's answer. */
static void *drop_changed(void *argument) {
  struct relay *relay = argument;
  for (;;) {
    struct {
      struct fuse_out_header header;
      struct fuse_notify_inval_inode_out all;
    } told = {{.len = sizeof told, .error = FUSE_NOTIFY_INVAL_INODE}, {.ino = next_changed(relay)}};
    /* ENOENT: the kernel has forgotten the file. */
    answer(relay, &told, sizeof told);
  }
  return NULL;
}

/*
 * The next answer, in a buffer of MAX_MESSAGE bytes. Of what was not asked for one kind is taken: that a file has
 * changed. All else is dropped: the kernel would take it for a notification, by which a home could change what is here.
 */
static void carry_answer(struct relay *relay, char *buffer) {
  struct fuse_out_header *header = (struct fuse_out_header *)buffer;
  wire_read(relay->wire, header, sizeof *header);
  if (header->len < sizeof *header || header->len > MAX_MESSAGE) exit(say_error("answer", EPROTO));
  wire_read(relay->wire, header + 1, header->len - sizeof *header);
  const struct fuse_notify_inval_inode_out *all = (const struct fuse_notify_inval_inode_out *)(header + 1);
  if (header->unique == 0 && header->error == FUSE_NOTIFY_INVAL_INODE && header->len == sizeof *header + sizeof *all)
    note_changed(relay, all->ino);
  else if (note_answered(relay, header->unique)) answer(relay, buffer, header->len);
}

/* --- those who are killed while they wait ----------------------------------------------------------------------- */

/* Why a request is answered here, as an errno; 0 if it waits on. */
static int not_waited_for(const struct relay *relay, const struct asked *asked) {
  if (is_dying(asked->thread)) return EINTR;
  if (asked->since > now_ms() - OTHERS_WAIT_MS) return 0;
  return waits_as_job(&relay->owner, asked->thread) ? 0 : ETIMEDOUT;
}

/*
 * A process whose request was read can't be killed until it is answered. So a process that is being killed is answered
 * here, and so is one that waits too long and is not the job's; the home's answer to it is dropped.
 */
static void *release_waiting(void *argument) {
  struct relay *relay = argument;
  for (;;) {
    struct asked waiting[MAX_UNANSWERED];
    int count = 0;
    nanosleep(&(struct timespec){.tv_nsec = LOOK_EVERY_MS * 1000000L}, NULL);
    int64_t before = now_ms() - LOOK_AFTER_MS;
    pthread_mutex_lock(&relay->lock);
    for (int i = 0; i < relay->unanswered; i++)
      if (relay->asked[i].thread && relay->asked[i].since < before) waiting[count++] = relay->asked[i];
    pthread_mutex_unlock(&relay->lock);
    for (int i = 0; i < count; i++) {
      int error = not_waited_for(relay, &waiting[i]);
      if (error) refuse(relay, waiting[i].unique, waiting[i].opcode, error);
    }
  }
  return NULL;
}

/* --- the mount -------------------------------------------------------------------------------------------------- */

static void read_ahead(unsigned int connection) {
  char path[64], value[16];
  snprintf(path, sizeof path, "/sys/class/bdi/0:%u/read_ahead_kb", connection);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  /* Where there is no /sys it reads ahead less. */
  if (fd < 0) return;
  int size = snprintf(value, sizeof value, "%d", READ_AHEAD_KB);
  if (write(fd, value, (size_t)size) != size) perror("read_ahead_kb");
  close(fd);
}

/*
 * A user's job runs with no_new_privs and has no use of set-user-ID bits; nor has anybody else of those of its home.
 * In a job of root's they count as they do at home: those who log in there become root by `su` or `sudo`, and
 * only root of both nodes can start the job. Others can't start such a program: to open it is refused to them.
 */
static unsigned long mount_flags(const struct owner *owner) { return MS_NODEV | (owner->user == 0 ? 0 : MS_NOSUID); }

static int make_mount(const struct relay *relay, char **argv) {
  char options[256];
  snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other,max_read=%d", relay->device,
           MAX_DATA);
  unsigned long flags = mount_flags(&relay->owner);
  return mount(required(argv, "--name"), required(argv, "--at"), "fuse.godwit", flags, options);
}

int mount_home(char **argv) {
  struct relay relay = {.lock = PTHREAD_MUTEX_INITIALIZER,
                        .answered = PTHREAD_COND_INITIALIZER,
                        .changed_came = PTHREAD_COND_INITIALIZER};
  relay.owner = (struct owner){number_option(argv, "--uid"), option(argv, "--cgroup")};
  relay.delayed_us = delay_in(required(argv, "--delayed"));
  if (!relay.delayed_us) return say_error("delayed", errno);
  relay.device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
  if (relay.device < 0) return say_error("device", errno);
  relay.wire = wire_listen(required(argv, "--socket"), required(argv, "--id"));
  if (!relay.wire) return say_error("socket", errno);
  if (make_mount(&relay, argv)) return say_error("mount", errno);
  unsigned int connection = connection_at(required(argv, "--at"));
  read_ahead(connection);
  pthread_t thread;
  if (pthread_create(&thread, NULL, carry_requests, &relay) || pthread_create(&thread, NULL, release_waiting, &relay) ||
      pthread_create(&thread, NULL, drop_changed, &relay))
    return say_error("thread", EAGAIN);
  say("{\"mounted\":{\"connection\":%u}}", connection);
  char *buffer = malloc(MAX_MESSAGE);
  if (!buffer) return say_error("memory", ENOMEM);
  for (;;) carry_answer(&relay, buffer);
}
