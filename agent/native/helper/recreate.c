/*
 * Recreates state that CRIU did not restore, in a restored, frozen job, by what was noted: from outside where the kernel
 * lets it, by calls inside its processes where not (inside.c). A peer may have written the notes: a process sets for
 * itself only what it may set, and what root sets for a user's job is judged here.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cpus.h"
#include "helper.h"
#include "inside.h"
#include "scheduling.h"
#include "sysv.h"
#include "traits.h"

/* Younger than some C libraries (include/uapi/linux/prctl.h). */
#ifndef PR_SET_MEMORY_MERGE
#define PR_SET_MEMORY_MERGE 67
#endif
#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#endif
#ifndef PR_THP_DISABLE_EXCEPT_ADVISED
#define PR_THP_DISABLE_EXCEPT_ADVISED 2
#endif

struct work {
  const struct place *place;
  /* The process that is being treated, as this node numbers it, and as the job does; -1 before the first. */
  pid_t pid;
  int process;
  bool is_inside;
  struct inside inside;
};

typedef bool remake(struct work *work, const struct trait *noted);

/* --- where -------------------------------------------------------------------------------------------------------- */

static void leave(struct work *work) {
  if (!work->is_inside) return;
  work->is_inside = false;
  /* It would be neither frozen nor whole: it ends with this process, which is its tracer. */
  if (leave_inside(&work->inside)) exit(say_error("leave", errno));
}

static void turn_to(struct work *work, int process) {
  if (work->process == process) return;
  leave(work);
  work->process = process;
  work->pid = -1;
  for (char **pid = work->place->pids; *pid && process > 0 && work->pid < 0; pid++)
    if (inner_of(*pid) == process) work->pid = atoi(*pid);
}

static pid_t thread_of(const struct work *work, const struct trait *noted) {
  return noted->thread ? thread_numbered(work->pid, noted->thread) : work->pid;
}

/* In a thread of its own, or in any of the process for what is the process's. */
static bool call(struct work *work, const struct trait *noted, long number, const long args[5], const void *data,
                 size_t size, int where) {
  if (work->pid < 0) {
    errno = ESRCH;
    return false;
  }
  if (!work->is_inside) {
    if (go_inside(&work->inside, work->pid, work->place->run, work->place->attach)) return false;
    work->is_inside = true;
  }
  const pid_t thread = noted->thread ? thread_of(work, noted) : work->inside.threads[0];
  return call_inside(&work->inside, thread, number, args, data, size, where) >= 0;
}

static bool call_prctl(struct work *work, const struct trait *noted, long what, long first, long second) {
  return call(work, noted, SYS_prctl, (const long[5]){what, first, second, 0, 0}, NULL, 0, 0);
}

static bool forbidden(void) {
  errno = EPERM;
  return false;
}

static bool write_number(pid_t pid, const char *file, const char *text) {
  char folder[64];
  snprintf(folder, sizeof folder, "/proc/%d", pid);
  return put(folder, file, text) == 0;
}

/* --- by calls of its own ------------------------------------------------------------------------------------------ */

/* It is tried by each descriptor that the file has; one that is open for it will do. */
static bool lock_again(struct work *work, const struct trait *noted) {
  int fd;
  char kind[16], type[16], start[24], end[24];
  if (sscanf(noted->slot, "lock %d %15s %15s %23s %23s", &fd, kind, type, start, end) != 5 || strcmp(kind, "POSIX")) {
    errno = ENOTSUP;
    return false;
  }
  const off_t from = strtoll(start, NULL, 10);
  const struct flock wish = {
      .l_type = strcmp(type, "WRITE") ? F_RDLCK : F_WRLCK,
      .l_whence = SEEK_SET,
      .l_start = from,
      .l_len = strcmp(end, "EOF") ? strtoll(end, NULL, 10) - from + 1 : 0,
  };
  return call(work, noted, SYS_fcntl, (const long[5]){fd, F_SETLK, 0}, &wish, sizeof wish, 2);
}

static bool personality_again(struct work *work, const struct trait *noted) {
  const long wanted = (long)strtoul(noted->value, NULL, 16);
  return call(work, noted, SYS_personality, (const long[5]){wanted}, NULL, 0, 0);
}

static bool failures_again(struct work *work, const struct trait *noted) {
  const long when = strcmp(noted->value, "early") ? PR_MCE_KILL_LATE : PR_MCE_KILL_EARLY;
  return call_prctl(work, noted, PR_MCE_KILL, PR_MCE_KILL_SET, when);
}

static bool flusher_again(struct work *work, const struct trait *noted) {
  return call_prctl(work, noted, PR_SET_IO_FLUSHER, 1, 0);
}

static bool merging_again(struct work *work, const struct trait *noted) {
  return call_prctl(work, noted, PR_SET_MEMORY_MERGE, 1, 0);
}

/*
 * With huge pages only where it advises them (kernel 6.18) it has them: CRIU, which sees that they are restricted, brings
 * it back without any.
 */
static bool huge_pages_again(struct work *work, const struct trait *noted) {
  return call_prctl(work, noted, PR_SET_THP_DISABLE, 1, strcmp(noted->value, "1") ? 0 : PR_THP_DISABLE_EXCEPT_ADVISED);
}

static long speculation_of(const struct trait *trait) {
  return is_slot(trait, "speculative store") ? PR_SPEC_STORE_BYPASS : PR_SPEC_INDIRECT_BRANCH;
}

static bool speculation_again(struct work *work, const struct trait *noted) {
  const long how = strcmp(noted->value, "off") ? PR_SPEC_FORCE_DISABLE : PR_SPEC_DISABLE;
  return call_prctl(work, noted, PR_SET_SPECULATION_CTRL, speculation_of(noted), how);
}

/* --- from outside ------------------------------------------------------------------------------------------------- */

static bool scheduling_again(struct work *work, const struct trait *noted) {
  if (work->place->is_users && !is_users_scheduling(noted->value)) return forbidden();
  return set_scheduling(thread_of(work, noted), noted->value);
}

static bool io_priority_again(struct work *work, const struct trait *noted) {
  if (work->place->is_users && !is_users_io_priority(noted->value)) return forbidden();
  return syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, thread_of(work, noted), atoi(noted->value)) == 0;
}

static bool cpus_again(struct work *work, const struct trait *noted) {
  return choose_cpus(thread_of(work, noted), noted->value);
}

static bool slack_again(struct work *work, const struct trait *noted) {
  return write_number(thread_of(work, noted), "timerslack_ns", noted->value);
}

/* The kernel reads it as it was written: printed in hexadecimal without a sign of that. */
static bool dump_filter_again(struct work *work, const struct trait *noted) {
  char text[32];
  snprintf(text, sizeof text, "0x%.20s", noted->value);
  return write_number(work->pid, "coredump_filter", text);
}

static int own_badness(void) {
  int own = 0;
  FILE *file = fopen("/proc/self/oom_score_adj", "re");
  if (!file) return 0;
  if (fscanf(file, "%d", &own) != 1) own = 0;
  fclose(file);
  return own;
}

static bool badness_again(struct work *work, const struct trait *noted) {
  if (work->place->is_users && atoi(noted->value) < own_badness()) return forbidden();
  return write_number(work->pid, "oom_score_adj", noted->value);
}

/* Of what is in the job's IPC namespace; memory is locked by PID 1, which is the job's user, with that one's limits. */
static bool segment_again(struct work *work, const struct trait *noted) {
  int id, size = 0;
  if (sscanf(noted->slot, SEGMENT "%d %n", &id, &size) != 1 || !size || enter_ipc(work->place->pids[0])) return false;
  if (!strcmp(noted->slot + size, REMOVED)) return remove_segment(id);
  if (strcmp(noted->slot + size, LOCKED)) return false;
  turn_to(work, 1);
  return call(work, &(struct trait){.process = 1}, SYS_shmctl, (const long[5]){id, SHM_LOCK}, NULL, 0, 0);
}

static bool queue_again(struct work *work, const struct trait *noted) {
  int id, size = 0;
  if (sscanf(noted->slot, QUEUE "%d %n", &id, &size) != 1 || !size || strcmp(noted->slot + size, ROOM)) return false;
  return enter_ipc(work->place->pids[0]) == 0 && set_room(id, noted->value, work->place->is_users);
}

/* Of a descriptor that a process of the job's own has. */
static bool socket_again(struct work *work, const struct trait *noted) {
  if (work->pid < 0 || noted->process == 1) return forbidden();
  return option_again(work->pid, noted->slot, noted->value, work->place->is_users);
}

static bool membership_again(struct work *work, const struct trait *noted) {
  if (work->pid < 0 || noted->process == 1) return forbidden();
  return join_again(work->pid, noted->slot, noted->value, work->place->is_users);
}

static bool inotify_again(struct work *work, const struct trait *noted) {
  if (work->pid < 0 || noted->process == 1) return forbidden();
  return watch_again(work->pid, noted->slot, noted->value);
}

/* --- all ---------------------------------------------------------------------------------------------------------- */

static const struct {
  const char *words;
  remake *remake;
} remakes[] = {
    {"lock ", lock_again},
    {"personality", personality_again},
    {"memory failures", failures_again},
    {"flusher of I/O", flusher_again},
    {"merging of memory", merging_again},
    {"THP_enabled", huge_pages_again},
    {"speculative ", speculation_again},
    {"scheduling", scheduling_again},
    {"I/O priority", io_priority_again},
    {"CPUs", cpus_again},
    {"timer slack", slack_again},
    {"core dump filter", dump_filter_again},
    {"oom_score_adj", badness_again},
    {SEGMENT, segment_again},
    {QUEUE, queue_again},
    {OPTION, socket_again},
    {GROUP, membership_again},
    {WATCH, inotify_again},
};

static int last_error;

static bool remake_one(const struct trait *noted, const struct trait *found, void *more) {
  struct work *work = more;
  /* CRIU sets some options to make a socket, and leaves them so. */
  const struct trait unset = {.process = found ? found->process : 0, .slot = found ? found->slot : NULL};
  if (!noted && !is_slot(found, OPTION)) return true;
  if (!noted) noted = &unset;
  turn_to(work, noted->process);
  for (size_t i = 0; i < sizeof remakes / sizeof *remakes; i++) {
    if (!is_slot(noted, remakes[i].words)) continue;
    errno = 0;
    if (!remakes[i].remake(work, noted)) last_error = errno;
    break;
  }
  return true;
}

int make_again(const struct place *place, const struct traits *noted, const struct traits *found) {
  struct work work = {.place = place, .pid = -1, .process = -1};
  last_error = 0;
  each_difference(noted, found, remake_one, &work);
  leave(&work);
  return last_error;
}

/* A machine that is not at risk, or that is protected as a whole, has nothing to be switched off. */
static bool is_safe_here(const struct trait *noted) {
  const int state = prctl(PR_GET_SPECULATION_CTRL, speculation_of(noted), 0, 0, 0);
  return state >= 0 && !(state & PR_SPEC_PRCTL) && !(state & PR_SPEC_ENABLE);
}

/* Of a connection that has ended it is the kernel's own, and may be more than a program can ask for (MAX_TCP_WINDOW). */
#define MOST_SEGMENT 32767

bool may_differ(const struct trait *noted, const struct trait *found) {
  if (noted && is_slot(noted, "CPUs")) return true;
  /* CRIU has made all; one whose file has been deleted has ended since, and has told so (IN_IGNORED, inotify(7)). */
  if (!found && is_slot(noted, WATCH)) return true;
  /* The kernel changes both by itself; a smaller window than a program may ask for is its own. */
  if (is_slot(noted ? noted : found, OPTION "TCP_QUICKACK ")) return true;
  if (!noted && is_slot(found, OPTION "TCP_WINDOW_CLAMP ")) return true;
  if (noted && is_slot(noted, OPTION "TCP_MAXSEG ") && atoi(noted->value) > MOST_SEGMENT) return true;
  return noted && !found && is_slot(noted, "speculative ") && is_safe_here(noted);
}

const char *beyond_rights(const struct trait *found) {
  if (is_slot(found, "scheduling") && !is_users_scheduling(found->value))
    return "a scheduling policy or priority that its user may not set";
  if (is_slot(found, "I/O priority") && !is_users_io_priority(found->value)) return "a real-time I/O priority";
  if (is_slot(found, "oom_score_adj") && atoi(found->value) < own_badness())
    return "more protection against the lack of memory than its user may have";
  return NULL;
}
