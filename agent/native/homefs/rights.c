#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "homefs.h"
#include "serve-parts.h"

/* NGROUPS_MAX of Linux (setgroups(2)). */
#define MAX_GROUPS 65536

static bool roots;

bool rights_are_roots(void) { return roots; }

/* Numbers with commas between them; how many, or -1 if that is not what it is, or too many. */
static int parse_groups(const char *text, gid_t groups[MAX_GROUPS]) {
  int count = 0;
  while (*text) {
    char *end;
    unsigned long group = strtoul(text, &end, 10);
    if (count == MAX_GROUPS || *text < '0' || *text > '9' || (*end && *end != ',') || group >= UINT32_MAX) return -1;
    groups[count++] = (gid_t)group;
    text = *end ? end + 1 : end;
  }
  return count;
}

int rights_take(char **argv) {
  uid_t user = number_option(argv, "--uid");
  gid_t group = number_option(argv, "--gid");
  static gid_t groups[MAX_GROUPS];
  roots = user == 0;
  if (roots) return 0;
  int count = parse_groups(required(argv, "--groups"), groups);
  if (count < 0) return EINVAL;
  /* The last of these takes all capabilities with it. */
  if (setgroups((size_t)count, groups) || setresgid(group, group, group) || setresuid(user, user, user)) return errno;
  /* The kernel does so of itself, except where an administrator has it dump what set its ids (suid_dumpable). */
  return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) ? errno : 0;
}

/* Raises or lowers one capability of this thread; it has it if it is root. */
static void set_capability(int capability, bool raised) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2];
  if (syscall(SYS_capget, &header, data)) return;
  uint32_t bit = 1U << (capability % 32);
  if (raised) data[capability / 32].effective |= bit;
  else data[capability / 32].effective &= ~bit;
  syscall(SYS_capset, &header, data);
}

/*
 * The raw system calls change this thread alone. Without fsuid 0 the thread has lost the right to pass permissions by,
 * which it needs where the host has granted it by a supplementary group, which is not in a request.
 */
void create_begin(const struct request *request, uint32_t mask, bool checked) {
  umask(mask & 0777);
  if (!roots) return;
  syscall(SYS_setfsgid, request->in->gid);
  syscall(SYS_setfsuid, request->in->uid);
  if (checked && request->in->uid != 0) set_capability(CAP_DAC_OVERRIDE, true);
}

void create_end(void) {
  int error = errno;
  if (roots) {
    syscall(SYS_setfsuid, 0);
    syscall(SYS_setfsgid, 0);
    /* Going back to fsuid 0 raises them all again; a fsuid that was 0 all the time lost none. */
  }
  umask(0);
  errno = error;
}

void privilege_begin(bool drop) {
  if (drop && roots) set_capability(CAP_FSETID, false);
}

void privilege_end(bool drop) {
  int error = errno;
  if (drop && roots) set_capability(CAP_FSETID, true);
  errno = error;
}
