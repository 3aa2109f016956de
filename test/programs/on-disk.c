/*
 * Brings a file's new bytes to the disk in each way that there is: `on-disk WAY FOLDER` says `done`, or which errno the
 * system gave.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static int folder, file;
static char text[] = "on the disk";

static void open_file(int flags) {
  if ((file = openat(folder, "file", O_RDWR | O_CREAT | flags, 0600)) < 0) exit(3);
}

static int put(int flags) {
  struct iovec part = {text, sizeof text - 1};
  return pwritev2(file, &part, 1, 0, flags) < 0 ? -1 : 0;
}

static int by_fsync(void) {
  open_file(0);
  return put(0) ? -1 : fsync(file);
}

static int by_fdatasync(void) {
  open_file(0);
  return put(0) ? -1 : fdatasync(file);
}

static int by_sync_flag(void) {
  open_file(O_SYNC);
  return put(0);
}

static int by_data_flag(void) {
  open_file(O_DSYNC);
  return put(0);
}

static int by_one_write(void) {
  open_file(0);
  return put(RWF_SYNC);
}

static int by_one_data_write(void) {
  open_file(0);
  return put(RWF_DSYNC);
}

static int by_mapping(void) {
  open_file(0);
  if (ftruncate(file, 4096)) exit(3);
  char *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (map == MAP_FAILED) exit(3);
  memcpy(map, text, sizeof text - 1);
  return msync(map, 4096, MS_SYNC);
}

static int by_folder(void) {
  open_file(0);
  if (renameat(folder, "file", folder, "renamed")) exit(3);
  return fsync(folder);
}

static int by_system(void) {
  open_file(0);
  return put(0) ? -1 : syncfs(file);
}

int main(int argc, char **argv) {
  static const struct {
    const char *name;
    int (*bring)(void);
  } ways[] = {
      {"fsync", by_fsync},       {"fdatasync", by_fdatasync},  {"O_SYNC", by_sync_flag},
      {"O_DSYNC", by_data_flag}, {"RWF_SYNC", by_one_write},   {"RWF_DSYNC", by_one_data_write},
      {"msync", by_mapping},     {"folder", by_folder},        {"syncfs", by_system},
  };
  if (argc != 3 || (folder = open(argv[2], O_RDONLY | O_DIRECTORY)) < 0) return 2;
  for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
    if (strcmp(ways[i].name, argv[1])) continue;
    printf("%s\n", ways[i].bring() ? strerrorname_np(errno) : "done");
    return 0;
  }
  return 2;
}
