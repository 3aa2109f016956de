/* Folders of which only the names are shown: the kernel's own trees, and those that `--without` names. */
#include <errno.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>

#include "homefs.h"
#include "serve-parts.h"

/* Folders of which only the names are shown: a node has one for the roots of its jobs. */
#define MAX_WITHOUT 16

static struct {
  dev_t device;
  ino_t inode;
} without[MAX_WITHOUT];
static int without_count;

int veil_folders(char **argv) {
  struct stat status;
  const char *folder;
  for (int nth = 0; (folder = nth_option(argv, "--without", nth)) && without_count < MAX_WITHOUT; nth++) {
    if (stat(folder, &status)) return errno;
    without[without_count].device = status.st_dev;
    without[without_count++].inode = status.st_ino;
  }
  return 0;
}

static bool is_kernels_tree(int fd) {
  static const unsigned long types[] = {PROC_SUPER_MAGIC,   SYSFS_MAGIC,         DEVPTS_SUPER_MAGIC,
                                        CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, DEBUGFS_MAGIC,
                                        TRACEFS_MAGIC,      BPF_FS_MAGIC,        SECURITYFS_MAGIC};
  struct statfs of;
  if (fstatfs(fd, &of)) return false;
  for (size_t i = 0; i < sizeof types / sizeof *types; i++)
    if ((unsigned long)of.f_type == types[i]) return true;
  return false;
}

bool is_veiled(const struct node *parent, const char *name, int fd, const struct stat *status) {
  if (!S_ISDIR(status->st_mode)) return false;
  if (parent->number == FUSE_ROOT_ID && name && !strcmp(name, "dev")) return true;
  for (int i = 0; i < without_count; i++)
    if (without[i].device == status->st_dev && without[i].inode == status->st_ino) return true;
  return status->st_dev != parent->device && is_kernels_tree(fd);
}
