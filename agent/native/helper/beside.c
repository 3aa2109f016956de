/*
 * A root of its own for what stands beside a job: the machine's programs and libraries, and the job's /proc, for reading
 * only.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "beside.h"
#include "helper.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x10u
#endif

/* Where the new root is put together: a folder that every machine has. */
#define BUILDING "/tmp"

/* Where programs and libraries are; what a machine does not have is left out. */
static const char *const seen[] = {"usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "nix", "gnu", "opt"};

void exit_saying(const char *what) {
  fprintf(stderr, "%s: %s: %s\n", program_name, what, strerror(errno));
  _exit(127);
}

/*
 * A library's content under a name by which anybody may open it: the file itself may lie in a folder of root's. The
 * dynamic linker reads it as the job's user.
 */
static int content_of(const char *path) {
  int from = open(path, O_RDONLY | O_CLOEXEC);
  int memory = memfd_create("godwit", MFD_EXEC);
  if (memory < 0 && errno == EINVAL) memory = memfd_create("godwit", 0);
  if (from < 0 || memory < 0) exit_saying(path);
  for (;;) {
    const ssize_t copied = sendfile(memory, from, NULL, 1 << 20);
    if (copied < 0) exit_saying(path);
    if (copied == 0) break;
  }
  close(from);
  return memory;
}

void preload(char **argv) {
  char list[256] = "";
  size_t used = 0;
  const char *path;
  for (int nth = 0; (path = nth_option(argv, "--preload", nth)); nth++) {
    const int memory = content_of(path);
    used += snprintf(list + used, sizeof list - used, "%s/proc/self/fd/%d", used ? ":" : "", memory);
    if (used >= sizeof list) exit(wrong_usage("too many --preload"));
  }
  clearenv();
  setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
  setenv("LC_ALL", "C", 1);
  if (used) setenv("LD_PRELOAD", list, 1);
}

void enter_pids(const char *init) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%.20s/ns/pid", init);
  const int pids = open(path, O_RDONLY | O_CLOEXEC);
  if (pids < 0 || setns(pids, CLONE_NEWPID)) exit_saying("the job's PID namespace");
  close(pids);
}

/* A link stays one; a folder is bound. The current folder is the new root. */
static void show(const char *name) {
  char path[64], target[256];
  struct stat about;
  snprintf(path, sizeof path, "/%s", name);
  if (lstat(path, &about)) return;
  if (S_ISLNK(about.st_mode)) {
    const ssize_t length = readlink(path, target, sizeof target - 1);
    if (length < 0) exit_saying(path);
    target[length] = 0;
    if (symlink(target, name)) exit_saying(path);
  } else if (mkdir(name, 0755) || mount(path, name, NULL, MS_BIND | MS_REC, NULL)) exit_saying(path);
}

/* The dynamic linker's list of libraries. */
static void show_cache(void) {
  if (mkdir("etc", 0755)) exit_saying("/etc");
  const int place = open("etc/ld.so.cache", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (place < 0) exit_saying("/etc/ld.so.cache");
  close(place);
  if (mount("/etc/ld.so.cache", "etc/ld.so.cache", NULL, MS_BIND, NULL) && errno != ENOENT) exit_saying("/etc/ld.so.cache");
}

void seal(const char *place) {
  struct mount_attr attributes = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV};
  if (syscall(SYS_mount_setattr, AT_FDCWD, place, AT_RECURSIVE, &attributes, sizeof attributes) && errno != ENOSYS)
    exit_saying(place);
}

void own_mounts(void) {
  if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL)) exit_saying("a mount namespace");
}

void make_root(void (*furnish)(char **argv), char **argv) {
  if (mount("tmpfs", BUILDING, "tmpfs", MS_NOSUID | MS_NODEV, "size=64k,mode=755") || chdir(BUILDING)) exit_saying(BUILDING);
  for (size_t i = 0; i < sizeof seen / sizeof *seen; i++) show(seen[i]);
  show_cache();
  if (mkdir("proc", 0755)) exit_saying("/proc");
  if (furnish) furnish(argv);
  if (syscall(SYS_pivot_root, ".", ".") || umount2(".", MNT_DETACH) || chdir("/")) exit_saying("a root of its own");
  seal("/");
  /* Not sealed: the memory of what is debugged is written there. */
  if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL)) exit_saying("/proc");
}
