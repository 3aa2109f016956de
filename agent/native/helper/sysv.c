#include "sysv.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <unistd.h>

/* What semctl(2) and its like take and C libraries don't declare. */
union semun {
  int val;
  struct semid_ds *buf;
  unsigned short *array;
  struct seminfo *info;
};

/* A set has 32,000 semaphores at the most (SEMMSL's own bound, kernel/sem). */
#define MOST_SEMAPHORES 65536

int enter_ipc(const char *init) {
  char path[64];
  static char entered[32];
  if (!strcmp(entered, init)) return 0;
  snprintf(path, sizeof path, "/proc/%.20s/ns/ipc", init);
  const int space = open(path, O_RDONLY | O_CLOEXEC);
  if (space < 0) return -1;
  const int result = setns(space, CLONE_NEWIPC);
  close(space);
  if (result == 0) snprintf(entered, sizeof entered, "%s", init);
  return result;
}

bool has_semaphores(void) {
  struct seminfo info;
  return semctl(0, 0, SEM_INFO, (union semun){.info = &info}) >= 0 && info.semusz > 0;
}

static void add(struct traits *traits, const char *kind, int id, const char *about, const char *value) {
  char slot[64];
  snprintf(slot, sizeof slot, "%s%d%s%s", kind, id, *about ? " " : "", about);
  add_trait(traits, 0, 0, slot, "%s", value);
}

static const char *words_of(const struct ipc_perm *about, unsigned long size) {
  static char words[128];
  snprintf(words, sizeof words, "key %x mode %o of %u:%u size %lu", (unsigned)about->__key, about->mode & 0777u,
           about->uid, about->gid, size);
  return words;
}

static void read_segments(struct traits *traits) {
  struct shm_info info;
  struct shmid_ds one;
  const int last = shmctl(0, SHM_INFO, (void *)&info);
  for (int at = 0; at <= last; at++) {
    const int id = shmctl(at, SHM_STAT, &one);
    if (id < 0) continue;
    add(traits, SEGMENT, id, "", words_of(&one.shm_perm, one.shm_segsz));
    if (one.shm_perm.mode & SHM_DEST) add(traits, SEGMENT, id, REMOVED, "yes");
    if (one.shm_perm.mode & SHM_LOCKED) add(traits, SEGMENT, id, LOCKED, "yes");
  }
}

static void read_queues(struct traits *traits) {
  struct msginfo info;
  struct msqid_ds one;
  char value[64];
  const int last = msgctl(0, MSG_INFO, (void *)&info);
  for (int at = 0; at <= last; at++) {
    const int id = msgctl(at, MSG_STAT, &one);
    if (id < 0) continue;
    add(traits, QUEUE, id, "", words_of(&one.msg_perm, one.msg_qnum));
    snprintf(value, sizeof value, "%lu", (unsigned long)one.msg_qbytes);
    add(traits, QUEUE, id, ROOM, value);
    snprintf(value, sizeof value, "%lu", (unsigned long)one.__msg_cbytes);
    add(traits, QUEUE, id, "bytes", value);
  }
}

/* Of their values a sum that differs when one of them does (FNV-1a): a set may have thousands. */
static uint64_t sum_of(int id, size_t count) {
  static unsigned short values[MOST_SEMAPHORES];
  uint64_t sum = 0xcbf29ce484222325u;
  if (count > MOST_SEMAPHORES || semctl(id, 0, GETALL, (union semun){.array = values})) return 0;
  for (size_t i = 0; i < count; i++) sum = (sum ^ values[i]) * 0x100000001b3u;
  return sum;
}

static void read_semaphores(struct traits *traits) {
  struct seminfo info;
  struct semid_ds one;
  char value[64];
  const int last = semctl(0, 0, SEM_INFO, (union semun){.info = &info});
  for (int at = 0; at <= last; at++) {
    const int id = semctl(at, 0, SEM_STAT, (union semun){.buf = &one});
    if (id < 0) continue;
    add(traits, "semaphores ", id, "", words_of(&one.sem_perm, one.sem_nsems));
    snprintf(value, sizeof value, "%016lx", (unsigned long)sum_of(id, one.sem_nsems));
    add(traits, "semaphores ", id, "values", value);
  }
}

void read_sysv(const char *init, struct traits *traits) {
  if (enter_ipc(init)) return;
  read_segments(traits);
  read_queues(traits);
  read_semaphores(traits);
}

bool remove_segment(int id) { return shmctl(id, IPC_RMID, NULL) == 0; }

/* The namespace's own limit (kernel.msgmnb), beyond which only CAP_SYS_RESOURCE goes. */
static unsigned long most_room(void) {
  struct msginfo info;
  return msgctl(0, IPC_INFO, (void *)&info) < 0 || info.msgmnb < 0 ? 0 : (unsigned long)info.msgmnb;
}

bool set_room(int id, const char *bytes, bool is_users) {
  struct msqid_ds one;
  const unsigned long wanted = strtoul(bytes, NULL, 10);
  if (is_users && wanted > most_room()) {
    errno = EPERM;
    return false;
  }
  if (msgctl(id, IPC_STAT, &one)) return false;
  one.msg_qbytes = wanted;
  return msgctl(id, IPC_SET, &one) == 0;
}
