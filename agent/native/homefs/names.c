/* Operations on names. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "homefs.h"
#include "serve-parts.h"

/* What of a request's open flags is the home's: how to write through. All else the host's kernel does itself. */
#define HOME_FLAGS (O_ACCMODE | O_TRUNC | O_SYNC | O_DSYNC | O_NOATIME)

static int entry_of(struct request *request, const char *name) {
  return node_enter(request->node, name, answer(request, sizeof(struct fuse_entry_out)));
}

int do_lookup(struct request *request) {
  const char *name = name_at(request, 0);
  return name ? entry_of(request, name) : -EINVAL;
}

int do_readlink(struct request *request) {
  ssize_t size = readlinkat(request->node->fd, "", request->answer, MAX_DATA);
  if (size < 0) return -errno;
  request->answer_size = (size_t)size;
  return 0;
}

/* A name was made, or not: `result` as of the system call that made it. */
static int made(struct request *request, const char *name, int result) {
  int error = errno;
  create_end();
  return result ? -error : entry_of(request, name);
}

int do_symlink(struct request *request) {
  const char *name = name_at(request, 0);
  const char *target = name ? name + strlen(name) + 1 : NULL;
  if (!name || request->node->veiled) return name ? -EROFS : -EINVAL;
  if (!memchr(target, 0, (size_t)(request->body + request->size - target))) return -EINVAL;
  create_begin(request, 0, true);
  return made(request, name, symlinkat(target, request->node->fd, name));
}

int do_mknod(struct request *request) {
  const struct fuse_mknod_in *in = arguments(request, sizeof *in);
  const char *name = name_at(request, sizeof *in);
  if (!in || !name) return -EINVAL;
  if (request->node->veiled) return -EROFS;
  create_begin(request, in->umask, true);
  return made(request, name, mknodat(request->node->fd, name, in->mode, in->rdev));
}

int do_mkdir(struct request *request) {
  const struct fuse_mkdir_in *in = arguments(request, sizeof *in);
  const char *name = name_at(request, sizeof *in);
  if (!in || !name) return -EINVAL;
  if (request->node->veiled) return -EROFS;
  create_begin(request, in->umask, true);
  return made(request, name, mkdirat(request->node->fd, name, in->mode));
}

static int remove_name(struct request *request, int flags) {
  const char *name = name_at(request, 0);
  if (!name) return -EINVAL;
  if (request->node->veiled) return -ENOENT;
  return unlinkat(request->node->fd, name, flags) ? -errno : 0;
}

int do_unlink(struct request *request) { return remove_name(request, 0); }
int do_rmdir(struct request *request) { return remove_name(request, AT_REMOVEDIR); }

static int rename_to(struct request *request, uint64_t folder, size_t names, unsigned int flags) {
  const char *from = name_at(request, names);
  const char *to = from ? name_at(request, names + strlen(from) + 1) : NULL;
  if (!to) return -EINVAL;
  struct node *target = node_hold(folder);
  if (!target) return -ESTALE;
  int result = -EROFS;
  if (!target->veiled && !request->node->veiled)
    result = syscall(SYS_renameat2, request->node->fd, from, target->fd, to, flags) ? -errno : 0;
  if (!result) node_moved(target, to);
  if (!result && flags & RENAME_EXCHANGE) node_moved(request->node, from);
  node_release(target);
  return result;
}

int do_rename(struct request *request) {
  const struct fuse_rename_in *in = arguments(request, sizeof *in);
  return in ? rename_to(request, in->newdir, sizeof *in, 0) : -EINVAL;
}

int do_rename2(struct request *request) {
  const struct fuse_rename2_in *in = arguments(request, sizeof *in);
  return in ? rename_to(request, in->newdir, sizeof *in, in->flags) : -EINVAL;
}

int do_link(struct request *request) {
  const struct fuse_link_in *in = arguments(request, sizeof *in);
  const char *name = name_at(request, sizeof *in);
  char path[PROC_PATH];
  if (!in || !name) return -EINVAL;
  if (request->node->veiled) return -EROFS;
  struct node *file = node_hold(in->oldnodeid);
  if (!file) return -ESTALE;
  int result = linkat(AT_FDCWD, node_path(file, path), request->node->fd, name, AT_SYMLINK_FOLLOW) ? -errno : 0;
  node_release(file);
  return result ? result : entry_of(request, name);
}

/* --- making and opening in one ---------------------------------------------------------------------------------- */

struct created {
  struct fuse_entry_out entry;
  struct fuse_open_out open;
};

/* Takes the new file over, and fills in the answer. */
static int opened(struct request *request, const char *name, int fd) {
  struct created *created = answer(request, sizeof *created);
  int result = node_enter_open(request->node, name, fd, &created->entry);
  if (result) {
    close(fd);
    return result;
  }
  struct node *node = node_hold(created->entry.nodeid);
  if (node) {
    if (is_unchanged(node, true)) created->open.open_flags = FOPEN_KEEP_CACHE;
    created->open.fh = handle_new(node, fd, false);
    node_release(node);
  } else close(fd);
  if (created->open.fh) return 0;
  node_forget(created->entry.nodeid, 1);
  return -ENFILE;
}

/*
 * Opens what is there under a name, if it is a file: a FIFO would keep a thread waiting, and a device is the host's own.
 * For anything else the host's kernel is to look again, which it does at ESTALE.
 */
static int open_present(const struct node *folder, const char *name, int flags) {
  char path[PROC_PATH];
  struct stat status;
  int fd = -1, found = openat(folder->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  bool is_file = found >= 0 && !fstat(found, &status) && S_ISREG(status.st_mode);
  if (is_file) fd = open(fd_path(found, path), flags | O_CLOEXEC);
  int error = is_file ? errno : ESTALE;
  if (found >= 0) close(found);
  errno = error;
  return fd;
}

/*
 * A file that is there already although the host did not know of it is opened with no more than the rights of the
 * caller: the host has checked that they may make one, and not that they may open this one.
 */
static int create_file(const struct request *request, const struct fuse_create_in *in, const char *name) {
  int flags = (in->flags & HOME_FLAGS) | O_CREAT | O_NOFOLLOW | O_CLOEXEC;
  create_begin(request, in->umask, true);
  int fd = openat(request->node->fd, name, flags | O_EXCL, in->mode & 07777);
  create_end();
  if (fd >= 0 || errno != EEXIST || (in->flags & O_EXCL)) return fd;
  create_begin(request, in->umask, false);
  fd = open_present(request->node, name, in->flags & HOME_FLAGS);
  create_end();
  return fd;
}

int do_create(struct request *request) {
  const struct fuse_create_in *in = arguments(request, sizeof *in);
  const char *name = name_at(request, sizeof *in);
  if (!in || !name) return -EINVAL;
  if (request->node->veiled) return -EROFS;
  int fd = create_file(request, in, name);
  return fd < 0 ? -errno : opened(request, name, fd);
}

int do_tmpfile(struct request *request) {
  const struct fuse_create_in *in = arguments(request, sizeof *in);
  char path[PROC_PATH];
  if (!in) return -EINVAL;
  if (request->node->veiled) return -EROFS;
  int flags = (in->flags & (HOME_FLAGS | O_EXCL)) | O_TMPFILE | O_CLOEXEC;
  create_begin(request, in->umask, true);
  int fd = open(node_path(request->node, path), flags, in->mode & 07777);
  create_end();
  return fd < 0 ? -errno : opened(request, NULL, fd);
}

int do_open(struct request *request) {
  const struct fuse_open_in *in = arguments(request, sizeof *in);
  char path[PROC_PATH];
  if (!in) return -EINVAL;
  /* FIFOs, sockets and devices are the host's own. */
  if (request->node->type != S_IFREG) return -EINVAL;
  bool drop = in->open_flags & FUSE_OPEN_KILL_SUIDGID, empties = in->flags & O_TRUNC;
  privilege_begin(drop);
  if (empties) change_begins(request->node);
  int fd = open(node_path(request->node, path), (in->flags & HOME_FLAGS) | O_CLOEXEC), error = errno;
  if (empties) change_ends(request->node);
  privilege_end(drop);
  if (fd < 0) return -error;
  struct fuse_open_out *out = answer(request, sizeof *out);
  if (is_unchanged(request->node, (in->flags & O_ACCMODE) != O_RDONLY)) out->open_flags = FOPEN_KEEP_CACHE;
  out->fh = handle_new(request->node, fd, false);
  return out->fh ? 0 : -ENFILE;
}
