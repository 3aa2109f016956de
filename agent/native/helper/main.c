/*
 * The few system calls that Node lacks, as one static binary:
 *
 *   launch   makes a job's namespaces and root, starts its program, waits for its end
 *   restore  the same for a job that CRIU brings back; as CRIU's action script it leaves that job frozen
 *   arp      asks who has an address, or announces that a job has it here
 *   sockets  holds a frozen job's network still, and lets it go again
 *   sever    what a copy that is no longer the job must not do as it ends
 *   inherit-socket
 *            a program with a connection to a socket as its descriptor 3
 *   type     types into a job's terminal
 *   door     carries what a job's programs ask an agent out of the job
 *   take-queues, put-queues
 *            what is on its way through a frozen job's terminals, into a file and back
 *   fifos    which readers of FIFOs see that a writer has gone
 *   messages what CRIU would lose of messages that wait in sockets
 *   events, overflow
 *            which inotify queues are not empty; these programs get the event that events were lost
 *   trim-mounts
 *            takes from a restored, frozen job the mounts that it does not use
 *   run-programs
 *            runs programs for an agent, which is slow at starting them
 *   peer     the resource limits of the process that asks for a job
 *   signal   a signal for a process of a job
 *   look     what processes hold that may not travel
 *   note, recognise
 *            what processes hold and what the kernel keeps of them, written down before a dump, and compared after a
 *            restore, where what is missing is made again
 *   serve-debugger, read-files
 *            what a job's debugger needs beside the job, with no more rights than the job's user
 *   take-stacks
 *            where a job's threads stand, read from outside with the rights of the job's user
 *   init     PID 1 of a job; started by `launch` only
 */
#include <stdlib.h>
#include <string.h>

#include "helper.h"

const char program_name[] = "godwit-helper";

static const struct {
  const char *verb;
  int (*work)(char **argv);
} verbs[] = {
    {"launch", launch},
    {"init", init},
    {"restore", restore},
    {"arp", arp},
    {"sockets", sockets},
    {"sever", sever},
    {"inherit-socket", inherit_socket},
    {"type", type_frame},
    {"door", door},
    {"take-queues", take_queues},
    {"put-queues", put_queues},
    {"fifos", fifos},
    {"messages", messages},
    {"events", events},
    {"overflow", overflow},
    {"trim-mounts", trim_mounts},
    {"reachable", reachable},
    {"peer", peer},
    {"run-programs", run_programs},
    {"signal", signal_member},
    {"look", look},
    {"note", note},
    {"recognise", recognise},
    {"serve-debugger", serve_debugger},
    {"read-files", read_files},
    {"take-stacks", take_stacks},
};

int main(int argc, char **argv) {
  const char *verb = argc > 1 ? argv[1] : "", *action = getenv("CRTOOLS_SCRIPT_ACTION");
  if (argc == 1 && action) return hold(action);
  for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
    if (!strcmp(verb, verbs[i].verb)) return verbs[i].work(argv + 2);
  return wrong_usage("its verbs are in agent/native/helper/main.c");
}
