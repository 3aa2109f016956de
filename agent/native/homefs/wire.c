#include "wire.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/*
 * What has been written and is not yet acknowledged. A fast link with a long way (1 GB/s, 8 ms) is kept busy by this
 * much.
 */
#define KEPT (8 << 20)
/* How much is read before it is acknowledged: small beside KEPT, so that the other end never waits for it. */
#define ACK_EVERY (512 << 10)
/* One frame's bytes: another frame (an acknowledgement) need not wait for long. */
#define MAX_FRAME (256 << 10)
#define READ_BUFFER (64 << 10)
/* What the kernel takes at once of what is written: fewer turns between the threads and processes on the way. */
#define SEND_BUFFER (2 << 20)
/* A hello is sent at once, but crosses two agents and a network. */
#define HELLO_TIMEOUT_MS 10000
/* Descriptors may be used up for a moment; then taking a connection is tried again. */
#define RETRY_MS 100

enum kind { BYTES = 1, ACK = 2 };

/* All numbers are little-endian. `size` of an ACK is 8: the count of bytes that its sender has read. */
struct frame {
  uint32_t kind, size;
};

/* The first message of either end: who it is, how far it has read, and from where to where it can still write. */
struct hello {
  char magic[8], id[64];
  uint64_t received, kept, written;
};
static const char MAGIC[8] = "GWHOME1";

struct connection {
  int fd;
  /* Threads in a system call on `fd`: it is closed when they have left. */
  int holders;
  bool cut;
  /* Of the reading thread alone. */
  size_t buffered, taken;
  uint32_t frame_left;
  /* Of the thread that writes: the head of the frame that is under way, and what is to come of its bytes. */
  size_t head_size, head_sent;
  uint32_t body_left;
  char head[2 * sizeof(struct frame) + sizeof(uint64_t)];
  char buffer[READ_BUFFER];
};

struct wire {
  pthread_mutex_t lock;
  pthread_cond_t changed; /* the connection, or the room for what is written */
  pthread_cond_t waiting; /* something waits for the flusher */
  int listening;
  uid_t owner;
  struct connection *connection;
  bool flushing;
  char id[64];
  /*
   * Counts of bytes since the beginning. kept <= next <= written: acknowledged; given to the connection; written. The
   * connection may have up to `offered` already, of which the thread that gives them to it has not counted the last.
   */
  uint64_t received, told, kept, next, offered, written;
  char *ring;
};

/* --- connections ------------------------------------------------------------------------------------------------ */

/* With the lock: the connection, for as long as `let_go` has not been called. */
static struct connection *hold(struct wire *wire) {
  struct connection *connection = wire->connection;
  if (connection) connection->holders++;
  return connection;
}

static void let_go(struct connection *connection) {
  assert(connection->holders > 0);
  connection->holders--;
  if (!connection->cut || connection->holders > 0) return;
  close(connection->fd);
  free(connection);
}

/*
 * With the lock. A thread in a system call on it comes back at once, or when it is next scheduled: the next connection
 * may be there by then. So nothing that a system call has done counts for a connection that was cut.
 */
static void cut(struct wire *wire, struct connection *connection) {
  if (connection->cut) return;
  connection->cut = true;
  shutdown(connection->fd, SHUT_RDWR);
  wire->connection = NULL;
  pthread_cond_broadcast(&wire->changed);
}

/* --- reading ---------------------------------------------------------------------------------------------------- */

/* Up to `size` bytes, as read(2). Large pieces are not copied twice. */
static ssize_t take(struct connection *connection, void *to, size_t size) {
  if (connection->taken == connection->buffered) {
    if (size >= READ_BUFFER) return recv(connection->fd, to, size, 0);
    ssize_t got = recv(connection->fd, connection->buffer, READ_BUFFER, 0);
    if (got <= 0) return got;
    connection->taken = 0;
    connection->buffered = (size_t)got;
  }
  size_t left = connection->buffered - connection->taken;
  if (size > left) size = left;
  memcpy(to, connection->buffer + connection->taken, size);
  connection->taken += size;
  return (ssize_t)size;
}

static bool take_all(struct connection *connection, void *to, size_t size) {
  for (size_t at = 0; at < size;) {
    ssize_t got = take(connection, (char *)to + at, size - at);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    at += (size_t)got;
  }
  return true;
}

/* The next frame's head, with the acknowledgements before it; false when the connection can't be used any more. */
static bool take_head(struct wire *wire, struct connection *connection) {
  struct frame frame;
  uint64_t count;
  for (;;) {
    if (!take_all(connection, &frame, sizeof frame)) return false;
    uint32_t size = le32toh(frame.size);
    if (le32toh(frame.kind) == BYTES && size > 0 && size <= MAX_FRAME) {
      connection->frame_left = size;
      return true;
    }
    if (le32toh(frame.kind) != ACK || size != sizeof count) return false;
    if (!take_all(connection, &count, sizeof count)) return false;
    count = le64toh(count);
    pthread_mutex_lock(&wire->lock);
    bool good = !connection->cut && count >= wire->kept && count <= wire->offered;
    if (good) wire->kept = count;
    pthread_cond_broadcast(&wire->changed);
    pthread_mutex_unlock(&wire->lock);
    if (!good) return false;
  }
}

/* Some bytes, or 0 when the connection can't be used any more. */
static size_t take_bytes(struct wire *wire, struct connection *connection, void *to, size_t size) {
  if (connection->frame_left == 0 && !take_head(wire, connection)) return 0;
  ssize_t got;
  if (size > connection->frame_left) size = connection->frame_left;
  do got = take(connection, to, size);
  while (got < 0 && errno == EINTR);
  if (got <= 0) return 0;
  connection->frame_left -= (uint32_t)got;
  return (size_t)got;
}

void wire_read(struct wire *wire, void *to, size_t size) {
  pthread_mutex_lock(&wire->lock);
  while (size > 0) {
    struct connection *connection = hold(wire);
    if (!connection) {
      pthread_cond_wait(&wire->changed, &wire->lock);
      continue;
    }
    pthread_mutex_unlock(&wire->lock);
    size_t got = take_bytes(wire, connection, to, size);
    pthread_mutex_lock(&wire->lock);
    if (got == 0) cut(wire, connection);
    /* What came over a connection that was cut meanwhile was never counted, and comes again. */
    else if (!connection->cut) {
      wire->received += got;
      to = (char *)to + got;
      size -= got;
      if (wire->received - wire->told >= ACK_EVERY) pthread_cond_signal(&wire->waiting);
    }
    let_go(connection);
  }
  pthread_mutex_unlock(&wire->lock);
}

/* --- writing ---------------------------------------------------------------------------------------------------- */

static size_t put_frame(char *at, enum kind kind, uint32_t size) {
  struct frame frame = {htole32(kind), htole32(size)};
  memcpy(at, &frame, sizeof frame);
  return sizeof frame;
}

static bool owes_ack(const struct wire *wire) { return wire->received - wire->told >= ACK_EVERY; }

/* With the lock: begins the next frame; false if there is nothing to send. */
static bool begin_frame(struct wire *wire, struct connection *connection) {
  size_t size = 0;
  if (owes_ack(wire)) {
    uint64_t count = htole64(wire->received);
    size += put_frame(connection->head, ACK, sizeof count);
    memcpy(connection->head + size, &count, sizeof count);
    size += sizeof count;
    wire->told = wire->received;
  }
  uint64_t waits = wire->written - wire->next;
  connection->body_left = waits < MAX_FRAME ? (uint32_t)waits : MAX_FRAME;
  if (connection->body_left > 0) size += put_frame(connection->head + size, BYTES, connection->body_left);
  connection->head_size = size;
  connection->head_sent = 0;
  wire->offered = wire->next + connection->body_left;
  return size > 0;
}

/* What is to come of the frame: its head, and its bytes, which may go around the ring's end. */
static size_t remainder_of(struct wire *wire, struct connection *connection, struct iovec parts[3]) {
  size_t count = 0;
  if (connection->head_sent < connection->head_size)
    parts[count++] =
        (struct iovec){connection->head + connection->head_sent, connection->head_size - connection->head_sent};
  size_t at = wire->next % KEPT, first = KEPT - at, body = connection->body_left;
  if (body > 0) parts[count++] = (struct iovec){wire->ring + at, body < first ? body : first};
  if (body > first) parts[count++] = (struct iovec){wire->ring, body - first};
  return count;
}

static void count_sent(struct wire *wire, struct connection *connection, size_t sent) {
  size_t head = connection->head_size - connection->head_sent;
  if (head > sent) head = sent;
  connection->head_sent += head;
  connection->body_left -= (uint32_t)(sent - head);
  wire->next += sent - head;
}

/*
 * With the lock, which is released meanwhile: gives to the connection what waits. One thread at a time; `flags` is
 * MSG_DONTWAIT for one that must not wait for a slow connection. False if that would be so.
 */
static bool flush(struct wire *wire, int flags) {
  struct connection *connection = hold(wire);
  bool done = true;
  wire->flushing = true;
  while (connection && !connection->cut) {
    bool whole = connection->head_sent == connection->head_size && connection->body_left == 0;
    if (whole && !begin_frame(wire, connection)) break;
    struct iovec parts[3];
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = remainder_of(wire, connection, parts)};
    pthread_mutex_unlock(&wire->lock);
    ssize_t sent = sendmsg(connection->fd, &message, MSG_NOSIGNAL | flags);
    int error = errno;
    pthread_mutex_lock(&wire->lock);
    if (connection->cut) break;
    if (sent >= 0) count_sent(wire, connection, (size_t)sent);
    else if (error == EAGAIN || error == EWOULDBLOCK) {
      done = false;
      break;
    } else if (error != EINTR) cut(wire, connection);
  }
  wire->flushing = false;
  /* Another connection may have come meanwhile, and have found a thread that seemed to write to it. */
  if (connection && connection->cut) pthread_cond_signal(&wire->waiting);
  if (connection) let_go(connection);
  return done;
}

static void *flusher(void *argument) {
  struct wire *wire = argument;
  pthread_mutex_lock(&wire->lock);
  for (;;) {
    struct connection *connection = wire->connection;
    bool begun = connection && (connection->head_sent < connection->head_size || connection->body_left > 0);
    bool due = begun || wire->next < wire->written || owes_ack(wire);
    if (connection && due && !wire->flushing) flush(wire, 0);
    else pthread_cond_wait(&wire->waiting, &wire->lock);
  }
  return NULL;
}

void wire_write(struct wire *wire, const struct iovec *parts, int count) {
  size_t size = 0;
  for (int i = 0; i < count; i++) size += parts[i].iov_len;
  assert(size <= WIRE_MAX_WRITE);
  pthread_mutex_lock(&wire->lock);
  while (wire->written + size - wire->kept > KEPT) pthread_cond_wait(&wire->changed, &wire->lock);
  for (int i = 0; i < count; i++) {
    size_t at = wire->written % KEPT, first = KEPT - at, length = parts[i].iov_len;
    if (first > length) first = length;
    memcpy(wire->ring + at, parts[i].iov_base, first);
    memcpy(wire->ring, (char *)parts[i].iov_base + first, length - first);
    wire->written += length;
  }
  /* At once and by this thread: handing it to another takes longer than most answers do. */
  if (!wire->flushing && !flush(wire, MSG_DONTWAIT)) pthread_cond_signal(&wire->waiting);
  pthread_mutex_unlock(&wire->lock);
}

/* --- joining ---------------------------------------------------------------------------------------------------- */

static struct hello own_hello(const struct wire *wire) {
  struct hello hello = {
      .received = htole64(wire->received), .kept = htole64(wire->kept), .written = htole64(wire->written)};
  memcpy(hello.magic, MAGIC, sizeof hello.magic);
  memcpy(hello.id, wire->id, sizeof hello.id);
  return hello;
}

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* False if it does not come in time, or another connection is waiting: the newer one is meant. */
static bool read_hello(struct wire *wire, int fd, struct hello *hello) {
  int64_t deadline = now_ms() + HELLO_TIMEOUT_MS;
  for (size_t at = 0; at < sizeof *hello;) {
    struct pollfd ready[2] = {{.fd = fd, .events = POLLIN}, {.fd = wire->listening, .events = POLLIN}};
    int64_t left = deadline - now_ms();
    if (left <= 0) return false;
    if (poll(ready, 2, (int)left) < 0) continue;
    if (ready[0].revents) {
      ssize_t got = recv(fd, (char *)hello + at, sizeof *hello - at, 0);
      if (got <= 0) return false;
      at += (size_t)got;
    } else if (ready[1].revents) return false;
  }
  return true;
}

/* Whether the other end is this wire's, and what each lacks is still there. */
static bool fits(const struct wire *wire, const struct hello *hello) {
  uint64_t received = le64toh(hello->received);
  if (memcmp(hello->magic, MAGIC, sizeof MAGIC) || memcmp(hello->id, wire->id, sizeof wire->id)) return false;
  if (received < wire->kept || received > wire->written) return false;
  return wire->received >= le64toh(hello->kept) && wire->received <= le64toh(hello->written);
}

static void join(struct wire *wire, int fd) {
  struct hello theirs;
  int room = SEND_BUFFER;
  /* Above the system's limit for root; others have what the limit allows. */
  if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room))
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
  pthread_mutex_lock(&wire->lock);
  struct connection *before = hold(wire);
  if (before) {
    cut(wire, before);
    let_go(before);
  }
  struct hello ours = own_hello(wire);
  pthread_mutex_unlock(&wire->lock);
  struct connection *connection = NULL;
  if (send(fd, &ours, sizeof ours, MSG_NOSIGNAL) == sizeof ours && read_hello(wire, fd, &theirs))
    connection = calloc(1, sizeof *connection);
  pthread_mutex_lock(&wire->lock);
  if (connection && fits(wire, &theirs)) {
    connection->fd = fd;
    wire->next = wire->kept = wire->offered = le64toh(theirs.received);
    wire->told = wire->received;
    wire->connection = connection;
    pthread_cond_broadcast(&wire->changed);
    pthread_cond_signal(&wire->waiting);
  } else {
    free(connection);
    close(fd);
  }
  pthread_mutex_unlock(&wire->lock);
}

/* Only the user who has made the socket may join it, also if the rights of its file change. */
static bool is_owners(const struct wire *wire, int fd) {
  struct ucred peer;
  socklen_t size = sizeof peer;
  return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) && peer.uid == wire->owner;
}

static void *joiner(void *argument) {
  struct wire *wire = argument;
  for (;;) {
    int fd = accept4(wire->listening, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0 && is_owners(wire, fd)) join(wire, fd);
    else if (fd >= 0) close(fd);
    else if (errno != EINTR && errno != ECONNABORTED) poll(NULL, 0, RETRY_MS);
  }
  return NULL;
}

static int listen_at(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    return -1;
  }
  strcpy(address.sun_path, path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  mode_t before = umask(0177);
  /* One that a dead process left. */
  unlink(path);
  int bound = bind(fd, (struct sockaddr *)&address, sizeof address);
  umask(before);
  if (bound || listen(fd, SOMAXCONN)) {
    close(fd);
    return -1;
  }
  return fd;
}

struct wire *wire_listen(const char *path, const char *id) {
  struct wire *wire = calloc(1, sizeof *wire);
  if (!wire || strlen(id) >= sizeof wire->id) {
    free(wire);
    errno = EINVAL;
    return NULL;
  }
  strcpy(wire->id, id);
  wire->owner = geteuid();
  pthread_mutex_init(&wire->lock, NULL);
  pthread_cond_init(&wire->changed, NULL);
  pthread_cond_init(&wire->waiting, NULL);
  wire->ring = malloc(KEPT);
  wire->listening = wire->ring ? listen_at(path) : -1;
  pthread_t thread;
  if (wire->listening < 0) return NULL;
  if (pthread_create(&thread, NULL, joiner, wire) || pthread_create(&thread, NULL, flusher, wire)) return NULL;
  return wire;
}
