/*
 * Reads a process while it stands still for a moment. Its threads are seized (ptrace(2), "PTRACE_SEIZE"), which sends them
 * no signal; should this process be killed at any line, the kernel lets them go on as they were.
 */
#include "standstill.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef PTRACE_EVENT_STOP
#define PTRACE_EVENT_STOP 128
#endif

#ifdef __x86_64__
#define STACK_POINTER(registers) ((const struct user_regs_struct *)(registers))->rsp
/* Below the stack pointer, and still in use (x86-64 psABI, "red zone"). */
#define BELOW 128
#else
#define STACK_POINTER(registers) ((const struct user_regs_struct *)(registers))->sp
#define BELOW 0
#endif

/* More are no help to anybody. */
#define MOST_THREADS 4096
/* Bytes of all stacks of a process; of each one this many in any case, and no more than so many. */
#define MOST_COPIED (64UL << 20)
#define LEAST_STACK (16UL << 10)
#define MOST_STACK (8UL << 20)
#define MOST_MAPS (16UL << 20)
/* A thread stops when it is next on a processor; one that sleeps where no signal reaches it does not. */
#define STOP_LIMIT_MS 2000
#define ASLEEP_LIMIT_MS 20

static double now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* A small file of a thread; its size, or -1. */
static ssize_t read_of(pid_t pid, pid_t tid, const char *name, char *room, size_t size) {
  char path[96];
  snprintf(path, sizeof path, "/proc/%d/task/%d/%s", pid, tid, name);
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return -1;
  const ssize_t got = read(file, room, size - 1);
  close(file);
  if (got >= 0) room[got] = 0;
  return got;
}

/* R, S, D, T, t, Z, X; 0 when it has gone. */
static char state_of(pid_t pid, pid_t tid) {
  char text[512];
  if (read_of(pid, tid, "stat", text, sizeof text) <= 0) return 0;
  const char *close = strrchr(text, ')');
  return close && close[1] == ' ' ? close[2] : 0;
}

static bool is_over(char state) { return !state || state == 'Z' || state == 'X'; }

/* 0 where there is none. */
static pid_t living_of(pid_t pid) {
  char path[64];
  pid_t found = 0;
  if (!is_over(state_of(pid, pid))) return pid;
  snprintf(path, sizeof path, "/proc/%d/task", pid);
  DIR *folder = opendir(path);
  if (!folder) return 0;
  for (struct dirent *one; !found && (one = readdir(folder));)
    if (one->d_name[0] != '.' && !is_over(state_of(pid, atoi(one->d_name)))) found = atoi(one->d_name);
  closedir(folder);
  return found;
}

static bool is_debugged(pid_t pid, pid_t tid) {
  char text[4096];
  if (read_of(pid, tid, "status", text, sizeof text) <= 0) return false;
  const char *tracer = strstr(text, "\nTracerPid:");
  return tracer && atoi(tracer + 11) != 0;
}

/* As long as it runs, its mappings may change: those of its stacks seldom do. */
static bool read_mappings(struct process *process) {
  char path[64];
  size_t room = 0;
  snprintf(path, sizeof path, "/proc/%d/task/%d/maps", process->pid, process->living);
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  process->maps_size = 0;
  for (;;) {
    if (room - process->maps_size < 65536) process->maps = realloc(process->maps, room += 1 << 20);
    if (!process->maps || process->maps_size > MOST_MAPS) break;
    const ssize_t got = read(file, process->maps + process->maps_size, room - process->maps_size - 1);
    if (got <= 0) break;
    process->maps_size += (size_t)got;
  }
  close(file);
  if (!process->maps || !process->maps_size) return false;
  process->maps[process->maps_size] = 0;
  size_t lines = 0;
  for (const char *at = process->maps; (at = strchr(at, '\n')); at++) lines++;
  free(process->mappings);
  process->mappings = calloc(lines + 1, sizeof *process->mappings);
  process->mapped = 0;
  for (const char *at = process->maps; process->mappings && at && process->mapped < lines;) {
    unsigned long start, end;
    if (sscanf(at, "%lx-%lx", &start, &end) == 2)
      process->mappings[process->mapped++] = (struct mapping){start, end};
    at = strchr(at, '\n');
    if (at) at++;
  }
  return process->mappings;
}

static bool is_known(const struct process *process, pid_t tid) {
  for (size_t i = 0; i < process->count; i++)
    if (process->tids[i] == tid) return true;
  return false;
}

static void seize(struct process *process, pid_t tid) {
  if (process->count == MOST_THREADS) {
    process->failure = "many";
    return;
  }
  if (ptrace(PTRACE_SEIZE, tid, 0, 0)) {
    const int error = errno;
    if (error != ESRCH && !is_over(state_of(process->pid, tid)))
      process->failure = is_debugged(process->pid, tid) ? "debugged" : "refused";
    return;
  }
  process->tids[process->count] = tid;
  struct thread *thread = &process->threads[process->count++];
  *thread = (struct thread){.tid = tid};
  if (ptrace(PTRACE_INTERRUPT, tid, 0, 0)) thread->gone = true;
}

/* Those that it has now and had not before; false when there was none. */
static bool seize_new(struct process *process) {
  char path[64];
  const size_t before = process->count;
  snprintf(path, sizeof path, "/proc/%d/task", process->pid);
  DIR *folder = opendir(path);
  if (!folder) return false;
  for (struct dirent *one; !process->failure && (one = readdir(folder));) {
    const pid_t tid = atoi(one->d_name);
    if (tid > 0 && !is_known(process, tid)) seize(process, tid);
  }
  closedir(folder);
  return process->count > before;
}

/* What it has come to, if anything yet. Each is asked for by itself: among thousands, any of them takes long to be found. */
static void take_event(struct thread *thread) {
  int status;
  const pid_t tid = waitpid(thread->tid, &status, __WALL | WNOHANG);
  if (tid == 0) return;
  if (tid < 0 || !WIFSTOPPED(status)) thread->gone = true;
  else {
    thread->stopped = true;
    thread->signal = status >> 16 == PTRACE_EVENT_STOP ? 0 : WSTOPSIG(status);
  }
}

/* Is there still one that may stop soon? */
static bool may_stop(const struct process *process, double waited) {
  for (size_t i = 0; i < process->count; i++) {
    const struct thread *thread = &process->threads[i];
    if (thread->stopped || thread->gone) continue;
    if (waited < ASLEEP_LIMIT_MS || (waited < STOP_LIMIT_MS && state_of(process->pid, thread->tid) != 'D')) return true;
  }
  return false;
}

static void await_stops(struct process *process) {
  const double began = now_ms();
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  for (;;) {
    for (size_t i = 0; i < process->count; i++)
      if (!process->threads[i].stopped && !process->threads[i].gone) take_event(&process->threads[i]);
    if (!may_stop(process, now_ms() - began)) return;
    const struct timespec a_while = {.tv_nsec = 5000000};
    sigtimedwait(&child, NULL, &a_while);
  }
}

static const struct mapping *mapping_of(const struct process *process, uint64_t address) {
  /* They are in order. */
  for (size_t from = 0, to = process->mapped; from < to;) {
    const size_t middle = (from + to) / 2;
    const struct mapping *mapping = &process->mappings[middle];
    if (address >= mapping->end) from = middle + 1;
    else if (address < mapping->start) to = middle;
    else return mapping;
  }
  return NULL;
}

static void copy_stack(struct process *process, struct thread *thread, size_t most) {
  const uint64_t pointer = STACK_POINTER(&thread->registers);
  const struct mapping *mapping = mapping_of(process, pointer);
  if (!mapping && read_mappings(process)) mapping = mapping_of(process, pointer);
  if (!mapping) return;
  const uint64_t from = pointer - mapping->start > BELOW ? pointer - BELOW : mapping->start;
  size_t size = mapping->end - from;
  if (size > most) size = most;
  if (size > MOST_COPIED - process->copied) size = MOST_COPIED - process->copied;
  struct iovec here = {process->copy + process->copied, size}, there = {(void *)from, size};
  const ssize_t got = process_vm_readv(thread->tid, &here, 1, &there, 1, 0);
  if (got <= 0) return;
  thread->stack = from;
  thread->size = (size_t)got;
  thread->at = process->copied;
  process->copied += (size_t)got;
}

/*
 * A call that was asleep returns EINTR where it is one that no handler's SA_RESTART would have begun again (signal(7)).
 * Nothing has happened that the program should hear of: it is told to begin anew, as the kernel does with all others. A
 * signal that comes meanwhile still ends it (ERESTARTNOHAND).
 */
#ifdef __x86_64__
#define ERESTARTNOHAND 514
static void begin_call_anew(pid_t tid, elf_gregset_t *registers) {
  struct user_regs_struct *all = (struct user_regs_struct *)registers;
  if ((long long)all->rax != -EINTR) return;
  switch ((long long)all->orig_rax) {
  case SYS_epoll_wait:
  case SYS_epoll_pwait:
#ifdef SYS_epoll_pwait2
  case SYS_epoll_pwait2:
#endif
  case SYS_semop:
  case SYS_semtimedop:
  case SYS_rt_sigtimedwait:
  case SYS_io_getevents:
  case SYS_recvfrom:
  case SYS_recvmsg:
  case SYS_recvmmsg:
  case SYS_accept:
  case SYS_accept4:
    all->rax = (unsigned long long)-ERESTARTNOHAND;
    const struct iovec told = {all, sizeof *all};
    ptrace(PTRACE_SETREGSET, tid, NT_PRSTATUS, &told);
  }
}
#else
/* What such a call's first argument was is nowhere to be read there. */
static void begin_call_anew(pid_t tid, elf_gregset_t *registers) {
  (void)tid;
  (void)registers;
}
#endif

static void read_threads(struct process *process) {
  size_t most = process->count ? MOST_COPIED / process->count : 0;
  if (most > MOST_STACK) most = MOST_STACK;
  if (most < LEAST_STACK) most = LEAST_STACK;
  for (size_t i = 0; i < process->count; i++) {
    struct thread *thread = &process->threads[i];
    if (!thread->stopped) continue;
    struct iovec room = {&thread->registers, sizeof thread->registers};
    if (ptrace(PTRACE_GETREGSET, thread->tid, NT_PRSTATUS, &room)) thread->stopped = false, thread->gone = true;
    else if (room.iov_len != sizeof thread->registers) process->failure = "narrow";
    else copy_stack(process, thread, most);
  }
}

static void let_go(struct process *process) {
  for (size_t i = 0; i < process->count; i++) {
    struct thread *thread = &process->threads[i];
    if (!thread->stopped) continue;
    if (!process->failure && !thread->signal) begin_call_anew(thread->tid, &thread->registers);
    ptrace(PTRACE_DETACH, thread->tid, 0, thread->signal);
  }
}

/* The line that the name ends with is not part of it. */
static void read_names(struct process *process) {
  for (size_t i = 0; i < process->count; i++) {
    struct thread *thread = &process->threads[i];
    char text[COMM_ROOM + 2];
    ssize_t size = read_of(process->pid, thread->tid, "comm", text, sizeof text);
    if (size > 0 && text[size - 1] == '\n') size--;
    if (size > COMM_ROOM - 1) size = COMM_ROOM - 1;
    if (size > 0) memcpy(thread->comm, text, (size_t)size);
  }
}

void read_standing(struct process *process, pid_t pid) {
  *process = (struct process){.pid = pid, .living = living_of(pid)};
  if (!process->living) {
    process->failure = "gone";
    return;
  }
  if (is_debugged(pid, process->living)) {
    process->failure = "debugged";
    return;
  }
  if (!read_mappings(process)) {
    process->failure = errno == EACCES || errno == EPERM ? "refused" : "gone";
    return;
  }
  process->threads = calloc(MOST_THREADS, sizeof *process->threads);
  process->tids = calloc(MOST_THREADS, sizeof *process->tids);
  process->copy = mmap(NULL, MOST_COPIED, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (!process->threads || !process->tids || process->copy == MAP_FAILED) {
    process->copy = NULL;
    process->failure = "refused";
    return;
  }
  const double began = now_ms();
  /* A thread that was made by one that was still on its way to its stop is new then. */
  while (seize_new(process)) await_stops(process);
  if (!process->failure) read_threads(process);
  let_go(process);
  process->ms = now_ms() - began;
  read_names(process);
  if (!process->failure && !process->count) process->failure = "gone";
}

void forget_process(struct process *process) {
  if (process->copy) munmap(process->copy, MOST_COPIED);
  free(process->threads);
  free(process->tids);
  free(process->mappings);
  free(process->maps);
}
