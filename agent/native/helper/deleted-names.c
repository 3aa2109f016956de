/*
 * Files whose names have gone from the kernel's cache, not from their folders. /proc shows "(deleted)" for both. On a mount
 * of the home's files it happens to a file that is there all the time: while one process makes it, another one's look
 * at the name comes back with the answer that nothing was there (fuse_dentry_revalidate in the kernel); and when home
 * moves it away and back.
 */
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "helper.h"
#include "text.h"

#define DELETED " (deleted)"

/* The file that a process of the job finds under a name, as an O_PATH descriptor; -1. */
static int find(const char *pid, const char *name) {
  char path[64];
  const struct open_how how = {
      .flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
      .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
  };
  snprintf(path, sizeof path, "/proc/%.20s/root", pid);
  const int root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (root < 0) return -1;
  const int fd = (int)syscall(SYS_openat2, root, name, &how, sizeof how);
  close(root);
  return fd;
}

void keep_name(const char *pid, char *name, const struct stat *of) {
  struct stat found;
  if (*name != '/' || of->st_nlink == 0 || !ends_with(name, DELETED)) return;
  char *end = name + strlen(name) - strlen(DELETED);
  *end = 0;
  const int fd = find(pid, name);
  const bool same = fd >= 0 && !fstat(fd, &found) && found.st_dev == of->st_dev && found.st_ino == of->st_ino;
  if (fd >= 0) close(fd);
  if (!same) *end = *DELETED;
}
