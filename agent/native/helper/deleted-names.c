/*
 * Files whose names have gone from the kernel's cache, not from their folders. /proc shows "(deleted)" for both. On a mount
 * of the home's files it happens to a file that is there all the time: while one process makes it, another one's look
 * at the name comes back with the answer that nothing was there (fuse_dentry_revalidate in the kernel); and when home
 * moves it away and back.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helper.h"
#include "mountinfo.h"
#include "text.h"

#define DELETED " (deleted)"

void keep_name(const char *pid, char *name, const struct stat *of) {
  struct stat found;
  if (*name != '/' || of->st_nlink == 0 || !ends_with(name, DELETED)) return;
  char *end = name + strlen(name) - strlen(DELETED);
  *end = 0;
  const int fd = open_in_root(pid, name, O_PATH | O_NOFOLLOW);
  const bool same = fd >= 0 && !fstat(fd, &found) && found.st_dev == of->st_dev && found.st_ino == of->st_ino;
  if (fd >= 0) close(fd);
  if (!same) *end = *DELETED;
}
