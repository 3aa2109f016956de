/*
 * The network of a frozen job. While CRIU reads or makes its sockets one by one, the kernel would go on with what they
 * were doing. A byte that is taken by a socket that has been read already, and acknowledged to one that has not yet,
 * would be in neither image; one that is sent before its taker is there again would end the connection. So the job's
 * cgroup is blocked: no packet leaves or reaches a socket of it (BPF_PROG_TYPE_CGROUP_SKB). That concerns no other
 * process, as a firewall's rule might, and ends with the cgroup.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "helper.h"

static const enum bpf_attach_type ways[] = {BPF_CGROUP_INET_INGRESS, BPF_CGROUP_INET_EGRESS};
enum { WAYS = sizeof ways / sizeof *ways };

static int bpf(enum bpf_cmd command, union bpf_attr *attr) {
  return (int)syscall(SYS_bpf, command, attr, sizeof *attr);
}

static int load(const struct bpf_insn *program, unsigned count, enum bpf_attach_type way) {
  union bpf_attr attr = {
      .prog_type = BPF_PROG_TYPE_CGROUP_SKB,
      .insns = (uintptr_t)program,
      .insn_cnt = count,
      .license = (uintptr_t)"MIT",
      .expected_attach_type = way,
  };
  return bpf(BPF_PROG_LOAD, &attr);
}

/* Drops all packets but those that CRIU itself makes to restore half-closed connections: they have this mark. */
static int load_hold(enum bpf_attach_type way) {
  enum { CRIU_MARK = 0xC114, DROP = 0, PASS = 1 };
  const struct bpf_insn program[] = {
      {.code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = 2, .src_reg = 1, .off = offsetof(struct __sk_buff, mark)},
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = PASS},
      {.code = BPF_JMP | BPF_JEQ | BPF_K, .dst_reg = 2, .off = 1, .imm = CRIU_MARK},
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = DROP},
      {.code = BPF_JMP | BPF_EXIT},
  };
  return load(program, sizeof program / sizeof *program, way);
}

/* Takes the place of the one before, if there is one, and the program over. */
static int attach(int cgroup, int program, enum bpf_attach_type way) {
  if (program < 0) return -1;
  union bpf_attr attr = {.target_fd = (uint32_t)cgroup, .attach_bpf_fd = (uint32_t)program, .attach_type = way};
  int failed = bpf(BPF_PROG_ATTACH, &attr), error = errno;
  close(program);
  errno = error;
  return failed;
}

static int attach_hold(int cgroup) {
  for (int i = 0; i < WAYS; i++)
    if (attach(cgroup, load_hold(ways[i]), ways[i])) return -1;
  return 0;
}

static int detach_hold(int cgroup) {
  for (int i = 0; i < WAYS; i++) {
    union bpf_attr attr = {.target_fd = (uint32_t)cgroup, .attach_type = ways[i]};
    if (bpf(BPF_PROG_DETACH, &attr) && errno != ENOENT) return -1;
  }
  return 0;
}

static int number(int socket, int name) {
  int value = 0;
  socklen_t size = sizeof value;
  return getsockopt(socket, IPPROTO_TCP, name, &value, &size) ? 0 : value;
}

/*
 * A CRIU that was killed leaves a socket in repair mode, in which it neither sends nor takes anything. What was kept
 * from being sent would wait for a timer: TCP_NODELAY sends it now.
 */
static void wake(int socket) {
  const int without_probe = -1, on = 1, delays = number(socket, TCP_NODELAY);
  if (number(socket, TCP_REPAIR)) setsockopt(socket, IPPROTO_TCP, TCP_REPAIR, &without_probe, sizeof without_probe);
  setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &delays, sizeof delays);
}

/* In repair mode a connection is closed without a packet: the peer's is the other copy's. */
static void close_without_fin(int socket) {
  const int on = 1;
  setsockopt(socket, IPPROTO_TCP, TCP_REPAIR, &on, sizeof on);
}

static bool is_tcp(int socket) {
  int protocol = 0;
  socklen_t size = sizeof protocol;
  return !getsockopt(socket, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) && protocol == IPPROTO_TCP;
}

/* What is done to each socket. */
struct act {
  void (*on)(int socket);
};

/* A process that ends meanwhile has no sockets any more. */
static int each_of(int process, pid_t pid, void *what) {
  const struct act *act = what;
  char path[64], target[64];
  int failed = 0;
  snprintf(path, sizeof path, "/proc/%d/fd", pid);
  DIR *descriptors = opendir(path);
  if (!descriptors && errno != ENOENT) failed = errno;
  for (struct dirent *entry; descriptors && (entry = readdir(descriptors));) {
    ssize_t size = readlinkat(dirfd(descriptors), entry->d_name, target, sizeof target);
    if (size < 8 || strncmp(target, "socket:[", 8)) continue;
    const int socket = share_descriptor(process, atoi(entry->d_name));
    if (socket < 0) {
      if (errno != EBADF && errno != ESRCH) failed = errno;
      continue;
    }
    if (is_tcp(socket)) act->on(socket);
    close(socket);
  }
  if (descriptors) closedir(descriptors);
  return failed;
}

static int each_socket(const char *cgroup, void (*on)(int)) {
  struct act act = {on};
  return each_member(cgroup, each_of, &act);
}

static int with_folder(const char *cgroup, int (*act)(int)) {
  int folder = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return -1;
  int failed = act(folder), error = errno;
  close(folder);
  errno = error;
  return failed;
}

int hold_network(const char *cgroup) { return with_folder(cgroup, attach_hold); }

/* --- connections that are not accepted yet ------------------------------------------------------------------------ */

/*
 * The kernel has no way to put a connection into a listener's queue. So the job, while it still runs, takes those that
 * are there, and no more are let in: their peers try again a second later, by then at the other node.
 */
enum { SETTLE_MS = 2000, SETTLE_STEP_MS = 5 };

/* Of a BPF program: what is at `offset` of the packet, from its IP header on, onto the stack; where there is less, `pass` steps on. */
#define LOAD_OFFSET(size, pass)                                           \
  {.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 1, .src_reg = 6},      \
      {.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 3, .src_reg = 10}, \
      {.code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = 3, .imm = -STACK}, \
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 4, .imm = size},   \
      {.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_skb_load_bytes},       \
      {.code = BPF_JMP | BPF_JNE | BPF_K, .dst_reg = 0, .off = pass, .imm = 0}
#define BYTE(at) {.code = BPF_LDX | BPF_MEM | BPF_B, .dst_reg = 0, .src_reg = 10, .off = at - STACK}

/* Drops what asks for a new connection: TCP's SYN without ACK, over IPv4 or IPv6. */
static int load_closed_door(void) {
  enum { DROP = 0, PASS = 1, SYN = 2, ACK = 16, FLAGS_AT = 13, V4_PROTOCOL_AT = 9, V6_PROTOCOL_AT = 6, V6_SIZE = 40 };
  enum { STACK = 24, LEAST = 20 };
  const struct bpf_insn program[] = {
      {.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 6, .src_reg = 1},
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 2, .imm = 0},
      LOAD_OFFSET(LEAST, 24),
      /* 8: r7 becomes the size of the IP header, r0 the protocol in it. */
      BYTE(0),
      {.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 7, .src_reg = 0},
      {.code = BPF_ALU64 | BPF_RSH | BPF_K, .dst_reg = 0, .imm = 4},
      {.code = BPF_JMP | BPF_JEQ | BPF_K, .dst_reg = 0, .off = 4, .imm = 6},
      {.code = BPF_ALU64 | BPF_AND | BPF_K, .dst_reg = 7, .imm = 15},
      {.code = BPF_ALU64 | BPF_LSH | BPF_K, .dst_reg = 7, .imm = 2},
      BYTE(V4_PROTOCOL_AT),
      {.code = BPF_JMP | BPF_JA, .off = 2},
      /* 16: IPv6 */
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 7, .imm = V6_SIZE},
      BYTE(V6_PROTOCOL_AT),
      {.code = BPF_JMP | BPF_JNE | BPF_K, .dst_reg = 0, .off = 13, .imm = IPPROTO_TCP},
      {.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 2, .src_reg = 7},
      {.code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = 2, .imm = FLAGS_AT},
      LOAD_OFFSET(1, 5),
      /* 27 */
      BYTE(0),
      {.code = BPF_ALU64 | BPF_AND | BPF_K, .dst_reg = 0, .imm = SYN | ACK},
      {.code = BPF_JMP | BPF_JNE | BPF_K, .dst_reg = 0, .off = 2, .imm = SYN},
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = DROP},
      {.code = BPF_JMP | BPF_EXIT},
      /* 32 */
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = PASS},
      {.code = BPF_JMP | BPF_EXIT},
  };
  return load(program, sizeof program / sizeof *program, BPF_CGROUP_INET_INGRESS);
}

static int close_door(int cgroup) { return attach(cgroup, load_closed_door(), BPF_CGROUP_INET_INGRESS); }

static int listeners;
static unsigned waiting;

/* Of one that listens the kernel gives the queue's length in the field of what is not acknowledged (tcp(7), TCP_INFO). */
static void count_waiting(int socket) {
  struct tcp_info info = {0};
  socklen_t size = sizeof info;
  if (getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) || info.tcpi_state != TCP_LISTEN) return;
  listeners++;
  waiting += info.tcpi_unacked;
}

static int count_connections(const char *cgroup) {
  listeners = 0;
  waiting = 0;
  return each_socket(cgroup, count_waiting);
}

/* Prints how many connections are left that the job has not accepted. */
static int settle(const char *cgroup) {
  int failed = count_connections(cgroup);
  if (!failed && listeners > 0 && with_folder(cgroup, close_door)) return say_error("settle", errno);
  for (int waited = 0; !failed && listeners > 0; waited += SETTLE_STEP_MS) {
    failed = count_connections(cgroup);
    if (failed || !waiting || waited >= SETTLE_MS) break;
    usleep(SETTLE_STEP_MS * 1000);
  }
  if (failed) return say_error("sockets", failed);
  printf("%u\n", waiting);
  return 0;
}

int close_connections(const char *cgroup) { return each_socket(cgroup, close_without_fin); }

int sockets(char **argv) {
  const char *act = argv[0] ? argv[0] : "", *cgroup = act[0] ? argv[1] : NULL;
  const bool holds = !strcmp(act, "hold"), releases = !strcmp(act, "release");
  int failed = 0;
  if (cgroup && !strcmp(act, "settle")) return settle(cgroup);
  if (!cgroup || !(holds || releases)) return wrong_usage("sockets settle|hold|release CGROUP");
  if (holds && hold_network(cgroup)) return say_error("hold", errno);
  if (releases && with_folder(cgroup, detach_hold)) return errno == ENOENT ? 0 : say_error("release", errno);
  if (releases) failed = each_socket(cgroup, wake);
  return failed ? say_error("sockets", failed) : 0;
}
