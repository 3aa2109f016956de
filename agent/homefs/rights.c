#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "homefs.h"
#include "serve.h"

/* NGROUPS_MAX of Linux is larger; nobody is in more. */
#define MAX_GROUPS 1024

static bool roots;

bool rights_are_roots(void) { return roots; }

static int parse_groups(const char *text, gid_t groups[MAX_GROUPS]) {
  int count = 0;
  while (text && *text && count < MAX_GROUPS) {
    char *end;
    groups[count++] = strtoul(text, &end, 10);
    text = *end == ',' ? end + 1 : end;
    if (*end && *end != ',') return -1;
  }
  return count;
}

int rights_take(char **argv) {
  uid_t user = strtoul(required(argv, "--uid"), NULL, 10);
  gid_t group = strtoul(required(argv, "--gid"), NULL, 10);
  gid_t groups[MAX_GROUPS];
  roots = user == 0;
  if (roots) return 0;
  int count = parse_groups(option(argv, "--groups"), groups);
  if (count < 0) return EINVAL;
  /* The last of these takes all capabilities with it. */
  if (setgroups(count, groups) || setresgid(group, group, group) || setresuid(user, user, user)) return errno;
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? errno : 0;
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
 * which it needs where the host has granted it by a supplementary group, of which a request says nothing.
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
