/* Descriptors of each kind: what waits behind them, what they share, and their flags. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/fanotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "rounds.h"

/* --- epoll over pipes, an eventfd and itself; edge-triggered, one-shot and nested --- */

static int set, nested, event, ready_pipe[2], idle_pipe[2];

static void watch(int in, int fd, uint32_t events, uint64_t data) {
  struct epoll_event wish = {.events = events, .data.u64 = data};
  EXPECT(epoll_ctl(in, EPOLL_CTL_ADD, fd, &wish) == 0);
}

static void make_epoll(void) {
  EXPECT((set = epoll_create1(EPOLL_CLOEXEC)) >= 0 && (nested = epoll_create1(0)) >= 0);
  EXPECT((event = eventfd(5, EFD_NONBLOCK)) >= 0);
  EXPECT(pipe(ready_pipe) == 0 && pipe(idle_pipe) == 0 && write(ready_pipe[1], "x", 1) == 1);
  watch(set, ready_pipe[0], EPOLLIN, 0x1111111111111111);
  watch(set, idle_pipe[0], EPOLLIN | EPOLLET, 0x2222222222222222);
  watch(set, nested, EPOLLIN, 0x3333333333333333);
  watch(nested, event, EPOLLIN, 0x4444444444444444);
}

static void check_epoll(int round) {
  struct epoll_event found[8];
  uint64_t count;
  EXPECT(epoll_wait(set, found, 8, 0) == 2);
  EXPECT(found[0].data.u64 + found[1].data.u64 == 0x4444444444444444);
  EXPECT(epoll_wait(nested, found, 8, 0) == 1 && found[0].data.u64 == 0x4444444444444444);
  EXPECT(read(event, &count, sizeof count) == sizeof count && count == (uint64_t)4 + round);
  EXPECT(epoll_wait(nested, found, 8, 0) == 0);
  count = 5 + round;
  EXPECT(write(event, &count, sizeof count) == sizeof count);
  EXPECT(write(idle_pipe[1], "x", 1) == 1 && epoll_wait(set, found, 8, 0) == 3);
  EXPECT(read(idle_pipe[0], &count, 1) == 1);
}

/* --- shared offsets, duplicates, flags --- */

static int one, twin, other, high, path_only, here;
static pid_t sharer;
static volatile int *position;

static void make_shared(void) {
  position = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  EXPECT((one = open(in_folder("shared"), O_RDWR | O_CREAT, 0640)) >= 0 && write(one, "0123456789", 10) == 10);
  EXPECT((twin = dup(one)) >= 0 && (other = open(in_folder("shared"), O_RDONLY | O_CLOEXEC)) >= 0);
  EXPECT((high = fcntl(one, F_DUPFD, 900)) >= 900 && lseek(other, 3, SEEK_SET) == 3);
  EXPECT((path_only = open(in_folder("shared"), O_PATH)) >= 0);
  EXPECT((here = open(folder, O_RDONLY | O_DIRECTORY)) >= 0);
  EXPECT(fcntl(twin, F_SETOWN, getpid()) == 0 && fcntl(twin, F_SETSIG, SIGRTMIN) == 0);
  lseek(one, 1, SEEK_SET);
  if ((sharer = fork()) == 0)
    for (;; pause_ms(1)) *position = lseek(one, 0, SEEK_CUR);
}

static void check_shared(int round) {
  char byte;
  EXPECT(lseek(twin, 0, SEEK_CUR) == round && read(high, &byte, 1) == 1 && byte == '0' + round);
  EXPECT(lseek(one, 0, SEEK_CUR) == round + 1 && lseek(other, 0, SEEK_CUR) == 3);
  for (double until = seconds_now() + 30; *position != round + 1 && seconds_now() < until;) pause_ms(1);
  EXPECT(*position == round + 1);
  EXPECT(fcntl(other, F_GETFD) == FD_CLOEXEC && fcntl(one, F_GETFD) == 0);
  EXPECT((fcntl(one, F_GETFL) & O_ACCMODE) == O_RDWR && (fcntl(path_only, F_GETFL) & O_PATH));
  EXPECT(fcntl(twin, F_GETOWN) == getpid() && fcntl(twin, F_GETSIG) == SIGRTMIN);
  struct stat by_path, by_fd;
  EXPECT(fstatat(here, "shared", &by_path, 0) == 0 && fstat(path_only, &by_fd) == 0);
  EXPECT(by_path.st_ino == by_fd.st_ino && by_path.st_dev == by_fd.st_dev);
  if (round == 3) unlink(in_folder("shared"));
}

/* --- memory behind descriptors: memfd, sealed and mapped --- */

static int memory, sealed;
static unsigned char *mapped;

static void make_memfd(void) {
  EXPECT((memory = memfd_create("kinds", MFD_ALLOW_SEALING)) >= 0 && ftruncate(memory, 1 << 20) == 0);
  EXPECT((mapped = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0)) != MAP_FAILED);
  fill(mapped, 1 << 20, 1);
  EXPECT((sealed = memfd_create("sealed", MFD_ALLOW_SEALING | MFD_CLOEXEC)) >= 0);
  EXPECT(write(sealed, "for good", 8) == 8);
  EXPECT(fcntl(sealed, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW) == 0);
}

static void check_memfd(int round) {
  char text[8];
  EXPECT(is_filled(mapped, 1 << 20, round));
  fill(mapped, 1 << 20, round + 1);
  EXPECT(pread(memory, text, 8, 100) == 8 && !memcmp(text, mapped + 100, 8));
  EXPECT(pread(sealed, text, 8, 0) == 8 && !memcmp(text, "for good", 8));
  EXPECT(fcntl(sealed, F_GET_SEALS) == (F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW));
  EXPECT(pwrite(sealed, "x", 1, 0) == -1 && errno == EPERM);
}

/* --- processes by descriptor --- */

static int by_pidfd;
static pid_t meant;

static void make_pidfd(void) {
  if ((meant = fork()) == 0)
    for (;;) pause();
  EXPECT((by_pidfd = syscall(SYS_pidfd_open, meant, 0)) >= 0);
}

static void check_pidfd(int round) {
  struct pollfd ended = {by_pidfd, POLLIN, 0};
  EXPECT(syscall(SYS_pidfd_send_signal, by_pidfd, 0, NULL, 0) == 0 && poll(&ended, 1, 0) == 0);
  if (round < 3) return;
  EXPECT(syscall(SYS_pidfd_send_signal, by_pidfd, SIGKILL, NULL, 0) == 0 && poll(&ended, 1, 30000) == 1);
}

/* --- inotify: its watches go on, what happened before the move is not forgotten --- */

static int notices;

static void make_inotify(void) {
  EXPECT((notices = inotify_init1(IN_NONBLOCK)) >= 0);
  EXPECT(inotify_add_watch(notices, folder, IN_CREATE | IN_DELETE) == 1);
}

static void check_inotify(int round) {
  char space[4096];
  (void)round;
  while (read(notices, space, sizeof space) > 0) continue;
  int fd = open(in_folder("noticed"), O_CREAT | O_WRONLY, 0600);
  close(fd);
  const struct inotify_event *event = (void *)space;
  EXPECT(read(notices, space, sizeof space) > 0 && event->wd == 1 && event->mask == IN_CREATE);
  EXPECT(!strcmp(event->name, "noticed") && unlink(in_folder("noticed")) == 0);
}

/* --- what doesn't move: each is refused by name --- */

static int refused;
static void unchecked(int round) { (void)round; }

static void make_io_uring(void) {
  char parameters[120] = {0};
  EXPECT((refused = syscall(SYS_io_uring_setup, 4, parameters)) >= 0);
}

static void make_perf(void) {
  struct { uint32_t type, size; uint64_t config; char rest[112]; } event = {.type = 1, .size = 128, .config = 1};
  EXPECT((refused = syscall(SYS_perf_event_open, &event, 0, -1, -1, 0)) >= 0);
}

static void make_semaphore(void) { EXPECT((refused = eventfd(3, EFD_SEMAPHORE)) >= 0); }

static void make_userfaultfd(void) { EXPECT((refused = syscall(SYS_userfaultfd, O_CLOEXEC | 1)) >= 0); }

static void make_fanotify(void) {
  EXPECT((refused = fanotify_init(FAN_CLASS_NOTIF, O_RDONLY)) >= 0);
  EXPECT(fanotify_mark(refused, FAN_MARK_ADD, FAN_OPEN, AT_FDCWD, folder) == 0);
}

static void make_bpf(void) {
  struct { uint32_t type, key, value, entries; char rest[112]; } map = {2, 4, 8, 16, {0}};
  EXPECT((refused = syscall(SYS_bpf, 0, &map, sizeof map)) >= 0);
}

static void make_secret(void) {
  EXPECT((refused = syscall(SYS_memfd_secret, 0)) >= 0);
}

static void make_limits(void) {
  struct rlimit wide = {1 << 20, 1 << 20};
  EXPECT(setrlimit(RLIMIT_NOFILE, &wide) == 0 && dup2(0, 900000) == 900000);
}

int main(int argc, char **argv) {
  static const struct thing things[] = {
      {"epoll", make_epoll, check_epoll},
      {"shared", make_shared, check_shared},
      {"memfd", make_memfd, check_memfd},
      {"pidfd", make_pidfd, check_pidfd},
      {"inotify", make_inotify, check_inotify},
      {"-io_uring", make_io_uring, unchecked},
      {"-semaphore", make_semaphore, unchecked},
      {"-perf", make_perf, unchecked},
      {"-userfaultfd", make_userfaultfd, unchecked},
      {"-fanotify", make_fanotify, unchecked},
      {"-bpf", make_bpf, unchecked},
      {"-secret", make_secret, unchecked},
      {"-limits", make_limits, unchecked},
      {0},
  };
  return rounds(argc, argv, things);
}
