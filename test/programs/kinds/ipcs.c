/* What the kernel keeps of a job's IPC objects besides their content; its names, its limits, its own file system. */
#include <fcntl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/xattr.h>

#include "table.h"

static long permissions(const struct ipc_perm *of) {
  return of->__key * 31l + of->uid * 7l + of->gid * 5l + of->mode;
}

static int segment;
static void *attached;
static int set_segment(void) {
  struct shmid_ds about;
  if ((segment = shmget(0x701, 10000, IPC_CREAT | 0640)) < 0 || (attached = shmat(segment, NULL, 0)) == (void *)-1) return -1;
  if (shmctl(segment, IPC_STAT, &about)) return -1;
  about.shm_perm.mode = 0604;
  return shmctl(segment, IPC_SET, &about);
}
static struct shmid_ds segment_now(void) {
  struct shmid_ds about = {0};
  shmctl(segment, IPC_STAT, &about);
  return about;
}
static long get_segment(void) {
  struct shmid_ds now = segment_now();
  return permissions(&now.shm_perm) + (long)now.shm_segsz * 1000 + (long)now.shm_nattch + segment;
}
static long get_segment_pids(void) {
  struct shmid_ds now = segment_now();
  return now.shm_cpid * 100000l + now.shm_lpid;
}

static int semaphores;
static int set_semaphores(void) {
  struct sembuf up = {1, 3, 0};
  if ((semaphores = semget(0x702, 4, IPC_CREAT | 0620)) < 0) return -1;
  return semop(semaphores, &up, 1);
}
static long get_semaphores(void) {
  struct semid_ds now = {0};
  semctl(semaphores, 0, IPC_STAT, &now);
  return permissions(&now.sem_perm) + (long)now.sem_nsems * 1000 + semctl(semaphores, 1, GETVAL) + semaphores;
}
static long get_semaphore_pid(void) { return semctl(semaphores, 1, GETPID); }

static int messages;
static int set_messages(void) {
  struct msqid_ds about;
  struct { long type; char text[5]; } letter = {3, "text"};
  if ((messages = msgget(0x703, IPC_CREAT | 0602)) < 0 || msgctl(messages, IPC_STAT, &about)) return -1;
  about.msg_qbytes = 4321;
  return msgctl(messages, IPC_SET, &about) || msgsnd(messages, &letter, 5, 0);
}
static struct msqid_ds messages_now(void) {
  struct msqid_ds now = {0};
  msgctl(messages, IPC_STAT, &now);
  return now;
}
static long get_messages(void) {
  struct msqid_ds now = messages_now();
  return permissions(&now.msg_perm) + (long)now.msg_qnum * 1000 + messages;
}
static long get_message_pids(void) { return messages_now().msg_lspid * 100000l + messages_now().msg_lrpid; }

/* --- names and limits of the job's own namespaces, for root to set --- */

static int set_host(void) { return sethostname("another", 7); }
static long get_host(void) {
  struct utsname now;
  uname(&now);
  return digest(now.nodename, strlen(now.nodename));
}
static int set_domain(void) { return setdomainname("domain.of", 9); }
static long get_domain(void) {
  struct utsname now;
  uname(&now);
  return digest(now.domainname, strlen(now.domainname));
}
static int write_sysctl(const char *name, const char *text) {
  char path[128];
  snprintf(path, sizeof path, "/proc/sys/%s", name);
  int fd = open(path, O_WRONLY);
  int result = fd >= 0 && write(fd, text, strlen(text)) > 0 ? 0 : -1;
  if (fd >= 0) close(fd);
  return result;
}
static long read_sysctl(const char *name) {
  char path[128], text[128] = "";
  snprintf(path, sizeof path, "/proc/sys/%s", name);
  int fd = open(path, O_RDONLY);
  if (fd < 0 || read(fd, text, sizeof text - 1) < 0) return -errno;
  close(fd);
  return digest(text, strlen(text));
}
#define SYSCTL(name, path, value)                                                                                     \
  static int set_##name(void) { return write_sysctl(path, value); }                                                  \
  static long get_##name(void) { return read_sysctl(path); }
SYSCTL(shmmax, "kernel/shmmax", "123456789")
SYSCTL(shmall, "kernel/shmall", "1234567")
SYSCTL(shmmni, "kernel/shmmni", "222")
SYSCTL(rmid, "kernel/shm_rmid_forced", "0")
SYSCTL(msgmax, "kernel/msgmax", "5555")
SYSCTL(msgmnb, "kernel/msgmnb", "44444")
SYSCTL(msgmni, "kernel/msgmni", "333")
SYSCTL(sem, "kernel/sem", "100 20000 50 77")
SYSCTL(mq, "fs/mqueue/queues_max", "55")

/* --- /dev/shm --- */

static int set_files(void) {
  int fd = open("/dev/shm/one", O_RDWR | O_CREAT, 0600);
  struct timespec times[2] = {{1000000, 5}, {2000000, 123456789}};
  if (fd < 0 || ftruncate(fd, 1 << 20) || pwrite(fd, "end", 3, 1 << 19) != 3) return -1;
  if (fchmod(fd, 02751) || link("/dev/shm/one", "/dev/shm/two") || mkdir("/dev/shm/empty", 01777)) return -1;
  if (mkfifo("/dev/shm/fifo", 0640) || symlink("/nowhere", "/dev/shm/link")) return -1;
  return futimens(fd, times) || close(fd);
}
static long get_files(void) {
  static const char *const names[] = {"one", "two", "empty", "fifo", "link"};
  char path[64];
  long sum = 0;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    struct stat now;
    snprintf(path, sizeof path, "/dev/shm/%s", names[i]);
    if (lstat(path, &now)) return -1 - (long)i;
    sum = sum * 31 + now.st_mode + now.st_uid + now.st_gid + (long)(S_ISDIR(now.st_mode) ? 0 : now.st_size);
  }
  return sum;
}
static long get_links(void) {
  struct stat one, two;
  if (stat("/dev/shm/one", &one) || stat("/dev/shm/two", &two)) return -1;
  return one.st_ino == two.st_ino && one.st_nlink == 2;
}
static long get_file_times(void) {
  struct stat now;
  return stat("/dev/shm/one", &now) ? -1 : now.st_mtim.tv_sec;
}
static long get_holes(void) {
  struct stat now;
  return stat("/dev/shm/one", &now) ? -1 : now.st_blocks <= 16;
}
static int set_attribute(void) { return setxattr("/dev/shm/one", "trusted.godwit", "value", 5, 0); }
static long get_attribute(void) {
  char value[16] = "";
  long size = getxattr("/dev/shm/one", "trusted.godwit", value, sizeof value);
  return size < 0 ? -errno : digest(value, size);
}
static long get_room(void) {
  struct statvfs now;
  return statvfs("/dev/shm", &now) ? -1 : (long)(now.f_blocks * 7 + now.f_flag);
}

static int done(void) { return 0; }

static struct row rows[] = {
    {"shared memory: id, key, owner, mode, size", set_segment, get_segment, 0, 0, 0},
    {"semaphores: id, key, owner, mode, values", set_semaphores, get_semaphores, 0, 0, 0},
    {"messages: id, key, owner, mode, count", set_messages, get_messages, 0, 0, 0},
    {"/dev/shm: kinds, modes, owners, sizes", set_files, get_files, 0, 0, 0},
    {"/dev/shm: times, to the second", done, get_file_times, 0, 0, 0},
    {"/dev/shm: hard links", done, get_links, 0, 0, 0},
    {"/dev/shm: holes", done, get_holes, 0, 0, 0},
    {"/dev/shm: room", done, get_room, 0, 0, 0},
    {0},
};
/* Of the last operations of these objects a restore is one. */
static struct row anew[] = {
    {"shared memory: pids", done, get_segment_pids, 0, 0, 0},
    {"semaphores: pid of the last operation", done, get_semaphore_pid, 0, 0, 0},
    {"messages: pids", done, get_message_pids, 0, 0, 0},
    {0},
};
static struct row namespaces[] = {
    {"host name", set_host, get_host, 0, 0, 0},   {"domain name", set_domain, get_domain, 0, 0, 0},
    {"kernel.shmmax", set_shmmax, get_shmmax, 0, 0, 0}, {"kernel.shmall", set_shmall, get_shmall, 0, 0, 0},
    {"kernel.shmmni", set_shmmni, get_shmmni, 0, 0, 0}, {"kernel.shm_rmid_forced", set_rmid, get_rmid, 0, 0, 0},
    {"kernel.msgmax", set_msgmax, get_msgmax, 0, 0, 0}, {"kernel.msgmnb", set_msgmnb, get_msgmnb, 0, 0, 0},
    {"kernel.msgmni", set_msgmni, get_msgmni, 0, 0, 0}, {"kernel.sem", set_sem, get_sem, 0, 0, 0},
    {"fs.mqueue.queues_max", set_mq, get_mq, 0, 0, 0},  {0},
};
/* Which are not what they were after a move. */
static struct row lost[] = {
    {"/dev/shm: extended attributes", set_attribute, get_attribute, 1, 0, 0},
    {0},
};
static void make_lost(void) {
  set_rows(rows);
  set_rows(lost);
}
static void look_at_lost(int round) { (void)round, check_rows(lost); }

static void make_rows(void) { set_rows(rows); }
static void look_at_rows(int round) { (void)round, check_rows(rows); }
/* Of the same objects: they are made first. */
static void make_anew(void) {
  set_rows(rows);
  set_rows(anew);
}
static void look_at_anew(int round) {
  for (const struct row *row = anew; row->name; row++) {
    now_at = row->name;
    EXPECT(round > 1 || row->get() != row->was);
  }
}
static void make_namespaces(void) {
  set_rows(namespaces);
}
static void look_at_namespaces(int round) { (void)round, check_rows(namespaces); }

int main(int argc, char **argv) {
  static const struct thing things[] = {{"-lost", make_lost, look_at_lost}, {"rows", make_rows, look_at_rows}, {"-anew", make_anew, look_at_anew},
                                        {"-namespaces", make_namespaces, look_at_namespaces}, {0}};
  return rounds(argc, argv, things);
}
