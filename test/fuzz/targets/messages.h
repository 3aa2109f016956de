/* FUSE requests out of an input, and the server that they are for, in this process. */
#ifndef MESSAGES_H
#define MESSAGES_H

#include <linux/fuse.h>

#include "fuzz.h"

/* Requests of one input. */
#define MOST_MESSAGES 256

/* Mounts what is served, as a user's; done once. */
void open_server(void);
/*
 * The next request of the input, in memory of just its size; NULL at its end. Three bytes stand for its head: the
 * operation, the file's number (those that are given out are small), the length of what follows.
 */
struct fuse_in_header *next_message(struct input *input);
/* Has the server answer it, and checks the form of what it says. `room`: MAX_DATA bytes. */
void answer_message(struct fuse_in_header *message, char *room);
/* As if the host had gone: closed, forgotten, and the files as they were. */
void begin_anew(size_t messages);

#endif
