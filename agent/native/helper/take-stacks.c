/*
 * Where the threads of a job's processes stand, read from outside:
 *
 *   take-stacks --init PID [--uid N --gid N --groups N,…] [--ptrace] [--preload FILE]… --script FILE --seconds N
 *               --process PID… -- PROGRAM [ARGUMENT…]
 *
 * In the job's PID namespace, as the job's user, each of the processes (by the job's numbers) is held still and read into
 * a core file (standstill.c). A line of JSON is said of each, then `{"taken":true}`: from there on the job is let alone.
 * Then the program reads the cores. It finds, in a root of its own (beside.c), `/cores/PID` and `/cores/PID.maps`, the
 * script as `/script`, and the job's files, for reading only, below `/job`; of root's powers it keeps what reading takes.
 * A child that does not come to an end in so many seconds is ended.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "beside.h"
#include "core-file.h"
#include "helper.h"
#include "text.h"

/* Since Linux 5.2; Debian 11's headers lack the names. */
#ifndef OPEN_TREE_CLONE
#define OPEN_TREE_CLONE 1
#endif
#ifndef OPEN_TREE_CLOEXEC
#define OPEN_TREE_CLOEXEC O_CLOEXEC
#endif
#ifndef MOVE_MOUNT_F_EMPTY_PATH
#define MOVE_MOUNT_F_EMPTY_PATH 4
#endif
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif

/* Of all cores of a job; the rest is said not to have been read. */
#define CORES_ROOM "size=512m,mode=700,uid=%.20s,gid=%.20s"
/* What reads the names of a large program takes some hundred MB; one that was made for that gets no more. */
#define MOST_MEMORY (4UL << 30)

/* In which all processes are read, one after the other; who would move the job waits for that. */
#define MOST_SECONDS_HELD 5

/* Its exit status when its time was over. */
#define LATE 124

static int jobs_files = -1, script = -1;

/* The job's mounts as it has them, not mounted anywhere. */
static int take_files(const char *init) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%.20s/ns/mnt", init);
  const int own = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC), jobs = open(path, O_RDONLY | O_CLOEXEC);
  if (own < 0 || jobs < 0 || setns(jobs, CLONE_NEWNS)) exit_saying("the job's mounts");
  const int tree = (int)syscall(SYS_open_tree, AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
  if (tree < 0) exit_saying("the job's files");
  if (setns(own, CLONE_NEWNS)) exit_saying("this node's mounts");
  close(own);
  close(jobs);
  return tree;
}

static void copy_script(void) {
  char bytes[4096];
  ssize_t got;
  const int copy = open("script", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (copy < 0) exit_saying("the script");
  while ((got = read(script, bytes, sizeof bytes)) > 0)
    if (write(copy, bytes, (size_t)got) != got) exit_saying("the script");
  close(copy);
  close(script);
}

static void furnish(char **argv) {
  (void)argv;
  if (mkdir("job", 0755) || mkdir("cores", 0755)) exit_saying("a root of its own");
  if (syscall(SYS_move_mount, jobs_files, "", AT_FDCWD, "job", MOVE_MOUNT_F_EMPTY_PATH)) exit_saying("the job's files");
  close(jobs_files);
  copy_script();
}

static void make_place(char **argv) {
  char options[96];
  make_root(furnish, argv);
  seal("/proc");
  const char *gid = option(argv, "--gid");
  snprintf(options, sizeof options, CORES_ROOM, required(argv, "--uid"), gid ? gid : "0");
  if (mount("tmpfs", "/cores", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, options)) exit_saying("/cores");
}

static int write_maps(const struct process *process) {
  char path[64];
  snprintf(path, sizeof path, "/cores/%d.maps", process->pid);
  FILE *to = fopen(path, "we");
  if (!to) return -1;
  fwrite(process->maps, process->maps_size, 1, to);
  return fclose(to);
}

/* The program itself can be read even where its name is another file's by now: as `/cores/PID.INODE`. */
static int copy_replaced_program(const struct process *process) {
  char path[64], name[4096];
  struct stat about;
  off_t at = 0;
  snprintf(path, sizeof path, "/proc/%d/task/%d/exe", process->pid, process->living);
  const ssize_t size = readlink(path, name, sizeof name - 1);
  name[size > 0 ? size : 0] = 0;
  if (!ends_with(name, " (deleted)")) return 0;
  const int from = open(path, O_RDONLY | O_CLOEXEC);
  if (from < 0 || fstat(from, &about)) return 0;
  snprintf(path, sizeof path, "/cores/%d.%lu", process->pid, (unsigned long)about.st_ino);
  const int to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  ssize_t copied = 1;
  while (to >= 0 && copied > 0) copied = sendfile(to, from, &at, 1 << 20);
  close(from);
  if (to >= 0) close(to);
  if (copied < 0) unlink(path);
  return copied < 0 ? -1 : 0;
}

/* Names are of bytes that others chose: they are said in hexadecimal digits. */
static void say_process(const struct process *process) {
  printf("{\"process\":%d,\"ms\":%.3f,\"threads\":[", process->pid, process->ms);
  for (size_t i = 0; i < process->count; i++) {
    const struct thread *thread = &process->threads[i];
    printf("%s[%d,%d,\"", i ? "," : "", thread->tid, thread->gone ? 2 : !thread->stopped);
    for (const char *at = thread->comm; *at; at++) printf("%02x", (unsigned char)*at);
    printf("\"]");
  }
  printf("]}\n");
}

static void read_one(pid_t pid) {
  struct process process;
  char core[64];
  snprintf(core, sizeof core, "/cores/%d", pid);
  read_standing(&process, pid);
  if (!process.failure && (write_core(&process, core) || write_maps(&process))) process.failure = "room";
  if (!process.failure && copy_replaced_program(&process)) process.failure = "room";
  if (process.failure) {
    unlink(core);
    printf("{\"process\":%d,\"ms\":%.3f,\"failure\":\"%s\"}\n", pid, process.ms, process.failure);
  } else say_process(&process);
  forget_process(&process);
}

/*
 * By a process of its own: what it has not let go of, the kernel lets go of at its end. Its parent is outside of the job,
 * as that of the reader: what they leave behind is never a child of the job's PID 1, which would be a part of the job.
 */
static void become_taker(char **argv) __attribute__((noreturn));
static void become_taker(char **argv) {
  make_place(argv);
  /* It is waited for by processes that stand still. */
  setpriority(PRIO_PROCESS, 0, -20);
  if (!is_for_root(argv)) confine(argv, flag(argv, "--ptrace") ? CAP_SYS_PTRACE : -1);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  sigprocmask(SIG_BLOCK, &child, NULL);
  const char *number;
  const time_t until = time(NULL) + MOST_SECONDS_HELD;
  for (int nth = 0; (number = nth_option(argv, "--process", nth)); nth++) {
    if (time(NULL) <= until) read_one(atoi(number));
    else printf("{\"process\":%d,\"ms\":0,\"failure\":\"late\"}\n", atoi(number));
  }
  fflush(stdout);
  _exit(0);
}

static void limit(int resource, rlim_t most) {
  const struct rlimit bound = {most, most};
  setrlimit(resource, &bound);
}

#define REFUSED BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM)
#define IF_IT_IS(number) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1)
#define LOADED(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))

/*
 * No child that the reader leaves behind, as gdb does, becomes one of the job's PID 1. Threads it may have; the filter
 * that comes with what is preloaded (confined.c) knows no call of another architecture, and no clone3. Nor has it the
 * pipe that such a child would have: gdb asks iconv(1) for its charsets, and tries for 15 s to have a child for that.
 */
static void refuse_children(void) {
  static struct sock_filter rules[] = {
      LOADED(nr),
#ifdef __x86_64__
      IF_IT_IS(SYS_fork), REFUSED, IF_IT_IS(SYS_vfork), REFUSED, IF_IT_IS(SYS_pipe), REFUSED,
#endif
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pipe2, 0, 4),
      LOADED(args[1]),
      IF_IT_IS(0), REFUSED,
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 3),
      LOADED(args[0]),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 1, 0),
      REFUSED,
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const struct sock_fprog program = {.len = sizeof rules / sizeof *rules, .filter = rules};
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) exit_saying("a filter");
}

static void become_reader(char **argv) __attribute__((noreturn));
static void become_reader(char **argv) {
  char **program = after_dashes(argv);
  const rlim_t seconds = number_option(argv, "--seconds");
  confine(argv, is_for_root(argv) ? CAP_DAC_READ_SEARCH : -1);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  refuse_children();
  limit(RLIMIT_CPU, seconds);
  limit(RLIMIT_AS, MOST_MEMORY);
  execvp(program[0], program);
  exit_saying(program[0]);
}

static volatile sig_atomic_t is_late, is_over;
/* The one of the two that is at work. */
static volatile pid_t at_work;

static void end_it(int signal) {
  is_late = signal == SIGALRM;
  is_over = true;
  if (at_work > 0) kill(at_work, SIGKILL);
}

static void signals(int how) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGALRM);
  sigprocmask(how, &set, NULL);
}

/* What is started is ended in time, and reaped: for as long as that is not done, the job can't end. */
static int have_done(void (*become)(char **argv) __attribute__((noreturn)), char **argv) {
  int status = 0;
  signals(SIG_BLOCK);
  const pid_t child = fork();
  if (child < 0) exit_saying("fork");
  if (child == 0) {
    signal(SIGTERM, SIG_DFL);
    signal(SIGALRM, SIG_DFL);
    signals(SIG_UNBLOCK);
    become(argv);
  }
  at_work = child;
  signals(SIG_UNBLOCK);
  if (is_over) kill(child, SIGKILL);
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  at_work = 0;
  return is_late ? LATE : WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int take_stacks(char **argv) {
  const char *init = required(argv, "--init");
  script = open(required(argv, "--script"), O_RDONLY | O_CLOEXEC);
  if (script < 0) exit_saying("the script");
  preload(argv);
  jobs_files = take_files(init);
  own_mounts();
  enter_pids(init);
  signal(SIGALRM, end_it);
  signal(SIGTERM, end_it);
  alarm(number_option(argv, "--seconds"));
  const int failed = have_done(become_taker, argv);
  if (failed || is_over) return failed ? failed : 1;
  say("{\"taken\":true}");
  return have_done(become_reader, argv);
}
