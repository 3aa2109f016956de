/* What a process has open or mapped, as `look` prints it. */
#include <dirent.h>
#include <fcntl.h>
#include <linux/major.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "helper.h"
#include "look-parts.h"
#include "text.h"

static bool has_unix_sockets;

/* What /proc/PID/fdinfo has behind `key`; false where it has none. */
static bool info_of(const char *pid, const char *fd, const char *key, char *value, size_t room) {
  char path[64], line[128];
  bool found = false;
  snprintf(path, sizeof path, "/proc/%s/fdinfo/%s", pid, fd);
  FILE *info = fopen(path, "re");
  if (!info) return false;
  while (!found && fgets(line, sizeof line, info)) {
    if (!(found = starts_with(line, key))) continue;
    const char *at = line + strlen(key) + strspn(line + strlen(key), " \t");
    snprintf(value, room, "%.*s", (int)strcspn(at, "\n"), at);
  }
  fclose(info);
  return found;
}

/* An eventfd that counts down by one can't be distinguished from others but here (kernel 6.5). */
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

/* The flags of open(2) and fcntl(2) that it has; 0 for one that has gone. */
static int flags_of(const char *pid, const char *fd) {
  char value[32];
  return info_of(pid, fd, "flags:", value, sizeof value) ? (int)strtoul(value, NULL, 8) : 0;
}

/* A pidfd of a thread (pidfd_open(2), PIDFD_THREAD, which is O_EXCL). */
static bool is_of_thread(const char *pid, const char *fd) { return flags_of(pid, fd) & O_EXCL; }

/* What is written into it at once is read at once (pipe(2), O_DIRECT). */
static bool is_of_packets(const char *pid, const char *fd) { return flags_of(pid, fd) & O_DIRECT; }

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
    if (!starts_with(line, "lock:") || !(strstr(line, " LEASE ") || strstr(line, " DELEG "))) continue;
    found |= !strstr(line, " LEASE ") || !strstr(line, " ACTIVE ") || !strstr(line, " READ ");
  }
  fclose(info);
  return found;
}

/*
 * Of fanotify: `decides` whether others may open a file (FAN_CLASS_CONTENT and FAN_CLASS_PRE_CONTENT, fanotify(7)), so
 * that they wait while it is frozen; has a mark on a whole `filesystem`; or has `unread` events.
 */
static const char *kind_of_fanotify(const char *pid, const char *fd) {
  char value[128];
  int waiting = 0;
  unsigned flags = 0;
  if (info_of(pid, fd, "fanotify flags:", value, sizeof value)) flags = (unsigned)strtoul(value, NULL, 16);
  if (flags & (FAN_CLASS_CONTENT | FAN_CLASS_PRE_CONTENT)) return "decides";
  if (info_of(pid, fd, "fanotify sdev:", value, sizeof value)) return "filesystem";
  const int process = open_process(pid_of(pid)), own = process < 0 ? -1 : share_descriptor(process, atoi(fd));
  if (own >= 0) ioctl(own, FIONREAD, &waiting), close(own);
  if (process >= 0) close(process);
  return waiting > 0 ? "unread" : "-";
}

static void describe(const char *pid, const char *fd, const char *path, char *target) {
  struct stat about;
  struct statfs where;
  char kind[64] = "-";
  if (stat(path, &about)) return;
  keep_name(pid, target, &about);
  if (statfs(path, &where)) where.f_type = 0;
  if (S_ISSOCK(about.st_mode)) {
    ssize_t size = getxattr(path, "system.sockprotoname", kind, sizeof kind - 1);
    if (size <= 0) strcpy(kind, "-");
    else kind[size] = 0;
    has_unix_sockets |= starts_with(kind, "UNIX");
    if (starts_with(kind, "UNIX") && *fd != 'm') look_for_messages(pid, fd);
    if (starts_with(kind, "UDP") && strcmp(fd, "map") && has_corked(pid, fd)) strcpy(kind, "corked");
  } else if (is_master(&about)) info_of(pid, fd, "tty-index:", kind, sizeof kind);
  else if (S_ISFIFO(about.st_mode) && is_of_packets(pid, fd)) strcpy(kind, "packets");
  else if (!strcmp(target, "anon_inode:[eventfd]") && is_semaphore(pid, fd)) strcpy(kind, "semaphore");
  else if (!strcmp(target, "anon_inode:[fanotify]")) strcpy(kind, kind_of_fanotify(pid, fd));
  else if (ends_with(target, "[pidfd]") && is_of_thread(pid, fd)) strcpy(kind, "thread");
  else if ((S_ISREG(about.st_mode) || S_ISDIR(about.st_mode)) && has_lease(pid, fd)) strcpy(kind, "lease");
  printf("d\t%s\t%s\t%o\t%lu\t%lld\t%lx\t%s\t%s\n", pid, fd, about.st_mode, (unsigned long)about.st_nlink,
         (long long)about.st_blocks * 512, (unsigned long)where.f_type, kind, target);
}

/*
 * A program that runs closes one file and opens the next under the same number at any moment: what is printed of a
 * descriptor must be of one file. It is held by its path alone, which has no effect on it, and `pinned` names it. Its name
 * comes before all else, for a file that has lost its name gets none again.
 */
static int pin(const char *path, char *pinned, size_t size, char *target, size_t room) {
  int fd = open(path, O_PATH | O_CLOEXEC);
  if (fd < 0) return -1;
  snprintf(pinned, size, "/proc/self/fd/%d", fd);
  if (target_of(pinned, target, room)) return fd;
  close(fd);
  return -1;
}

bool look_at_descriptors(const char *pid) {
  char path[64], pinned[64], target[4096];
  snprintf(path, sizeof path, "/proc/%s/fd", pid);
  DIR *folder = opendir(path);
  if (!folder) return has_unix_sockets;
  for (struct dirent *one; (one = readdir(folder));) {
    if (one->d_name[0] == '.') continue;
    snprintf(path, sizeof path, "/proc/%s/fd/%.20s", pid, one->d_name);
    const int fd = pin(path, pinned, sizeof pinned, target, sizeof target);
    if (fd < 0) continue;
    describe(pid, one->d_name, pinned, target);
    look_at_mount(pid, pinned, target);
    if (!strcmp(target, "anon_inode:inotify") || !strcmp(target, "anon_inode:[fanotify]")) look_at_watches(pid, one->d_name);
    close(fd);
  }
  closedir(folder);
  return has_unix_sockets;
}

/* Libraries are mapped by each process, in pieces: one look is enough in each namespace of mounts. */
static bool is_first(ino_t space, const char *file) {
  static uint64_t known[1 << 14];
  uint64_t sum = 14695981039346656037u ^ space;
  for (; *file; file++) sum = (sum ^ (unsigned char)*file) * 1099511628211u;
  uint64_t *const place = &known[sum % (sizeof known / sizeof *known)];
  return *place != sum && (*place = sum);
}

/* Shared memory without a name and memfds are named like deleted files, and travel. */
static bool is_of_interest(const char *name) {
  if (starts_with(name, "/memfd:") || starts_with(name, "/SYSV") || starts_with(name, "/dev/zero ")) return false;
  return starts_with(name, "/dev/") || starts_with(name, "anon_inode:") || starts_with(name, "/secretmem") ||
         ends_with(name, " (deleted)");
}

void look_at_mappings(const char *pid) {
  char path[128], pinned[64], target[4096], range[64], *line = NULL;
  size_t room = 0;
  struct stat space = {0};
  snprintf(path, sizeof path, "/proc/%s/ns/mnt", pid);
  if (stat(path, &space)) return;
  snprintf(path, sizeof path, "/proc/%s/maps", pid);
  FILE *maps = fopen(path, "re");
  if (!maps) return;
  while (getline(&line, &room, maps) > 0) {
    int name = 0, file = 0;
    line[strcspn(line, "\n")] = 0;
    if (sscanf(line, "%63s %*s %*s %n%*s %*s %n", range, &file, &name) != 1 || !name) continue;
    if (!is_of_interest(line + name) && (line[name] != '/' || !is_first(space.st_ino, line + file))) continue;
    snprintf(path, sizeof path, "/proc/%s/map_files/%s", pid, range);
    const int fd = pin(path, pinned, sizeof pinned, target, sizeof target);
    if (fd < 0) continue;
    if (is_of_interest(target)) describe(pid, "map", pinned, target);
    else look_at_mount(pid, pinned, target);
    close(fd);
  }
  free(line);
  fclose(maps);
}
