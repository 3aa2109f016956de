/* Operations on open files. Places beyond what a file can have are negative to the system calls, which refuse them. */
#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "homefs.h"
#include "serve-parts.h"

int do_read(struct request *request) {
  const struct fuse_read_in *in = arguments(request, sizeof *in);
  struct handle *handle = in ? handle_hold(in->fh, false) : NULL;
  if (!handle) return -EBADF;
  size_t size = in->size < MAX_DATA ? in->size : MAX_DATA;
  int result = 0;
  /* The kernel takes a short answer for the end of the file. */
  while (request->answer_size < size) {
    size_t at = request->answer_size;
    ssize_t got = pread(handle->fd, request->answer + at, size - at, (off_t)(in->offset + at));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && at == 0) result = -errno;
    if (got <= 0) break;
    request->answer_size += (size_t)got;
  }
  handle_release(handle);
  return result;
}

/*
 * Appends at the end that the file has at home, wherever the host believes it to be; but never what comes from a
 * mapping, which has its place.
 */
static ssize_t write_at(int fd, const struct fuse_write_in *in, const char *data, size_t done) {
  bool append = in->flags & O_APPEND && !(in->write_flags & FUSE_WRITE_CACHE);
  struct iovec part = {(char *)data + done, in->size - done};
  return pwritev2(fd, &part, 1, (off_t)(in->offset + done), append ? RWF_APPEND : 0);
}

static int write_all(int fd, const struct fuse_write_in *in, const char *data, uint32_t *done) {
  while (*done < in->size) {
    ssize_t written = write_at(fd, in, data, *done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return *done > 0 ? 0 : -errno;
    /* A file system that takes nothing will not take it when it is asked again. */
    if (written == 0) return *done > 0 ? 0 : -EIO;
    *done += (uint32_t)written;
  }
  return 0;
}

int do_write(struct request *request) {
  const struct fuse_write_in *in = arguments(request, sizeof *in);
  if (!in || in->size > request->size - sizeof *in) return -EINVAL;
  struct handle *handle = handle_hold(in->fh, false);
  if (!handle) return -EBADF;
  struct fuse_write_out *out = answer(request, sizeof *out);
  bool drop = in->write_flags & FUSE_WRITE_KILL_SUIDGID;
  change_begins(handle->node);
  privilege_begin(drop);
  int result = write_all(handle->fd, in, request->body + sizeof *in, &out->size);
  privilege_end(drop);
  change_ends(handle->node);
  handle_release(handle);
  return result;
}

int do_release(struct request *request) {
  const struct fuse_release_in *in = arguments(request, sizeof *in);
  if (!in) return -EINVAL;
  handle_close(in->fh);
  return 0;
}

static int sync_handle(struct request *request, bool folder) {
  const struct fuse_fsync_in *in = arguments(request, sizeof *in);
  struct handle *handle = in ? handle_hold(in->fh, folder) : NULL;
  if (!handle) return -EBADF;
  int result = in->fsync_flags & FUSE_FSYNC_FDATASYNC ? fdatasync(handle->fd) : fsync(handle->fd);
  result = result ? -errno : 0;
  handle_release(handle);
  return result;
}

int do_fsync(struct request *request) { return sync_handle(request, false); }
int do_fsyncdir(struct request *request) { return sync_handle(request, true); }

int do_fallocate(struct request *request) {
  const struct fuse_fallocate_in *in = arguments(request, sizeof *in);
  struct handle *handle = in ? handle_hold(in->fh, false) : NULL;
  if (!handle) return -EBADF;
  change_begins(handle->node);
  int result = fallocate(handle->fd, (int)in->mode, (off_t)in->offset, (off_t)in->length) ? -errno : 0;
  change_ends(handle->node);
  handle_release(handle);
  return result;
}

int do_lseek(struct request *request) {
  const struct fuse_lseek_in *in = arguments(request, sizeof *in);
  struct handle *handle = in ? handle_hold(in->fh, false) : NULL;
  if (!handle) return -EBADF;
  off_t at = lseek(handle->fd, (off_t)in->offset, (int)in->whence);
  int result = at < 0 ? -errno : 0;
  if (at >= 0) ((struct fuse_lseek_out *)answer(request, sizeof(struct fuse_lseek_out)))->offset = (uint64_t)at;
  handle_release(handle);
  return result;
}

int do_copy_file_range(struct request *request) {
  const struct fuse_copy_file_range_in *in = arguments(request, sizeof *in);
  if (in && in->flags) return -EINVAL;
  struct handle *from = in ? handle_hold(in->fh_in, false) : NULL;
  struct handle *to = from ? handle_hold(in->fh_out, false) : NULL;
  int result = -EBADF;
  if (to) {
    off_t from_at = (off_t)in->off_in, to_at = (off_t)in->off_out;
    /* Its count goes back in 32 bits. */
    size_t size = in->len < (1U << 30) ? in->len : 1U << 30;
    change_begins(to->node);
    ssize_t copied = copy_file_range(from->fd, &from_at, to->fd, &to_at, size, 0);
    result = copied < 0 ? -errno : 0;
    change_ends(to->node);
    struct fuse_write_out *out = answer(request, sizeof *out);
    if (copied >= 0) out->size = (uint32_t)copied;
    handle_release(to);
  }
  if (from) handle_release(from);
  return result;
}
