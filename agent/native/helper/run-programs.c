/*
 * Runs programs for an agent. A process of Node is copied, page table by page table, for each that it starts itself, and
 * stands still meanwhile: ten milliseconds and more for an agent of a hundred megabytes. This one is small.
 *
 * On standard input come orders, on standard output go answers, each behind its length (the agent's end is
 * agent/machine/spawner.ts). All numbers are 32 bits of this machine's order. It ends with its input; what it has started
 * runs on then, as what an agent starts itself does.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "helper.h"

/* As much as execve(2) takes of arguments, and more. */
#define MOST_ORDERED (4 * 1024 * 1024)
#define MOST_READ 65536

enum { RUN = 1, KILL = 2 };
enum { OUTPUT = 1, COMPLAINT = 2, ENDED = 3, NOT_STARTED = 4 };

struct head {
  uint32_t id, kind;
};
/* Before its words, each with a NUL at its end. */
struct run_order {
  struct head head;
  uint32_t words;
};
struct kill_order {
  struct head head;
  int32_t signal;
};

struct program;
/* What epoll tells of. */
struct source {
  struct program *of;
  int fd;
  uint32_t kind;
};
struct program {
  uint32_t id;
  /* The two ends that it prints into, and itself (pidfd_open(2)). */
  struct source output, complaint, ended;
  bool has_ended, is_killed;
  int status;
  struct program *next;
};

static int watched = -1;
static struct program *programs;

static void write_all(const void *from, size_t size) {
  for (const char *at = from; size > 0;) {
    const ssize_t written = write(STDOUT_FILENO, at, size);
    if (written < 0 && errno == EINTR) continue;
    /* There is no agent any more. */
    if (written < 0) _exit(0);
    at += written;
    size -= (size_t)written;
  }
}

static void answer(uint32_t id, uint32_t kind, const void *data, size_t size) {
  const uint32_t frame[] = {(uint32_t)(sizeof(struct head) + size), id, kind};
  write_all(frame, sizeof frame);
  write_all(data, size);
}

static bool watch(struct source *source, struct program *of, int fd, uint32_t kind) {
  *source = (struct source){of, fd, kind};
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = source};
  return epoll_ctl(watched, EPOLL_CTL_ADD, fd, &event) == 0;
}

/* Closed alone, it would be told of for as long as a program that is just being started has it too (epoll(7)). */
static void forget(struct source *source) {
  if (source->fd < 0) return;
  epoll_ctl(watched, EPOLL_CTL_DEL, source->fd, NULL);
  close(source->fd);
  source->fd = -1;
}

/* Of one that is killed nothing more is waited for: what it has started may hold its output open. */
static void finish_if_done(struct program *program) {
  if (!program->has_ended) return;
  if (!program->is_killed && (program->output.fd >= 0 || program->complaint.fd >= 0)) return;
  const bool by_signal = WIFSIGNALED(program->status);
  const int32_t how[] = {by_signal ? 0 : WEXITSTATUS(program->status), by_signal ? WTERMSIG(program->status) : 0};
  answer(program->id, ENDED, how, sizeof how);
  forget(&program->output);
  forget(&program->complaint);
  for (struct program **at = &programs; *at; at = &(*at)->next)
    if (*at == program) {
      *at = program->next;
      break;
    }
  free(program);
}

static void take_printed(struct source *source) {
  static char data[MOST_READ];
  const ssize_t got = read(source->fd, data, sizeof data);
  if (got < 0 && errno == EINTR) return;
  if (got > 0) return answer(source->of->id, source->kind, data, (size_t)got);
  forget(source);
  finish_if_done(source->of);
}

static void take_end(struct program *program) {
  siginfo_t how;
  if (waitid(P_PIDFD, (id_t)program->ended.fd, &how, WEXITED) && errno == EINTR) return;
  program->status = how.si_code == CLD_EXITED ? how.si_status << 8 : how.si_status;
  program->has_ended = true;
  forget(&program->ended);
  finish_if_done(program);
}

/* With nothing to read, default signals and none blocked. 0, or an error. */
static int spawn_with(pid_t *pid, char **words, int output, int complaint) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, complaint, STDERR_FILENO);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  const int error = posix_spawnp(pid, words[0], &actions, &attributes, words, environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  return error;
}

/* 0, or an error: then it does not run. */
static int start(struct program *program, char **words) {
  int out[2] = {-1, -1}, complaint[2] = {-1, -1}, error = 0;
  pid_t pid;
  if (pipe2(out, O_CLOEXEC) || pipe2(complaint, O_CLOEXEC)) error = errno;
  else error = spawn_with(&pid, words, out[1], complaint[1]);
  if (out[1] >= 0) close(out[1]);
  if (complaint[1] >= 0) close(complaint[1]);
  program->output.fd = out[0];
  program->complaint.fd = complaint[0];
  if (error) return error;
  const int process = (int)syscall(SYS_pidfd_open, pid, 0);
  program->ended.fd = process;
  if (process >= 0 && watch(&program->output, program, out[0], OUTPUT) &&
      watch(&program->complaint, program, complaint[0], COMPLAINT) && watch(&program->ended, program, process, ENDED))
    return 0;
  error = errno;
  kill(pid, SIGKILL);
  waitpid(pid, NULL, 0);
  return error;
}

/* The words of an order, in its own memory; NULL for an order that is not whole. */
static char **read_words(const struct run_order *order, char *from, size_t size) {
  char **words = calloc((size_t)order->words + 1, sizeof *words), *at = from;
  for (uint32_t each = 0; words && each < order->words; each++) {
    char *end = memchr(at, 0, size - (size_t)(at - from));
    if (!end) {
      free(words);
      return NULL;
    }
    words[each] = at;
    at = end + 1;
  }
  return words;
}

/* 0, or an error that the agent is told. */
static int run(struct program *program, char *order, size_t size) {
  struct run_order said;
  if (size < sizeof said) return EBADMSG;
  memcpy(&said, order, sizeof said);
  if (said.words == 0 || said.words > size) return EBADMSG;
  char **words = read_words(&said, order + sizeof said, size - sizeof said);
  if (!words) return EBADMSG;
  const int error = start(program, words);
  free(words);
  return error;
}

static void run_or_say(uint32_t id, char *order, size_t size) {
  struct program *program = calloc(1, sizeof *program);
  if (!program) _exit(1);
  program->id = id;
  program->output.fd = program->complaint.fd = program->ended.fd = -1;
  const int32_t error = run(program, order, size);
  if (error) {
    answer(id, NOT_STARTED, &error, sizeof error);
    forget(&program->output);
    forget(&program->complaint);
    forget(&program->ended);
    free(program);
    return;
  }
  program->next = programs;
  programs = program;
}

/* One that has ended meanwhile is no error. */
static void kill_one(uint32_t id, int32_t signal) {
  for (struct program *each = programs; each; each = each->next)
    if (each->id == id) {
      each->is_killed = true;
      if (each->ended.fd >= 0) syscall(SYS_pidfd_send_signal, each->ended.fd, signal, NULL, 0);
      return finish_if_done(each);
    }
}

static void obey(char *order, size_t size) {
  struct head head;
  struct kill_order killing;
  if (size < sizeof head) _exit(2);
  memcpy(&head, order, sizeof head);
  if (head.kind == RUN) return run_or_say(head.id, order, size);
  if (head.kind != KILL || size != sizeof killing) _exit(2);
  memcpy(&killing, order, sizeof killing);
  kill_one(head.id, killing.signal);
}

/* Of a frame that is on its way; false at the end of the input. */
static bool take_orders(void) {
  static char *frame;
  static size_t held, room;
  uint32_t size = 0;
  if (held >= sizeof size) memcpy(&size, frame, sizeof size);
  if (size > MOST_ORDERED) _exit(2);
  const size_t wanted = sizeof size + size;
  if (wanted > room && !(frame = realloc(frame, room = wanted))) _exit(1);
  const ssize_t got = read(STDIN_FILENO, frame + held, wanted - held);
  if (got < 0 && errno == EINTR) return true;
  if (got <= 0) return false;
  held += (size_t)got;
  if (size > 0 && held == wanted) {
    obey(frame + sizeof size, size);
    held = 0;
  }
  return true;
}

int run_programs(char **argv) {
  (void)argv;
  signal(SIGPIPE, SIG_IGN);
  /* What its programs are not to have. */
  close_range(STDERR_FILENO + 1, ~0U, 0);
  watched = epoll_create1(EPOLL_CLOEXEC);
  struct source orders;
  if (watched < 0 || !watch(&orders, NULL, STDIN_FILENO, 0)) return say_error("epoll", errno);
  for (;;) {
    /* One at a time: a program may be done, and forgotten, with each. */
    struct epoll_event event;
    if (epoll_wait(watched, &event, 1, -1) < 0) {
      if (errno == EINTR) continue;
      return say_error("epoll", errno);
    }
    struct source *source = event.data.ptr;
    if (!source->of) {
      if (!take_orders()) return 0;
    } else if (source->kind == ENDED) take_end(source->of);
    else take_printed(source);
  }
}
