/*
 * The few system calls that Node lacks, as one static binary:
 *
 *   launch   makes a job's namespaces and root, starts its program, waits for its end
 *   restore  the same for a job that CRIU brings back; as CRIU's action script it leaves that job frozen
 *   arp      asks who has an address, or tells that a job has it here
 *   sockets  holds a frozen job's network still, and lets it go again
 *   plug     a program with a connection to a socket as its descriptor 3
 *   take-queues, put-queues
 *            what is on its way through a frozen job's terminal, into a file and back
 *   tgkill   a signal for one thread
 *   look     what processes hold that may not travel
 *   serve-debugger, read-files
 *            what a job's debugger needs beside the job, with no more rights than the job's user
 *   init     PID 1 of a job; started by `launch` only
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "helper.h"

const char program_name[] = "godwit-helper";

static int send_signal(char **argv) {
  if (!argv[0] || !argv[1] || !argv[2]) return wrong_usage("tgkill PID TID SIGNUM");
  if (syscall(SYS_tgkill, atoi(argv[0]), atoi(argv[1]), atoi(argv[2])) == 0) return 0;
  return say_error("tgkill", errno);
}

int main(int argc, char **argv) {
  const char *verb = argc > 1 ? argv[1] : "", *action = getenv("CRTOOLS_SCRIPT_ACTION");
  if (argc == 1 && action) return hold(action);
  if (!strcmp(verb, "launch")) return launch(argv + 2);
  if (!strcmp(verb, "init")) return init(argv + 2);
  if (!strcmp(verb, "restore")) return restore(argv + 2);
  if (!strcmp(verb, "arp")) return arp(argv + 2);
  if (!strcmp(verb, "sockets")) return sockets(argv + 2);
  if (!strcmp(verb, "plug")) return plug(argv + 2);
  if (!strcmp(verb, "look")) return look(argv + 2);
  if (!strcmp(verb, "take-queues")) return take_queues(argv + 2);
  if (!strcmp(verb, "put-queues")) return put_queues(argv + 2);
  if (!strcmp(verb, "serve-debugger")) return serve_debugger(argv + 2);
  if (!strcmp(verb, "read-files")) return read_files(argv + 2);
  if (!strcmp(verb, "tgkill")) return send_signal(argv + 2);
  return wrong_usage("launch | restore | arp | sockets | plug | take-queues | put-queues | look | "
                     "serve-debugger | read-files | tgkill");
}
