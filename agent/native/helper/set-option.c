/*
 * An option of a job's socket is set by this process: for a user's job without any of root's rights, so that the kernel
 * decides what its user may set.
 */
#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "helper.h"
#include "traits.h"

static bool give_up_rights(struct __user_cap_data_struct own[2]) {
  struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
  if (syscall(SYS_capget, &head, own)) return false;
  struct __user_cap_data_struct none[2] = {own[0], own[1]};
  none[0].effective = none[1].effective = 0;
  return syscall(SYS_capset, &head, none) == 0;
}

static void take_rights(struct __user_cap_data_struct own[2]) {
  struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
  if (syscall(SYS_capset, &head, own)) exit(say_error("rights", errno));
}

bool set_option(int fd, int level, int number, const void *value, size_t size, bool is_users) {
  struct __user_cap_data_struct own[2];
  if (is_users && !give_up_rights(own)) return false;
  const int result = setsockopt(fd, level, number, value, (socklen_t)size), error = errno;
  if (is_users) take_rights(own);
  errno = error;
  return result == 0;
}
