/*
 * The mounts of a restored, frozen job. On other nodes than its home the mount of the home's files shows all of the home's,
 * so a job carries only those that it uses.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>

#include "helper.h"

static int mounts_of(const char *pid) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%.20s/ns/mnt", pid);
  return open(path, O_RDONLY | O_CLOEXEC);
}

/*
 * trim-mounts INIT PATH...: takes away those that nothing of the job has open, mapped or as its folder, and prints the
 * indices of those that stay. The kernel decides. Parents come before children, so the last is the first.
 */
int trim_mounts(char **argv) {
  int count = 0, space = argv[0] ? mounts_of(argv[0]) : -1;
  if (!argv[0]) return wrong_usage("trim-mounts INIT [PATH...]");
  if (space < 0 || setns(space, CLONE_NEWNS)) return say_error("mounts", errno);
  char **paths = argv + 1;
  while (paths[count]) count++;
  while (count-- > 0)
    if (umount2(paths[count], UMOUNT_NOFOLLOW) && errno == EBUSY) printf("%d\n", count);
  return 0;
}

/*
 * reachable --uid U --gid G --groups LIST -- PATH...: prints the indices of those to which this user can come. The kernel
 * decides; nothing of what is there is opened.
 */
int reachable(char **argv) {
  char **paths = after_dashes(argv);
  become_user(argv);
  for (int at = 0; paths[at]; at++) {
    const int place = open(paths[at], O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (place < 0) continue;
    printf("%d\n", at);
    close(place);
  }
  return 0;
}
