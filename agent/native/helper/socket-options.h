/*
 * Options of sockets that a job may have set: which there are (socket-options.c), and how they are read and set
 * (options.c).
 */
#ifndef SOCKET_OPTIONS_H
#define SOCKET_OPTIONS_H

#include <stddef.h>

#ifndef SOL_UDP
#define SOL_UDP 17
#endif
#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif

#define MOST_OPTION 64

enum form {
  NUMBER,
  LONG,
  WORD,
  BYTES,
  /* The number of an interface, which has another on each node: given by its name. */
  INTERFACE,
  /* The same, in the network's order. */
  INTERFACE_SWAPPED,
  /* A text that only names what can't be made again. */
  SIGN,
};

enum when {
  ALWAYS,
  /* Of a connected socket the kernel means something else by it. */
  UNCONNECTED,
  /* Of a TCP socket that was never connected, nor listens. */
  CLOSED,
  /* The kernel gives a stream one of its own, from the packet that it began with. */
  NO_STREAM,
};

struct known_option {
  const char *name;
  int level, number;
  enum form form;
  enum when when;
};

extern const struct known_option known_options[];
extern const size_t known_count;

#endif
