/*
 * What a user's job may have been restored with: an image itself has as whom it runs, and who wrote it may be
 * hostile. Here is what launch.c and init.c give such a job; what is beyond is printed, and the job must not run.
 */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "helper.h"
#include "identity.h"
#include "mountinfo.h"
#include "text.h"

/* Of a line of /proc/PID/status: as many groups as a user may be in (NGROUPS_MAX), each of ten digits. */
#define MOST_STATUS (1 << 20)

static bool is_users;

static bool refused_of(int inner, const char *what) {
  printf("power\t%d\t%s\n", inner, what);
  return false;
}

static bool refused(const char *pid, const char *what) { return refused_of(inner_of(pid), what); }

/* --- threads ------------------------------------------------------------------------------------------------------ */

static bool all_are(const char *numbers, unsigned long wanted) {
  char *end;
  for (int i = 0; i < 4; i++, numbers = end)
    if (strtoul(numbers, &end, 10) != wanted || end == numbers) return false;
  return true;
}

static bool is_among(unsigned long number, const char *list) {
  for (char *end; *list; list = *end ? end + 1 : end)
    if (strtoul(list, &end, 10) == number) return true;
  return false;
}

static bool are_among(const char *numbers, const char *list) {
  char *end;
  for (unsigned long number; number = strtoul(numbers, &end, 10), end != numbers; numbers = end)
    if (!is_among(number, list)) return false;
  return true;
}

/* What is wrong with one line of its status (proc_pid_status(5)); NULL if nothing is. */
static const char *wrong_in(const char *line, char **argv, bool is_init) {
  static const char *const none[] = {"CapInh:", "CapPrm:", "CapEff:", "CapAmb:"};
  const char *value = line + strcspn(line, ":") + 1;
  const char *gid = required(argv, "--gid");
  if (starts_with(line, "Uid:"))
    return all_are(value, strtoul(option(argv, "--uid"), NULL, 10)) ? NULL : "another user's ids";
  if (starts_with(line, "Gid:")) return all_are(value, strtoul(gid, NULL, 10)) ? NULL : "another group's ids";
  if (starts_with(line, "Groups:"))
    return are_among(value, required(argv, "--groups")) ? NULL : "groups that its user is not in";
  if (starts_with(line, "NoNewPrivs:")) return atoi(value) == 1 ? NULL : "no no_new_privs";
  /* PID 1 has no filter: only the program and its children do without some calls (filter.c). */
  if (starts_with(line, "Seccomp:") && !is_init) return atoi(value) ? NULL : "no seccomp filter";
  for (size_t i = 0; i < sizeof none / sizeof *none; i++)
    if (starts_with(line, none[i]) && strtoull(value, NULL, 16)) return "capabilities";
  return NULL;
}

static bool is_modest(const char *pid, const char *tid, char **argv, bool is_init) {
  static char line[MOST_STATUS];
  char path[96];
  const char *wrong = NULL;
  int lines = 0;
  snprintf(path, sizeof path, "/proc/%s/task/%.20s/status", pid, tid);
  FILE *status = fopen(path, "re");
  if (!status) return refused(pid, "a thread that can't be looked at");
  while (!wrong && fgets(line, sizeof line, status)) {
    lines++;
    wrong = wrong_in(line, argv, is_init);
  }
  fclose(status);
  if (!lines) return refused(pid, "a thread that can't be looked at");
  return !wrong || refused(pid, wrong);
}

static bool are_threads_modest(const char *pid, char **argv, bool is_init) {
  char path[64];
  bool modest = true;
  snprintf(path, sizeof path, "/proc/%s/task", pid);
  DIR *folder = opendir(path);
  if (!folder) return refused(pid, "threads that can't be looked at");
  for (struct dirent *one; modest && (one = readdir(folder));)
    if (one->d_name[0] != '.') modest = is_modest(pid, one->d_name, argv, is_init);
  closedir(folder);
  return modest;
}

/* --- namespaces --------------------------------------------------------------------------------------------------- */

static ino_t namespace_of(const char *pid, const char *name) {
  char path[64];
  struct stat status;
  snprintf(path, sizeof path, "/proc/%s/ns/%s", pid, name);
  return stat(path, &status) ? 0 : status.st_ino;
}

static ino_t given_network(char **argv) {
  struct stat status;
  const char *path = option(argv, "--network");
  if (!path) return namespace_of("self", "net");
  return stat(path, &status) ? 0 : status.st_ino;
}

static bool is_in_own_namespaces(const char *pid, const char *init, char **argv) {
  static const char *const own[] = {"pid", "mnt", "ipc", "uts"}, *const hosts[] = {"user", "cgroup"};
  for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
    const ino_t found = namespace_of(pid, own[i]);
    if (!found || found == namespace_of("self", own[i]) || found != namespace_of(init, own[i]))
      return refused(pid, "a namespace that is not the job's");
  }
  for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
    if (namespace_of(pid, hosts[i]) != namespace_of("self", hosts[i]))
      return refused(pid, "a namespace that is not its host's");
  const ino_t network = namespace_of(pid, "net");
  return (network && network == given_network(argv)) || refused(pid, "a network that is not the job's");
}

/* --- mounts ------------------------------------------------------------------------------------------------------- */

/* As root.c makes them. */
static const struct {
  const char *at, *type, *options[3];
} made[] = {
    {"/proc", "proc", {"nosuid", "nodev", "noexec"}},
    {"/dev/pts", "devpts", {"nosuid", "noexec"}},
    {"/dev/shm", "tmpfs", {"nosuid", "nodev"}},
};

static bool has_option(const char *options, const char *wanted) {
  const size_t size = strlen(wanted);
  for (const char *at = options; (at = strstr(at, wanted)); at += size)
    if ((at == options || at[-1] == ',') && (at[size] == ',' || at[size] == 0)) return true;
  return false;
}

static bool is_expected(const char *at, const char *type, const char *options, char **argv) {
  if (!strcmp(at, "/") || !strcmp(at, "/dev") || !strcmp(at, "/sys")) return true;
  for (size_t i = 0; i < sizeof made / sizeof *made; i++) {
    if (strcmp(at, made[i].at)) continue;
    for (int nth = 0; nth < 3 && made[i].options[nth]; nth++)
      if (!has_option(options, made[i].options[nth])) return false;
    return !strcmp(type, made[i].type);
  }
  const char *given;
  for (int nth = 0; (given = nth_option(argv, "--at", nth)); nth++)
    if (!strcmp(given, at)) return true;
  return false;
}

static bool is_mounted_as_made(const char *init, char **argv) {
  char path[64], *line = NULL;
  static char at[PATH_MAX], options[PATH_MAX], type[128];
  size_t room = 0;
  bool expected = true;
  struct stat root, given;
  snprintf(path, sizeof path, "/proc/%s/mountinfo", init);
  FILE *mounts = fopen(path, "re");
  if (!mounts) return refused(init, "mounts that can't be looked at");
  while (expected && getline(&line, &room, mounts) > 0) {
    const char *rest = strstr(line, " - ");
    expected =
        rest && sscanf(line, "%*d %*d %*s %*s %4095s %4095s", at, options) == 2 && sscanf(rest, " - %127s", type) == 1;
    decode_place(at);
    expected = expected && is_expected(at, type, options, argv);
  }
  free(line);
  fclose(mounts);
  if (!expected) return refused(init, "a mount that is not the job's");
  snprintf(path, sizeof path, "/proc/%s/root", init);
  if (stat(path, &root) || stat(required(argv, "--root"), &given) || root.st_ino != given.st_ino ||
      root.st_dev != given.st_dev)
    return refused(init, "a root that is not its home's");
  return true;
}

bool has_own_powers(char **argv, char **pids) {
  is_users = option(argv, "--uid") != NULL;
  if (!is_users) return true;
  for (char **pid = pids; *pid; pid++)
    if (!are_threads_modest(*pid, argv, pid == pids) || !is_in_own_namespaces(*pid, pids[0], argv)) return false;
  return is_mounted_as_made(pids[0], argv);
}

/* --- things ------------------------------------------------------------------------------------------------------- */

/* Devices that every machine has and anybody may use, by their numbers (admin-guide/devices.txt). */
static bool is_common(dev_t device) {
  const unsigned major = major(device), minor = minor(device);
  if (major == 1) return minor == 3 || minor == 5 || minor == 7 || minor == 8 || minor == 9;
  return (major == 5 && (minor == 0 || minor == 2)) || (major >= 136 && major <= 143);
}

static bool is_common_socket(const char *protocol) {
  static const char *const families[] = {"UNIX", "TCP", "UDP", "NETLINK", "PING"};
  for (size_t i = 0; i < sizeof families / sizeof *families; i++)
    if (starts_with(protocol, families[i])) return true;
  return false;
}

static bool is_common_object(const char *name) {
  static const char *const objects[] = {"[eventfd]",  "[eventpoll]", "[signalfd]", "[timerfd]",
                                        "[fanotify]", "[pidfd]",     "inotify"};
  for (size_t i = 0; i < sizeof objects / sizeof *objects; i++)
    if (!strcmp(name, objects[i])) return true;
  return false;
}

bool is_permitted(const struct reference *ref) {
  const char *wrong = NULL;
  if (!is_users) return true;
  const mode_t mode = ref->status.st_mode;
  if (starts_with(ref->name, "anon_inode:"))
    wrong = is_common_object(ref->name + strlen("anon_inode:")) ? NULL : ref->name;
  else if (S_ISSOCK(mode) && starts_with(ref->name, "socket:["))
    wrong = is_common_socket(ref->protocol) ? NULL : "a socket of a kind that its user may not make";
  else if (S_ISBLK(mode) || (S_ISCHR(mode) && !is_common(ref->status.st_rdev))) wrong = ref->name;
  return !wrong || refused_of(ref->inner, wrong);
}
