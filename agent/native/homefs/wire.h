/*
 * A pipe of bytes between two processes on two machines that outlives its connections. Each end listens on a Unix
 * socket of its own; the agent that joins the two sockets makes a connection, and another when that one is cut.
 * Both ends count what they have read, and keep what they have written until the other has it, so that no byte is
 * lost and none comes twice. See machine/homefs/join.ts for what goes over a connection. A debugger's session does the
 * same with messages (debug/link/session.ts); here it is bytes in a ring, for throughput, and neither end moves.
 */
#ifndef HOMEFS_WIRE_H
#define HOMEFS_WIRE_H

#include <stddef.h>
#include <sys/uio.h>

/* The largest piece that can be written at once. */
#define WIRE_MAX_WRITE ((1 << 20) + (16 << 10))

struct wire;

/*
 * Listens at `path`, and starts the threads that take connections and write to them. `id` is the wire's name: an
 * end of another one is turned away. NULL with errno if the socket can't be made.
 */
struct wire *wire_listen(const char *path, const char *id);

/* Fills `to`; waits as long as that takes, over any number of connections. One thread at a time. */
void wire_read(struct wire *wire, void *to, size_t size);

/* Writes all of it in one piece; waits while the other end has too much to take already. Any thread. */
void wire_write(struct wire *wire, const struct iovec *parts, int count);

#endif
