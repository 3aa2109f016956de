/*
 * Requests of a host to the home's file server from several threads at once, as its workers take them, under
 * ThreadSanitizer. libFuzzer's own counters would be races to that, so it is not used here: inputs are those that the
 * target `requests` has found, changed and put together at random. Arguments: seconds, and folders of inputs.
 */
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../../agent/native/homefs/homefs.h"
#include "messages.h"

#define THREADS 4
#define MOST_INPUTS 4096
#define MOST_BYTES 4096
/* Bytes of an input that are changed, at the most. */
#define MOST_CHANGES 16

static struct {
  uint8_t *bytes;
  size_t size;
} inputs[MOST_INPUTS];
static size_t input_count;
static struct fuse_in_header *messages[MOST_MESSAGES];
static size_t message_count;
static pthread_barrier_t begun, done;

static void *work(void *argument) {
  size_t own = (size_t)argument;
  char *room = malloc(MAX_DATA);
  for (;;) {
    pthread_barrier_wait(&begun);
    for (size_t at = own; at < message_count; at += THREADS) answer_message(messages[at], room);
    pthread_barrier_wait(&done);
  }
  return NULL;
}

static void read_inputs(const char *folder) {
  char path[4096];
  DIR *names = opendir(folder);
  for (struct dirent *one; names && (one = readdir(names)) && input_count < MOST_INPUTS;) {
    snprintf(path, sizeof path, "%s/%s", folder, one->d_name);
    FILE *file = one->d_name[0] == '.' ? NULL : fopen(path, "re");
    if (!file) continue;
    uint8_t *bytes = malloc(MOST_BYTES);
    inputs[input_count].bytes = bytes;
    inputs[input_count++].size = fread(bytes, 1, MOST_BYTES, file);
    fclose(file);
  }
  if (names) closedir(names);
}

/* The beginning of one input and the end of another, with some bytes changed. */
static size_t mix(uint8_t mixed[2 * MOST_BYTES]) {
  size_t size = 0;
  for (int half = 0; half < 2; half++) {
    size_t nth = (size_t)random() % input_count, from = inputs[nth].size ? (size_t)random() % inputs[nth].size : 0;
    size_t length = half ? inputs[nth].size - from : from;
    memcpy(mixed + size, inputs[nth].bytes + (half ? from : 0), length);
    size += length;
  }
  for (long left = size ? random() % MOST_CHANGES : 0; left > 0; left--)
    mixed[(size_t)random() % size] = (uint8_t)random();
  return size;
}

static void work_together(const uint8_t *bytes, size_t size) {
  struct input input = {bytes, size};
  for (message_count = 0; message_count < MOST_MESSAGES; message_count++)
    if (!(messages[message_count] = next_message(&input))) break;
  pthread_barrier_wait(&begun);
  pthread_barrier_wait(&done);
  for (size_t i = 0; i < message_count; i++) free(messages[i]);
  begin_anew(message_count);
  count_requests(message_count);
}

int main(int count, char **arguments) {
  static uint8_t mixed[2 * MOST_BYTES];
  for (int i = 2; i < count; i++) read_inputs(arguments[i]);
  if (input_count == 0) return fprintf(stderr, "usage: races SECONDS FOLDER...\n"), 2;
  time_t end = time(NULL) + atoi(arguments[1]);
  srandom((unsigned int)time(NULL));
  open_server();
  pthread_barrier_init(&begun, NULL, THREADS + 1);
  pthread_barrier_init(&done, NULL, THREADS + 1);
  for (size_t own = 0; own < THREADS; own++) {
    pthread_t thread;
    MUST(pthread_create(&thread, NULL, work, (void *)own) == 0);
  }
  while (time(NULL) < end) work_together(mixed, mix(mixed));
  exit(0);
}
