/* inotify: what happened before a move and was not read yet is not forgotten without a word. */
#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>

#include "rounds.h"

static int waiting, waiting_copy, silent, watch;

static void touch(const char *name) {
  const int fd = open(in_folder("%s", name), O_WRONLY | O_CREAT, 0600);
  EXPECT(fd >= 0 && close(fd) == 0);
}

static int size_of(int fd) {
  int size;
  EXPECT(ioctl(fd, FIONREAD, &size) == 0);
  return size;
}

static const struct inotify_event *next(int fd) {
  static char space[4096] __attribute__((aligned(8)));
  EXPECT(read(fd, space, sizeof space) >= (ssize_t)sizeof(struct inotify_event));
  return (void *)space;
}

static void make_waiting(void) {
  EXPECT((waiting = inotify_init1(0)) >= 0 && (silent = inotify_init1(IN_NONBLOCK)) >= 0);
  EXPECT((watch = inotify_add_watch(waiting, folder, IN_CREATE)) == 1);
  EXPECT(inotify_add_watch(silent, "/", IN_MOVE_SELF) == 1);
  EXPECT((waiting_copy = dup(waiting)) >= 0);
  touch("before");
  EXPECT(size_of(waiting) > 0);
}

static void check_waiting(int round) {
  char name[32];
  /* All of what was there is in it: "look for yourself". And nothing else. */
  EXPECT(size_of(waiting) == sizeof(struct inotify_event));
  const struct inotify_event *event = next(waiting_copy);
  EXPECT(event->mask == IN_Q_OVERFLOW && event->wd == -1);
  EXPECT(size_of(waiting) == 0 && size_of(silent) == 0);
  /* The watches go on. */
  snprintf(name, sizeof name, "later-%d", round);
  touch(name);
  event = next(waiting);
  EXPECT(event->mask == IN_CREATE && event->wd == watch && size_of(waiting) == 0);
  unlink(in_folder("%s", name));
  unlink(in_folder("before"));
  if (round == 3) return;
  touch("before");
}

/* A symbolic link is watched, not what it leads to. */
static int linked, link_watch;
static void make_link(void) {
  touch("link-target");
  EXPECT(symlink("link-target", in_folder("link")) == 0 && (linked = inotify_init1(IN_NONBLOCK)) >= 0);
  EXPECT((link_watch = inotify_add_watch(linked, in_folder("link"), IN_MOVE_SELF | IN_MODIFY | IN_DONT_FOLLOW)) == 1);
}

static void check_link(int round) {
  char from[4096], to[4096];
  const int target = open(in_folder("link-target"), O_WRONLY);
  EXPECT(target >= 0 && write(target, "x", 1) == 1 && close(target) == 0 && size_of(linked) == 0);
  strcpy(from, in_folder("link%s", round == 1 ? "" : "-moved"));
  strcpy(to, in_folder("link-moved%s", round == 1 ? "" : "-again"));
  EXPECT(rename(from, to) == 0 && size_of(linked) == sizeof(struct inotify_event));
  const struct inotify_event *event = next(linked);
  EXPECT(event->mask == IN_MOVE_SELF && event->wd == link_watch);
  if (round > 1) EXPECT(rename(to, from) == 0 && next(linked)->mask == IN_MOVE_SELF);
  if (round == 3) EXPECT(unlink(from) == 0 && unlink(in_folder("link-target")) == 0);
}

/* A watch on a file that is open and has no name any more is told, with the first move, that the file has gone. */
static int gone, gone_file, gone_watch;
static void make_gone(void) {
  EXPECT((gone_file = open(in_folder("gone"), O_RDWR | O_CREAT, 0600)) >= 0 && (gone = inotify_init1(IN_NONBLOCK)) >= 0);
  EXPECT((gone_watch = inotify_add_watch(gone, in_folder("gone"), IN_DELETE_SELF | IN_MODIFY)) == 1);
  EXPECT(unlink(in_folder("gone")) == 0 && size_of(gone) == 0);
}

static void check_gone(int round) {
  EXPECT(write(gone_file, "x", 1) == 1);
  EXPECT(size_of(gone) == (round == 1 ? 2 * (int)sizeof(struct inotify_event) : 0));
  if (round > 1) return;
  const struct inotify_event *event = next(gone);
  EXPECT(event[0].wd == gone_watch && event[0].mask == IN_DELETE_SELF);
  EXPECT(event[1].wd == gone_watch && event[1].mask == IN_IGNORED);
}

int main(int argc, char **argv) {
  const struct thing things[] = {{"waiting", make_waiting, check_waiting}, {"link", make_link, check_link}, {"gone", make_gone, check_gone}, {NULL, NULL, NULL}};
  return rounds(argc, argv, things);
}
