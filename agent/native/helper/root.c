/*
 * A job's namespaces and its root, made so that CRIU can dump them and restore them under another root. Root makes
 * them in folders some of which belong to users, who may put a link in the way at any moment: so every place is opened
 * without following one (openat2(2)), and what was opened is mounted, or mounted on.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "helper.h"

/* As mount(2) is given a place that is open. */
struct place {
  char path[32];
};

static struct place place_of(int fd) {
  struct place place;
  snprintf(place.path, sizeof place.path, "/proc/self/fd/%d", fd);
  return place;
}

/* The folder or file `at`, an absolute path in the tree of `root`; -1 also where a symbolic link is on the way. */
static int open_in(int root, const char *at) {
  struct open_how how = {
      .flags = O_PATH | O_CLOEXEC,
      .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
  };
  at += strspn(at, "/");
  return (int)syscall(SYS_openat2, root, *at ? at : ".", &how, sizeof how);
}

static int open_folder(const char *path) {
  const int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) fail("root");
  return fd;
}

static int bind_place(int from, int to) {
  if (from < 0 || to < 0) return -1;
  return mount(place_of(from).path, place_of(to).path, NULL, MS_BIND, NULL);
}

static void fresh(int root, const char *type, const char *at, unsigned long flags, const char *data) {
  const int to = open_in(root, at);
  if (to < 0 || mount(type, place_of(to).path, type, flags, data)) fail("root");
  close(to);
}

/* One of the kernel's own trees, from this machine. */
static void bring(int root, const char *at) {
  const int from = open_folder(at), to = open_in(root, at);
  if (bind_place(from, to)) fail("root");
  close(from);
  close(to);
}

static void fill_root(int root) {
  fresh(root, "proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
  bring(root, "/dev");
  fresh(root, "devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620,gid=5");
  fresh(root, "tmpfs", "/dev/shm", MS_NOSUID | MS_NODEV, "mode=1777");
  bring(root, "/sys");
}

/*
 * The home's other mounts (/home, /tmp, a volume) at their places in the job's root. Each is there as a mount of its
 * own on every node, even where `files`, which has all of them, is one file system: CRIU restores mount by mount.
 * --bind-own: one that this node shares with the home, and so has itself.
 */
static void bind_mounts(int root, int files, char **argv) {
  const int machine = open_folder("/");
  for (; *argv && strcmp(*argv, "--"); argv++) {
    const bool own = !strcmp(*argv, "--bind-own");
    if ((!own && strcmp(*argv, "--bind")) || !argv[1]) continue;
    const char *at = *++argv;
    const int from = open_in(own ? machine : files, at), to = open_in(root, at);
    /* One that can't be bound (another user's FUSE mount, say) is not there for the job. */
    bind_place(from, to);
    if (from >= 0) close(from);
    if (to >= 0) close(to);
  }
  close(machine);
}

static void make_root(char **argv) {
  const char *seen = option(argv, "--files"), *at = required(argv, "--mount");
  if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) fail("root");
  const int files = open_folder(seen ? seen : "/");
  if (bind_place(files, open_folder(at)) || chdir(at)) fail("root");
  const int root = open_folder(".");
  bind_mounts(root, files, argv);
  fill_root(root);
  /* The old root ends up over the new one, and is then unmounted: no folder for it is needed. */
  if (syscall(SYS_pivot_root, ".", ".") || umount2(".", MNT_DETACH) || chdir("/")) fail("root");
}

/*
 * init is the home's binary of this kind, started inside the root: CRIU finds every mapped file by its path there,
 * and nothing of the outside (memory, descriptors) is left. The home decides which binary that is: it is run as
 * the job's user, and root's last act is to become them.
 */
static void become_init(char **argv) {
  const char *init = required(argv, "--init");
  make_root(argv);

  size_t count = 0;
  while (argv[count]) count++;
  char **orders = calloc(count + 3, sizeof *orders);
  if (!orders) fail("init");
  orders[0] = "godwit-init";
  orders[1] = "init";
  memcpy(orders + 2, argv, count * sizeof *argv);
  if (close_range(LAUNCHER + 1, ~0U, 0)) fail("init");
  become_user(argv);
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
