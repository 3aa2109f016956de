/*
 * What a frozen job's processes hold, so that it can be told after a restore whether each thing is still the same:
 *
 *   note --notes FILE --traits FILE [--abroad] -- INIT [PID...]
 *                   writes it down, one line a thing; what the kernel keeps of them besides into the other (traits.c)
 *   recognise --notes FILE --traits FILE --run CGROUP --attach CGROUP [--abroad] [WHOSE] -- INIT [PID...]
 *                   compares it with that, and makes again what can be (again.c); with WHOSE also judges what a user's
 *                   job may have (powers.c)
 *
 * `recognise` says the first thing that is not as it should be, and nothing where all is:
 *
 *   other PROCESS SLOT NOTED FOUND     another thing is there
 *   gone PROCESS SLOT NOTED -          nothing is there
 *   new PROCESS SLOT - FOUND           it was not there
 *   power PROCESS WHAT                 a user's job has no right to it
 *   trait PROCESS THREAD WHAT NOTED FOUND WHY
 *                                      it has another value; WHY it could not be made again, `-` if that was not tried
 *
 * A line is PROCESS, SLOT, TOKEN, NAME, apart by tabs: the process as the job numbers it; `fd 5`, `map 7f00…-7f01…`,
 * `exe`, `cwd` or `root`; what must be the same again; and what /proc calls it, for people. Files of the home have the
 * inode number that every node sees (shown_inode); a file that is deleted, or on the job's own tmpfs, is another one
 * after a restore, of the same type and owner.
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
#include "traits.h"
#include "words.h"

/* What a host's own mount shows of an inode number is not mixed with a device: these bits are the same everywhere. */
#define LOW_BITS ((1ULL << SHOWN_DEVICE_SHIFT) - 1)

static dev_t root_device, own_device;
/* Of the trees that the kernel makes: names say there what a thing is. */
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

/* Does this machine have it mounted anywhere? As "MAJOR:MINOR" it stands in /proc/self/mountinfo. */
static bool is_mounted_here(dev_t device) {
  static char *known;
  static size_t size;
  char wanted[48];
  if (!known) {
    FILE *info = fopen("/proc/self/mountinfo", "re");
    if (!info || getdelim(&known, &size, 0, info) < 0) known = "";
    if (info) fclose(info);
  }
  snprintf(wanted, sizeof wanted, " %u:%u ", major(device), minor(device));
  return strstr(known, wanted) != NULL;
}

/* On a tmpfs of the job's own: /dev/shm, or one that it has mounted itself. Its files are made anew with it. */
static bool is_own(dev_t device, const char *path) {
  struct statfs where;
  if (device == own_device) return true;
  return !is_mounted_here(device) && !statfs(path, &where) && where.f_type == TMPFS_MAGIC;
}

/* --- tokens ------------------------------------------------------------------------------------------------------- */

static void token_of_file(struct held *held, const char *path) {
  const struct stat *status = &held->status;
  const unsigned type = status->st_mode & S_IFMT;
  const bool is_device = S_ISCHR(type) || S_ISBLK(type);
  if (is_device && is_kernels(status->st_dev))
    snprintf(held->token, sizeof held->token, "device %o %x:%x", type, major(status->st_rdev), minor(status->st_rdev));
  else if (is_kernels(status->st_dev)) snprintf(held->token, sizeof held->token, "kernel's %o %.200s", type, held->name);
  else if (status->st_nlink == 0 || ends_with(held->name, " (deleted)") || is_own(status->st_dev, path))
    snprintf(held->token, sizeof held->token, "own %o %u:%u", type, status->st_uid, status->st_gid);
  else if (is_abroad)
    snprintf(held->token, sizeof held->token, "%s %o %llx %x", status->st_dev == root_device ? "file" : "host's", type,
             (unsigned long long)status->st_ino, is_device ? (unsigned)status->st_rdev : 0);
  else
    snprintf(held->token, sizeof held->token, "file %o %llx %x", type,
             (unsigned long long)shown_inode(status, root_device), is_device ? (unsigned)status->st_rdev : 0);
}

/* A namespace of the job's is another one after a restore (namespaces(7)). */
static bool is_namespace(const struct held *held) {
  return S_ISREG(held->status.st_mode) && *held->name != '/' && strstr(held->name, ":[");
}

static bool is_nameless(const struct held *held) {
  const char *name = held->name;
  return starts_with(name, "pipe:[") || starts_with(name, "anon_inode:") || starts_with(name, "socket:[") || is_namespace(held);
}

static bool look_at(const char *path, struct held *held) {
  ssize_t size = readlink(path, held->name, sizeof held->name - 1);
  if (size < 0 || stat(path, &held->status)) return false;
  held->name[size] = 0;
  char pid[16];
  snprintf(pid, sizeof pid, "%d", held->pid);
  keep_name(pid, held->name, &held->status);
  for (char *at = held->name; *at; at++)
    if (*at == '\n' || *at == '\t') *at = '?';
  *held->protocol = 0;
  if (!is_nameless(held)) {
    token_of_file(held, path);
    return true;
  }
  if (S_ISSOCK(held->status.st_mode)) {
    size = getxattr(path, "system.sockprotoname", held->protocol, sizeof held->protocol - 1);
    held->protocol[size < 0 ? 0 : size] = 0;
  }
  /* A pipe's number and a socket's are new on each node. */
  snprintf(held->token, sizeof held->token, "%.*s %s", (int)strcspn(held->name, "["), held->name,
           starts_with(held->name, "anon_inode:[") ? held->name + strlen("anon_inode:") : held->protocol);
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

static bool visit_at(struct held *held, const char *path, visit *visit) { return !look_at(path, held) || visit(held); }

static bool each_descriptor(const char *pid, struct held *held, visit *visit) {
  char path[64];
  bool goes_on = true;
  snprintf(path, sizeof path, "/proc/%s/fd", pid);
  DIR *folder = opendir(path);
  if (!folder) return true;
  for (struct dirent *one; goes_on && (one = readdir(folder));) {
    if (one->d_name[0] == '.') continue;
    snprintf(held->slot, sizeof held->slot, "fd %.20s", one->d_name);
    snprintf(path, sizeof path, "/proc/%s/fd/%.20s", pid, one->d_name);
    goes_on = visit_at(held, path, visit);
  }
  closedir(folder);
  return goes_on;
}

/* Memory that is shared without a file: CRIU brings it back in one of its own making. */
static bool is_memory(const char *name) {
  return *name != '/' || starts_with(name, "/memfd:") || starts_with(name, "/SYSV") || starts_with(name, "/dev/zero ") ||
         starts_with(name, "/anon_hugepage") || starts_with(name, "/[aio]");
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
  if (sscanf(line, "%lx-%lx %*s %*s %31s %lu %n", &mapping->start, &mapping->end, device, &inode, &name) != 4) return false;
  if (!inode || is_memory(line + name)) return false;
  snprintf(mapping->file, sizeof mapping->file, "%s %lu", device, inode);
  return true;
}

/* Neighbours of one file are told as one: how the kernel has them in pieces may differ. */
static bool each_mapping(const char *pid, struct held *held, visit *visit) {
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
    snprintf(held->slot, sizeof held->slot, "map %lx", one.start);
    snprintf(path, sizeof path, "/proc/%s/map_files/%lx-%lx", pid, one.start, one.end);
    goes_on = visit_at(held, path, visit);
  }
  free(line);
  fclose(maps);
  return goes_on;
}

static bool each_place(const char *pid, struct held *held, visit *visit) {
  static const char *const places[] = {"exe", "cwd", "root"};
  char path[64];
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    snprintf(held->slot, sizeof held->slot, "%s", places[i]);
    snprintf(path, sizeof path, "/proc/%s/%s", pid, places[i]);
    if (!visit_at(held, path, visit)) return false;
  }
  return true;
}

void each_held(char **pids, visit *visit) {
  static struct held held;
  learn_devices(pids[0]);
  for (bool goes_on = true; goes_on && *pids; pids++) {
    held.inner = inner_of(*pids);
    held.pid = atoi(*pids);
    goes_on = each_place(*pids, &held, visit) && each_descriptor(*pids, &held, visit) && each_mapping(*pids, &held, visit);
  }
}

/* --- noted and recognised ----------------------------------------------------------------------------------------- */

static FILE *notes;
/* As they are on this node. */
static struct traits own;

static bool collect(const struct held *held) {
  read_locks(held, &own);
  read_fill(held, &own);
  read_options(held, &own);
  return true;
}

static bool write_down(const struct held *held) {
  collect(held);
  return fprintf(notes, "%d\t%s\t%s\t%s\n", held->inner, held->slot, held->token, held->name) > 0;
}

/* All but what `each_held` tells of. */
static void collect_others(char **pids) {
  read_threads(pids, &own);
  read_sysv(pids[0], &own);
  sort_traits(&own);
}

static FILE *create(const char *path) {
  const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  return fd < 0 ? NULL : fdopen(fd, "w");
}

int note(char **argv) {
  char **pids = after_dashes(argv);
  is_abroad = flag(argv, "--abroad");
  if (!(notes = create(required(argv, "--notes")))) return say_error("note", errno);
  look_for_locks(pids);
  each_held(pids, write_down);
  if (ferror(notes) || fclose(notes)) return say_error("note", errno);
  collect_others(pids);
  FILE *traits = create(required(argv, "--traits"));
  if (!traits || !write_traits(traits, &own) || fclose(traits)) return say_error("note", errno);
  return 0;
}

/* The next noted line in its parts; false at the end, and for what is none. */
static bool next_noted(char *part[4]) {
  static char *line;
  static size_t room;
  if (getline(&line, &room, notes) <= 0) return false;
  line[strcspn(line, "\n")] = 0;
  char *rest = line;
  for (int i = 0; i < 4; i++)
    if (!(part[i] = i < 3 ? strsep(&rest, "\t") : rest)) return false;
  return true;
}

static bool say_line(const char *what, int inner, const char *slot, const char *noted, const char *found) {
  printf("%s\t%d\t%s\t%s\t%s\n", what, inner, slot, noted, found);
  return false;
}

/* Through the mount of the home's files and on a host's own mount of the same: what both show of the number. */
static bool is_same_file(const char *noted, const char *found) {
  unsigned long long inode[2];
  unsigned type[2], device[2];
  char kind[2][8];
  if (!strcmp(noted, found)) return true;
  if (sscanf(noted, "%7s %o %llx %x", kind[0], &type[0], &inode[0], &device[0]) != 4) return false;
  if (sscanf(found, "%7s %o %llx %x", kind[1], &type[1], &inode[1], &device[1]) != 4) return false;
  const bool hosts = !strcmp(kind[0], "host's") || !strcmp(kind[1], "host's");
  return hosts && type[0] == type[1] && device[0] == device[1] && ((inode[0] ^ inode[1]) & LOW_BITS) == 0;
}

/* What is told in the order of the processes and, of each, of its places, descriptors and mappings. */
static int order_of(const char *slot) {
  return starts_with(slot, "map ") ? 2 : starts_with(slot, "fd ") ? 1 : 0;
}

/* Is what was noted as the first of them missing, or is `held` new? */
static bool is_before(int inner, const char *slot, const struct held *held) {
  if (inner != held->inner) return inner < held->inner;
  if (order_of(slot) != order_of(held->slot)) return order_of(slot) < order_of(held->slot);
  const int base = order_of(slot) == 2 ? 16 : 10;
  return strtoul(strchr(slot, ' ') ?: slot, NULL, base) < strtoul(strchr(held->slot, ' ') ?: held->slot, NULL, base);
}

static bool is_recognised(const struct held *held) {
  char *part[4];
  if (!next_noted(part)) return say_line("new", held->inner, held->slot, "-", held->name);
  const int inner = atoi(part[0]);
  if (inner == held->inner && !strcmp(part[1], held->slot)) {
    if (!is_same_file(part[2], held->token)) return say_line("other", inner, part[1], part[3], held->name);
    return is_permitted(held);
  }
  if (is_before(inner, part[1], held)) return say_line("gone", inner, part[1], part[3], "-");
  return say_line("new", held->inner, held->slot, "-", held->name);
}

static bool has_failed;

static bool recognise_one(const struct held *held) {
  collect(held);
  return !(has_failed = !is_recognised(held));
}

/* --- traits ------------------------------------------------------------------------------------------------------- */

static bool tell_difference(const struct trait *noted, const struct trait *found, void *error) {
  const struct trait *one = noted ? noted : found;
  const int why = *(int *)error;
  if (may_differ(noted, found)) return true;
  printf("trait\t%d\t%d\t%s\t%s\t%s\t%s\n", one->process, one->thread, one->slot, noted ? noted->value : NONE,
         found ? found->value : NONE, why ? strerror(why) : NONE);
  return false;
}

static bool is_beyond_rights(void) {
  for (size_t i = 0; i < own.count; i++) {
    const char *what = beyond_rights(&own.all[i]);
    if (what) return printf("power\t%d\t%s\n", own.all[i].process, what) > 0;
  }
  return false;
}

static bool is_no_difference(const struct trait *noted, const struct trait *found, void *more) {
  (void)more;
  const struct trait *one = noted ? noted : found;
  return may_differ(noted, found) && !is_slot(one, "CPUs") && !is_slot(one, OPTION);
}

static void look_again(char **pids) {
  clear_traits(&own);
  forget_sockets();
  look_for_locks(pids);
  each_held(pids, collect);
  collect_others(pids);
}

static int recognise_traits(char **argv, char **pids, bool is_users) {
  struct traits noted = {0};
  int error = 0;
  FILE *traits = fopen(required(argv, "--traits"), "re");
  if (!traits || !read_traits(traits, &noted)) return say_error("traits", traits ? EINVAL : errno);
  fclose(traits);
  const struct place place = {pids, required(argv, "--run"), required(argv, "--attach"), is_users};
  if (!each_difference(&noted, &own, is_no_difference, NULL)) {
    error = make_again(&place, &noted, &own);
    look_again(pids);
  }
  if (is_users && is_beyond_rights()) return 0;
  each_difference(&noted, &own, tell_difference, &error);
  return 0;
}

int recognise(char **argv) {
  char *part[4];
  char **pids = after_dashes(argv);
  is_abroad = flag(argv, "--abroad");
  if (!(notes = fopen(required(argv, "--notes"), "re"))) return say_error("recognise", errno);
  if (!has_own_powers(argv, pids)) return 0;
  look_for_locks(pids);
  each_held(pids, recognise_one);
  if (!has_failed && next_noted(part)) has_failed = !say_line("gone", atoi(part[0]), part[1], part[3], "-");
  if (has_failed) return 0;
  collect_others(pids);
  return recognise_traits(argv, pids, option(argv, "--uid") != NULL);
}
