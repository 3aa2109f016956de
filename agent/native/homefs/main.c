/*
 * The home's file system on the host of a job: FUSE, whose two sides are on two machines.
 *
 *   mount    on the host: the kernel's requests go to the wire, the answers back
 *   sync     on the host: has all that was written there written at home
 *   unmount  on the host: takes that away, whether or not the home answers
 *   serve    on the home: answers from its own files
 */
#include "homefs.h"

#include <signal.h>
#include <string.h>

const char program_name[] = "godwit-homefs";

int main(int argc, char **argv) {
  const char *verb = argc > 1 ? argv[1] : "";
  /* The keeper that reads the output may end; files are served on. */
  signal(SIGPIPE, SIG_IGN);
  if (!strcmp(verb, "mount")) return mount_home(argv + 2);
  if (!strcmp(verb, "sync")) return sync_home(argv + 2);
  if (!strcmp(verb, "unmount")) return unmount_home(argv + 2);
  if (!strcmp(verb, "serve")) return serve(argv + 2);
  return wrong_usage("mount | sync | unmount | serve");
}
