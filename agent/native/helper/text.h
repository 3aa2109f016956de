/* How a text begins and ends. */
#ifndef TEXT_H
#define TEXT_H

#include <stdbool.h>
#include <string.h>

static inline bool starts_with(const char *text, const char *with) { return !strncmp(text, with, strlen(with)); }

static inline bool ends_with(const char *text, const char *with) {
  const size_t size = strlen(text), tail = strlen(with);
  return size >= tail && !strcmp(text + size - tail, with);
}

#endif
