/*
 * What a job's processes have that may not travel: printed for the preflight, one line each, fields apart by tabs.
 *
 *   n PID NAME              a namespace of its own, or for its children, other than that of the job's PID 1
 *   t PID TID TRACER        a thread that is traced
 *   d PID FD MODE LINKS SPACE MAGIC KIND NAME
 *                           a descriptor (FD `map`: a mapping of a device or of a deleted file): st_mode in octal, hard
 *                           links, bytes that it takes, its file system's magic number in hexadecimal, a socket's protocol, a
 *                           terminal's number or what else is of interest (`-` for nothing), and what /proc calls it
 *   x PID NAME              a program whose file has no execute permission any more
 *   q PID FD WHAT           a message that waits in a Unix socket, and what of it would be lost (messages.c)
 *   m PID NAME              a file or folder on a mount that its namespace has no longer
 *   v PID NAME              a file or folder over which something is mounted
 *   w PID FD WATCH INODE    a watch on a file whose name is not known (look-watches.c)
 *   h PID OTHER WHAT        two processes that share `memory`, `places` or `descriptors`
 *   l PID TID WHAT          a thread that has `places`, `descriptors` or a namespace that are not its process's
 *   g PID TID               a thread for which a SIGTRAP waits
 *   y PID TID POLICY        a thread with a scheduling policy of these (sched(7)) that CRIU does not know
 *   s PID TID               a thread with semaphore operations that its end would undo (SEM_UNDO, semop(2))
 *   c PID GROUP             a cgroup of a thread that is not the job's: a line of proc_pid_cgroup(5)
 *   f TYPE AT               a file system that the job has mounted itself, and that can't be saved
 *   u INODE PEER            a connected Unix socket, and the socket at its other end
 *   i INODE CLIENT          a Unix socket that listens, and one at the other end of a connection that waits to be
 *                           accepted: 0 where that has been closed
 *   o INODE BYTES           a connected Unix socket whose other end no process has, and what it has sent there
 *
 * stat(2) waits for the file system behind a descriptor: the caller sets this a deadline.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include "look-parts.h"

#include "helper.h"
#include "sysv.h"

int look(char **pids) {
  char path[64];
  bool has_unix_sockets = false;
  if (!pids[0]) return wrong_usage("look INIT [PID...]");
  learn_mounts(pids);
  for (char **pid = pids; *pid; pid++) {
    look_at_places(*pid);
    look_at_program(*pid);
    look_at_namespaces(*pid, pids[0]);
    look_at_threads(*pid, pids[0]);
    has_unix_sockets = look_at_descriptors(*pid);
    look_at_mappings(*pid);
  }
  /* PID 1 is Godwit's and uses none; CRIU may have made it an empty list. */
  if (enter_ipc(pids[0]) == 0 && has_semaphores())
    for (char **pid = pids + 1; *pid; pid++) look_at_undo(*pid);
  look_at_sharing(pids);
  if (!has_unix_sockets) return 0;
  snprintf(path, sizeof path, "/proc/%s/ns/net", pids[0]);
  int net = open(path, O_RDONLY | O_CLOEXEC);
  if (net >= 0 && setns(net, CLONE_NEWNET) == 0) look_at_unix_sockets();
  return 0;
}
