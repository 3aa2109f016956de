/*
 * Does what programs do with files, in the empty folder that it is given, and prints what came of each. It is run
 * where the files are and where they are mounted: both must print the same, so nothing is printed that may differ
 * (times of now, inode numbers).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/falloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define USER 12345
#define GROUP 23456
#define ENTRIES 1000

static const char *section = "";

/* What a system call said. */
static long told(const char *what, long result) {
  if (result < 0) printf("%s: %s: %s\n", section, what, strerrorname_np(errno));
  else printf("%s: %s: %ld\n", section, what, result);
  return result;
}
#define TELL(call) told(#call, call)
/* For what gives a number that differs: only whether it is one. */
#define DONE(call) told(#call, (call) < 0 ? -1 : 0)

static void content(const char *path) {
  char text[256];
  int fd = open(path, O_RDONLY);
  ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
  printf("%s: %s holds '%.*s'\n", section, path, size < 0 ? 0 : (int)size, text);
  if (fd >= 0) close(fd);
}

static void describe(const char *path) {
  struct stat is;
  if (lstat(path, &is)) printf("%s: %s: %s\n", section, path, strerrorname_np(errno));
  else
    printf("%s: %s: mode %o links %ld owner %u:%u size %ld\n", section, path, is.st_mode, (long)is.st_nlink, is.st_uid,
           is.st_gid, S_ISDIR(is.st_mode) ? 0 : (long)is.st_size);
}

static void describe_open(int fd) {
  struct stat is;
  if (fstat(fd, &is)) printf("%s: open file: %s\n", section, strerrorname_np(errno));
  else printf("%s: open file: mode %o links %ld size %ld\n", section, is.st_mode, (long)is.st_nlink, (long)is.st_size);
}

static int compare(const void *a, const void *b) { return strcmp(*(char **)a, *(char **)b); }

static void list(const char *path) {
  char *names[64];
  int count = 0;
  DIR *folder = opendir(path);
  for (struct dirent *entry; folder && (entry = readdir(folder)) && count < 64;) names[count++] = strdup(entry->d_name);
  qsort(names, count, sizeof *names, compare);
  printf("%s: %s has", section, path);
  for (int i = 0; i < count; i++) printf(" %s", names[i]);
  printf("\n");
  if (folder) closedir(folder);
}

static void make(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (write(fd, text, strlen(text)) < 0) told("write", -1);
  close(fd);
}

/* --- sections ---------------------------------------------------------------------------------------------------- */

static void writing(void) {
  char text[64] = "";
  int fd = TELL(open("a", O_RDWR | O_CREAT | O_EXCL, 0640)) >= 0 ? open("a", O_RDWR) : -1;
  TELL(open("a", O_RDWR | O_CREAT | O_EXCL, 0640));
  TELL(write(fd, "hello world", 11));
  TELL(pwrite(fd, "W", 1, 6));
  TELL(pread(fd, text, 5, 6));
  printf("%s\n", text);
  TELL(fcntl(fd, F_SETFL, O_APPEND));
  TELL(lseek(fd, 0, SEEK_SET));
  TELL(write(fd, "!", 1));
  TELL(lseek(fd, 0, SEEK_CUR));
  content("a");
  TELL(ftruncate(fd, 5));
  TELL(write(fd, "+", 1));
  TELL(truncate("a", 9));
  TELL(read(fd, text, sizeof text));
  describe_open(fd);
  close(fd);
  int reader = open("a", O_RDONLY);
  TELL(write(reader, "x", 1));
  TELL(ftruncate(reader, 0));
  close(reader);
  close(TELL(open("a", O_WRONLY | O_TRUNC)));
  describe("a");
  int appender = open("b", O_WRONLY | O_CREAT | O_APPEND, 0400);
  TELL(write(appender, "one", 3));
  TELL(pwrite(appender, "two", 3, 0));
  close(appender);
  content("b");
  describe("b");
}

static void names(void) {
  make("one", "1");
  make("two", "2");
  TELL(rename("one", "three"));
  TELL(renameat2(AT_FDCWD, "two", AT_FDCWD, "three", RENAME_NOREPLACE));
  TELL(renameat2(AT_FDCWD, "two", AT_FDCWD, "three", RENAME_EXCHANGE));
  content("two");
  content("three");
  TELL(rename("two", "three"));
  content("three");
  TELL(link("three", "four"));
  describe("three");
  TELL(symlink("three", "five"));
  TELL(symlink("nowhere", "six"));
  TELL(link("six", "seven"));
  char target[32] = "";
  TELL(readlink("seven", target, sizeof target));
  printf("%s\n", target);
  content("five");
  content("six");
  TELL(open("five", O_RDONLY | O_NOFOLLOW));
  TELL(mkdir("folder", 0750));
  TELL(mkdir("folder", 0750));
  TELL(rename("four", "folder/four"));
  TELL(rename("folder", "folder/itself"));
  TELL(rmdir("folder"));
  TELL(unlink("folder"));
  TELL(rmdir("three"));
  TELL(open("folder", O_WRONLY));
  TELL(open("three/x", O_RDONLY));
  TELL(open("nowhere", O_RDONLY));
  char longest[300];
  memset(longest, 'n', sizeof longest);
  longest[255] = 0;
  make(longest, "");
  DONE(access(longest, F_OK));
  unlink(longest);
  longest[255] = 'n';
  longest[256] = 0;
  TELL(open(longest, O_CREAT | O_WRONLY, 0600));
  make("\xff\x01 strange \n name", "odd");
  list(".");
  list("folder");
}

static void removed(void) {
  char text[16] = "";
  TELL(mkdir("gone", 0700));
  make("gone/file", "before");
  int fd = open("gone/file", O_RDWR);
  TELL(unlink("gone/file"));
  list("gone");
  describe_open(fd);
  TELL(pread(fd, text, 6, 0));
  printf("%s\n", text);
  TELL(pwrite(fd, "after", 5, 6));
  TELL(fchmod(fd, 0604));
  TELL(fsetxattr(fd, "user.late", "x", 1, 0));
  TELL(futimens(fd, (struct timespec[2]){{1, 0}, {2, 0}}));
  describe_open(fd);
  int folder = open("gone", O_RDONLY | O_DIRECTORY);
  TELL(rmdir("gone"));
  TELL(openat(folder, "x", O_CREAT | O_WRONLY, 0600));
  describe_open(folder);
  close(fd);
  close(folder);
  int nameless = open(".", O_TMPFILE | O_RDWR, 0600);
  char path[64];
  TELL(write(nameless, "born", 4));
  snprintf(path, sizeof path, "/proc/self/fd/%d", nameless);
  TELL(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
  content("named");
  make("target", "old");
  int old = open("target", O_RDONLY);
  make("source", "new");
  TELL(rename("source", "target"));
  TELL(read(old, text, 3));
  printf("%.3s\n", text);
  content("target");
}

static void holes(void) {
  int fd = open("sparse", O_RDWR | O_CREAT, 0600);
  struct stat is;
  TELL(pwrite(fd, "far", 3, 5L << 30));
  describe_open(fd);
  TELL(lseek(fd, 0, SEEK_DATA));
  TELL(lseek(fd, 5L << 30, SEEK_HOLE));
  TELL(lseek(fd, 6L << 30, SEEK_DATA));
  TELL(ftruncate(fd, 0));
  TELL(fallocate(fd, 0, 0, 1 << 20));
  describe_open(fd);
  TELL(fallocate(fd, FALLOC_FL_KEEP_SIZE, 1 << 20, 1 << 20));
  describe_open(fd);
  char block[65536];
  memset(block, 'x', sizeof block);
  TELL(pwrite(fd, block, sizeof block, 0));
  TELL(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 8192));
  TELL(pread(fd, block, 16384, 0));
  printf("%d %d %d\n", block[4095], block[4096], block[12288]);
  fstat(fd, &is);
  int to = open("copy", O_RDWR | O_CREAT, 0600);
  loff_t at = 0;
  TELL(copy_file_range(fd, &at, to, NULL, 20000, 0));
  describe_open(to);
  TELL(fsync(to));
  TELL(fdatasync(fd));
  int folder = open(".", O_RDONLY);
  TELL(fsync(folder));
  struct statfs of, at_folder;
  TELL(fstatfs(fd, &of));
  TELL(fstatfs(folder, &at_folder));
  printf("%d %ld %ld\n", of.f_blocks == at_folder.f_blocks, (long)of.f_bsize, (long)of.f_namelen);
}

static void attributes(void) {
  struct stat is;
  char text[64];
  make("f", "x");
  TELL(chmod("f", 06755));
  describe("f");
  TELL(chown("f", USER, GROUP));
  describe("f");
  TELL(chmod("f", 04755));
  TELL(chown("f", -1, 7));
  describe("f");
  TELL(utimensat(AT_FDCWD, "f", (struct timespec[2]){{1000, 5}, {2000, 999999999}}, 0));
  TELL(stat("f", &is));
  printf("%ld.%09ld %ld.%09ld\n", is.st_atim.tv_sec, is.st_atim.tv_nsec, is.st_mtim.tv_sec, is.st_mtim.tv_nsec);
  TELL(utimensat(AT_FDCWD, "f", (struct timespec[2]){{0, UTIME_OMIT}, {3000, 0}}, 0));
  TELL(stat("f", &is));
  printf("%ld %ld\n", is.st_atim.tv_sec, is.st_mtim.tv_sec);
  TELL(symlink("f", "l"));
  TELL(utimensat(AT_FDCWD, "l", (struct timespec[2]){{7, 0}, {8, 0}}, AT_SYMLINK_NOFOLLOW));
  TELL(lchown("l", USER, GROUP));
  TELL(lstat("l", &is));
  printf("%ld %u\n", is.st_mtim.tv_sec, is.st_uid);
  TELL(setxattr("f", "user.color", "blue", 4, XATTR_CREATE));
  TELL(setxattr("f", "user.color", "red", 3, XATTR_CREATE));
  TELL(setxattr("f", "user.shape", "round", 5, 0));
  TELL(getxattr("f", "user.color", NULL, 0));
  TELL(getxattr("f", "user.color", text, 1));
  TELL(getxattr("f", "user.color", text, sizeof text));
  TELL(getxattr("f", "user.none", text, sizeof text));
  TELL(listxattr("f", text, sizeof text));
  TELL(removexattr("f", "user.color"));
  TELL(listxattr("f", text, sizeof text));
  TELL(mkdir("d", 02775));
  TELL(chmod("d", 02775));
  TELL(chown("d", 0, GROUP));
  mode_t before = umask(027);
  make("d/inherits", "");
  TELL(mkdir("d/too", 0777));
  umask(before);
  describe("d/inherits");
  describe("d/too");
}

static void special(void) {
  char text[16] = "";
  TELL(mkfifo("fifo", 0622));
  describe("fifo");
  pid_t child = fork();
  if (child == 0) {
    int fd = open("fifo", O_WRONLY);
    _exit(write(fd, "through", 7) != 7);
  }
  int fd = open("fifo", O_RDONLY);
  TELL(read(fd, text, sizeof text));
  printf("%s\n", text);
  waitpid(child, NULL, 0);
  close(fd);
  struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "socket"};
  int listening = socket(AF_UNIX, SOCK_STREAM, 0), calling = socket(AF_UNIX, SOCK_STREAM, 0);
  TELL(bind(listening, (struct sockaddr *)&address, sizeof address));
  TELL(listen(listening, 1));
  TELL(connect(calling, (struct sockaddr *)&address, sizeof address));
  describe("socket");
  TELL(bind(calling, (struct sockaddr *)&address, sizeof address));
  close(listening);
  TELL(connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&address, sizeof address));
  TELL(unlink("socket"));
  TELL(mknod("device", S_IFCHR | 0600, 0x103));
  describe("device");
}

static void mapped(void) {
  int fd = open("map", O_RDWR | O_CREAT, 0600);
  TELL(ftruncate(fd, 20000));
  char *shared = mmap(NULL, 20000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), text[8] = "";
  char *private = mmap(NULL, 20000, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
  memcpy(shared + 4094, "shared", 6);
  printf("%.6s\n", private + 4094);
  private[0] = 'p';
  TELL(pread(fd, text, 6, 4094));
  printf("%s %d\n", text, shared[0]);
  TELL(pwrite(fd, "file", 4, 10000));
  printf("%.4s %.4s\n", shared + 10000, private + 10000);
  TELL(msync(shared, 20000, MS_SYNC));
  memcpy(shared + 19996, "last", 4);
  munmap(shared, 20000);
  close(fd);
  fd = open("map", O_RDONLY);
  TELL(pread(fd, text, 4, 19996));
  printf("%.4s\n", text);
  close(fd);
  make("program", "#!/bin/sh\nexit 7\n");
  TELL(chmod("program", 0755));
  pid_t child = fork();
  if (child == 0) _exit(execl("./program", "program", NULL) ? 99 : 0);
  int status;
  waitpid(child, &status, 0);
  printf("the program ended with %d\n", WEXITSTATUS(status));
}

static void locks(void) {
  int one = open("locked", O_RDWR | O_CREAT, 0600), other = open("locked", O_RDWR);
  TELL(flock(one, LOCK_EX | LOCK_NB));
  TELL(flock(other, LOCK_EX | LOCK_NB));
  TELL(flock(one, LOCK_UN));
  TELL(flock(other, LOCK_SH | LOCK_NB));
  struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  TELL(fcntl(one, F_SETLK, &all));
  pid_t child = fork();
  if (child == 0) _exit(fcntl(other, F_SETLK, &all) < 0 && errno == EAGAIN ? 0 : 1);
  int status;
  waitpid(child, &status, 0);
  printf("the other was kept out: %d\n", status == 0);
}

static void crowd(void) {
  char name[32];
  long entries = 0, again = 0;
  TELL(mkdir("many", 0700));
  for (int i = 0; i < ENTRIES; i++) {
    snprintf(name, sizeof name, "many/entry-%d", i);
    if (mknod(name, S_IFREG | 0600, 0)) told(name, -1);
  }
  DIR *folder = opendir("many");
  while (readdir(folder)) entries++;
  rewinddir(folder);
  for (int i = 0; i < ENTRIES / 3; i++) readdir(folder);
  long place = telldir(folder);
  while (readdir(folder)) again++;
  seekdir(folder, place);
  while (readdir(folder)) again--;
  printf("%ld entries, %ld\n", entries, again);
  rewinddir(folder);
  for (struct dirent *entry; (entry = readdir(folder));)
    if (unlinkat(dirfd(folder), entry->d_name, 0) && entry->d_name[0] != '.') told(entry->d_name, -1);
  closedir(folder);
  TELL(rmdir("many"));
}

static void as_user(void) {
  gid_t groups[] = {GROUP};
  if (setgroups(1, groups) || setresgid(USER, USER, USER) || setresuid(USER, USER, USER)) _exit(99);
  TELL(open("secret", O_RDONLY));
  TELL(open("secret", O_WRONLY));
  TELL(open("groups", O_RDWR));
  TELL(open("listed", O_RDONLY));
  TELL(open("own/new", O_CREAT | O_WRONLY | O_EXCL, 0666));
  TELL(open("shared/new", O_CREAT | O_WRONLY | O_EXCL, 0666));
  TELL(mkdir("own/folder", 0777));
  TELL(symlink("x", "own/link"));
  TELL(mkfifo("own/fifo", 0666));
  TELL(open("denied", O_CREAT | O_WRONLY, 0666));
  TELL(open("closed/inside", O_RDONLY));
  TELL(unlink("secret"));
  TELL(chmod("secret", 0666));
  TELL(chown("own/new", 0, 0));
  TELL(access("secret", R_OK));
  TELL(access("groups", W_OK));
  TELL(write(open("suid", O_WRONLY), "x", 1));
  exit(0);
}

static void rights(void) {
  make("secret", "s");
  make("groups", "g");
  make("listed", "l");
  make("suid", "u");
  TELL(chmod("secret", 0600));
  TELL(chown("groups", 0, GROUP));
  TELL(chmod("groups", 0660));
  TELL(chmod("listed", 0600));
  TELL(chmod("suid", 06777));
  TELL(mkdir("own", 0755));
  TELL(chown("own", USER, USER));
  TELL(mkdir("shared", 0));
  TELL(chown("shared", 0, GROUP));
  TELL(chmod("shared", 02770));
  TELL(mkdir("closed", 0700));
  make("closed/inside", "");
  chmod(".", 0755);
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) as_user();
  int status;
  waitpid(child, &status, 0);
  printf("the user ended with %d\n", status);
  for (const char *const *path = (const char *const[]){"own/new", "shared/new", "own/folder", "own/link", "own/fifo",
                                                        "suid", NULL};
       *path; path++)
    describe(*path);
}

int main(int argc, char **argv) {
  static const struct {
    const char *name;
    void (*run)(void);
  } sections[] = {{"writing", writing},       {"names", names},     {"removed", removed}, {"holes", holes},
                  {"attributes", attributes}, {"special", special}, {"mapped", mapped},   {"locks", locks},
                  {"crowd", crowd},           {"rights", rights}};
  if (argc < 2 || chdir(argv[1])) return 2;
  umask(022);
  for (size_t i = 0; i < sizeof sections / sizeof *sections; i++) {
    section = sections[i].name;
    if (mkdir(section, 0755) || chdir(section)) return 1;
    sections[i].run();
    if (chdir("..")) return 1;
  }
  return 0;
}
