/*
 * Preloaded into a CRIU that dumps or restores a user's job: where it works with the job's own files, sockets and
 * watches it does so with the effective ids and groups of the job's user and without a capability. What CRIU finds at
 * a path then is at most what that user could have opened, whatever others have made of the path meanwhile.
 *
 * Which calls those are is decided by where they lead. Root's are CRIU's own: the image folder, the kernel's /proc, the
 * yard in which CRIU puts mounts together, and whatever CRIU's first process does outside the job's root. Everything
 * else is the user's: see `is_own`.
 *
 * GODWIT_USER is UID:GID:GROUP,GROUP,…; GODWIT_IMAGES the image folder. In there the first process of a restored job
 * leaves the file `as-user`, by which the agent knows that this library was in effect.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/vfs.h>
#include <unistd.h>

/* A user is in 65,536 groups at the most (NGROUPS_MAX, setgroups(2)). */
#define MOST_GROUPS 65536
#define MARK "as-user"
/* Folders that CRIU makes for the time of a restore, and how it calls them before mkdtemp(3) (criu/mount.c). */
#define YARD "/tmp/.criu.mntns.XXXXXX"
#define OLD_ROOT "crtools-put-root.XXXXXX"

static uid_t user;
static gid_t group, groups[MOST_GROUPS], own_groups[MOST_GROUPS];
static int group_count, own_group_count;
static struct stat images, pid_namespace;
/* What those folders were called in the end: names that could not be known before, so no image has them. */
static char yard[64], old_root[64];
/* A call by its number, for this task alone: syscall(2), beyond the one below. */
static long (*kernel)(long, ...);

/* Nothing is done as root that was to be done as the user. */
static void give_up(const char *what) {
  dprintf(STDERR_FILENO, "godwit-as-user: %s: %s\n", what, strerror(errno));
  _exit(127);
}

static uid_t number_at(const char **text) {
  char *end;
  errno = 0;
  long number = strtol(*text, &end, 10);
  if (errno || end == *text || number < 0 || number >= (unsigned int)-1) give_up("GODWIT_USER");
  *text = *end ? end + 1 : end;
  return (uid_t)number;
}

__attribute__((constructor)) static void learn(void) {
  const char *as = getenv("GODWIT_USER"), *folder = getenv("GODWIT_IMAGES");
  kernel = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
  if (!as || !folder) return;
  if (stat(folder, &images) || stat("/proc/self/ns/pid", &pid_namespace)) give_up("image folder");
  user = number_at(&as);
  group = number_at(&as);
  while (*as && group_count < MOST_GROUPS) groups[group_count++] = number_at(&as);
  if ((own_group_count = getgroups(MOST_GROUPS, own_groups)) < 0) give_up("groups");
}

/* --- as the user -------------------------------------------------------------------------------------------------- */

static bool become_user(void) {
  if (!user) return false;
  /* The last one takes the effective capabilities too (capabilities(7), "Effect of user ID changes"). */
  if (kernel(SYS_setgroups, (long)group_count, groups) || kernel(SYS_setresgid, -1L, (long)group, -1L) ||
      kernel(SYS_setresuid, -1L, (long)user, -1L))
    give_up("user");
  return true;
}

static void become_root(void) {
  const int error = errno;
  if (kernel(SYS_setresuid, -1L, 0L, -1L) || kernel(SYS_setresgid, -1L, 0L, -1L) ||
      kernel(SYS_setgroups, (long)own_group_count, own_groups))
    give_up("root");
  errno = error;
}

#define NEXT(name)           \
  static typeof(name) *next; \
  if (!next) next = (typeof(name) *)dlsym(RTLD_NEXT, #name)

#define CALL(own, ...)                             \
  ({                                               \
    const bool switched = !(own) && become_user(); \
    typeof(__VA_ARGS__) result = (__VA_ARGS__);    \
    if (switched) become_root();                   \
    result;                                        \
  })

/* --- whose it is -------------------------------------------------------------------------------------------------- */

/* Is this one of the processes that are becoming the job's? They are in its PID namespace; so are all they fork. */
static bool is_of_job(void) {
  static bool found;
  static pid_t known;
  struct stat current;
  const pid_t own = (pid_t)kernel(SYS_getpid);
  if (found || own == known) return found;
  known = own;
  return found = stat("/proc/self/ns/pid", &current) || current.st_ino != pid_namespace.st_ino;
}

static bool starts(const char *text, const char *with) { return !strncmp(text, with, strlen(with)); }

/* What of a path is below the yard; NULL of any other. */
static const char *in_yard(const char *path) {
  const size_t size = strlen(yard);
  if (!size || !starts(path, yard)) return NULL;
  return path[size] == '/' || !path[size] ? path + size : NULL;
}

char *mkdtemp(char *path) {
  NEXT(mkdtemp);
  char *const made = !strcmp(path, YARD) ? yard : !strcmp(path, OLD_ROOT) ? old_root : NULL;
  char *const result = next(path);
  if (made && result) snprintf(made, sizeof yard, "%s", result);
  return result;
}

static void leave_mark(int folder) {
  static bool left;
  if (left || !is_of_job()) return;
  left = true;
  close((int)kernel(SYS_openat, (long)folder, MARK, (long)(O_WRONLY | O_CREAT | O_CLOEXEC), 0600L));
}

static bool is_image(int folder, const char *name) {
  struct stat status;
  if (strchr(name, '/') || fstat(folder, &status)) return false;
  if (status.st_dev != images.st_dev || status.st_ino != images.st_ino) return false;
  leave_mark(folder);
  return true;
}

static bool is_proc(int folder) {
  struct statfs of;
  return fstatfs(folder, &of) == 0 && of.f_type == PROC_SUPER_MAGIC;
}

/* A path by which CRIU reaches what is its own. `looks`: nothing is made, changed or removed there. */
static bool is_own(int folder, const char *path, bool looks) {
  if (!user) return true;
  if (*path != '/' && folder != AT_FDCWD) return is_image(folder, path) || (looks && is_proc(folder));
  /* No path of CRIU's own has that. */
  if (strstr(path, "/..")) return false;
  const char *yards = in_yard(path);
  /* The mounts themselves, not what is in them. */
  if (yards) return !*yards || !strchr(yards + 1, '/');
  if (!is_of_job()) return true;
  return (*old_root && !strcmp(path, old_root)) || (looks && (!strcmp(path, "/proc") || starts(path, "/proc/")));
}

/* --- files -------------------------------------------------------------------------------------------------------- */

static bool makes(int flags) { return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE; }

static int open_at(int folder, const char *path, int flags, mode_t mode) {
  NEXT(openat64);
  /* An O_PATH descriptor of a mount point is for CRIU to mount on. */
  if (flags & O_PATH && *path == '/' && in_yard(path)) return next(folder, path, flags, mode);
  return CALL(is_own(folder, path, !makes(flags)), next(folder, path, flags, mode));
}

#define MODE_OF(flags, last)        \
  ({                                \
    mode_t given = 0;               \
    if (makes(flags)) {             \
      va_list list;                 \
      va_start(list, last);         \
      given = va_arg(list, mode_t); \
      va_end(list);                 \
    }                               \
    given;                          \
  })

int openat64(int folder, const char *path, int flags, ...) {
  return open_at(folder, path, flags, MODE_OF(flags, flags));
}
int openat(int folder, const char *path, int flags, ...) { return open_at(folder, path, flags, MODE_OF(flags, flags)); }
int open64(const char *path, int flags, ...) { return open_at(AT_FDCWD, path, flags, MODE_OF(flags, flags)); }
int open(const char *path, int flags, ...) { return open_at(AT_FDCWD, path, flags, MODE_OF(flags, flags)); }
int creat64(const char *path, mode_t mode) { return open_at(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode); }

#define CHANGES(name, parameters, folder, path, ...)             \
  int name parameters {                                          \
    NEXT(name);                                                  \
    return CALL(is_own(folder, path, false), next(__VA_ARGS__)); \
  }

CHANGES(unlink, (const char *path), AT_FDCWD, path, path)
CHANGES(unlinkat, (int folder, const char *path, int flags), folder, path, folder, path, flags)
CHANGES(rmdir, (const char *path), AT_FDCWD, path, path)
CHANGES(remove, (const char *path), AT_FDCWD, path, path)
CHANGES(symlink, (const char *target, const char *path), AT_FDCWD, path, target, path)
CHANGES(symlinkat, (const char *target, int folder, const char *path), folder, path, target, folder, path)
CHANGES(mkdir, (const char *path, mode_t mode), AT_FDCWD, path, path, mode)
CHANGES(mkdirat, (int folder, const char *path, mode_t mode), folder, path, folder, path, mode)
CHANGES(mknod, (const char *path, mode_t mode, dev_t device), AT_FDCWD, path, path, mode, device)
CHANGES(chdir, (const char *path), AT_FDCWD, path, path)
CHANGES(chmod, (const char *path, mode_t mode), AT_FDCWD, path, path, mode)
CHANGES(fchmodat, (int folder, const char *path, mode_t mode, int flags), folder, path, folder, path, mode, flags)
CHANGES(fchownat, (int folder, const char *path, uid_t uid, gid_t gid, int flags), folder, path, folder, path, uid, gid,
        flags)
CHANGES(lutimes, (const char *path, const struct timeval times[2]), AT_FDCWD, path, path, times)

int rename(const char *from, const char *to) {
  NEXT(rename);
  return CALL(is_own(AT_FDCWD, from, false) && is_own(AT_FDCWD, to, false), next(from, to));
}

/*
 * A name for a file that has lost the one it was opened by. The kernel gives one to a bare descriptor for root only; by
 * way of /proc it asks what it asks of anybody (linkat(2)).
 */
int linkat(int from, const char *old, int to, const char *path, int flags) {
  char descriptor[64];
  NEXT(linkat);
  if (is_own(to, path, false)) return next(from, old, to, path, flags);
  if (flags & AT_EMPTY_PATH && !*old) {
    snprintf(descriptor, sizeof descriptor, "/proc/self/fd/%d", from);
    return CALL(false, next(AT_FDCWD, descriptor, to, path, AT_SYMLINK_FOLLOW));
  }
  return CALL(false, next(from, old, to, path, flags));
}

/* --- what is made anew -------------------------------------------------------------------------------------------- */

#define MAKES(type, name, parameters, own, ...)            \
  type name parameters {                                   \
    NEXT(name);                                            \
    return CALL(!is_of_job() || (own), next(__VA_ARGS__)); \
  }

/* Mode and owner by a descriptor: which file it is of, is in an image. */
MAKES(int, fchmod, (int fd, mode_t mode), false, fd, mode)
MAKES(int, fchown, (int fd, uid_t uid, gid_t gid), false, fd, uid, gid)
/* PID 1 has no netlink socket of its own: there it is CRIU's, for the network. */
MAKES(int, socket, (int family, int type, int protocol), family == AF_NETLINK && kernel(SYS_getpid) == 1, family, type,
      protocol)
MAKES(int, socketpair, (int family, int type, int protocol, int fds[2]), false, family, type, protocol, fds)
MAKES(int, bind, (int fd, __CONST_SOCKADDR_ARG at, socklen_t size), false, fd, at, size)
MAKES(int, connect, (int fd, __CONST_SOCKADDR_ARG to, socklen_t size), false, fd, to, size)
/* Whom a client of a Unix socket sees at the other end (SO_PEERCRED, unix(7)) is who listened. */
MAKES(int, listen, (int fd, int backlog), false, fd, backlog)
MAKES(int, inotify_add_watch, (int fd, const char *path, uint32_t mask), false, fd, path, mask)
MAKES(int, fanotify_init, (unsigned int flags, unsigned int event_flags), false, flags, event_flags)
MAKES(int, fanotify_mark, (int fd, unsigned int flags, uint64_t mask, int folder, const char *path), false, fd, flags,
      mask, folder, path)
MAKES(int, timerfd_create, (clockid_t clock, int flags), false, clock, flags)
MAKES(int, memfd_create, (const char *name, unsigned int flags), false, name, flags)

/* What CRIU runs in turn (tar, for a tmpfs that it has just made) does nothing with the job's files. */
int execvp(const char *file, char *const argv[]) {
  NEXT(execvp);
  unsetenv("GODWIT_USER");
  return next(file, argv);
}

/* Of the calls that CRIU makes by number, those that make something. */
long syscall(long number, ...) {
  if (!kernel) learn();
  long argument[6];
  va_list list;
  va_start(list, number);
  for (int i = 0; i < 6; i++) argument[i] = va_arg(list, long);
  va_end(list);
  const bool own = (number != SYS_memfd_create && number != SYS_bpf) || !is_of_job();
  return CALL(own, kernel(number, argument[0], argument[1], argument[2], argument[3], argument[4], argument[5]));
}
