/*
 * Rows of state, each with the call that sets it and the one that reads it back: whatever was read after it was set must
 * be read after each move. All rows that differ are told, not only the first.
 */
#ifndef TABLE_H
#define TABLE_H

#include <stdint.h>

#include "rounds.h"

struct row {
  const char *name;
  /* 0, or -1 with errno. */
  int (*set)(void);
  long (*get)(void);
  /* Where a kernel or a processor has none of it the row is left out. */
  int optional;
  long was;
  int left_out;
};

/* What a getter says of several bytes. */
static inline long digest(const void *bytes, size_t size) {
  uint64_t sum = 0xcbf29ce484222325u;
  for (size_t i = 0; i < size; i++) sum = (sum ^ ((const unsigned char *)bytes)[i]) * 0x100000001b3u;
  return (long)sum;
}

static inline void set_rows(struct row *rows) {
  for (struct row *row = rows; row->name; row++) {
    errno = 0;
    if (row->set()) {
      if (!row->optional) {
        now_at = row->name;
        wrong(__LINE__, "it can be set");
      }
      if (getenv("SHOW")) fprintf(stderr, "left out: %s (%s)\n", row->name, strerror(errno));
      row->left_out = 1;
    }
  }
  for (struct row *row = rows; row->name; row++)
    if (!row->left_out) row->was = row->get();
}

static inline void check_rows(struct row *rows) {
  int wrong_ones = 0;
  for (struct row *row = rows; row->name; row++) {
    long is = row->left_out ? 0 : row->get();
    if (row->left_out || is == row->was) continue;
    printf("not so: %s stays: it was %ld (0x%lx) and is %ld (0x%lx)\n", row->name, row->was, row->was, is, is);
    wrong_ones++;
  }
  fflush(stdout);
  if (wrong_ones) _exit(1);
}

#endif
