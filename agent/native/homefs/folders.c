/* Operations on open folders. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "homefs.h"
#include "serve-parts.h"

/* What is read of a folder at once; the kernel asks for a page to several. */
#define ENTRIES (32 << 10)

int do_opendir(struct request *request) {
  const struct fuse_open_in *in = arguments(request, sizeof *in);
  char path[PROC_PATH];
  if (!in) return -EINVAL;
  int fd = open(node_path(request->node, path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return -errno;
  struct fuse_open_out *out = answer(request, sizeof *out);
  out->fh = handle_new(request->node, fd, true);
  return out->fh ? 0 : -ENFILE;
}

int do_releasedir(struct request *request) { return do_release(request); }

static bool is_dots(const char *name) { return !strcmp(name, ".") || !strcmp(name, ".."); }

/* One entry, with its attributes if `plus`, at the end of the answer; false if it has no room there. */
static bool add_entry(struct request *request, struct node *folder, const struct dirent64 *entry, size_t room,
                      bool plus) {
  size_t length = strlen(entry->d_name);
  size_t head = plus ? FUSE_NAME_OFFSET_DIRENTPLUS : FUSE_NAME_OFFSET, size = FUSE_DIRENT_ALIGN(head + length);
  if (request->answer_size + size > room) return false;
  char *at = request->answer + request->answer_size;
  memset(at, 0, size);
  struct fuse_dirent *name = (struct fuse_dirent *)at;
  if (plus) {
    struct fuse_direntplus *both = (struct fuse_direntplus *)at;
    name = &both->dirent;
    /* One that is gone by now, or can't be looked at, is a name without attributes. */
    if (!is_dots(entry->d_name) && node_enter(folder, entry->d_name, &both->entry_out))
      memset(&both->entry_out, 0, sizeof both->entry_out);
  }
  name->ino = entry->d_ino;
  name->off = (uint64_t)entry->d_off;
  name->namelen = (uint32_t)length;
  name->type = entry->d_type;
  memcpy(name->name, entry->d_name, length);
  request->answer_size += size;
  return true;
}

/* Fills the answer with the entries from `offset` on. The descriptor is left where the last of them ends. */
static int read_entries(struct request *request, struct handle *handle, const struct fuse_read_in *in, bool plus) {
  char buffer[ENTRIES];
  size_t room = in->size < MAX_DATA ? in->size : MAX_DATA;
  off_t offset = (off_t)in->offset;
  if (handle->position != offset && lseek(handle->fd, offset, SEEK_SET) < 0) return -errno;
  handle->position = offset;
  for (;;) {
    ssize_t size = getdents64(handle->fd, buffer, sizeof buffer);
    if (size < 0) return request->answer_size > 0 ? 0 : -errno;
    if (size == 0) return 0;
    for (ssize_t at = 0; at < size;) {
      const struct dirent64 *entry = (struct dirent64 *)(buffer + at);
      bool shown = !handle->node->veiled || is_dots(entry->d_name);
      if (shown && !add_entry(request, handle->node, entry, room, plus)) {
        lseek(handle->fd, handle->position, SEEK_SET);
        return 0;
      }
      handle->position = entry->d_off;
      at += entry->d_reclen;
    }
  }
}

static int read_folder(struct request *request, bool plus) {
  const struct fuse_read_in *in = arguments(request, sizeof *in);
  struct handle *handle = in ? handle_hold(in->fh, true) : NULL;
  if (!handle) return -EBADF;
  pthread_mutex_lock(&handle->lock);
  int result = read_entries(request, handle, in, plus);
  pthread_mutex_unlock(&handle->lock);
  handle_release(handle);
  return result;
}

int do_readdir(struct request *request) { return read_folder(request, false); }
int do_readdirplus(struct request *request) { return read_folder(request, true); }
