/*
 * Preloaded into a CRIU that restores a job. CRIU (4.2) opens a FIFO for reading while it has opened it for writing
 * itself, and then closes that: to the kernel a writer has been there and has gone, which leaves the reader with POLLHUP.
 * A reader that no writer had left is opened once more when CRIU's has gone.
 *
 * GODWIT_FIFOS is a file with a line for each reader: `quiet` or `left`, PROCESS, FD, PATH, apart by tabs (fifos.ts).
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "opens.h"

/* The paths, as CRIU opens them: without the first slash. */
static char **quiet;
static size_t quiet_count;

__attribute__((constructor)) static void learn(void) {
  const char *path = getenv("GODWIT_FIFOS");
  char *line = NULL;
  size_t room = 0;
  FILE *file = path ? fopen(path, "re") : NULL;
  if (!file) return;
  while (getline(&line, &room, file) > 0) {
    int name = 0;
    line[strcspn(line, "\n")] = 0;
    if (sscanf(line, "quiet\t%*d\t%*d\t/%n", &name) || !name) continue;
    char **more = realloc(quiet, (quiet_count + 1) * sizeof *more);
    if (!more) break;
    quiet = more;
    if ((quiet[quiet_count] = strdup(line + name))) quiet_count++;
  }
  free(line);
  fclose(file);
}

static bool is_quiet(const char *path) {
  for (size_t i = 0; i < quiet_count; i++)
    if (!strcmp(quiet[i], path)) return true;
  return false;
}

/* Of a FIFO that is being opened: CRIU's own end, the reader, and how that was opened. */
static int own = -1, reader = -1, reader_folder, reader_flags;
static char reader_path[PATH_MAX];

/* By the name that all call it by, so that another preloaded library gets the call as well (as-user.c). */
static void open_again(void) {
  const int fd = openat64(reader_folder, reader_path, reader_flags | O_NONBLOCK);
  if (fd < 0) return;
  if (dup3(fd, reader, reader_flags & O_CLOEXEC) >= 0 && !(reader_flags & O_NONBLOCK))
    fcntl(reader, F_SETFL, reader_flags & ~(O_ACCMODE | O_CLOEXEC | O_CREAT | O_EXCL | O_TRUNC | O_NOCTTY));
  close(fd);
}

static int noticed(opener *next, int folder, const char *path, int flags, mode_t mode) {
  const int fd = next(folder, path, flags, mode);
  if (fd < 0 || !quiet_count || strlen(path) >= sizeof reader_path || !is_quiet(path)) return fd;
  if (flags == O_RDWR) own = fd, reader = -1;
  else if (own >= 0 && (flags & O_ACCMODE) == O_RDONLY) {
    reader = fd, reader_folder = folder, reader_flags = flags;
    strcpy(reader_path, path);
  }
  return fd;
}

OPENS(noticed)

int close(int fd) {
  static int (*next)(int fd);
  if (!next) next = (int (*)(int))dlsym(RTLD_NEXT, "close");
  const int result = next(fd);
  if (fd < 0 || fd != own) return result;
  own = -1;
  if (reader >= 0) open_again();
  reader = -1;
  return result;
}
