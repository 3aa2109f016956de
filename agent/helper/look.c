/*
 * What a job's processes hold that may not travel: said for the preflight, one line each, fields apart by tabs.
 *
 *   n PID NAME              a namespace of its own, other than that of the job's PID 1
 *   t PID TID TRACER        a thread that is traced
 *   d PID FD MODE LINKS SPACE MAGIC KIND NAME
 *                           a descriptor (FD `map`: a mapping of a device or of a deleted file): st_mode in octal, hard
 *                           links, bytes that it takes, its file system's magic number in hexadecimal, a socket's protocol, a
 *                           terminal's number or what else is of interest (`-` for nothing), and what /proc calls it
 *   x PID NAME              a program whose file nobody may execute any more
 *   q PID FD WHAT           a message that waits in a Unix socket, and what of it would be lost (messages.c)
 *   m PID NAME              a file or folder on a mount that its namespace has no longer
 *   y PID TID POLICY        a thread with a scheduling policy of these (sched(7)) that CRIU does not know
 *   s PID TID               a thread with semaphore operations that its end would undo (SEM_UNDO, semop(2))
 *   c PID GROUP             a cgroup of a thread that is not the job's: a line of proc_pid_cgroup(5)
 *   f TYPE AT               a file system that the job has mounted itself, and that can't be saved
 *   u INODE PEER            a connected Unix socket, and the socket at its other end
 *
 * stat(2) waits for the file system behind a descriptor: whoever calls this sets it a deadline.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/kcmp.h>
#include <linux/major.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <linux/unix_diag.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "helper.h"
#include "scheduling.h"
#include "sysv.h"

static bool has_unix_sockets;

static bool starts(const char *text, const char *with) { return !strncmp(text, with, strlen(with)); }

static bool ends(const char *text, const char *with) {
  size_t size = strlen(text), tail = strlen(with);
  return size >= tail && !strcmp(text + size - tail, with);
}

/* The target of a link, on one line; false when it has gone. */
static bool target_of(const char *path, char *target, size_t size) {
  ssize_t length = readlink(path, target, size - 1);
  if (length < 0) return false;
  target[length] = 0;
  for (char *at = target; *at; at++)
    if (*at == '\n' || *at == '\t') *at = '?';
  return true;
}

/* What /proc/PID/fdinfo has behind `key`; false where it has none. */
static bool info_of(const char *pid, const char *fd, const char *key, char *value, size_t room) {
  char path[64], line[128];
  bool found = false;
  snprintf(path, sizeof path, "/proc/%s/fdinfo/%s", pid, fd);
  FILE *info = fopen(path, "re");
  if (!info) return false;
  while (!found && fgets(line, sizeof line, info)) {
    if (!(found = starts(line, key))) continue;
    const char *at = line + strlen(key) + strspn(line + strlen(key), " \t");
    snprintf(value, room, "%.*s", (int)strcspn(at, "\n"), at);
  }
  fclose(info);
  return found;
}

/* An eventfd that counts down by one can't be told from others but here (kernel 6.5). */
static bool is_semaphore(const char *pid, const char *fd) {
  char value[16];
  return info_of(pid, fd, "eventfd-semaphore:", value, sizeof value) && !strcmp(value, "1");
}

static bool is_master(const struct stat *about) {
  return S_ISCHR(about->st_mode) && about->st_rdev == makedev(TTYAUX_MAJOR, 2);
}

static void look_for_messages(const char *pid, const char *number) {
  const int process = open_process(pid_of(pid));
  const int fd = process < 0 ? -1 : share_descriptor(process, atoi(number));
  const char *lost = fd < 0 ? NULL : lost_of(fd, false);
  if (lost) printf("q\t%s\t%s\t%s\n", pid, number, lost);
  if (fd >= 0) close(fd);
  if (process >= 0) close(process);
}

/* A pidfd of a thread (pidfd_open(2), PIDFD_THREAD, which is O_EXCL). */
static bool is_of_thread(const char *pid, const char *fd) {
  char path[64], line[128];
  unsigned flags = 0;
  snprintf(path, sizeof path, "/proc/%s/fdinfo/%s", pid, fd);
  FILE *info = fopen(path, "re");
  if (!info) return false;
  while (fgets(line, sizeof line, info) && sscanf(line, "flags: %o", &flags) != 1) continue;
  fclose(info);
  return flags & O_EXCL;
}

/* A datagram that is begun and not sent yet (udp(7), UDP_CORK). */
static bool has_corked(const char *pid, const char *fd) {
  int is_corked = 0, waiting = 0;
  socklen_t size = sizeof is_corked;
  const int process = open_process(pid_of(pid)), own = process < 0 ? -1 : share_descriptor(process, atoi(fd));
  if (own >= 0 && !getsockopt(own, IPPROTO_UDP, UDP_CORK, &is_corked, &size) && is_corked)
    ioctl(own, SIOCOUTQ, &waiting);
  if (own >= 0) close(own);
  if (process >= 0) close(process);
  return is_corked && waiting > 0;
}

/*
 * A lease on the file (fcntl(2), F_SETLEASE) that can't be carried: the destination opens the file while the source still
 * has it. To a lease for reading that is nothing, unless it is being broken.
 */
static bool has_lease(const char *pid, const char *fd) {
  char path[64], line[256];
  bool found = false;
  snprintf(path, sizeof path, "/proc/%s/fdinfo/%s", pid, fd);
  FILE *info = fopen(path, "re");
  if (!info) return false;
  while (fgets(line, sizeof line, info)) {
    if (!starts(line, "lock:") || !(strstr(line, " LEASE ") || strstr(line, " DELEG "))) continue;
    found |= !strstr(line, " LEASE ") || !strstr(line, " ACTIVE ") || !strstr(line, " READ ");
  }
  fclose(info);
  return found;
}

static void describe(const char *pid, const char *fd, const char *path, const char *target) {
  struct stat about;
  struct statfs where;
  char kind[64] = "-";
  if (stat(path, &about)) return;
  if (statfs(path, &where)) where.f_type = 0;
  if (S_ISSOCK(about.st_mode)) {
    ssize_t size = getxattr(path, "system.sockprotoname", kind, sizeof kind - 1);
    if (size <= 0) strcpy(kind, "-");
    else kind[size] = 0;
    has_unix_sockets |= starts(kind, "UNIX");
    if (starts(kind, "UNIX") && *fd != 'm') look_for_messages(pid, fd);
    if (starts(kind, "UDP") && strcmp(fd, "map") && has_corked(pid, fd)) strcpy(kind, "corked");
  } else if (is_master(&about)) info_of(pid, fd, "tty-index:", kind, sizeof kind);
  else if (!strcmp(target, "anon_inode:[eventfd]") && is_semaphore(pid, fd)) strcpy(kind, "semaphore");
  else if (ends(target, "[pidfd]") && is_of_thread(pid, fd)) strcpy(kind, "thread");
  else if ((S_ISREG(about.st_mode) || S_ISDIR(about.st_mode)) && has_lease(pid, fd)) strcpy(kind, "lease");
  printf("d\t%s\t%s\t%o\t%lu\t%lld\t%lx\t%s\t%s\n", pid, fd, about.st_mode, (unsigned long)about.st_nlink,
         (long long)about.st_blocks * 512, (unsigned long)where.f_type, kind, target);
}

/* --- mounts that have gone ----------------------------------------------------------------------------------------- */

/* statfs(2) */
#define MQUEUE_MAGIC 0x19800202
#define DMA_BUF_MAGIC 0x444d4142

/* Of all the namespaces of the job, by their ids, in order. */
static uint64_t *mounts;
static size_t mount_count;

static int by_id(const void *a, const void *b) {
  uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
  return left < right ? -1 : left > right;
}

/* As "MAJOR:MINOR": the file systems that this machine has mounted. What a job has of others, it has mounted itself. */
static bool is_mounted_here(const char *device) {
  static char *known;
  static size_t size;
  char wanted[48];
  if (!known) {
    FILE *info = fopen("/proc/self/mountinfo", "re");
    if (!info || getdelim(&known, &size, 0, info) < 0) known = "";
    if (info) fclose(info);
  }
  snprintf(wanted, sizeof wanted, " %s ", device);
  return strstr(known, wanted) != NULL;
}

/* File systems that CRIU brings back with all that is in them, or that have nothing but what the kernel says. */
static bool is_saved(const char *type) {
  static const char *const types[] = {"tmpfs",   "proc",     "sysfs",   "devpts",     "mqueue",
                                      "devtmpfs", "debugfs", "tracefs", "securityfs", "fusectl", "pstore"};
  for (size_t i = 0; i < sizeof types / sizeof *types; i++)
    if (!strcmp(type, types[i])) return true;
  return false;
}

/* Each is told of once, though several of the job's namespaces may have it. */
static void tell_foreign(const char *line) {
  static char told[4096];
  char device[32], at[1024], type[32];
  const char *rest = strstr(line, " - ");
  if (!rest || sscanf(line, "%*s %*s %31s %*s %1023s", device, at) != 2 || sscanf(rest, " - %31s", type) != 1) return;
  if (is_saved(type) || (is_mounted_here(device) && !starts(type, "cgroup"))) return;
  if (strstr(told, at) || strlen(told) + strlen(at) + 2 > sizeof told) return;
  strcat(strcat(told, at), "\n");
  printf("f\t%s\t%s\n", type, at);
}

static void add_mount(uint64_t id) {
  static size_t room;
  if (mount_count == room) {
    uint64_t *more = realloc(mounts, (room = room ? 2 * room : 64) * sizeof *more);
    if (!more) return;
    mounts = more;
  }
  mounts[mount_count++] = id;
}

static void read_mounts(const char *pid) {
  char path[64], *line = NULL;
  size_t room = 0;
  snprintf(path, sizeof path, "/proc/%.20s/mountinfo", pid);
  FILE *info = fopen(path, "re");
  if (!info) return;
  while (getline(&line, &room, info) > 0) {
    add_mount(strtoull(line, NULL, 10));
    tell_foreign(line);
  }
  free(line);
  fclose(info);
}

/* What was opened before a process got a namespace of its own stays on the mounts of the one that it had. */
static void read_all_mounts(char **pids) {
  ino_t known[64];
  size_t count = 0, at;
  char path[64];
  struct stat space;
  for (; *pids; pids++) {
    snprintf(path, sizeof path, "/proc/%.20s/ns/mnt", *pids);
    if (stat(path, &space)) continue;
    for (at = 0; at < count && known[at] != space.st_ino;) at++;
    if (at < count) continue;
    if (count < sizeof known / sizeof *known) known[count++] = space.st_ino;
    read_mounts(*pids);
  }
  qsort(mounts, mount_count, sizeof *mounts, by_id);
}

/*
 * Files that were never on a mount of the namespace (memfd_create(2) and its like) are named as deleted, except for the
 * kernel's own file systems of message queues and of shared buffers.
 */
static void look_at_mount(const char *pid, const char *path, const char *target) {
  struct statx about;
  struct statfs where;
  if (*target != '/' || ends(target, " (deleted)") || starts(target, "/dev/") || !mount_count) return;
  if (statx(AT_FDCWD, path, 0, STATX_TYPE | STATX_MNT_ID, &about) || !(about.stx_mask & STATX_MNT_ID)) return;
  if (!S_ISREG(about.stx_mode) && !S_ISDIR(about.stx_mode)) return;
  if (statfs(path, &where) || where.f_type == MQUEUE_MAGIC || where.f_type == DMA_BUF_MAGIC) return;
  uint64_t id = about.stx_mnt_id;
  if (!bsearch(&id, mounts, mount_count, sizeof id, by_id)) printf("m\t%s\t%s\n", pid, target);
}

static void look_at_places(const char *pid) {
  static const char *const names[] = {"cwd", "root", "exe"};
  char path[64], target[4096];
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    snprintf(path, sizeof path, "/proc/%.20s/%s", pid, names[i]);
    if (target_of(path, target, sizeof target)) look_at_mount(pid, path, target);
  }
}

/* A process can be given a program only that somebody may execute (PR_SET_MM_EXE_FILE, prctl(2)). */
static void look_at_program(const char *pid) {
  char path[64], target[4096];
  struct stat about;
  snprintf(path, sizeof path, "/proc/%.20s/exe", pid);
  if (stat(path, &about) || about.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)) return;
  if (target_of(path, target, sizeof target)) printf("x\t%s\t%s\n", pid, target);
}

/*
 * A program that runs closes one file and opens the next under the same number at any moment: what is said of a
 * descriptor must be of one file. It is held by its path alone, which has no effect on it, and `held` names it. Its name
 * comes before all else, for a file that has lost its name gets none again.
 */
static int pin(const char *path, char *held, size_t size, char *target, size_t room) {
  int fd = open(path, O_PATH | O_CLOEXEC);
  if (fd < 0) return -1;
  snprintf(held, size, "/proc/self/fd/%d", fd);
  if (target_of(held, target, room)) return fd;
  close(fd);
  return -1;
}

static void look_at_descriptors(const char *pid) {
  char path[64], held[64], target[4096];
  snprintf(path, sizeof path, "/proc/%s/fd", pid);
  DIR *folder = opendir(path);
  if (!folder) return;
  for (struct dirent *one; (one = readdir(folder));) {
    if (one->d_name[0] == '.') continue;
    snprintf(path, sizeof path, "/proc/%s/fd/%.20s", pid, one->d_name);
    const int fd = pin(path, held, sizeof held, target, sizeof target);
    if (fd < 0) continue;
    describe(pid, one->d_name, held, target);
    look_at_mount(pid, held, target);
    close(fd);
  }
  closedir(folder);
}

/* Shared memory without a name and memfds are named like deleted files, and travel. */
static bool is_of_interest(const char *name) {
  if (starts(name, "/memfd:") || starts(name, "/SYSV") || starts(name, "/dev/zero ")) return false;
  return starts(name, "/dev/") || starts(name, "anon_inode:") || starts(name, "/secretmem") ||
         ends(name, " (deleted)");
}

static void look_at_mappings(const char *pid) {
  char path[128], held[64], target[4096], range[64], *line = NULL;
  size_t room = 0;
  snprintf(path, sizeof path, "/proc/%s/maps", pid);
  FILE *maps = fopen(path, "re");
  if (!maps) return;
  while (getline(&line, &room, maps) > 0) {
    int name = 0;
    line[strcspn(line, "\n")] = 0;
    if (sscanf(line, "%63s %*s %*s %*s %*s %n", range, &name) != 1 || !name) continue;
    if (!is_of_interest(line + name)) continue;
    snprintf(path, sizeof path, "/proc/%s/map_files/%s", pid, range);
    const int fd = pin(path, held, sizeof held, target, sizeof target);
    if (fd < 0) continue;
    if (is_of_interest(target)) describe(pid, "map", held, target);
    close(fd);
  }
  free(line);
  fclose(maps);
}

static void look_at_namespaces(const char *pid, const char *init) {
  static const char *const names[] = {"pid", "user", "mnt", "net", "uts", "ipc", "cgroup", "time"};
  char path[64], own[64], jobs[64];
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    snprintf(path, sizeof path, "/proc/%s/ns/%s", pid, names[i]);
    if (!target_of(path, own, sizeof own)) continue;
    snprintf(path, sizeof path, "/proc/%s/ns/%s", init, names[i]);
    if (target_of(path, jobs, sizeof jobs) && strcmp(own, jobs)) printf("n\t%s\t%s\n", pid, names[i]);
  }
}

static void look_at_threads(const char *pid, const char *init) {
  char path[128], line[256];
  int tracer;
  char policy[16];
  snprintf(path, sizeof path, "/proc/%s/task", pid);
  DIR *folder = opendir(path);
  if (!folder) return;
  for (struct dirent *one; (one = readdir(folder));) {
    if (one->d_name[0] == '.') continue;
    snprintf(path, sizeof path, "/proc/%s/task/%.20s/status", pid, one->d_name);
    FILE *status = fopen(path, "re");
    if (!status) continue;
    for (tracer = 0; fgets(line, sizeof line, status);)
      if (sscanf(line, "TracerPid: %d", &tracer) == 1) break;
    fclose(status);
    look_at_cgroups(pid, one->d_name, init);
    if (tracer) printf("t\t%s\t%s\t%d\n", pid, one->d_name, tracer);
    if (scheduling_of(atoi(one->d_name), line, sizeof line) && sscanf(line, "%15s", policy) == 1 &&
        (!strcmp(policy, "deadline") || !strcmp(policy, "ext")))
      printf("y\t%s\t%s\t%s\n", pid, one->d_name, policy);
  }
  closedir(folder);
}

/*
 * The kernel shows nobody what it would undo. A thread has a list of that from its first operation of the kind on, and
 * all that were made by pthread_create(3) share one, whether or not anything is in it. This process has none.
 */
static void look_at_undo(const char *pid) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%.20s/task", pid);
  DIR *folder = opendir(path);
  if (!folder) return;
  for (struct dirent *one; (one = readdir(folder));)
    if (one->d_name[0] != '.' && syscall(SYS_kcmp, atoi(one->d_name), getpid(), KCMP_SYSVSEM, 0, 0) > 0)
      printf("s\t%s\t%s\n", pid, one->d_name);
  closedir(folder);
}

/* A socket's peer, where it has one. `size` bytes of attributes follow the socket (rtnetlink(7)). */
static void tell_peer(const struct unix_diag_msg *socket, size_t size) {
  const char *at = (const char *)(socket + 1);
  for (size_t step; size >= sizeof(struct rtattr); at += step, size -= step) {
    const struct rtattr *part = (const void *)at;
    if (part->rta_len < sizeof *part || part->rta_len > size) return;
    if (part->rta_type == UNIX_DIAG_PEER && part->rta_len == sizeof *part + sizeof(uint32_t))
      printf("u\t%u\t%u\n", socket->udiag_ino, *(const uint32_t *)(part + 1));
    step = NLMSG_ALIGN(part->rta_len) < size ? NLMSG_ALIGN(part->rta_len) : size;
  }
}

/* Tells of each socket in an answer of the kernel's (netlink(7)); false when it was the last. */
static bool tell_sockets(const char *answer, size_t size) {
  for (size_t step; size >= sizeof(struct nlmsghdr); answer += step, size -= step) {
    const struct nlmsghdr *head = (const void *)answer;
    if (head->nlmsg_len < sizeof *head || head->nlmsg_len > size) return false;
    if (head->nlmsg_type != SOCK_DIAG_BY_FAMILY) return false;
    if (head->nlmsg_len < NLMSG_LENGTH(sizeof(struct unix_diag_msg))) return false;
    tell_peer((const void *)(head + 1), head->nlmsg_len - NLMSG_LENGTH(sizeof(struct unix_diag_msg)));
    step = NLMSG_ALIGN(head->nlmsg_len) < size ? NLMSG_ALIGN(head->nlmsg_len) : size;
  }
  return true;
}

/* sock_diag(7): every connected Unix socket of the network namespace that this process is in. */
static void look_at_unix_sockets(void) {
  struct {
    struct nlmsghdr head;
    struct unix_diag_req wish;
  } ask = {.head = {.nlmsg_len = sizeof ask, .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
           .wish = {.sdiag_family = AF_UNIX, .udiag_states = ~0U, .udiag_show = UDIAG_SHOW_PEER}};
  static char space[32768] __attribute__((aligned(NLMSG_ALIGNTO)));
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
  if (fd < 0) return;
  for (bool more = send(fd, &ask, sizeof ask, 0) == sizeof ask; more;) {
    const ssize_t size = recv(fd, space, sizeof space, 0);
    more = size > 0 && tell_sockets(space, (size_t)size);
  }
  close(fd);
}

int look(char **pids) {
  char path[64];
  if (!pids[0]) return wrong_usage("look INIT [PID...]");
  read_all_mounts(pids);
  for (char **pid = pids; *pid; pid++) {
    look_at_places(*pid);
    look_at_program(*pid);
    look_at_namespaces(*pid, pids[0]);
    look_at_threads(*pid, pids[0]);
    look_at_descriptors(*pid);
    look_at_mappings(*pid);
  }
  /* PID 1 is Godwit's and uses none; CRIU may have made it an empty list. */
  if (enter_ipc(pids[0]) == 0 && has_semaphores())
    for (char **pid = pids + 1; *pid; pid++) look_at_undo(*pid);
  if (!has_unix_sockets) return 0;
  snprintf(path, sizeof path, "/proc/%s/ns/net", pids[0]);
  int net = open(path, O_RDONLY | O_CLOEXEC);
  if (net >= 0 && setns(net, CLONE_NEWNET) == 0) look_at_unix_sockets();
  return 0;
}
