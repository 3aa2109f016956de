/* Texts written into files. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "helper.h"

static int write_all(int fd, const char *text) {
  if (fd < 0) return -1;
  const size_t size = strlen(text);
  const ssize_t written = write(fd, text, size);
  if (written == (ssize_t)size) return 0;
  if (written >= 0) errno = ENOSPC;
  return -1;
}

/* Closes, and keeps the errno of what failed before. */
static int close_after(int fd, int result) {
  int error = errno;
  if (fd >= 0) close(fd);
  errno = error;
  return result;
}

int put(const char *folder, const char *file, const char *text) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", folder, file);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  return close_after(fd, write_all(fd, text));
}

int put_durably(const char *path, const char *text) {
  char fresh[4096], folder[4096];
  snprintf(fresh, sizeof fresh, "%s.new", path);
  snprintf(folder, sizeof folder, "%s", path);
  int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (close_after(fd, write_all(fd, text) || fsync(fd))) return -1;
  if (rename(fresh, path)) return -1;
  int parent = open(dirname(folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  return close_after(parent, parent < 0 ? -1 : fsync(parent));
}
