/*
 * A thread in the freezer goes into a tracer's stop before it does anything else (kernel/signal.c: get_signal), and one
 * in such a stop stays there when its cgroup is thawed. So the process is stopped, thread by thread, in the frozen
 * cgroup, moved into one that is not frozen, and one of its threads at a time makes a call: its registers are exchanged,
 * it goes on to the entry and to the exit of the call, and gets its registers back, the number of the call that it was
 * in (orig_rax) among them, so that the kernel restarts that as if nothing had been. Signals wait meanwhile.
 */
#include "inside.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "helper.h"

/* What is put into the memory of the process at once. */
#define MOST_DATA 64
/* A stop that is none of the call's comes once for a signal that can't wait, and once for the stop that it causes. */
#define MOST_STOPS 16
/* The kernel's signal sets have 64 bits (rt_sigprocmask(2)). */
#define SIGSET_BYTES 8
/* The code segment of 64-bit programs on x86-64. */
#define LONG_MODE 0x33
/* linux/ptrace.h, which can't be included beside sys/ptrace.h. */
#ifndef PTRACE_EVENT_STOP
#define PTRACE_EVENT_STOP 128
#endif

#if defined(__x86_64__)

static bool is_stopped(pid_t thread, int *status) {
  while (waitpid(thread, status, __WALL) < 0)
    if (errno != EINTR) return false;
  if (WIFSTOPPED(*status)) return true;
  errno = ESRCH;
  return false;
}

static bool is_ours(const struct inside *inside, pid_t thread) {
  for (size_t i = 0; i < inside->count; i++)
    if (inside->threads[i] == thread) return true;
  return false;
}

/* A main thread that has ended is listed until the others have ended. */
static bool has_ended(pid_t pid, pid_t thread) {
  char path[96], line[512];
  snprintf(path, sizeof path, "/proc/%d/task/%d/stat", pid, thread);
  FILE *stat = fopen(path, "re");
  if (!stat) return true;
  const char *end = fgets(line, sizeof line, stat) ? strrchr(line, ')') : NULL;
  fclose(stat);
  return !end || end[1] == 0 || end[2] == 'Z' || end[2] == 'X';
}

static int take(struct inside *inside, pid_t thread) {
  const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL;
  int status;
  pid_t *more = realloc(inside->threads, (inside->count + 1) * sizeof *more);
  if (!more) return -1;
  inside->threads = more;
  /* A filter of the program's is not meant for these calls. */
  if (ptrace(PTRACE_SEIZE, thread, NULL, options | PTRACE_O_SUSPEND_SECCOMP) &&
      ptrace(PTRACE_SEIZE, thread, NULL, options))
    return -1;
  more[inside->count++] = thread;
  return ptrace(PTRACE_INTERRUPT, thread, NULL, NULL) || !is_stopped(thread, &status) ? -1 : 0;
}

/* Each of its threads; one that was made while they were counted is found at the second look. */
static int take_all(struct inside *inside) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/task", inside->pid);
  for (size_t before = SIZE_MAX; before != inside->count;) {
    before = inside->count;
    DIR *folder = opendir(path);
    if (!folder) return -1;
    int result = 0;
    for (struct dirent *one; result == 0 && (one = readdir(folder));) {
      const pid_t thread = atoi(one->d_name);
      if (thread > 0 && !is_ours(inside, thread) && !has_ended(inside->pid, thread)) result = take(inside, thread);
    }
    closedir(folder);
    if (result) return -1;
  }
  return 0;
}

/* In the kernel's own code in each process, which is the same for all and never written. */
static uint64_t gate_in(int memory, uint64_t start, uint64_t end) {
  unsigned char code[16384];
  const size_t size = end - start < sizeof code ? end - start : sizeof code;
  const ssize_t got = pread(memory, code, size, (off_t)start);
  for (ssize_t i = 0; i + 1 < got; i++)
    if (code[i] == 0x0f && code[i + 1] == 0x05) return start + (uint64_t)i;
  return 0;
}

static bool can_write(int memory, uint64_t at) {
  unsigned char bytes[MOST_DATA];
  return pread(memory, bytes, sizeof bytes, (off_t)at) == sizeof bytes &&
         pwrite(memory, bytes, sizeof bytes, (off_t)at) == sizeof bytes;
}

static int find_places(struct inside *inside) {
  char path[64], *line = NULL, rights[8];
  size_t room = 0;
  unsigned long start, end;
  snprintf(path, sizeof path, "/proc/%d/maps", inside->pid);
  FILE *maps = fopen(path, "re");
  if (!maps) return -1;
  while ((!inside->gate || !inside->room) && getline(&line, &room, maps) > 0) {
    if (sscanf(line, "%lx-%lx %7s", &start, &end, rights) != 3) continue;
    if (!inside->room && !strncmp(rights, "rw-p", 4) && can_write(inside->memory, start)) inside->room = start;
    if (!inside->gate && strstr(line, "[vdso]")) inside->gate = gate_in(inside->memory, start, end);
  }
  free(line);
  fclose(maps);
  if (inside->gate && inside->room) return 0;
  errno = ENOEXEC;
  return -1;
}

static int move(const struct inside *inside, const char *to) {
  char number[16];
  snprintf(number, sizeof number, "%d", inside->pid);
  return put(to, "cgroup.procs", number);
}

int go_inside(struct inside *inside, pid_t pid, const char *run, const char *attach) {
  char path[64];
  *inside = (struct inside){.pid = pid, .run = run, .attach = attach};
  snprintf(path, sizeof path, "/proc/%d/mem", pid);
  inside->memory = open(path, O_RDWR | O_CLOEXEC);
  if (inside->memory >= 0 && find_places(inside) == 0 && take_all(inside) == 0 && move(inside, attach) == 0) return 0;
  const int error = errno;
  leave_inside(inside);
  errno = error;
  return -1;
}

/* --- a call ------------------------------------------------------------------------------------------------------- */

/* Goes on to the next stop at a call's entry or exit. A signal that can't be blocked (SIGSTOP) is sent anew later. */
static int on_to_call(pid_t thread, bool *was_stopped) {
  int status;
  for (int stops = 0; stops < MOST_STOPS; stops++) {
    if (ptrace(PTRACE_SYSCALL, thread, NULL, NULL) || !is_stopped(thread, &status)) return -1;
    if (WSTOPSIG(status) == (SIGTRAP | 0x80)) return 0;
    if (status >> 16 == 0 && WSTOPSIG(status) == SIGSTOP) *was_stopped = true;
  }
  errno = EBUSY;
  return -1;
}

static void set_arguments(struct user_regs_struct *registers, uint64_t gate, long number, const long args[5]) {
  registers->orig_rax = (unsigned long long)-1;
  registers->rax = (unsigned long long)number;
  registers->rip = gate;
  registers->rdi = (unsigned long long)args[0];
  registers->rsi = (unsigned long long)args[1];
  registers->rdx = (unsigned long long)args[2];
  registers->r10 = (unsigned long long)args[3];
  registers->r8 = (unsigned long long)args[4];
  registers->r9 = 0;
}

/* Between its registers as they were and as they are again. */
static long make_call(struct inside *inside, pid_t thread, long number, const long args[5]) {
  struct user_regs_struct own, lent;
  const uint64_t all = ~0ULL;
  uint64_t mask;
  bool was_stopped = false;
  if (ptrace(PTRACE_GETREGS, thread, NULL, &own)) return -1;
  if (own.cs != LONG_MODE) {
    errno = ENOEXEC;
    return -1;
  }
  if (ptrace(PTRACE_GETSIGMASK, thread, SIGSET_BYTES, &mask) || ptrace(PTRACE_SETSIGMASK, thread, SIGSET_BYTES, &all))
    return -1;
  lent = own;
  set_arguments(&lent, inside->gate, number, args);
  int result = ptrace(PTRACE_SETREGS, thread, NULL, &lent) ? -1 : 0;
  if (result == 0) result = on_to_call(thread, &was_stopped) || on_to_call(thread, &was_stopped) ? -1 : 0;
  if (result == 0) result = ptrace(PTRACE_GETREGS, thread, NULL, &lent) ? -1 : 0;
  const int error = errno;
  if (ptrace(PTRACE_SETREGS, thread, NULL, &own) || ptrace(PTRACE_SETSIGMASK, thread, SIGSET_BYTES, &mask)) return -1;
  if (was_stopped) syscall(SYS_tgkill, inside->pid, thread, SIGSTOP);
  errno = error;
  if (result) return -1;
  const long returned = (long)lent.rax;
  if (returned >= 0 || returned < -4095) return returned;
  errno = (int)-returned;
  return -1;
}

long call_inside(struct inside *inside, pid_t thread, long number, const long args[5], const void *data, size_t size,
                 int where) {
  unsigned char kept[MOST_DATA];
  long given[5];
  assert(size <= sizeof kept && where >= 0 && where < 5);
  memcpy(given, args, sizeof given);
  if (!size) return make_call(inside, thread, number, given);
  given[where] = (long)inside->room;
  if (pread(inside->memory, kept, size, (off_t)inside->room) != (ssize_t)size) return -1;
  if (pwrite(inside->memory, data, size, (off_t)inside->room) != (ssize_t)size) return -1;
  const long returned = make_call(inside, thread, number, given);
  const int error = errno;
  if (pwrite(inside->memory, kept, size, (off_t)inside->room) != (ssize_t)size) return -1;
  errno = error;
  return returned;
}

/* Moved into the frozen cgroup before it is detached, so that the freezer takes each thread. */
int leave_inside(struct inside *inside) {
  int result = inside->count ? move(inside, inside->run) : 0;
  int error = errno;
  /* Out of a cgroup that is not frozen it would run: it ends instead, with its tracer. */
  for (size_t i = 0; result == 0 && i < inside->count; i++)
    if (ptrace(PTRACE_DETACH, inside->threads[i], NULL, NULL)) result = -1, error = errno;
  if (result == 0 && inside->count && (result = await_frozen(inside->run))) error = errno;
  if (inside->memory >= 0) close(inside->memory);
  free(inside->threads);
  *inside = (struct inside){.memory = -1};
  errno = error;
  return result;
}

#else

int go_inside(struct inside *inside, pid_t pid, const char *run, const char *attach) {
  *inside = (struct inside){.pid = pid, .run = run, .attach = attach, .memory = -1};
  errno = ENOSYS;
  return -1;
}

long call_inside(struct inside *inside, pid_t thread, long number, const long args[5], const void *data, size_t size,
                 int where) {
  (void)inside, (void)thread, (void)number, (void)args, (void)data, (void)size, (void)where;
  errno = ENOSYS;
  return -1;
}

int leave_inside(struct inside *inside) {
  (void)inside;
  return 0;
}

#endif
