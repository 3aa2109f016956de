/* Operations on what a file is besides its content. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "homefs.h"
#include "serve-parts.h"

bool long_setxattr;

/* By the open file where one is named: that one may be read or written under any permissions that it has by now. */
static int attributes_of(struct request *request, struct handle *handle) {
  struct fuse_attr_out *out = answer(request, sizeof *out);
  struct stat status;
  int result = handle ? fstat(handle->fd, &status)
                      : fstatat(request->node->fd, "", &status, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW);
  if (result) return -errno;
  out->attr_valid = TRUSTED_S;
  fill_attributes(&out->attr, &status);
  return 0;
}

int do_getattr(struct request *request) {
  const struct fuse_getattr_in *in = arguments(request, sizeof *in);
  if (!in) return -EINVAL;
  struct handle *handle = in->getattr_flags & FUSE_GETATTR_FH ? handle_hold(in->fh, false) : NULL;
  int result = attributes_of(request, handle);
  if (handle) handle_release(handle);
  return result;
}

static int set_size(const struct request *request, const struct handle *handle, const struct fuse_setattr_in *in) {
  char path[PROC_PATH];
  bool drop = in->valid & FATTR_KILL_SUIDGID;
  off_t size = (off_t)in->size;
  if (request->node->type != S_IFREG) return -EINVAL;
  privilege_begin(drop);
  int result = handle ? ftruncate(handle->fd, size) : truncate(node_path(request->node, path), size);
  privilege_end(drop);
  return result ? -errno : 0;
}

static struct timespec time_of(uint32_t valid, uint32_t given, uint32_t now, uint64_t seconds, uint32_t nanoseconds) {
  if (valid & now) return (struct timespec){.tv_nsec = UTIME_NOW};
  if (valid & given) return (struct timespec){(time_t)seconds, nanoseconds};
  return (struct timespec){.tv_nsec = UTIME_OMIT};
}

static int set_times(const struct request *request, const struct handle *handle, const struct fuse_setattr_in *in) {
  struct timespec times[2] = {
      time_of(in->valid, FATTR_ATIME, FATTR_ATIME_NOW, in->atime, in->atimensec),
      time_of(in->valid, FATTR_MTIME, FATTR_MTIME_NOW, in->mtime, in->mtimensec),
  };
  int result = handle ? futimens(handle->fd, times) : utimensat(request->node->fd, "", times, AT_EMPTY_PATH);
  return result ? -errno : 0;
}

static int set_mode(const struct request *request, const struct handle *handle, uint32_t mode) {
  char path[PROC_PATH];
  if (request->node->type == S_IFLNK) return -EOPNOTSUPP;
  int result = handle ? fchmod(handle->fd, mode & 07777) : chmod(node_path(request->node, path), mode & 07777);
  return result ? -errno : 0;
}

static int set_owner(const struct request *request, const struct fuse_setattr_in *in) {
  uid_t user = in->valid & FATTR_UID ? in->uid : (uid_t)-1;
  gid_t group = in->valid & FATTR_GID ? in->gid : (gid_t)-1;
  return fchownat(request->node->fd, "", user, group, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) ? -errno : 0;
}

/* The owner before the mode: a change of owner takes set-user-id bits away, which the mode may be there to set. */
static int set_all(const struct request *request, const struct handle *handle, const struct fuse_setattr_in *in) {
  int result = 0;
  if (in->valid & (FATTR_UID | FATTR_GID)) result = set_owner(request, in);
  if (!result && in->valid & FATTR_MODE) result = set_mode(request, handle, in->mode);
  if (!result && in->valid & FATTR_SIZE) result = set_size(request, handle, in);
  if (!result && in->valid & (FATTR_ATIME | FATTR_MTIME)) result = set_times(request, handle, in);
  return result;
}

int do_setattr(struct request *request) {
  const struct fuse_setattr_in *in = arguments(request, sizeof *in);
  if (!in) return -EINVAL;
  struct handle *handle = in->valid & FATTR_FH ? handle_hold(in->fh, false) : NULL;
  change_begins(request->node);
  int result = set_all(request, handle, in);
  change_ends(request->node);
  if (!result) result = attributes_of(request, handle);
  if (handle) handle_release(handle);
  return result;
}

/* Asked only where the home alone checks permissions, which then are those of the server itself. */
int do_access(struct request *request) {
  const struct fuse_access_in *in = arguments(request, sizeof *in);
  char path[PROC_PATH];
  if (!in) return -EINVAL;
  return access(node_path(request->node, path), in->mask & (R_OK | W_OK | X_OK)) ? -errno : 0;
}

int do_statfs(struct request *request) {
  struct fuse_statfs_out *out = answer(request, sizeof *out);
  struct statvfs of;
  if (fstatvfs(request->node->fd, &of)) return -errno;
  out->st = (struct fuse_kstatfs){
      .blocks = of.f_blocks,
      .bfree = of.f_bfree,
      .bavail = of.f_bavail,
      .files = of.f_files,
      .ffree = of.f_ffree,
      .bsize = (uint32_t)of.f_bsize,
      .namelen = (uint32_t)of.f_namemax,
      .frsize = (uint32_t)of.f_frsize,
  };
  return 0;
}

/* --- extended attributes ---------------------------------------------------------------------------------------- */

/* The calls without the `l`: the path is a link of /proc to the file itself, which need not be followed further. */

int do_setxattr(struct request *request) {
  size_t fixed = long_setxattr ? sizeof(struct fuse_setxattr_in) : FUSE_COMPAT_SETXATTR_IN_SIZE;
  const struct fuse_setxattr_in *in = arguments(request, fixed);
  const char *name = text_at(request, fixed);
  char path[PROC_PATH];
  if (!in || !name) return -EINVAL;
  const char *value = name + strlen(name) + 1;
  if (in->size > (size_t)(request->body + request->size - value)) return -EINVAL;
  bool drop = long_setxattr && in->setxattr_flags & FUSE_SETXATTR_ACL_KILL_SGID;
  privilege_begin(drop);
  int result = setxattr(node_path(request->node, path), name, value, in->size, (int)in->flags);
  privilege_end(drop);
  return result ? -errno : 0;
}

/* Asked with no room it is the size that is wanted. */
static int sized(struct request *request, uint32_t room, ssize_t size) {
  if (size < 0) return -errno;
  if (room > 0) request->answer_size = (size_t)size;
  else ((struct fuse_getxattr_out *)answer(request, sizeof(struct fuse_getxattr_out)))->size = (uint32_t)size;
  return 0;
}

int do_getxattr(struct request *request) {
  const struct fuse_getxattr_in *in = arguments(request, sizeof *in);
  const char *name = text_at(request, sizeof *in);
  char path[PROC_PATH];
  if (!in || !name || in->size > MAX_DATA) return -EINVAL;
  return sized(request, in->size, getxattr(node_path(request->node, path), name, request->answer, in->size));
}

int do_listxattr(struct request *request) {
  const struct fuse_getxattr_in *in = arguments(request, sizeof *in);
  char path[PROC_PATH];
  if (!in || in->size > MAX_DATA) return -EINVAL;
  return sized(request, in->size, listxattr(node_path(request->node, path), request->answer, in->size));
}

int do_removexattr(struct request *request) {
  const char *name = text_at(request, 0);
  char path[PROC_PATH];
  if (!name) return -EINVAL;
  return removexattr(node_path(request->node, path), name) ? -errno : 0;
}
