/*
 * What a job's processes refer to, walked in an order that is the same after a restore: their programs, working and root
 * directories, descriptors and mappings.
 *
 * A reference's token says what must be the same after a restore. Files of the home have the inode number that every node
 * sees (shown_inode); a file that is deleted, or on the job's own tmpfs, is another one after a restore, of the same type
 * and owner.
 */
#include "identity.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "../common/shown.h"
#include "helper.h"
#include "text.h"

static dev_t root_device, own_device;
/* Of the trees that the kernel makes: there a name is what identifies a file. */
static dev_t kernels[4];
static bool is_abroad;

static dev_t device_of(const char *init, const char *path) {
  char full[128];
  struct stat status;
  snprintf(full, sizeof full, "/proc/%s/root/%s", init, path);
  return stat(full, &status) ? 0 : status.st_dev;
}

static void learn_devices(const char *init) {
  static const char *const trees[] = {"proc", "dev", "dev/pts", "sys"};
  root_device = device_of(init, "");
  own_device = device_of(init, "dev/shm");
  for (size_t i = 0; i < sizeof trees / sizeof *trees; i++) kernels[i] = device_of(init, trees[i]);
}

static bool is_kernels(dev_t device) {
  for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++)
    if (kernels[i] == device) return true;
  return false;
}

/* On a tmpfs of the job's own: /dev/shm, or one that it has mounted itself. Its files are made anew with it. */
static bool is_own(dev_t device, const char *path) {
  struct statfs where;
  char text[32];
  if (device == own_device) return true;
  snprintf(text, sizeof text, "%u:%u", major(device), minor(device));
  return !is_mounted_here(text) && !statfs(path, &where) && where.f_type == TMPFS_MAGIC;
}

/* --- tokens ------------------------------------------------------------------------------------------------------- */

static void token_of_file(struct reference *ref, const char *path) {
  const struct stat *status = &ref->status;
  const unsigned type = status->st_mode & S_IFMT;
  const bool is_device = S_ISCHR(type) || S_ISBLK(type);
  if (is_device && is_kernels(status->st_dev))
    snprintf(ref->token, sizeof ref->token, "device %o %x:%x", type, major(status->st_rdev), minor(status->st_rdev));
  else if (is_kernels(status->st_dev)) snprintf(ref->token, sizeof ref->token, "kernel's %o %.200s", type, ref->name);
  else if (status->st_nlink == 0 || ends_with(ref->name, " (deleted)") || is_own(status->st_dev, path))
    snprintf(ref->token, sizeof ref->token, "own %o %u:%u", type, status->st_uid, status->st_gid);
  else if (is_abroad)
    snprintf(ref->token, sizeof ref->token, "%s %o %llx %x", status->st_dev == root_device ? "file" : "host's", type,
             (unsigned long long)status->st_ino, is_device ? (unsigned)status->st_rdev : 0);
  else
    snprintf(ref->token, sizeof ref->token, "file %o %llx %x", type,
             (unsigned long long)shown_inode(status, root_device), is_device ? (unsigned)status->st_rdev : 0);
}

/* A namespace of the job's is another one after a restore (namespaces(7)). */
static bool is_namespace(const struct reference *ref) {
  return S_ISREG(ref->status.st_mode) && *ref->name != '/' && strstr(ref->name, ":[");
}

static bool is_nameless(const struct reference *ref) {
  const char *name = ref->name;
  return starts_with(name, "pipe:[") || starts_with(name, "anon_inode:") || starts_with(name, "socket:[") ||
         is_namespace(ref);
}

static bool look_at(const char *path, struct reference *ref) {
  ssize_t size = readlink(path, ref->name, sizeof ref->name - 1);
  if (size < 0 || stat(path, &ref->status)) return false;
  ref->name[size] = 0;
  char pid[16];
  snprintf(pid, sizeof pid, "%d", ref->pid);
  keep_name(pid, ref->name, &ref->status);
  for (char *at = ref->name; *at; at++)
    if (*at == '\n' || *at == '\t') *at = '?';
  *ref->protocol = 0;
  if (!is_nameless(ref)) {
    token_of_file(ref, path);
    return true;
  }
  if (S_ISSOCK(ref->status.st_mode)) {
    size = getxattr(path, "system.sockprotoname", ref->protocol, sizeof ref->protocol - 1);
    ref->protocol[size < 0 ? 0 : size] = 0;
  }
  /* A pipe's number and a socket's are new on each node. */
  snprintf(ref->token, sizeof ref->token, "%.*s %s", (int)strcspn(ref->name, "["), ref->name,
           starts_with(ref->name, "anon_inode:[") ? ref->name + strlen("anon_inode:") : ref->protocol);
  return true;
}

/* --- processes ---------------------------------------------------------------------------------------------------- */

/* The second of NSpid (proc_pid_status(5)). */
int inner_of(const char *pid) {
  char path[64], line[256];
  int inner = -1;
  snprintf(path, sizeof path, "/proc/%s/status", pid);
  FILE *status = fopen(path, "re");
  if (!status) return -1;
  while (fgets(line, sizeof line, status) && sscanf(line, "NSpid: %*d %d", &inner) != 1) continue;
  fclose(status);
  return inner;
}

static bool visit_at(struct reference *ref, const char *path, visit *visit) {
  return !look_at(path, ref) || visit(ref);
}

static bool each_descriptor(const char *pid, struct reference *ref, visit *visit) {
  char path[64];
  bool goes_on = true;
  snprintf(path, sizeof path, "/proc/%s/fd", pid);
  DIR *folder = opendir(path);
  if (!folder) return true;
  for (struct dirent *one; goes_on && (one = readdir(folder));) {
    if (one->d_name[0] == '.') continue;
    snprintf(ref->slot, sizeof ref->slot, "fd %.20s", one->d_name);
    snprintf(path, sizeof path, "/proc/%s/fd/%.20s", pid, one->d_name);
    goes_on = visit_at(ref, path, visit);
  }
  closedir(folder);
  return goes_on;
}

/* Memory that is shared without a file: CRIU brings it back in one of its own making. */
static bool is_memory(const char *name) {
  return *name != '/' || starts_with(name, "/memfd:") || starts_with(name, "/SYSV") ||
         starts_with(name, "/dev/zero ") || starts_with(name, "/anon_hugepage") || starts_with(name, "/[aio]");
}

struct mapping {
  unsigned long start, end;
  /* The device and the inode, as text. */
  char file[64];
};

static bool read_mapping(char *line, struct mapping *mapping) {
  char device[32];
  unsigned long inode;
  int name = 0;
  if (sscanf(line, "%lx-%lx %*s %*s %31s %lu %n", &mapping->start, &mapping->end, device, &inode, &name) != 4)
    return false;
  if (!inode || is_memory(line + name)) return false;
  snprintf(mapping->file, sizeof mapping->file, "%s %lu", device, inode);
  return true;
}

/* Neighbours of one file are one reference: how the kernel has them in pieces may differ. */
static bool each_mapping(const char *pid, struct reference *ref, visit *visit) {
  char path[128], *line = NULL;
  size_t room = 0;
  struct mapping one, last = {0};
  bool goes_on = true;
  snprintf(path, sizeof path, "/proc/%s/maps", pid);
  FILE *maps = fopen(path, "re");
  if (!maps) return true;
  while (goes_on && getline(&line, &room, maps) > 0) {
    if (!read_mapping(line, &one)) continue;
    const bool continues = one.start == last.end && !strcmp(one.file, last.file);
    last = one;
    if (continues) continue;
    snprintf(ref->slot, sizeof ref->slot, "map %lx", one.start);
    snprintf(path, sizeof path, "/proc/%s/map_files/%lx-%lx", pid, one.start, one.end);
    goes_on = visit_at(ref, path, visit);
  }
  free(line);
  fclose(maps);
  return goes_on;
}

static bool each_place(const char *pid, struct reference *ref, visit *visit) {
  static const char *const places[] = {"exe", "cwd", "root"};
  char path[64];
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    snprintf(ref->slot, sizeof ref->slot, "%s", places[i]);
    snprintf(path, sizeof path, "/proc/%s/%s", pid, places[i]);
    if (!visit_at(ref, path, visit)) return false;
  }
  return true;
}

void each_reference(char **pids, bool abroad, visit *visit) {
  static struct reference ref;
  is_abroad = abroad;
  learn_devices(pids[0]);
  for (bool goes_on = true; goes_on && *pids; pids++) {
    ref.inner = inner_of(*pids);
    ref.pid = atoi(*pids);
    goes_on = each_place(*pids, &ref, visit) && each_descriptor(*pids, &ref, visit) && each_mapping(*pids, &ref, visit);
  }
}
