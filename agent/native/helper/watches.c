#include "watches.h"

#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "text.h"

/* The kernel's own numbers of devices, which it prints here. */
#define MINOR_BITS 20

_Static_assert(sizeof((struct watch){0}.handle) == sizeof(struct file_handle) + MOST_HANDLE, "as the kernel has it");

FILE *watches_of(const char *pid, const char *fd) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%.20s/fdinfo/%.20s", pid, fd);
  return fopen(path, "re");
}

static void read_handle(const char *line, struct watch *watch) {
  int text = 0;
  unsigned bytes;
  watch->handle.bytes = 0;
  const char *at = strstr(line, " fhandle-bytes:");
  if (!at || sscanf(at, " fhandle-bytes:%x fhandle-type:%x f_handle:%n", &bytes, (unsigned *)&watch->handle.type, &text) != 2)
    return;
  if (!text || bytes > MOST_HANDLE) return;
  for (unsigned i = 0; i < bytes; i++)
    if (sscanf(at + text + 2 * i, "%2hhx", &watch->handle.data[i]) != 1) return;
  watch->handle.bytes = bytes;
}

bool next_watch(FILE *info, struct watch *watch) {
  char line[1024];
  unsigned number, device;
  while (fgets(line, sizeof line, info)) {
    if (sscanf(line, "inotify wd:%x ino:%lx sdev:%x mask:%x", &number, &watch->inode, &device, &watch->mask) == 4)
      watch->number = (int)number;
    else if (sscanf(line, "fanotify ino:%lx sdev:%x mflags:%*x mask:%x", &watch->inode, &device, &watch->mask) == 3)
      watch->number = 0;
    else continue;
    watch->major = device >> MINOR_BITS;
    watch->minor = device & ((1u << MINOR_BITS) - 1);
    read_handle(line, watch);
    return true;
  }
  return false;
}

static int open_watched(const struct watch *watch, const struct mounted *on) {
  const int mount = watch->handle.bytes ? open_mounted(on) : -1;
  if (mount < 0) return -1;
  const int fd = (int)syscall(SYS_open_by_handle_at, mount, &watch->handle, O_PATH | O_CLOEXEC);
  close(mount);
  return fd;
}

int find_watched(const struct watch *watch, const struct mounts *mounts, bool accepts(int fd, const char *pid)) {
  for (const struct mounted *one = mounts->all; one < mounts->all + mounts->count; one++) {
    if (one->major != watch->major || one->minor != watch->minor) continue;
    const int fd = open_watched(watch, one);
    if (fd >= 0 && accepts(fd, one->pid)) return fd;
    if (fd >= 0) close(fd);
  }
  return -1;
}
