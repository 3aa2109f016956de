/*
 * What a frozen copy of a job must not do any more as it is killed, for the job goes on elsewhere: end its connections
 * (sockets.c), and say of the mutexes that it holds that their owner has died. The latter the kernel does, in the
 * memory of a thread that ends, for all in the thread's robust list (set_robust_list(2)): where that memory is a file of
 * the home, the job itself would find its mutexes free.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "helper.h"

/* The list becomes empty, and nothing is about to be added to it: 0, or an error. */
static int empty_list(int memory, pid_t thread) {
  struct robust_list_head *head = NULL;
  size_t size;
  if (syscall(SYS_get_robust_list, thread, &head, &size)) return errno == ESRCH ? 0 : errno;
  if (!head || size != sizeof *head) return 0;
  const uintptr_t at = (uintptr_t)head, none = 0;
  const off_t pending = (off_t)(at + offsetof(struct robust_list_head, list_op_pending));
  if (pwrite(memory, &none, sizeof none, pending) < 0) return errno;
  return pwrite(memory, &at, sizeof at, (off_t)at) < 0 ? errno : 0;
}

/* One that ends meanwhile, or whose memory has gone (EIO), has ended before. */
static int empty_lists(int process, pid_t pid, void *nothing) {
  char path[64];
  int failed = 0;
  (void)nothing;
  snprintf(path, sizeof path, "/proc/%d/mem", pid);
  const int memory = open(path, O_RDWR | O_CLOEXEC);
  snprintf(path, sizeof path, "/proc/%d/task", pid);
  /* What was opened by the number is the process's, as it lives. */
  DIR *threads = memory >= 0 && is_alive(process) ? opendir(path) : NULL;
  for (struct dirent *entry; threads && (entry = readdir(threads));) {
    const pid_t thread = pid_of(entry->d_name);
    const int error = thread < 0 ? 0 : empty_list(memory, thread);
    /* EFAULT: the job has said that its list is where it has no memory. The kernel finds none there either. */
    if (error && error != EIO && error != EFAULT) failed = error;
  }
  if (!threads && is_alive(process)) failed = errno;
  if (threads) closedir(threads);
  if (memory >= 0) close(memory);
  return failed;
}

int sever_mutexes(const char *cgroup) { return each_member(cgroup, empty_lists, NULL); }

int sever(char **argv) {
  if (!argv[0]) return wrong_usage("sever CGROUP");
  const int mutexes = sever_mutexes(argv[0]), connections = close_connections(argv[0]);
  if (mutexes) return say_error("mutexes", mutexes);
  return connections ? say_error("sockets", connections) : 0;
}
