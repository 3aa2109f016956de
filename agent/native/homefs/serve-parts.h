/* What the parts of the server share: nodes, handles, requests. FUSE's names are those of <linux/fuse.h>. */
#ifndef HOMEFS_SERVE_PARTS_H
#define HOMEFS_SERVE_PARTS_H

#include <linux/fuse.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#if FUSE_KERNEL_MINOR_VERSION < 37
#define FUSE_TMPFILE 51
#endif

/* How long the host may trust an answer, in seconds: so long may an edit at home stay unseen. */
#define TRUSTED_S 1
#define PROC_PATH 32

struct changes;

/*
 * A file of the home that the host knows of, by the number that it was given (`number`). `fd` is an O_PATH descriptor:
 * the file stays this one through renames and removal. The same file (device, inode) is one node.
 *
 * The host may know of more files than there are descriptors. So a node that was not used for long, and is not open,
 * may be cold: `fd` is -1, and it is found again by the name under which it was looked up last.
 */
struct node {
  uint64_t number, lookups;
  /* `users`: requests that hold it; `opens`: handles. */
  int fd, users, opens;
  uint64_t parent;
  char *name;
  /* Among those that are warm, in the order of their last use; when that was, in seconds. */
  struct node *older, *newer;
  time_t used;
  dev_t device;
  ino_t inode;
  mode_t type;
  /* A folder of which only the name is shown: the kernel's own trees, and what `--without` names. */
  bool veiled;
  struct node *next;
  /* From when the host opened or changed it first. */
  _Atomic(struct changes *) changes;
};

/* An open file or folder, by its number (`fh`). Its node counts it. */
struct handle {
  uint64_t number;
  struct node *node;
  int fd, users;
  bool folder, released;
  /* For a folder: one reader at a time, and the descriptor's position. */
  pthread_mutex_t lock;
  int64_t position;
};

struct request {
  const struct fuse_in_header *in;
  /* What follows the header. */
  const char *body;
  size_t size;
  /* The node that it is about; referenced while it is worked on. */
  struct node *node;
  /* Room for MAX_DATA bytes of answer, and what is in it. */
  char *answer;
  size_t answer_size;
};

/* An operation: 0 with its answer filled in, or a negative errno. */
typedef int operation(struct request *request);

/* --- veil.c ----------------------------------------------------------------------------------------------------- */

/* Takes the folders that `--without` names: 0 or an errno. */
int veil_folders(char **argv);
/* Is a file, open as `fd`, one of them? `name` is NULL if it has none. */
bool is_veiled(const struct node *parent, const char *name, int fd, const struct stat *status);

/* --- nodes.c ---------------------------------------------------------------------------------------------------- */

/* Node 1 is `root`. `--without`: folders of which only the names are shown; `--max-nodes`: a power of 2. 0 or an errno. */
int nodes_open(const char *root, char **argv);
/* Keeps no more than so many descriptors for nodes that are not in use. */
void nodes_limit(int warm);
/* A thread: has files of other file systems than the root's give their descriptors back when they rest. */
void *nodes_rest(void *unused) __attribute__((noreturn));
/* The node, warm and referenced until `node_release`; NULL if the host never got its number, or it can't be found again. */
struct node *node_hold(uint64_t number);
void node_release(struct node *node);
/* A referenced node that is open stays warm: it may have no name any more. */
void node_opened(struct node *node);
void node_closed(struct node *node);
/* A file that was moved is found again by its new name. */
void node_moved(struct node *parent, const char *name);
/* The host has forgotten `lookups` of the answers that named it. */
void node_forget(uint64_t number, uint64_t lookups);
/* Looks up a name, and fills in the answer. 0 or a negative errno. */
int node_enter(struct node *parent, const char *name, struct fuse_entry_out *entry);
/* The same for a file that is open as `fd`; `name` is NULL if it has none. */
int node_enter_open(struct node *parent, const char *name, int fd, struct fuse_entry_out *entry);
/* A path that opens the node's file again, under any name that it has by now. */
const char *node_path(const struct node *node, char path[PROC_PATH]);
const char *fd_path(int fd, char path[PROC_PATH]);
void fill_attributes(struct fuse_attr *attributes, const struct stat *status);

/* --- changes.c -------------------------------------------------------------------------------------------------- */

/* Around each change that the host asks for of a referenced node's file. */
void change_begins(struct node *node);
void change_ends(struct node *node);
/* As it is opened: whether pages that the host has of it are those of the file. If not, they are to be dropped now. */
bool is_unchanged(struct node *node, bool to_write);
/* The host has forgotten the file. */
void changes_forget(struct node *node);
/* Whether others have changed it since this, or is_unchanged, was asked last. */
bool is_changed_by_others(struct node *node);

/* --- handles.c -------------------------------------------------------------------------------------------------- */

/* Takes `fd`, which is open on the referenced node, over; 0 if there are too many. */
uint64_t handle_new(struct node *node, int fd, bool folder);
struct handle *handle_hold(uint64_t number, bool folder);
void handle_release(struct handle *handle);
/* The host has closed it. */
void handle_close(uint64_t number);
/* The next file that is open, after the one of that number; NULL, and the beginning next, where none is. */
struct handle *handle_next(uint64_t *number);

/* --- rights.c --------------------------------------------------------------------------------------------------- */

/* From root to the user whose job is served; for root's own, nothing. 0 or an errno. */
int rights_take(char **argv);
/* Whether root is served, whose processes may be several users: then the host's kernel checks permissions. */
bool rights_are_roots(void);
/* What is made until `create_end` belongs to the caller; `checked`: the host has checked that they may. */
void create_begin(const struct request *request, uint32_t mask, bool checked);
void create_end(void);
/* Until `privilege_end`, writing takes a file's set-user-id bits away, as it does for anybody but root. */
void privilege_begin(bool drop);
void privilege_end(bool drop);

/* --- message.c -------------------------------------------------------------------------------------------------- */

/* The fixed part of a request; NULL if it is not all there. */
const void *arguments(const struct request *request, size_t size);
/* The text at `offset` of a request's body; NULL if it is not all there or empty. */
const char *text_at(const struct request *request, size_t offset);
/* The name at `offset` of a request's body, which is one component; NULL if it is not all there or none. */
const char *name_at(const struct request *request, size_t offset);
/* Room in the answer for a structure of this size, zeroed. */
void *answer(struct request *request, size_t size);

/* --- requests.c ------------------------------------------------------------------------------------------------- */

/* Does it; the operations below are its parts. */
operation perform;
/* Whether it is to be done before what comes after it, and takes no time. */
bool is_done_at_once(uint32_t opcode);

operation do_lookup, do_readlink, do_symlink, do_mknod, do_mkdir, do_unlink, do_rmdir, do_rename, do_rename2, do_link,
    do_create, do_tmpfile;
operation do_getattr, do_setattr, do_access, do_statfs, do_setxattr, do_getxattr, do_listxattr, do_removexattr;
operation do_open, do_read, do_write, do_release, do_fsync, do_fallocate, do_lseek, do_copy_file_range;
operation do_opendir, do_readdir, do_readdirplus, do_releasedir, do_fsyncdir;

/* Whether the host sends the longer form of FUSE_SETXATTR. */
extern bool long_setxattr;

#endif
