/* What processes talk through: pipes, FIFOs, Unix sockets, shared memory, semaphores, message queues; with data in them. */
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "rounds.h"

#define MUCH (48 * 1024)

static unsigned char bytes[1 << 20];

static void put(int fd, size_t size, unsigned long seed) {
  fill(bytes, size, seed);
  EXPECT(write(fd, bytes, size) == (ssize_t)size);
}

static void get(int fd, size_t size, unsigned long seed) {
  size_t have = 0;
  while (have < size) {
    ssize_t part = read(fd, bytes + have, size - have);
    EXPECT(part > 0);
    have += part;
  }
  EXPECT(is_filled(bytes, size, seed));
}

/* --- pipes: one full of data, one large, one whose writer has gone, one between processes, a FIFO --- */

static int full[2], large[2], widowed[2], asking[2], answering[2], fifo[2];
static pid_t echo;

static void make_pipes(void) {
  EXPECT(pipe(full) == 0 && pipe2(large, O_NONBLOCK) == 0 && pipe(widowed) == 0);
  put(full[1], MUCH, 1);
  EXPECT(fcntl(large[1], F_SETPIPE_SZ, 1 << 20) == 1 << 20);
  put(large[1], 1 << 20, 2);
  EXPECT(write(large[1], "x", 1) == -1 && errno == EAGAIN);
  put(widowed[1], 100, 3);
  close(widowed[1]);
  EXPECT(pipe(asking) == 0 && pipe(answering) == 0);
  if ((echo = fork()) == 0) {
    unsigned char byte;
    close(asking[1]);
    while (read(asking[0], &byte, 1) == 1) EXPECT(write(answering[1], &(unsigned char){byte + 1}, 1) == 1);
    _exit(0);
  }
  EXPECT(mkfifo(in_folder("fifo"), 0600) == 0);
  EXPECT((fifo[0] = open(in_folder("fifo"), O_RDONLY | O_NONBLOCK)) >= 0);
  EXPECT((fifo[1] = open(in_folder("fifo"), O_WRONLY)) >= 0);
  put(fifo[1], 1000, 4);
}

static void check_pipes(int round) {
  unsigned char byte = round;
  get(full[0], MUCH, round);
  put(full[1], MUCH, round + 1);
  EXPECT(fcntl(large[1], F_GETPIPE_SZ) == 1 << 20);
  EXPECT(write(large[1], "x", 1) == -1 && errno == EAGAIN);
  get(large[0], 1 << 20, round + 1);
  put(large[1], 1 << 20, round + 2);
  if (round == 2) get(widowed[0], 100, 3);
  if (round > 2) EXPECT(read(widowed[0], &byte, 1) == 0);
  byte = round;
  EXPECT(write(asking[1], &byte, 1) == 1 && read(answering[0], &byte, 1) == 1 && byte == round + 1);
  get(fifo[0], 1000, round + 3);
  EXPECT(read(fifo[0], &byte, 1) == -1 && errno == EAGAIN);
  put(fifo[1], 1000, round + 4);
  if (round == 3) unlink(in_folder("fifo"));
}

/* --- Unix sockets of each kind, with data under way; a listening one; a descriptor that is under way itself --- */

static int stream[2], datagrams[2], packets[2], carrier[2], listener, client, accepted, abstract;
static struct sockaddr_un at = {.sun_family = AF_UNIX};

static void send_descriptor(int through, int fd) {
  char space[CMSG_SPACE(sizeof fd)] = {0}, byte = 'd';
  struct iovec data = {&byte, 1};
  struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
  struct cmsghdr *head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(sizeof fd);
  memcpy(CMSG_DATA(head), &fd, sizeof fd);
  EXPECT(sendmsg(through, &message, 0) == 1);
}

static int receive_descriptor(int through) {
  int fd = -1;
  char space[CMSG_SPACE(sizeof fd)] = {0}, byte;
  struct iovec data = {&byte, 1};
  struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
  EXPECT(recvmsg(through, &message, 0) == 1);
  struct cmsghdr *head = CMSG_FIRSTHDR(&message);
  EXPECT(head && head->cmsg_type == SCM_RIGHTS);
  memcpy(&fd, CMSG_DATA(head), sizeof fd);
  return fd;
}

static void send_file(void) {
  int fd = open(in_folder("passed"), O_RDWR | O_CREAT, 0600);
  EXPECT(fd >= 0 && write(fd, "passed on", 9) == 9);
  send_descriptor(carrier[0], fd);
  close(fd);
}

static void send_packets(int to, int round) {
  for (int i = 1; i <= 5; i++) put(to, i * 100, round * 10 + i);
}

static void receive_packets(int from, int round) {
  for (int i = 1; i <= 5; i++) {
    EXPECT(read(from, bytes, sizeof bytes) == i * 100);
    EXPECT(is_filled(bytes, i * 100, round * 10 + i));
  }
}

static void make_sockets(void) {
  const int size = 256 * 1024;
  EXPECT(socketpair(AF_UNIX, SOCK_STREAM, 0, stream) == 0);
  EXPECT(socketpair(AF_UNIX, SOCK_DGRAM, 0, datagrams) == 0);
  EXPECT(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, packets) == 0);
  EXPECT(setsockopt(stream[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size) == 0);
  put(stream[0], MUCH, 1);
  put(stream[1], 100, 1);
  send_packets(datagrams[0], 1);
  send_packets(packets[1], 1);
  snprintf(at.sun_path, sizeof at.sun_path, "%s", in_folder("socket"));
  EXPECT((listener = socket(AF_UNIX, SOCK_STREAM, 0)) >= 0);
  EXPECT(bind(listener, (void *)&at, sizeof at) == 0 && listen(listener, 5) == 0);
  EXPECT((client = socket(AF_UNIX, SOCK_STREAM, 0)) >= 0);
  EXPECT(connect(client, (void *)&at, sizeof at) == 0 && (accepted = accept(listener, NULL, NULL)) >= 0);
  put(accepted, 1000, 1);
  struct sockaddr_un hidden = {.sun_family = AF_UNIX, .sun_path = "\0godwit-hidden"};
  EXPECT((abstract = socket(AF_UNIX, SOCK_DGRAM, 0)) >= 0);
  EXPECT(bind(abstract, (void *)&hidden, sizeof(sa_family_t) + 14) == 0);
}

static void check_sockets(int round) {
  get(stream[1], MUCH, round);
  get(stream[0], 100, round);
  put(stream[0], MUCH, round + 1);
  put(stream[1], 100, round + 1);
  receive_packets(datagrams[1], round);
  send_packets(datagrams[0], round + 1);
  receive_packets(packets[0], round);
  send_packets(packets[1], round + 1);
  get(client, 1000, round);
  put(accepted, 1000, round + 1);
  /* A new client can still connect. */
  int fresh = socket(AF_UNIX, SOCK_STREAM, 0);
  EXPECT(connect(fresh, (void *)&at, sizeof at) == 0);
  int taken = accept(listener, NULL, NULL);
  EXPECT(taken >= 0);
  put(fresh, 10, 1);
  get(taken, 10, 1);
  close(fresh);
  close(taken);
  struct sockaddr_un hidden;
  socklen_t size = sizeof hidden;
  EXPECT(getsockname(abstract, (void *)&hidden, &size) == 0);
  EXPECT(size == sizeof(sa_family_t) + 14 && !memcmp(hidden.sun_path, "\0godwit-hidden", 14));
  if (round == 3) unlink(at.sun_path);
}

static void make_passed(void) {
  EXPECT(socketpair(AF_UNIX, SOCK_STREAM, 0, carrier) == 0);
  send_file();
}

static void check_passed(int round) {
  int passed = receive_descriptor(carrier[1]);
  EXPECT(pread(passed, bytes, 9, 0) == 9 && !memcmp(bytes, "passed on", 9) && lseek(passed, 0, SEEK_CUR) == 9);
  close(passed);
  if (round < 3) send_file();
  else unlink(in_folder("passed"));
}

/* --- System V: shared memory, semaphores, messages --- */

static int segment, semaphores, messages;
static unsigned char *attached;
static pid_t sem_holder;

struct letter {
  long type;
  unsigned char text[300];
};

static void post_letters(int round) {
  struct letter letter;
  for (int i = 1; i <= 4; i++) {
    letter.type = i;
    fill(letter.text, sizeof letter.text, round * 10 + i);
    EXPECT(msgsnd(messages, &letter, sizeof letter.text, 0) == 0);
  }
}

static void make_sysv(void) {
  EXPECT((segment = shmget(0x601, 1 << 20, IPC_CREAT | 0600)) >= 0);
  EXPECT((attached = shmat(segment, NULL, 0)) != (void *)-1);
  fill(attached, 1 << 20, 1);
  EXPECT((semaphores = semget(0x602, 3, IPC_CREAT | 0600)) >= 0);
  EXPECT(semctl(semaphores, 0, SETVAL, 5) == 0 && semctl(semaphores, 1, SETVAL, 0) == 0);
  EXPECT((messages = msgget(0x603, IPC_CREAT | 0600)) >= 0);
  post_letters(1);
  if ((sem_holder = fork()) == 0) {
    struct sembuf down = {1, -1, 0}, up = {2, 1, 0};
    for (;;) {
      while (semop(semaphores, &down, 1)) EXPECT(errno == EINTR);
      EXPECT(semop(semaphores, &up, 1) == 0);
    }
  }
}

static void check_sysv(int round) {
  struct letter letter;
  struct shmid_ds about;
  EXPECT(shmget(0x601, 0, 0) == segment && is_filled(attached, 1 << 20, round));
  EXPECT(shmctl(segment, IPC_STAT, &about) == 0 && about.shm_segsz == 1 << 20 && about.shm_nattch >= 1);
  fill(attached, 1 << 20, round + 1);
  EXPECT(semget(0x602, 0, 0) == semaphores && semctl(semaphores, 0, GETVAL) == 4 + round);
  EXPECT(semctl(semaphores, 0, SETVAL, 5 + round) == 0);
  struct sembuf up = {1, 1, 0}, down = {2, -1, 0};
  EXPECT(semop(semaphores, &up, 1) == 0 && semop(semaphores, &down, 1) == 0);
  EXPECT(msgget(0x603, 0) == messages);
  for (int i = 1; i <= 4; i++) {
    EXPECT(msgrcv(messages, &letter, sizeof letter.text, 0, IPC_NOWAIT) == sizeof letter.text);
    EXPECT(letter.type == i && is_filled(letter.text, sizeof letter.text, round * 10 + i));
  }
  post_letters(round + 1);
}

/* --- System V: a segment that goes with its last user, one that is locked in memory, a queue with less room --- */

static int leaving, locked_segment, small_queue;
static unsigned char *still_there;

static void make_removed(void) {
  struct msqid_ds about;
  EXPECT((leaving = shmget(0x604, 8192, IPC_CREAT | 0600)) >= 0);
  EXPECT((still_there = shmat(leaving, NULL, 0)) != (void *)-1);
  fill(still_there, 8192, 4);
  EXPECT(shmctl(leaving, IPC_RMID, NULL) == 0);
  EXPECT((locked_segment = shmget(0x605, 4096, IPC_CREAT | 0600)) >= 0 && shmctl(locked_segment, SHM_LOCK, NULL) == 0);
  EXPECT((small_queue = msgget(0x606, IPC_CREAT | 0600)) >= 0 && msgctl(small_queue, IPC_STAT, &about) == 0);
  about.msg_qbytes = 1000;
  EXPECT(msgctl(small_queue, IPC_SET, &about) == 0);
}

static void check_removed(int round) {
  struct shmid_ds about;
  struct msqid_ds queue;
  EXPECT(is_filled(still_there, 8192, 4) && shmctl(leaving, IPC_STAT, &about) == 0 && about.shm_nattch == 1);
  EXPECT(about.shm_perm.mode & SHM_DEST);
  EXPECT(shmctl(locked_segment, IPC_STAT, &about) == 0 && about.shm_perm.mode & SHM_LOCKED);
  /* Made by root, for whom it is. */
  EXPECT(about.shm_perm.uid == getuid() && about.shm_perm.cuid == 0);
  EXPECT(msgctl(small_queue, IPC_STAT, &queue) == 0 && queue.msg_qbytes == 1000);
  if (round < 3) return;
  EXPECT(shmdt(still_there) == 0 && shmctl(leaving, IPC_STAT, &about) == -1);
}

/* --- what the end of a process would undo --- */

static void make_undo(void) {
  int set;
  struct sembuf down = {0, -1, SEM_UNDO};
  EXPECT((set = semget(0x607, 1, IPC_CREAT | 0600)) >= 0 && semctl(set, 0, SETVAL, 1) == 0);
  EXPECT(semop(set, &down, 1) == 0);
}

static void check_nothing(int round) { (void)round; }

/* --- POSIX: shared memory by name, a named semaphore, one in shared memory --- */

static unsigned char *named_memory;
static sem_t *named, *unnamed;

static void make_posix(void) {
  int fd = shm_open("/godwit-kinds", O_CREAT | O_RDWR, 0600);
  EXPECT(fd >= 0 && ftruncate(fd, 1 << 20) == 0);
  EXPECT((named_memory = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)) != MAP_FAILED);
  close(fd);
  fill(named_memory, 1 << 20, 1);
  EXPECT((named = sem_open("/godwit-kinds-sem", O_CREAT, 0600, 3)) != SEM_FAILED);
  unnamed = mmap(NULL, sizeof *unnamed, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  EXPECT(sem_init(unnamed, 1, 0) == 0);
  pid_t poster = fork();
  if (poster == 0)
    for (;;) {
      while (sem_wait(unnamed)) EXPECT(errno == EINTR);
      sem_post(named);
      pause_ms(1);
    }
}

static void check_posix(int round) {
  int value;
  EXPECT(is_filled(named_memory, 1 << 20, round));
  fill(named_memory, 1 << 20, round + 1);
  EXPECT(sem_getvalue(named, &value) == 0 && value == 2 + round);
  EXPECT(sem_post(unnamed) == 0);
  for (double until = seconds_now() + 30; value < 3 + round && seconds_now() < until; pause_ms(1))
    sem_getvalue(named, &value);
  EXPECT(value == 3 + round);
}

/* --- a POSIX message queue --- */

static mqd_t queue;

static void make_mqueue(void) {
  struct mq_attr attributes = {.mq_maxmsg = 5, .mq_msgsize = 100};
  EXPECT((queue = mq_open("/godwit-kinds", O_CREAT | O_RDWR, 0600, &attributes)) >= 0);
  EXPECT(mq_send(queue, "letter", 7, 3) == 0);
}

static void check_mqueue(int round) {
  char text[100];
  unsigned int priority;
  (void)round;
  EXPECT(mq_receive(queue, text, sizeof text, &priority) == 7 && priority == 3 && !strcmp(text, "letter"));
  EXPECT(mq_send(queue, "letter", 7, 3) == 0);
}

int main(int argc, char **argv) {
  static const struct thing things[] = {
      {"pipes", make_pipes, check_pipes},    {"sockets", make_sockets, check_sockets},
      {"passed", make_passed, check_passed}, {"sysv", make_sysv, check_sysv},
      {"posix", make_posix, check_posix},    {"removed", make_removed, check_removed},
      {"-mqueue", make_mqueue, check_mqueue}, {"-undo", make_undo, check_nothing}, {0},
  };
  return rounds(argc, argv, things);
}
