/* What stands beside a job for a process that looks into it, with no more rights than the job's user. */
#ifndef BESIDE_H
#define BESIDE_H

/* Says why on standard error, and ends with 127. */
void exit_saying(const char *what) __attribute__((noreturn));
/* The environment becomes that of a program of this machine's, with the libraries that `--preload` names. */
void preload(char **argv);
/* What this process starts is in the PID namespace of the job whose PID 1 is `init`. */
void enter_pids(const char *init);
/* What is mounted from here on, by this process and what it starts, is for these alone. */
void own_mounts(void);
/*
 * In mounts of its own, a root of its own: the machine's programs and libraries for reading only, and the /proc of its PID namespace. `furnish`,
 * if any, may add to it: the folder that becomes the root is its current one.
 */
void make_root(void (*furnish)(char **argv), char **argv);
/* For reading only, all that is mounted there and below (Linux 5.12); an older kernel leaves it to the user's own rights. */
void seal(const char *place);

#endif
