/*
 * What the helper starts beside a job for its debugger is fed by the job and by its debugger: it gets the job's own
 * user, and of root's powers at most one.
 */
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "helper.h"

static void give_up(const char *what) __attribute__((noreturn));
static void give_up(const char *what) {
  perror(what);
  _exit(127);
}

/* Without CAP_SETPCAP this can't be done, and need not: with no_new_privs no execve(2) gives anything. */
static void drop_bounding_set(int but) {
  for (int one = 0; prctl(PR_CAPBSET_READ, one, 0, 0, 0) >= 0; one++)
    if (one != but) prctl(PR_CAPBSET_DROP, one, 0, 0, 0);
}

static void keep_only(int capability) {
  struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct sets[2] = {0};
  if (capability >= 0) {
    const __u32 bit = 1u << capability % 32;
    sets[capability / 32] = (struct __user_cap_data_struct){.effective = bit, .permitted = bit, .inheritable = bit};
  }
  if (syscall(SYS_capset, &head, sets)) give_up("capset");
}

void confine(char **argv, int capability) {
  const struct rlimit none = {0};
  setrlimit(RLIMIT_CORE, &none);
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) give_up("no_new_privs");
  if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)) give_up("keepcaps");
  drop_bounding_set(capability);
  become_user(argv);
  keep_only(capability);
}

void hand_down(int capability) {
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0)) give_up("ambient capability");
}
