/* A job's namespaces and its root, made so that CRIU can dump them and restore them under another root. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "helper.h"

static void fresh(const char *type, const char *at, unsigned long flags, const char *data) {
  if (mount(type, at, type, flags, data)) fail("root");
}

static void bind(const char *from, const char *to) {
  if (mount(from, to, NULL, MS_BIND, NULL)) fail("root");
}

/* Everything below is named relative to the new root, where this process stands. */
static void fill_root(void) {
  fresh("proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
  bind("/dev", "dev");
  fresh("devpts", "dev/pts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620,gid=5");
  fresh("tmpfs", "dev/shm", MS_NOSUID | MS_NODEV, "mode=1777");
  bind("/sys", "sys");
}

static void make_root(char **argv) {
  const char *files = option(argv, "--files"), *at = required(argv, "--mount");
  if (!files) files = "/";
  if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) fail("root");
  bind(files, at);
  if (chdir(at)) fail("root");
  bind_mounts(argv, files);
  fill_root();
  /* The old root ends up over the new one, and is then let go: no folder for it is needed. */
  if (syscall(SYS_pivot_root, ".", ".") || umount2(".", MNT_DETACH) || chdir("/")) fail("root");
}

/*
 * init is the home's binary of this kind, started inside the root: CRIU finds every mapped file by its path there,
 * and nothing of the outside (memory, descriptors) is left.
 */
static void become_init(char **argv) {
  const char *init = required(argv, "--init");
  make_root(argv);

  int count = 0;
  while (argv[count]) count++;
  char **orders = calloc(count + 3, sizeof *orders);
  if (!orders) fail("init");
  orders[0] = "godwit-init";
  orders[1] = "init";
  memcpy(orders + 2, argv, count * sizeof *argv);
  if (close_range(TALK + 1, ~0U, 0)) fail("init");
  execv(init, orders);
  fail("init");
}

/* A job without an address of its own stays in its host's network. */
static void enter_network(const char *namespace) {
  if (!namespace) return;
  int fd = open(namespace, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || setns(fd, CLONE_NEWNET)) fail("network");
  close(fd);
}

void enter_root(char **argv) {
  if (put(required(argv, "--cgroup"), "cgroup.procs", "0") || join_groups(argv, "0")) fail("cgroup");
  if (setsid() < 0) fail("namespace");
  enter_network(option(argv, "--network"));
  if (unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS)) fail("namespace");
  const char *host = required(argv, "--hostname");
  if (sethostname(host, strlen(host))) fail("namespace");
  become_init(argv);
  abort();
}
