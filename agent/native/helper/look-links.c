/* Links of /proc, on one line for any name. */
#include <unistd.h>

#include "look-parts.h"

bool target_of(const char *path, char *target, size_t size) {
  ssize_t length = readlink(path, target, size - 1);
  if (length < 0) return false;
  target[length] = 0;
  for (char *at = target; *at; at++)
    if (*at == '\n' || *at == '\t') *at = '?';
  return true;
}
