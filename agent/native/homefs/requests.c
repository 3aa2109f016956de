/* What a message of the host asks for, and which operation that is. The host may be anybody: nothing in it is trusted. */
#include <errno.h>
#include <stdatomic.h>

#include "homefs.h"
#include "serve-parts.h"

/* Read-ahead and the like: what the host asks for without being waited for. */
#define MAX_BACKGROUND 64
#define CONGESTION 48
/* FUSE 7.31, of Linux 5.4. */
#define LEAST_MINOR 31
/* What FUSE_INIT had from the beginning: its versions, read-ahead and flags. */
#define LEAST_INIT (4 * sizeof(uint32_t))

static operation *const operations[] = {
    [FUSE_LOOKUP] = do_lookup,
    [FUSE_GETATTR] = do_getattr,
    [FUSE_SETATTR] = do_setattr,
    [FUSE_READLINK] = do_readlink,
    [FUSE_SYMLINK] = do_symlink,
    [FUSE_MKNOD] = do_mknod,
    [FUSE_MKDIR] = do_mkdir,
    [FUSE_UNLINK] = do_unlink,
    [FUSE_RMDIR] = do_rmdir,
    [FUSE_RENAME] = do_rename,
    [FUSE_LINK] = do_link,
    [FUSE_OPEN] = do_open,
    [FUSE_READ] = do_read,
    [FUSE_WRITE] = do_write,
    [FUSE_STATFS] = do_statfs,
    [FUSE_RELEASE] = do_release,
    [FUSE_FSYNC] = do_fsync,
    [FUSE_SETXATTR] = do_setxattr,
    [FUSE_GETXATTR] = do_getxattr,
    [FUSE_LISTXATTR] = do_listxattr,
    [FUSE_REMOVEXATTR] = do_removexattr,
    [FUSE_OPENDIR] = do_opendir,
    [FUSE_READDIR] = do_readdir,
    [FUSE_RELEASEDIR] = do_releasedir,
    [FUSE_FSYNCDIR] = do_fsyncdir,
    [FUSE_ACCESS] = do_access,
    [FUSE_CREATE] = do_create,
    [FUSE_FALLOCATE] = do_fallocate,
    [FUSE_READDIRPLUS] = do_readdirplus,
    [FUSE_RENAME2] = do_rename2,
    [FUSE_LSEEK] = do_lseek,
    [FUSE_COPY_FILE_RANGE] = do_copy_file_range,
    [FUSE_TMPFILE] = do_tmpfile,
};

/* --- what is no operation on a file ----------------------------------------------------------------------------- */

/* Once: what is agreed on holds for all that comes after it. */
static int begin(struct request *request) {
  static atomic_bool begun;
  const struct fuse_init_in *init = arguments(request, LEAST_INIT);
  if (!init || init->major != FUSE_KERNEL_VERSION || init->minor < LEAST_MINOR || atomic_exchange(&begun, true))
    return -EPROTO;
  /* Not FUSE_AUTO_INVAL_DATA, by which the kernel would drop pages for what it has written itself: see changes.c. */
  uint32_t wanted = FUSE_ASYNC_READ | FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES | FUSE_DONT_MASK |
                    FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO | FUSE_ASYNC_DIO | FUSE_PARALLEL_DIROPS |
                    FUSE_MAX_PAGES | FUSE_CACHE_SYMLINKS | FUSE_HANDLE_KILLPRIV_V2 | FUSE_SETXATTR_EXT;
  /* With this the host's kernel checks permissions. A user's job needs no check but that of the home's kernel. */
  if (rights_are_roots()) wanted |= FUSE_POSIX_ACL;
  struct fuse_init_out *out = answer(request, sizeof *out);
  *out = (struct fuse_init_out){
      .major = FUSE_KERNEL_VERSION,
      .minor = FUSE_KERNEL_MINOR_VERSION,
      .max_readahead = UINT32_MAX,
      .flags = init->flags & wanted,
      .max_background = MAX_BACKGROUND,
      .congestion_threshold = CONGESTION,
      .max_write = MAX_DATA,
      .time_gran = 1,
      .max_pages = MAX_DATA / 4096,
  };
  long_setxattr = out->flags & FUSE_SETXATTR_EXT;
  return 0;
}

static int forget(const struct request *request) {
  const struct fuse_forget_in *in = arguments(request, sizeof *in);
  if (in) node_forget(request->in->nodeid, in->nlookup);
  return 0;
}

static int forget_many(const struct request *request) {
  const struct fuse_batch_forget_in *in = arguments(request, sizeof *in);
  if (!in || in->count > (request->size - sizeof *in) / sizeof(struct fuse_forget_one)) return 0;
  const struct fuse_forget_one *one = (const struct fuse_forget_one *)(in + 1);
  for (uint32_t i = 0; i < in->count; i++) node_forget(one[i].nodeid, one[i].nlookup);
  return 0;
}

/* --- which one -------------------------------------------------------------------------------------------------- */

bool is_done_at_once(uint32_t opcode) { return opcode == FUSE_INIT || !wants_answer(opcode); }

int perform(struct request *request) {
  uint32_t opcode = request->in->opcode;
  if (opcode == FUSE_INIT) return begin(request);
  if (opcode == FUSE_FORGET) return forget(request);
  if (opcode == FUSE_BATCH_FORGET) return forget_many(request);
  operation *operation = opcode < sizeof operations / sizeof *operations ? operations[opcode] : NULL;
  /* The kernel does without, and does not ask again. */
  if (!operation) return -ENOSYS;
  request->node = node_hold(request->in->nodeid);
  if (!request->node) return -ESTALE;
  int result = operation(request);
  node_release(request->node);
  return result;
}
