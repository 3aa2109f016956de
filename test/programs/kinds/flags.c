/* What a descriptor and its open file keep: flags, owner, signal, place, seals, sizes; and the settings of what is behind. */
#include <dirent.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <termios.h>

#include "table.h"

/* In headers that are newer than this machine's. */
#define DUPFD_QUERY 1027
struct epoll_settings {
  uint32_t micros;
  uint16_t budget;
  uint8_t prefer, pad;
};
#define SET_EPOLL _IOW(0x8a, 1, struct epoll_settings)
#define GET_EPOLL _IOR(0x8a, 2, struct epoll_settings)

static int open_as(int flags) { return open(in_folder("flags"), O_RDWR | O_CREAT | flags, 0600); }

#define OPENED(name, flags)                                                                                           \
  static int fd_##name = -1;                                                                                         \
  static int set_##name(void) { return (fd_##name = open_as(flags)) < 0 ? -1 : 0; }                                  \
  static long get_##name(void) { return fcntl(fd_##name, F_GETFL) * 10l + fcntl(fd_##name, F_GETFD); }

OPENED(plain, 0)
OPENED(append, O_APPEND)
OPENED(nonblock, O_NONBLOCK)
OPENED(sync, O_SYNC)
OPENED(dsync, O_DSYNC)
OPENED(direct, O_DIRECT)
OPENED(noatime, O_NOATIME)
OPENED(cloexec, O_CLOEXEC)
OPENED(nofollow, O_NOFOLLOW)
OPENED(noctty, O_NOCTTY)

static int fd_read = -1, fd_write = -1, fd_path = -1, fd_folder = -1;
static int set_read(void) { return (fd_read = open(in_folder("flags"), O_RDONLY)) < 0 ? -1 : 0; }
static long get_read(void) { return fcntl(fd_read, F_GETFL); }
static int set_write(void) { return (fd_write = open(in_folder("flags"), O_WRONLY)) < 0 ? -1 : 0; }
static long get_write(void) { return fcntl(fd_write, F_GETFL); }
static int set_path(void) {
  if (symlink("flags", in_folder("link"))) return -1;
  return (fd_path = open(in_folder("link"), O_PATH | O_NOFOLLOW)) < 0 ? -1 : 0;
}
/* It is the link that it stands for. */
static long get_path(void) {
  struct stat about;
  return fstat(fd_path, &about) ? -errno : fcntl(fd_path, F_GETFL) * 10l + S_ISLNK(about.st_mode);
}

static int set_folder(void) { return (fd_folder = open(folder, O_RDONLY | O_DIRECTORY)) < 0 ? -1 : 0; }
static long get_folder(void) { return fcntl(fd_folder, F_GETFL); }

/* A folder that is read half-way goes on with the names that have not been told. */
static DIR *listed;
static long half;
static int set_listing(void) {
  for (int i = 0; i < 40; i++) {
    int fd = open(in_folder("listed-%d", i), O_CREAT | O_WRONLY, 0600);
    if (fd < 0) return -1;
    close(fd);
  }
  if (!(listed = opendir(folder))) return -1;
  for (int i = 0; i < 20; i++)
    if (!readdir(listed)) return -1;
  half = telldir(listed);
  return 0;
}
static long get_listing(void) {
  long names = 0;
  seekdir(listed, half);
  for (struct dirent *one; (one = readdir(listed));) names = names * 31 + digest(one->d_name, strlen(one->d_name));
  return names;
}

/* Where the C library has read ahead nothing of it is asked: the kernel's own place in the folder. */
static int fd_raw_list = -1;
static int set_raw_list(void) {
  char space[512];
  fd_raw_list = open(folder, O_RDONLY | O_DIRECTORY);
  return fd_raw_list < 0 || syscall(SYS_getdents64, fd_raw_list, space, sizeof space) <= 0 ? -1 : 0;
}
static long get_raw_list(void) {
  static char space[8192];
  off_t at = lseek(fd_raw_list, 0, SEEK_CUR);
  long size = syscall(SYS_getdents64, fd_raw_list, space, sizeof space), names = 0;
  for (long i = 0; i < size;) {
    struct dirent64 *one = (void *)(space + i);
    names = names * 31 + digest(one->d_name, strlen(one->d_name));
    i += one->d_reclen;
  }
  lseek(fd_raw_list, at, SEEK_SET);
  return names;
}

static int fd_far = -1;
static int set_far(void) { return (fd_far = open_as(0)) < 0 || lseek(fd_far, 5l << 40, SEEK_SET) < 0 ? -1 : 0; }
static long get_far(void) { return lseek(fd_far, 0, SEEK_CUR); }

static int fd_owned = -1, fd_thread = -1, fd_group = -1;
static int set_owned(void) {
  if ((fd_owned = open_as(0)) < 0 || fcntl(fd_owned, F_SETOWN, getpid())) return -1;
  return fcntl(fd_owned, F_SETSIG, SIGRTMIN + 3);
}
static long get_owned(void) { return fcntl(fd_owned, F_GETOWN) * 100l + fcntl(fd_owned, F_GETSIG); }
static int set_owner(int *fd, int type, int who) {
  struct f_owner_ex owner = {type, who};
  int pair[2];
  if (pipe(pair)) return -1;
  *fd = pair[0];
  return fcntl(*fd, F_SETOWN_EX, &owner);
}
static long get_owner(int fd) {
  struct f_owner_ex owner = {-1, -1};
  return fcntl(fd, F_GETOWN_EX, &owner) ? -errno : owner.type * 100000l + owner.pid;
}
static int set_thread(void) { return set_owner(&fd_thread, F_OWNER_TID, gettid()); }
static long get_thread(void) { return get_owner(fd_thread); }
static int set_group(void) { return set_owner(&fd_group, F_OWNER_PGRP, getpgrp()); }
static long get_group(void) { return get_owner(fd_group); }

/* O_ASYNC: a write signals the reader. */
static int told_by[2];
static volatile sig_atomic_t signals;
static void on_io(int number) { (void)number, signals++; }
static int set_async(void) {
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, told_by) || signal(SIGIO, on_io) == SIG_ERR) return -1;
  if (fcntl(told_by[0], F_SETOWN, getpid())) return -1;
  return fcntl(told_by[0], F_SETFL, O_ASYNC | O_NONBLOCK);
}
static long get_async(void) {
  char byte;
  int before = signals;
  if (write(told_by[1], "x", 1) != 1) return -1;
  for (double until = seconds_now() + 10; signals == before && seconds_now() < until;) pause_ms(1);
  if (read(told_by[0], &byte, 1) != 1) return -2;
  return fcntl(told_by[0], F_GETFL) * 10l + (signals != before);
}

static int fd_hint = -1;
static int set_hint(void) {
  uint64_t hint = RWH_WRITE_LIFE_SHORT;
  return (fd_hint = open_as(0)) < 0 ? -1 : fcntl(fd_hint, F_SET_RW_HINT, &hint);
}
static long get_hint(void) {
  uint64_t hint = 99;
  return fcntl(fd_hint, F_GET_RW_HINT, &hint) ? -errno : (long)hint;
}

/* --- which descriptors are one open file --- */

static int fd_twin = -1, fd_stranger = -1;
static int set_twin(void) { return (fd_twin = dup(fd_plain)) < 0 || (fd_stranger = open_as(0)) < 0 ? -1 : 0; }
static long get_twin(void) {
  pid_t me = getpid();
  return (syscall(SYS_kcmp, me, me, KCMP_FILE, fd_plain, fd_twin) == 0) * 10 +
         (syscall(SYS_kcmp, me, me, KCMP_FILE, fd_plain, fd_stranger) == 0);
}

/* --- pipes, memory, events, timers --- */

static int small[2], letters[2];
static int set_pipe(void) { return pipe2(small, O_NONBLOCK | O_CLOEXEC) || fcntl(small[0], F_SETPIPE_SZ, 8192) != 8192; }
static long get_pipe(void) {
  return fcntl(small[1], F_GETPIPE_SZ) * 1000000l + fcntl(small[0], F_GETFL) * 10 + fcntl(small[1], F_GETFD);
}
static int set_letters(void) {
  return pipe2(letters, O_DIRECT) || write(letters[1], "one", 3) != 3 || write(letters[1], "four", 4) != 4 ? -1 : 0;
}
/* Each is read by itself. */
static long get_letters(void) {
  char text[16];
  long sizes = fcntl(letters[0], F_GETFL) & O_DIRECT ? 1 : 0;
  for (int i = 0; i < 2; i++) sizes = sizes * 10 + read(letters[0], text, sizeof text);
  if (write(letters[1], "one", 3) != 3 || write(letters[1], "four", 4) != 4) return -1;
  return sizes;
}

static int fd_memory = -1;
static int set_memory(void) {
  if ((fd_memory = memfd_create("a name", MFD_ALLOW_SEALING)) < 0 || ftruncate(fd_memory, 5000)) return -1;
  return fcntl(fd_memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE) || fchmod(fd_memory, 0640);
}
static long get_memory(void) {
  struct stat about;
  char path[64], name[128] = "";
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd_memory);
  if (readlink(path, name, sizeof name - 1) < 0 || fstat(fd_memory, &about)) return -errno;
  return digest(name, strlen(name)) + fcntl(fd_memory, F_GET_SEALS) * 100000l + about.st_size + about.st_mode;
}

static int fd_event = -1;
static int set_event(void) { return (fd_event = eventfd(0x12345678, EFD_NONBLOCK)) < 0 ? -1 : 0; }
static long get_event(void) {
  uint64_t count = 0;
  if (read(fd_event, &count, sizeof count) < 0 || write(fd_event, &count, sizeof count) < 0) return -errno;
  return (long)count + fcntl(fd_event, F_GETFL);
}

static long read_info(int fd) {
  char path[64], text[4096];
  snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
  int info = open(path, O_RDONLY);
  ssize_t size = info < 0 ? -1 : read(info, text, sizeof text - 1);
  if (info >= 0) close(info);
  if (size < 0) return -errno;
  text[size] = 0;
  /* What is the machine's own: mounts and inodes by their numbers. */
  const char *from = strstr(text, "ino:");
  from = from ? strchr(from, '\n') : NULL;
  if (getenv("SHOW")) fprintf(stderr, "%s\n", text);
  return from ? digest(from, strlen(from)) : digest(text, size);
}

static int fd_signals = -1;
static int set_mask(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGHUP);
  sigaddset(&set, SIGRTMIN + 9);
  return (fd_signals = signalfd(-1, &set, SFD_NONBLOCK)) < 0 ? -1 : 0;
}
static long get_mask(void) { return read_info(fd_signals) + fcntl(fd_signals, F_GETFL); }

static int fd_clock[4] = {-1, -1, -1, -1};
static int set_clock(void) {
  static const int clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME};
  struct itimerspec far = {{500, 0}, {50000, 0}}, past = {{0, 0}, {0, 1000}};
  for (int i = 0; i < 3; i++)
    if ((fd_clock[i] = timerfd_create(clocks[i], TFD_NONBLOCK)) < 0 || timerfd_settime(fd_clock[i], 0, &far, NULL))
      return -1;
  if ((fd_clock[3] = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK)) < 0) return -1;
  if (timerfd_settime(fd_clock[3], 0, &past, NULL)) return -1;
  pause_ms(20);
  return 0;
}
static long get_clock(void) {
  long sum = 0;
  for (int i = 0; i < 3; i++) {
    struct itimerspec left = {0};
    timerfd_gettime(fd_clock[i], &left);
    sum = sum * 1000 + left.it_interval.tv_sec + (left.it_value.tv_sec > 49000 && left.it_value.tv_sec <= 50000);
  }
  return sum;
}
/* It has rung, and that was not read. */
static long get_rung(void) {
  char path[64], text[1024] = "";
  snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd_clock[3]);
  int info = open(path, O_RDONLY);
  if (info < 0 || read(info, text, sizeof text - 1) < 0) return -1;
  close(info);
  const char *ticks = strstr(text, "ticks:");
  return ticks ? atoi(ticks + 6) : -2;
}

static int fd_cancel = -1;
static int set_cancel(void) {
  struct itimerspec far = {{0, 0}, {1l << 33, 0}};
  if ((fd_cancel = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK)) < 0) return -1;
  return timerfd_settime(fd_cancel, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &far, NULL);
}
static long get_cancel(void) {
  char path[64], text[1024] = "";
  snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd_cancel);
  int info = open(path, O_RDONLY);
  if (info < 0 || read(info, text, sizeof text - 1) < 0) return -1;
  close(info);
  const char *flags = strstr(text, "settime flags:");
  return flags ? strtol(flags + 14, NULL, 8) : -2;
}

static int fd_epoll = -1, fd_exact = -1;
static int set_epoll(void) {
  struct epoll_event one = {EPOLLIN | EPOLLET | EPOLLONESHOT | EPOLLRDHUP, {.u64 = 0x1234567890abcdef}};
  if ((fd_epoll = epoll_create1(EPOLL_CLOEXEC)) < 0) return -1;
  return epoll_ctl(fd_epoll, EPOLL_CTL_ADD, small[0], &one);
}
/* Only what the program itself has set: inodes and devices are numbers of the machine's. */
static long get_epoll(void) {
  char path[64], text[4096] = "";
  int tfd = -1;
  unsigned int events = 0;
  unsigned long data = 0;
  snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd_epoll);
  FILE *info = fopen(path, "r");
  while (info && fgets(text, sizeof text, info))
    if (sscanf(text, "tfd: %d events: %x data: %lx", &tfd, &events, &data) == 3) break;
  if (info) fclose(info);
  return tfd * 7l + events + (long)data + fcntl(fd_epoll, F_GETFD);
}
static int set_exact(void) {
  struct epoll_settings wish = {55, 8, 1, 0};
  return (fd_exact = epoll_create1(0)) < 0 ? -1 : ioctl(fd_exact, SET_EPOLL, &wish);
}
static long get_exact(void) {
  struct epoll_settings is = {0};
  return ioctl(fd_exact, GET_EPOLL, &is) ? -errno : is.micros * 10000l + is.budget * 10 + is.prefer;
}

static int fd_notice = -1;
static int set_notice(void) {
  const int file = open(in_folder("noticed"), O_WRONLY | O_CREAT, 0600);
  if (file < 0 || close(file) || (fd_notice = inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) < 0) return -1;
  return inotify_add_watch(fd_notice, folder, IN_MOVED_FROM | IN_ONLYDIR | IN_EXCL_UNLINK) == 1 &&
                 inotify_add_watch(fd_notice, in_folder("noticed"), IN_MODIFY | IN_ONESHOT) == 2
             ? 0
             : -1;
}
static long get_notice(void) {
  char path[64], line[512];
  long sum = fcntl(fd_notice, F_GETFL);
  snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd_notice);
  FILE *info = fopen(path, "r");
  while (info && fgets(line, sizeof line, info)) {
    unsigned int watch, mask, ignored;
    char *at = strstr(line, " mask:");
    if (at && sscanf(line, "inotify wd:%x", &watch) == 1 && sscanf(at, " mask:%x ignored_mask:%x", &mask, &ignored) == 2)
      sum += watch * 1000003l * mask;
  }
  if (info) fclose(info);
  return sum;
}

/* --- terminals of the program's own --- */

static int master = -1, slave = -1;
static int set_terminal(void) {
  struct termios settings;
  struct winsize size = {33, 77, 0, 0};
  int on = 1;
  if ((master = posix_openpt(O_RDWR | O_NOCTTY)) < 0 || grantpt(master) || unlockpt(master)) return -1;
  if ((slave = open(ptsname(master), O_RDWR | O_NOCTTY)) < 0 || tcgetattr(slave, &settings)) return -1;
  settings.c_lflag &= ~(ICANON | ECHO);
  settings.c_cc[VINTR] = 7;
  settings.c_cc[VMIN] = 3;
  cfsetspeed(&settings, B19200);
  if (tcsetattr(slave, TCSANOW, &settings) || ioctl(slave, TIOCSWINSZ, &size)) return -1;
  return ioctl(master, TIOCPKT, &on) || ioctl(slave, TIOCEXCL);
}
static long get_terminal(void) {
  struct termios settings = {0};
  struct winsize size = {0};
  if (tcgetattr(slave, &settings) || ioctl(slave, TIOCGWINSZ, &size)) return -errno;
  return digest(&settings, sizeof settings) + size.ws_row * 1000 + size.ws_col;
}
static long get_packet(void) {
  int on = -1;
  return ioctl(master, TIOCGPKT, &on) ? -errno : on;
}
static long get_number(void) {
  unsigned int number = 999;
  return ioctl(master, TIOCGPTN, &number) ? -errno : (long)number;
}

static int done(void) { return 0; }

static struct row rows[] = {
    {"O_RDWR", set_plain, get_plain, 0, 0, 0},
    {"O_APPEND", set_append, get_append, 0, 0, 0},
    {"O_NONBLOCK", set_nonblock, get_nonblock, 0, 0, 0},
    {"O_SYNC", set_sync, get_sync, 0, 0, 0},
    {"O_DSYNC", set_dsync, get_dsync, 0, 0, 0},
    {"O_DIRECT", set_direct, get_direct, 0, 0, 0},
    {"O_NOATIME", set_noatime, get_noatime, 0, 0, 0},
    {"FD_CLOEXEC", set_cloexec, get_cloexec, 0, 0, 0},
    {"O_NOFOLLOW", set_nofollow, get_nofollow, 0, 0, 0},
    {"O_NOCTTY", set_noctty, get_noctty, 0, 0, 0},
    {"O_RDONLY", set_read, get_read, 0, 0, 0},
    {"O_WRONLY", set_write, get_write, 0, 0, 0},
    {"O_PATH", set_path, get_path, 0, 0, 0},
    {"half-read folder", set_listing, get_listing, 0, 0, 0},
    {"place in a folder", set_raw_list, get_raw_list, 0, 0, 0},
    {"place in a file", set_far, get_far, 0, 0, 0},
    {"F_SETOWN, F_SETSIG", set_owned, get_owned, 0, 0, 0},
    {"F_OWNER_TID", set_thread, get_thread, 0, 0, 0},
    {"F_OWNER_PGRP", set_group, get_group, 0, 0, 0},
    {"O_ASYNC", set_async, get_async, 0, 0, 0},
    {"descriptors of one open file", set_twin, get_twin, 0, 0, 0},
    {"F_SETPIPE_SZ", set_pipe, get_pipe, 0, 0, 0},
    {"memfd: name, seals, size, mode", set_memory, get_memory, 0, 0, 0},
    {"eventfd", set_event, get_event, 0, 0, 0},
    {"signalfd", set_mask, get_mask, 0, 0, 0},
    {"timerfd", set_clock, get_clock, 0, 0, 0},
    {"timerfd that has rung", done, get_rung, 0, 0, 0},
    {"TFD_TIMER_CANCEL_ON_SET", set_cancel, get_cancel, 0, 0, 0},
    {"epoll", set_epoll, get_epoll, 0, 0, 0},
    {"masks of inotify", set_notice, get_notice, 0, 0, 0},
    {"terminal: termios, window size", set_terminal, get_terminal, 0, 0, 0},
    {"TIOCPKT", done, get_packet, 0, 0, 0},
    {"number of a terminal", done, get_number, 0, 0, 0},
    {0},
};

static struct row packets[] = {{"pipe of packets", set_letters, get_letters, 0, 0, 0}, {0}};
static void make_packets(void) { set_rows(packets); }
static void look_at_packets(int round) { (void)round, check_rows(packets); }

/* Which are not what they were after a move. */
static struct row lost[] = {
    {"O_DIRECTORY", set_folder, get_folder, 0, 0, 0},
    {"F_SET_RW_HINT", set_hint, get_hint, 1, 0, 0},
    {"EPIOCSPARAMS", set_exact, get_exact, 1, 0, 0},
    {0},
};
static void make_lost(void) { set_rows(lost); }
static void look_at_lost(int round) { (void)round, check_rows(lost); }

static void make_rows(void) { set_rows(rows); }
static void look_at_rows(int round) {
  check_rows(rows);
  if (round < 3) return;
  for (int i = 0; i < 40; i++) unlink(in_folder("listed-%d", i));
  unlink(in_folder("link"));
  unlink(in_folder("noticed"));
  unlink(in_folder("flags"));
}

/* --- a file that never had a name can't be given one --- */

static int unnamed = -1;
static void make_unnamed(void) { EXPECT((unnamed = open(folder, O_TMPFILE | O_RDWR, 0600)) >= 0); }
static void look_at_unnamed(int round) {
  char path[64];
  (void)round;
  snprintf(path, sizeof path, "/proc/self/fd/%d", unnamed);
  EXPECT(linkat(AT_FDCWD, path, AT_FDCWD, in_folder("named"), AT_SYMLINK_FOLLOW) == -1 && errno == ENOENT);
}

int main(int argc, char **argv) {
  static const struct thing things[] = {{"-lost", make_lost, look_at_lost}, {"rows", make_rows, look_at_rows}, {"-packets", make_packets, look_at_packets}, {"-anew", make_unnamed, look_at_unnamed}, {0}};
  return rounds(argc, argv, things);
}
