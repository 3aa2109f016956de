/*
 * Preloaded into gdbserver, which is large and is fed by the debugger and by the program: before its own code
 * runs it gives up what it has no use for. It runs no other program, talks to no socket and makes no namespace; no
 * process of its user may look into it, for it is in the job's PID namespace and outside of the job's root; and the
 * capability for which Yama has it ask (CAP_SYS_PTRACE) is gone before it reads its first packet: whom it traces then
 * are its tracees already, and theirs become so by themselves (Yama.rst, ptrace(2) "PTRACE_O_TRACECLONE").
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef __x86_64__
#define ARCHITECTURE AUDIT_ARCH_X86_64
#else
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif
/* The 64-bit calls of programs of 32 bits (x32) have this bit; arm64 has no such numbers. */
#define X32 0x40000000u
#define NAMESPACES \
  (CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP)

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define ANSWER(what) BPF_STMT(BPF_RET | BPF_K, what)
#define REFUSE(number, error) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1), ANSWER(SECCOMP_RET_ERRNO | (error))

static struct sock_filter rules[] = {
    LOAD(arch),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0),
    ANSWER(SECCOMP_RET_KILL_PROCESS),
    LOAD(nr),
    BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32, 0, 1),
    ANSWER(SECCOMP_RET_KILL_PROCESS),
    REFUSE(SYS_execve, EPERM),
    REFUSE(SYS_execveat, EPERM),
    REFUSE(SYS_socket, EPERM),
    REFUSE(SYS_io_uring_setup, EPERM),
    REFUSE(SYS_bpf, EPERM),
    REFUSE(SYS_perf_event_open, EPERM),
    REFUSE(SYS_userfaultfd, EPERM),
    REFUSE(SYS_unshare, EPERM),
    REFUSE(SYS_setns, EPERM),
    REFUSE(SYS_mount, EPERM),
    REFUSE(SYS_umount2, EPERM),
    REFUSE(SYS_pivot_root, EPERM),
    REFUSE(SYS_chroot, EPERM),
    REFUSE(SYS_open_by_handle_at, EPERM),
    REFUSE(SYS_pidfd_getfd, EPERM),
    REFUSE(SYS_add_key, EPERM),
    REFUSE(SYS_request_key, EPERM),
    REFUSE(SYS_keyctl, EPERM),
    /* Its flags are in memory, where no rule can see them; the C library then takes clone(2). */
    REFUSE(SYS_clone3, ENOSYS),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 3),
    LOAD(args[0]),
    BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, NAMESPACES, 0, 1),
    ANSWER(SECCOMP_RET_ERRNO | EPERM),
    ANSWER(SECCOMP_RET_ALLOW),
};

__attribute__((constructor)) static void give_up_what_it_has_no_use_for(void) {
  const struct sock_fprog program = {.len = sizeof rules / sizeof *rules, .filter = rules};
  /* What was preloaded is mapped, and these are its files. */
  syscall(SYS_close_range, STDERR_FILENO + 1, ~0u, 0);
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
      prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
    _exit(126);
}

/* A job of root's has root's gdbserver, which needs the capabilities to signal and read the job's other users. */
static void drop_capabilities(void) {
  struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
  const struct __user_cap_data_struct none[2] = {0};
  if (geteuid() == 0) return;
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  if (syscall(SYS_capset, &head, none)) _exit(126);
}

ssize_t read(int fd, void *bytes, size_t size) {
  static int dropped;
  if (fd == STDIN_FILENO && !dropped) {
    drop_capabilities();
    dropped = 1;
  }
  return syscall(SYS_read, fd, bytes, size);
}
