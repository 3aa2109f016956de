/* The home's half: takes requests from the wire, has them worked on by several threads, and sends their answers. */
#include "serve.h"

#include <errno.h>
#include <malloc.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "homefs.h"
#include "wire.h"

/* A request may wait for a disk; the others go on. */
#define WORKERS 16
/* Read-ahead and the like: what the host asks for without being waited for. */
#define MAX_BACKGROUND 64
#define CONGESTION 48
/* FUSE 7.31, of Linux 5.4. */
#define LEAST_MINOR 31
/* More descriptors than this are not used even where they may be. */
#define MAX_WARM (1 << 18)
/* The largest of messages stay in the process's memory instead of being mapped for each. */
#define MMAP_THRESHOLD (16 << 20)

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

static operation *const operations[] = {
    [FUSE_LOOKUP] = do_lookup,
    [FUSE_GETATTR] = do_getattr,
    [FUSE_SETATTR] = do_setattr,
    [FUSE_READLINK] = do_readlink,
    [FUSE_SYMLINK] = do_symlink,
    [FUSE_MKNOD] = do_mknod,
    [FUSE_MKDIR] = do_mkdir,
    [FUSE_UNLINK] = do_unlink,
    [FUSE_RMDIR] = do_rmdir,
    [FUSE_RENAME] = do_rename,
    [FUSE_LINK] = do_link,
    [FUSE_OPEN] = do_open,
    [FUSE_READ] = do_read,
    [FUSE_WRITE] = do_write,
    [FUSE_STATFS] = do_statfs,
    [FUSE_RELEASE] = do_release,
    [FUSE_FSYNC] = do_fsync,
    [FUSE_SETXATTR] = do_setxattr,
    [FUSE_GETXATTR] = do_getxattr,
    [FUSE_LISTXATTR] = do_listxattr,
    [FUSE_REMOVEXATTR] = do_removexattr,
    [FUSE_OPENDIR] = do_opendir,
    [FUSE_READDIR] = do_readdir,
    [FUSE_RELEASEDIR] = do_releasedir,
    [FUSE_FSYNCDIR] = do_fsyncdir,
    [FUSE_ACCESS] = do_access,
    [FUSE_CREATE] = do_create,
    [FUSE_FALLOCATE] = do_fallocate,
    [FUSE_READDIRPLUS] = do_readdirplus,
    [FUSE_RENAME2] = do_rename2,
    [FUSE_LSEEK] = do_lseek,
    [FUSE_COPY_FILE_RANGE] = do_copy_file_range,
    [FUSE_TMPFILE] = do_tmpfile,
};

/* --- requests --------------------------------------------------------------------------------------------------- */

const void *arguments(const struct request *request, size_t size) {
  return request->size >= size ? request->body : NULL;
}

const char *name_at(const struct request *request, size_t offset) {
  if (offset >= request->size) return NULL;
  const char *name = request->body + offset;
  if (!memchr(name, 0, request->size - offset)) return NULL;
  return *name && strcmp(name, ".") && strcmp(name, "..") && !strchr(name, '/') ? name : NULL;
}

void *answer(struct request *request, size_t size) {
  memset(request->answer, 0, size);
  request->answer_size = size;
  return request->answer;
}

static void reply(uint64_t unique, int error, const void *data, size_t size) {
  if (error) size = 0;
  struct fuse_out_header header = {.len = sizeof header + size, .error = error, .unique = unique};
  struct iovec parts[2] = {{&header, sizeof header}, {(void *)data, size}};
  wire_write(wire, parts, size > 0 ? 2 : 1);
}

static int perform(struct request *request) {
  operation *operation = NULL;
  if (request->in->opcode < sizeof operations / sizeof *operations) operation = operations[request->in->opcode];
  /* The kernel does without, and does not ask again. */
  if (!operation) return -ENOSYS;
  request->node = node_hold(request->in->nodeid);
  if (!request->node) return -ESTALE;
  int result = operation(request);
  node_release(request->node);
  return result;
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
  char *room = malloc(MAX_DATA + sizeof(struct fuse_out_header));
  /* A mask of its own for the files that it makes. */
  if (!room || unshare(CLONE_FS)) exit(say_error("thread", errno));
  umask(0);
  for (;;) {
    struct job *job = next_job();
    const struct fuse_in_header *in = (struct fuse_in_header *)job->message;
    struct request request = {
        .in = in, .body = job->message + sizeof *in, .size = job->size - sizeof *in, .answer = room};
    int error = perform(&request);
    reply(in->unique, error, request.answer, request.answer_size);
    free(job);
  }
  return NULL;
}

/* --- what is answered at once ----------------------------------------------------------------------------------- */

static void begin(const struct fuse_in_header *in, const struct fuse_init_in *init, size_t size) {
  if (size < 16 || init->major != FUSE_KERNEL_VERSION || init->minor < LEAST_MINOR) {
    reply(in->unique, -EPROTO, NULL, 0);
    return;
  }
  uint32_t wanted = FUSE_ASYNC_READ | FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES | FUSE_DONT_MASK | FUSE_AUTO_INVAL_DATA |
                    FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO | FUSE_ASYNC_DIO | FUSE_PARALLEL_DIROPS |
                    FUSE_MAX_PAGES | FUSE_CACHE_SYMLINKS | FUSE_HANDLE_KILLPRIV_V2 | FUSE_SETXATTR_EXT;
  /* With this the host's kernel checks permissions. A user's job needs no check but that of the home's kernel. */
  if (rights_are_roots()) wanted |= FUSE_POSIX_ACL;
  struct fuse_init_out out = {
      .major = FUSE_KERNEL_VERSION,
      .minor = FUSE_KERNEL_MINOR_VERSION,
      .max_readahead = UINT32_MAX,
      .flags = init->flags & wanted,
      .max_background = MAX_BACKGROUND,
      .congestion_threshold = CONGESTION,
      .max_write = MAX_DATA,
      .time_gran = 1,
      .max_pages = MAX_DATA / 4096,
  };
  long_setxattr = out.flags & FUSE_SETXATTR_EXT;
  reply(in->unique, 0, &out, sizeof out);
}

static void forget(const struct fuse_in_header *in, const char *body, size_t size) {
  if (in->opcode == FUSE_FORGET) {
    if (size >= sizeof(struct fuse_forget_in)) node_forget(in->nodeid, ((struct fuse_forget_in *)body)->nlookup);
    return;
  }
  const struct fuse_batch_forget_in *batch = (struct fuse_batch_forget_in *)body;
  if (size < sizeof *batch || batch->count > (size - sizeof *batch) / sizeof(struct fuse_forget_one)) return;
  const struct fuse_forget_one *one = (struct fuse_forget_one *)(batch + 1);
  for (uint32_t i = 0; i < batch->count; i++) node_forget(one[i].nodeid, one[i].nlookup);
}

static void take(struct job *job) {
  const struct fuse_in_header *in = (struct fuse_in_header *)job->message;
  const char *body = job->message + sizeof *in;
  size_t size = job->size - sizeof *in;
  if (in->opcode != FUSE_INIT && in->opcode != FUSE_FORGET && in->opcode != FUSE_BATCH_FORGET) {
    add_job(job);
    return;
  }
  if (in->opcode == FUSE_INIT) begin(in, (struct fuse_init_in *)body, size);
  else forget(in, body, size);
  free(job);
}

/* --- the server ------------------------------------------------------------------------------------------------- */

/* Half of the descriptors for files that the host knows of, the other half for those that are open. */
static void raise_limit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit)) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  nodes_limit(limit.rlim_max < MAX_WARM ? limit.rlim_max / 2 : MAX_WARM / 2);
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
  /* The socket is made as root, for root alone; the files are opened with the user's rights. */
  wire = wire_listen(required(argv, "--socket"), required(argv, "--id"));
  if (!wire) return say_error("socket", errno);
  int error = nodes_open(root ? root : "/", argv);
  if (error) return say_error("root", error);
  error = rights_take(argv);
  if (error) return say_error("rights", error);
  pthread_t thread;
  if (pthread_create(&thread, NULL, nodes_rest, NULL)) return say_error("thread", EAGAIN);
  for (int i = 0; i < WORKERS; i++) {
    if (pthread_create(&thread, NULL, worker, NULL)) return say_error("thread", EAGAIN);
  }
  say("{\"serving\":{\"pid\":%d}}", getpid());
  for (;;) take(read_job());
}
