/* What the helper's parts share. The reader of its output may end: the report file has the same. */
#ifndef HELPER_H
#define HELPER_H

#include <sys/stat.h>
#include <sys/types.h>

#include "../common/command.h"

/* Writes `text` into an existing file, as the kernel's control files want it: 0, or -1 with errno. */
int put(const char *folder, const char *file, const char *text);
/* Replaces a file durably: a reader sees the old text or the new. 0, or -1 with errno. */
int put_durably(const char *path, const char *text);
/* Puts a process ("0": this one) into each group that `--join` names: 0, or -1 with errno. */
int join_groups(char **argv, const char *pid);
/* Waits until the cgroup says that it is frozen, 5 s at most: 0, or -1 with ETIMEDOUT. */
int await_frozen(const char *cgroup);

/* Waits for the job's PID 1 while reaping whatever else ends here, then prints how it ended and writes it to `report`. */
int await_init(pid_t init, const char *report);

/* The descriptor of the socket between the job's first processes and `launch`: seqpacket, closed by a successful exec. */
#define LAUNCHER 3
struct stage_report {
  char stage[16]; /* "ready", or where it failed */
  int error;
};
void report_stage(int to, const char *stage, int error);
/* Reports to `launch` why the job can't be started (errno), and ends. */
void fail(const char *stage) __attribute__((noreturn));

int launch(char **argv);
int restore(char **argv);
int look(char **pids);
int inherit_socket(char **argv);
/* CRIU's action script, which `restore` gives it. */
int hold(const char *action);
/* In a new process of the new PID namespace: makes the job's root and becomes its `init`, as the job's user. */
void enter_root(char **argv) __attribute__((noreturn));
/* Takes from a restored, frozen job the mounts that it does not use. */
int trim_mounts(char **argv);
int reachable(char **argv);
/* This process gets what `--umask` and each `--rlimit NAME=SOFT:HARD` say. */
void set_limits(char **argv);
/* Does `--uid` name root? */
bool is_for_root(char **argv);
/* This process becomes `--uid`, `--gid`, `--groups`, for good; for `--uid 0` it stays what it is. */
void become_user(char **argv);
/* A user's or group's number; false for what is none, and for the one that means "unchanged" to the kernel. */
bool number_of_id(const char *text, uid_t *id);
/*
 * This process becomes who `--uid`, `--gid`, `--groups` say, or stays root, without a way back to more, and keeps one
 * capability, or none (-1).
 */
void confine(char **argv, int capability);
/* What this process executes has the capability too. */
void hand_down(int capability);
/* The processes beside a job for its debugger: gdbserver, and the one that reads the job's files. */
int serve_debugger(char **argv);
int read_files(char **argv);
/* Where the threads of a job's processes stand: what a reader of their stacks needs, and that reader. */
int take_stacks(char **argv);
/* The environment is replaced by the JOB:* variables, without their prefix. */
void take_environment(void);
/* The largest number of a process (PID_MAX_LIMIT of 64-bit kernels). */
#define PID_MOST (4 * 1024 * 1024)
/* The number in a text; -1 with ESRCH for what is no process's. */
pid_t pid_of(const char *text);
/* A descriptor of a process, or -1. */
int open_process(pid_t pid);
/* A descriptor of a process of the job that this leaf of a cgroup is of; -1 with ESRCH for any other. */
int open_member(const char *cgroup, pid_t pid);
/*
 * `act` on each process of the cgroup, which is held open meanwhile; one that ends before is passed over. 0, or the last
 * error.
 */
typedef int member_act(int process, pid_t pid, void *what);
int each_member(const char *cgroup, member_act *act, void *what);
/*
 * Does this machine have the file system mounted anywhere, as it was when this was asked first? `device` is
 * "MAJOR:MINOR". What a job has of others, it has mounted itself.
 */
bool is_mounted_here(const char *device);
/*
 * Takes the "(deleted)" off a name that /proc shows for a descriptor or a mapping of a process, if the process finds that
 * very file under the name.
 */
void keep_name(const char *pid, char *name, const struct stat *of);
bool is_alive(int process);
/* Descriptor `fd` of a process as one of this: the same open file, with no more rights than the process has to it. */
int share_descriptor(int process, int fd);
/* The same, for many in a row of a process that stays. */
int share_descriptor_of(pid_t pid, int fd);
/* Signals a process of a job. */
int signal_member(char **argv);
/* Types a frame into a job's terminal. */
int type_frame(char **argv);
/* Runs programs for an agent. */
int run_programs(char **argv);
/* Prints the resource limits of the process at the other end of a connection. */
int peer(char **argv);
/* Asks a bridge's neighbours for an address, or announces it to them. */
int arp(char **argv);
/* Blocks a job's packets, or unblocks them. */
int sockets(char **argv);
/* Ends the connections of a frozen copy without a packet to their peers: 0, or an error. */
int close_connections(const char *cgroup);
/* When a frozen copy ends, its mutexes are not marked as those of a dead owner: 0, or an error. */
int sever_mutexes(const char *cgroup);
/* Both, for a copy that is about to be killed as the job lives elsewhere. */
int sever(char **argv);
/* Blocks the packets of a cgroup's sockets in both directions: 0, or -1 with errno. */
int hold_network(const char *cgroup);
/* PID 1 keeps the file for the program's end open as this. */
#define STATUS (LAUNCHER + 1)
/* With a terminal, both of its ends too, and those of the pipe by which it is fed; see terminal.c. */
#define MASTER (STATUS + 1)
#define SLAVE (STATUS + 2)
#define FEED_END (STATUS + 3)
#define FEED (STATUS + 4)
/*
 * The socket at which the job's programs ask an agent, and where they find it: in the job's own /dev/shm, by a name that
 * a shell's pattern for all files leaves out.
 */
#define DOOR (STATUS + 5)
#define DOOR_PATH "/dev/shm/.godwit-agent"
/* PID 1 makes it; from outside it is served. */
void make_door(void);
int door(char **argv);
/* PID 1 makes the job's terminal, of the size that `--tty ROWSxCOLUMNS` says. */
void make_terminal(char **argv);
/* The program, which leads a session, gets it as its controlling terminal and standard streams. */
void take_terminal(void);
/* Carries what goes in and out until the program has ended; returns its status. */
int serve_terminal(pid_t program);
/* What is in the queues of a frozen job's terminals, into a file and back. */
int take_queues(char **argv);
int put_queues(char **argv);
/*
 * What would be lost of a message that waits in a Unix socket: `credentials` (SO_PASSCRED), the name of its `sender`, or
 * an `empty` one and those behind it; NULL where nothing is. Of a process that runs only the first is looked at.
 */
const char *lost_of(int fd, bool is_frozen);
int messages(char **argv);
/* Which inotify queues are not empty, and telling their readers that events were lost. */
int events(char **argv);
int overflow(char **argv);
/* Which readers of FIFOs see a hang-up. */
int fifos(char **argv);
/* What a job's processes hold is written down; is it the same after a restore, and no more than a user may have? */
int note(char **argv);
int recognise(char **argv);
/* This process needs no page of the file any more that it was executed from: 0, or -1 with errno. */
int own_pages(void);
/* PID 1 of a job. */
int init(char **argv);

#endif
