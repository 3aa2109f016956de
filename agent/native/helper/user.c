/*
 * As whom a job's processes run: the numbers, limits and environment with which the helper is to start it. The
 * helper itself is root and uses nothing of that.
 */
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helper.h"

extern char **environ;

/* A user is in 65,536 groups at the most (NGROUPS_MAX, setgroups(2)). */
#define MOST_GROUPS 65536

static const struct {
  const char *name;
  int number;
} resources[] = {
    {"as", RLIMIT_AS},
    {"core", RLIMIT_CORE},
    {"cpu", RLIMIT_CPU},
    {"data", RLIMIT_DATA},
    {"fsize", RLIMIT_FSIZE},
    {"memlock", RLIMIT_MEMLOCK},
    {"msgqueue", RLIMIT_MSGQUEUE},
    {"nice", RLIMIT_NICE},
    {"nofile", RLIMIT_NOFILE},
    {"nproc", RLIMIT_NPROC},
    {"rss", RLIMIT_RSS},
    {"rtprio", RLIMIT_RTPRIO},
    {"rttime", RLIMIT_RTTIME},
    {"sigpending", RLIMIT_SIGPENDING},
    {"stack", RLIMIT_STACK},
};

static bool number_of(const char *text, unsigned long long *number, char **end) {
  errno = 0;
  *number = strtoull(text, end, 10);
  return *end != text && errno == 0;
}

/* What is there up to the end of `text` or its `until`; "unlimited" is a number too. */
static rlim_t bound_of(const char **text) {
  unsigned long long number;
  char *end;
  if (!strncmp(*text, "unlimited", 9)) {
    *text += 9;
    return RLIM_INFINITY;
  }
  if (!number_of(*text, &number, &end)) fail("limits");
  *text = end;
  return number;
}

/* `NAME=SOFT:HARD`. What this process may not go beyond, the job may not either. */
static void set_limit(const char *order) {
  for (size_t i = 0; i < sizeof resources / sizeof *resources; i++) {
    const size_t size = strlen(resources[i].name);
    struct rlimit own, wanted;
    if (strncmp(order, resources[i].name, size) || order[size] != '=') continue;
    const char *at = order + size + 1;
    wanted.rlim_cur = bound_of(&at);
    if (*at++ != ':') break;
    wanted.rlim_max = bound_of(&at);
    if (getrlimit(resources[i].number, &own)) fail("limits");
    if (wanted.rlim_max > own.rlim_max) wanted.rlim_max = own.rlim_max;
    if (wanted.rlim_cur > wanted.rlim_max) wanted.rlim_cur = wanted.rlim_max;
    if (setrlimit(resources[i].number, &wanted)) fail("limits");
    return;
  }
  errno = EINVAL;
  fail("limits");
}

void set_limits(char **argv) {
  const char *umask_order = option(argv, "--umask");
  for (char **at = argv; *at && strcmp(*at, "--"); at++)
    if (!strcmp(*at, "--rlimit") && at[1]) set_limit(*++at);
  if (umask_order) umask((mode_t)strtoul(umask_order, NULL, 8) & 0777);
}

bool number_of_id(const char *text, uid_t *id) {
  unsigned long long number;
  char *end;
  if (*text == '-' || !number_of(text, &number, &end) || *end || number >= UINT_MAX) return false;
  *id = (uid_t)number;
  return true;
}

static unsigned int id_of(const char *text) {
  uid_t id;
  if (number_of_id(text, &id)) return id;
  errno = EINVAL;
  fail("user");
}

static void set_groups(const char *text) {
  static gid_t groups[MOST_GROUPS];
  size_t count = 0;
  for (unsigned long long number; *text; count++) {
    char *end;
    if (count == MOST_GROUPS || !number_of(text, &number, &end) || (*end && *end != ',') || number >= UINT_MAX) {
      errno = EINVAL;
      fail("user");
    }
    groups[count] = (gid_t)number;
    text = *end ? end + 1 : end;
  }
  if (setgroups(count, groups)) fail("user");
}

bool is_for_root(char **argv) { return id_of(required(argv, "--uid")) == 0; }

void become_user(char **argv) {
  if (is_for_root(argv)) return;
  const uid_t uid = id_of(required(argv, "--uid"));
  const gid_t gid = id_of(required(argv, "--gid"));
  set_groups(required(argv, "--groups"));
  if (setresgid(gid, gid, gid) || setresuid(uid, uid, uid)) fail("user");
  /* No program gives it more, sudo neither: a restored job of a user's that could have more is refused (excess-rights.c). */
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) fail("user");
}

void take_environment(void) {
  static const char mark[] = "JOB:";
  char **to = environ;
  for (char **from = environ; *from; from++)
    if (!strncmp(*from, mark, sizeof mark - 1)) *to++ = *from + sizeof mark - 1;
  *to = NULL;
}
