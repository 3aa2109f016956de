/* What the kernel keeps of a mapping besides its bytes (VmFlags and names in smaps), and of the address space as a whole. */
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>

#include "table.h"

#define PAGE 4096
#define SIZE (16 * PAGE)

/* In headers that are newer than this machine's. */
#define GUARD_INSTALL 102
#define MAP_DROP 0x08

/* One line of what smaps says of the mapping at an address. */
static int smaps_line(const void *at, const char *key, char *text, size_t size) {
  char line[4096];
  unsigned long from, to;
  int in = 0, found = 0;
  FILE *smaps = fopen("/proc/self/smaps", "r");
  if (!smaps) return -1;
  while (!found && fgets(line, sizeof line, smaps)) {
    if (sscanf(line, "%lx-%lx ", &from, &to) == 2 && strchr("0123456789abcdef", *line))
      in = from <= (unsigned long)at && (unsigned long)at < to;
    if (!in) continue;
    if (*key ? !strncmp(line, key, strlen(key)) : 1) {
      snprintf(text, size, "%s", line);
      found = 1;
    }
  }
  fclose(smaps);
  return found ? 0 : -1;
}

/* The flags without the one that says whether changes are counted, which a process that looks may begin to do. */
static long flags_at(const void *at) {
  char line[512], *changes;
  if (smaps_line(at, "VmFlags:", line, sizeof line)) return -1;
  if ((changes = strstr(line, " sd"))) memset(changes, ' ', 3);
  char tidy[512];
  size_t size = 0;
  for (char *c = line; *c; c++)
    if (*c != ' ' && *c != '\n') tidy[size++] = *c;
  tidy[size] = 0;
  if (getenv("SHOW")) fprintf(stderr, "%s\n", tidy);
  return digest(tidy, size);
}

static char *map(int protection, int flags) {
  char *at = mmap(NULL, SIZE, protection, MAP_ANONYMOUS | flags, -1, 0);
  if (at == MAP_FAILED) return NULL;
  /* With what is beside it it would be one mapping. */
  char *hole = mmap(NULL, PAGE, PROT_NONE, MAP_ANONYMOUS | MAP_SHARED, -1, 0);
  return hole == MAP_FAILED ? NULL : at;
}

#define ADVISED(name, advice)                                                                                         \
  static char *at_##name;                                                                                            \
  static int set_##name(void) {                                                                                      \
    if (!(at_##name = map(PROT_READ | PROT_WRITE, MAP_PRIVATE))) return -1;                                           \
    at_##name[0] = 1;                                                                                                \
    return madvise(at_##name, SIZE, advice);                                                                          \
  }                                                                                                                  \
  static long get_##name(void) { return flags_at(at_##name); }

ADVISED(dontfork, MADV_DONTFORK)
ADVISED(wipe, MADV_WIPEONFORK)
ADVISED(dontdump, MADV_DONTDUMP)
ADVISED(mergeable, MADV_MERGEABLE)
ADVISED(huge, MADV_HUGEPAGE)
ADVISED(nohuge, MADV_NOHUGEPAGE)
ADVISED(sequential, MADV_SEQUENTIAL)
ADVISED(random, MADV_RANDOM)

#define MAPPED(name, protection, flags)                                                                               \
  static char *at_##name;                                                                                            \
  static int set_##name(void) { return (at_##name = map(protection, flags)) ? 0 : -1; }                              \
  static long get_##name(void) { return flags_at(at_##name); }

MAPPED(none, PROT_NONE, MAP_PRIVATE)
MAPPED(read, PROT_READ, MAP_PRIVATE)
MAPPED(code, PROT_READ | PROT_EXEC, MAP_PRIVATE)
MAPPED(all, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE)
MAPPED(noreserve, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE)
MAPPED(growing, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_GROWSDOWN)
MAPPED(locked, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_LOCKED)
MAPPED(shared, PROT_READ | PROT_WRITE, MAP_SHARED)
MAPPED(shared_read, PROT_READ, MAP_SHARED)

static char *at_droppable;
static int set_droppable(void) {
  at_droppable = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_DROP, -1, 0);
  return at_droppable == MAP_FAILED ? -1 : 0;
}
static long get_droppable(void) { return flags_at(at_droppable); }

static char *at_onfault;
static int set_onfault(void) {
  if (!(at_onfault = map(PROT_READ | PROT_WRITE, MAP_PRIVATE))) return -1;
  return mlock2(at_onfault, SIZE, MLOCK_ONFAULT);
}
/* Locked pages come into memory when they are used, and not before. */
static long get_onfault(void) {
  unsigned char in[SIZE / PAGE];
  mincore(at_onfault, SIZE, in);
  return flags_at(at_onfault) + digest(in, sizeof in) % 2;
}

static char *at_guard;
static int set_guard(void) {
  if (!(at_guard = map(PROT_READ | PROT_WRITE, MAP_PRIVATE))) return -1;
  memset(at_guard, 1, SIZE);
  return madvise(at_guard + PAGE, PAGE, GUARD_INSTALL);
}
/* A system call that reads there is refused. */
static long get_guard(void) {
  int pipes[2];
  long result = 0;
  if (pipe(pipes)) return -1;
  for (int page = 0; page < 3; page++) result = result * 10 + (write(pipes[1], at_guard + page * PAGE, 1) == 1);
  close(pipes[0]);
  close(pipes[1]);
  return result;
}

static char *at_bound;
static int set_bound(void) {
  unsigned long nodes = 1;
  if (!(at_bound = map(PROT_READ | PROT_WRITE, MAP_PRIVATE))) return -1;
  return syscall(SYS_mbind, at_bound, SIZE, MPOL_BIND, &nodes, 8 * sizeof nodes, 0) ? -1 : 0;
}
static long get_bound(void) {
  int mode = -1;
  if (syscall(SYS_get_mempolicy, &mode, NULL, 0, at_bound, MPOL_F_ADDR)) return -errno;
  return mode;
}

static char *at_file, *at_file_private;
static int set_file(void) {
  int fd = open(in_folder("mapped"), O_RDWR | O_CREAT, 0600);
  if (fd < 0 || ftruncate(fd, SIZE)) return -1;
  at_file = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
  at_file_private = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
  close(fd);
  if (at_file == MAP_FAILED || at_file_private == MAP_FAILED) return -1;
  return madvise(at_file, SIZE, MADV_RANDOM) || madvise(at_file_private, SIZE, MADV_SEQUENTIAL);
}
/* Opened for reading and writing: it may be made writable. */
static long get_file(void) { return flags_at(at_file); }
static long get_file_private(void) { return flags_at(at_file_private); }
static int set_before(void) { return 0; }

static char *at_segment;
static int set_segment(void) {
  int id = shmget(IPC_PRIVATE, SIZE, IPC_CREAT | 0600);
  at_segment = id < 0 ? (void *)-1 : shmat(id, NULL, SHM_RDONLY);
  return at_segment == (void *)-1 ? -1 : 0;
}
static long get_segment(void) { return flags_at(at_segment); }

static int set_brk(void) { return sbrk(SIZE) == (void *)-1; }
static long get_brk(void) { return (long)sbrk(0); }

static long get_stack(void) { return flags_at(__builtin_frame_address(0)); }

/* Of every mapping where it is, and what it may: the heap of the C library grows as it likes. */
static long get_layout(void) {
  char line[4096], one[64], protection[8];
  long sum = 0;
  FILE *maps = fopen("/proc/self/maps", "r");
  while (maps && fgets(line, sizeof line, maps)) {
    if (strstr(line, "[heap]") || strstr(line, "[stack]")) continue;
    if (sscanf(line, "%63s %7s", one, protection) == 2) sum += digest(one, strlen(one)) ^ digest(protection, 4);
  }
  if (maps) fclose(maps);
  return sum;
}

static int set_future(void) { return mlockall(MCL_FUTURE); }
static long get_future(void) {
  char *at = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), line[512] = "";
  if (at == MAP_FAILED) return -1;
  smaps_line(at, "VmFlags:", line, sizeof line);
  munmap(at, PAGE);
  return strstr(line, " lo") != NULL;
}

static struct row rows[] = {
    {"MADV_DONTFORK", set_dontfork, get_dontfork, 0, 0, 0},
    {"MADV_WIPEONFORK", set_wipe, get_wipe, 0, 0, 0},
    {"MADV_DONTDUMP", set_dontdump, get_dontdump, 0, 0, 0},
    {"MADV_MERGEABLE", set_mergeable, get_mergeable, 1, 0, 0},
    {"MADV_HUGEPAGE", set_huge, get_huge, 1, 0, 0},
    {"MADV_NOHUGEPAGE", set_nohuge, get_nohuge, 1, 0, 0},
    {"MADV_SEQUENTIAL", set_sequential, get_sequential, 0, 0, 0},
    {"MADV_RANDOM", set_random, get_random, 0, 0, 0},
    {"PROT_NONE", set_none, get_none, 0, 0, 0},
    {"PROT_READ", set_read, get_read, 0, 0, 0},
    {"PROT_EXEC", set_code, get_code, 0, 0, 0},
    {"PROT_READ, PROT_WRITE, PROT_EXEC", set_all, get_all, 0, 0, 0},
    {"MAP_NORESERVE", set_noreserve, get_noreserve, 0, 0, 0},
    {"MAP_GROWSDOWN", set_growing, get_growing, 0, 0, 0},
    {"MAP_LOCKED", set_locked, get_locked, 0, 0, 0},
    {"MAP_SHARED", set_shared, get_shared, 0, 0, 0},
    {"MAP_SHARED, read only", set_shared_read, get_shared_read, 0, 0, 0},
    {"mapping of a file", set_file, get_file, 0, 0, 0},
    {"private mapping of a file", set_before, get_file_private, 0, 0, 0},
    {"shared memory, read only", set_segment, get_segment, 0, 0, 0},
    {"program break", set_brk, get_brk, 0, 0, 0},
    {"stack", set_before, get_stack, 0, 0, 0},
    {"layout", set_before, get_layout, 0, 0, 0},
    {0},
};

#define ALONE(name)                                                                                                   \
  static void make_##name(void) { set_rows(row_##name); }                                                            \
  static void look_at_##name(int round) { (void)round, check_rows(row_##name); }

static struct row row_guard[] = {{"MADV_GUARD_INSTALL", set_guard, get_guard, 1, 0, 0}, {0}};
static struct row row_droppable[] = {{"MAP_DROPPABLE", set_droppable, get_droppable, 1, 0, 0}, {0}};
ALONE(guard)
ALONE(droppable)

/* Which are not what they were after a move. */
static struct row lost[] = {
    {"MLOCK_ONFAULT", set_onfault, get_onfault, 0, 0, 0},
    {"mbind", set_bound, get_bound, 1, 0, 0},
    {"MCL_FUTURE", set_future, get_future, 0, 0, 0},
    {0},
};
static void make_lost(void) { set_rows(lost); }
static void look_at_lost(int round) { (void)round, check_rows(lost); }

static void make_rows(void) { set_rows(rows); }
static void look_at_rows(int round) {
  check_rows(rows);
  if (round == 3) unlink(in_folder("mapped"));
}

int main(int argc, char **argv) {
  static const struct thing things[] = {
      {"-lost", make_lost, look_at_lost}, {"rows", make_rows, look_at_rows},       {"-guard", make_guard, look_at_guard},
      {"-droppable", make_droppable, look_at_droppable},
      {0},
  };
  return rounds(argc, argv, things);
}
