/* What is done to a mount from outside, through the kernel's view of its connection (fusectl). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

#include "homefs.h"

/* How often the kernel is asked whether all requests were answered. */
#define LOOK_EVERY_MS 2

/* Whether mountinfo's `shown`, where a space is written as \040 and its like, is the path. */
static bool is_path(const char *shown, const char *path) {
  unsigned int code;
  for (; *shown && *path; path++) {
    bool escaped = *shown == '\\' && sscanf(shown + 1, "%3o", &code) == 1;
    if ((escaped ? (char)code : *shown) != *path) return false;
    shown += escaped ? 4 : 1;
  }
  return !*shown && !*path;
}

unsigned int connection_at(const char *at) {
  char line[8192], point[4096], type[64];
  unsigned int major_number, minor_number, found = 0;
  FILE *mounts = fopen("/proc/self/mountinfo", "re");
  if (!mounts) return 0;
  while (fgets(line, sizeof line, mounts)) {
    const char *dash = strstr(line, " - ");
    if (!dash || sscanf(dash, " - %63s", type) != 1) continue;
    if (sscanf(line, "%*s %*s %u:%u %*s %4095s", &major_number, &minor_number, point) != 3) continue;
    /* The last of those that lie over one another is the one that is seen. */
    if (is_path(point, at)) found = strcmp(type, "fuse.godwit") ? 0 : minor_number;
  }
  fclose(mounts);
  return found;
}

/* One of the connection's files. fusectl is mounted for this process alone, and nowhere. */
static int open_control(unsigned int connection, const char *file, int flags) {
  char path[64];
  int system = fsopen("fusectl", FSOPEN_CLOEXEC);
  if (system < 0 || fsconfig(system, FSCONFIG_CMD_CREATE, NULL, NULL, 0)) return -1;
  int folder = fsmount(system, FSMOUNT_CLOEXEC, 0);
  close(system);
  if (folder < 0) return -1;
  snprintf(path, sizeof path, "%u/%s", connection, file);
  int fd = openat(folder, path, flags | O_CLOEXEC);
  close(folder);
  return fd;
}

static int waiting_at(unsigned int connection) {
  char text[32];
  int fd = open_control(connection, "waiting", O_RDONLY);
  if (fd < 0) return -1;
  ssize_t size = read(fd, text, sizeof text - 1);
  close(fd);
  if (size < 0) return -1;
  text[size] = 0;
  return atoi(text);
}

int sync_home(char **argv) {
  const char *at = required(argv, "--at");
  unsigned int connection = connection_at(at);
  int fd = open(at, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (connection == 0 || fd < 0) return say_error("open", connection ? errno : ENOTCONN);
  /* This sends what is dirty on its way, and does not wait for it. */
  if (syncfs(fd)) return say_error("syncfs", errno);
  close(fd);
  int waiting;
  while ((waiting = waiting_at(connection)) > 0)
    nanosleep(&(struct timespec){.tv_nsec = LOOK_EVERY_MS * 1000000}, NULL);
  return waiting < 0 ? say_error("waiting", errno) : 0;
}

static int abort_requests(unsigned int connection) {
  int fd = open_control(connection, "abort", O_WRONLY);
  if (fd < 0) return -1;
  int result = write(fd, "1", 1) == 1 ? 0 : -1;
  close(fd);
  return result;
}

int unmount_home(char **argv) {
  const char *at = required(argv, "--at");
  unsigned int connection = connection_at(at);
  /* Nothing there: it was taken away before. */
  if (connection == 0) return 0;
  /* Open files and waiting requests get an error. */
  if (flag(argv, "--abort") && abort_requests(connection)) return say_error("abort", errno);
  /* Lazy unmount: the name is gone at once; the mount is freed with its last user. */
  if (umount2(at, MNT_DETACH | UMOUNT_NOFOLLOW)) return say_error("unmount", errno);
  return 0;
}
