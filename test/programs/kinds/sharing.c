/* Processes that share what processes usually have for themselves (clone(2)), and threads that do not (unshare(2)). */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#include "rounds.h"

#define STACK (64 * 1024)

static int said[2], told[2];

static void wait_for_ever(void) {
  for (;;) pause();
}

static int stay(void *nothing) {
  (void)nothing;
  wait_for_ever();
  return 0;
}

/* What it has below this is its own. */
static pid_t cloned(int flags, int (*work)(void *)) {
  char *stack = malloc(STACK);
  EXPECT(stack);
  const pid_t pid = clone(work, stack + STACK, flags | SIGCHLD, NULL);
  EXPECT(pid > 0);
  return pid;
}

/* --- one set of descriptors, of a process and its child: what one opens the other has --- */

static void hear(char expected) {
  char byte;
  EXPECT(read(said[0], &byte, 1) == 1 && byte == expected);
}

/* At each word it opens a file, which is the lowest descriptor that is free. */
static int open_for_both(void *nothing) {
  char word;
  (void)nothing;
  while (read(told[0], &word, 1) == 1) {
    const char opened = (char)open("/dev/null", O_WRONLY);
    if (write(said[1], &opened, 1) != 1) _exit(1);
  }
  return 0;
}

static pid_t partner;
static void make_descriptors(void) {
  EXPECT(pipe(said) == 0 && pipe(told) == 0);
  partner = cloned(CLONE_FILES, open_for_both);
}

static void check_descriptors(int round) {
  const int next = dup(said[0]);
  EXPECT(next > 0 && close(next) == 0 && fcntl(next, F_GETFD) == -1);
  EXPECT(write(told[1], "?", 1) == 1);
  hear((char)next);
  EXPECT(fcntl(next, F_GETFL) >= 0 && close(next) == 0);
  if (round == 3) EXPECT(kill(partner, SIGKILL) == 0 && waitpid(partner, NULL, 0) == partner);
}

/* --- what CRIU can't bring back --- */

static void unchecked(int round) { (void)round; }

static void share_memory(void) { cloned(CLONE_VM, stay); }
static void share_places(void) { cloned(CLONE_FS, stay); }
static void share_handlers(void) { cloned(CLONE_VM | CLONE_SIGHAND, stay); }

/* Two have their descriptors from one that has ended. */
static int make_two(void *nothing) {
  (void)nothing;
  cloned(CLONE_FILES, stay);
  cloned(CLONE_FILES, stay);
  _exit(0);
}

static void share_among_orphans(void) {
  const pid_t pid = cloned(0, make_two);
  EXPECT(waitpid(pid, NULL, 0) == pid);
}

static void *leave(void *flags) {
  EXPECT(unshare((int)(long)flags) == 0);
  EXPECT(write(said[1], "", 1) == 1);
  wait_for_ever();
  return NULL;
}

static void leave_in_thread(long flags) {
  pthread_t thread;
  EXPECT(pipe(said) == 0 && pthread_create(&thread, NULL, leave, (void *)flags) == 0);
  hear(0);
}

static void leave_places(void) { leave_in_thread(CLONE_FS); }
static void leave_descriptors(void) { leave_in_thread(CLONE_FILES); }
static void leave_namespace(void) { leave_in_thread(CLONE_NEWUTS); }
static void leave_for_children(void) { leave_in_thread(CLONE_NEWPID); }

int main(int argc, char **argv) {
  static const struct thing things[] = {
      {"descriptors", make_descriptors, check_descriptors},
      {"-memory", share_memory, unchecked},
      {"-places", share_places, unchecked},
      {"-handlers", share_handlers, unchecked},
      {"-orphans", share_among_orphans, unchecked},
      {"-thread-places", leave_places, unchecked},
      {"-thread-descriptors", leave_descriptors, unchecked},
      {"-thread-namespace", leave_namespace, unchecked},
      {"-thread-children", leave_for_children, unchecked},
      {0},
  };
  return rounds(argc, argv, things);
}
