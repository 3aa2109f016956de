"""What processes are, seen from outside, as JSON: describe.py PID..., the job's PID 1 first. They must be frozen.

One object for each process, by its number inside the job: a field a line of it, each with a value that is a string, so
that two looks can be compared field by field. Nothing is named by what is a machine's own (numbers outside, inodes,
kernel addresses); what processes share is told by whom they share it with.
"""

import ctypes
import json
import os
import re
import struct
import subprocess
import sys

libc = ctypes.CDLL(None, use_errno=True)
SYS_IOPRIO_GET, SYS_KCMP, SYS_SCHED_GETATTR, SYS_PIDFD_OPEN, SYS_PIDFD_GETFD = 252, 312, 315, 434, 438
KCMP = {"memory": 1, "descriptors": 2, "file system": 3, "signal actions": 4}
KCMP_FILE = 0
# Options of sockets: (level, option, bytes), by their names.
OPTIONS = {
    "SO_TYPE": (1, 3, 4), "SO_PROTOCOL": (1, 38, 4), "SO_DOMAIN": (1, 39, 4), "SO_ACCEPTCONN": (1, 30, 4),
    "SO_REUSEADDR": (1, 2, 4), "SO_REUSEPORT": (1, 15, 4), "SO_KEEPALIVE": (1, 9, 4), "SO_BROADCAST": (1, 6, 4),
    "SO_SNDBUF": (1, 7, 4), "SO_RCVBUF": (1, 8, 4), "SO_PRIORITY": (1, 12, 4), "SO_RCVLOWAT": (1, 18, 4),
    "SO_PASSCRED": (1, 16, 4), "SO_LINGER": (1, 13, 8), "SO_RCVTIMEO": (1, 20, 16), "SO_SNDTIMEO": (1, 21, 16),
    "TCP_NODELAY": (6, 1, 4), "TCP_CORK": (6, 3, 4), "TCP_KEEPIDLE": (6, 4, 4), "TCP_KEEPINTVL": (6, 5, 4),
    "TCP_KEEPCNT": (6, 6, 4), "IP_TOS": (0, 1, 4), "IP_TTL": (0, 2, 4), "IPV6_V6ONLY": (41, 26, 4),
}
# What the job has pending to be read: SIOCINQ, and the same of a terminal.
FIONREAD = 0x541B


def read(path):
    try:
        with open(path, errors="replace") as file:
            return file.read()
    except OSError as error:
        return f"({error.strerror})"


def link(path):
    try:
        return os.readlink(path)
    except OSError as error:
        return f"({error.strerror})"


def status_of(where):
    return dict(line.split(":\t", 1) for line in read(f"{where}/status").splitlines() if ":\t" in line)


class Job:
    def __init__(self, pids):
        self.inside = {pid: status_of(f"/proc/{pid}")["NSpid"].split()[-1] for pid in pids}
        # In the same order on each node: what several share is called after the first.
        self.pids = sorted(pids, key=lambda pid: int(self.inside[pid]))

    def first_with(self, kind, pid, *fds):
        """The first of the job's processes that has the same of this kind as this one."""
        for other in self.pids:
            if libc.syscall(SYS_KCMP, other, pid, KCMP[kind], 0, 0) == 0:
                return self.inside[other]
        return self.inside[pid]


def scheduling(tid):
    space = ctypes.create_string_buffer(64)
    if libc.syscall(SYS_SCHED_GETATTR, tid, space, 56, 0):
        return "(none)"
    _, policy, flags, nice, priority = struct.unpack_from("IIQiI", space)
    return f"policy {policy} flags {flags & 1} nice {nice} priority {priority}"


STATUS = ["Name", "Umask", "Uid", "Gid", "FDSize", "Groups", "NStgid", "NSpid", "NSpgid", "NSsid", "SigPnd", "ShdPnd",
          "SigBlk", "SigIgn", "SigCgt", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp",
          "Seccomp_filters", "THP_enabled", "VmLck", "Threads", "CoreDumping"]
OF_THREADS = ["Name", "SigPnd", "SigBlk", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp",
              "Uid", "Gid", "Groups"]


def inner(name, value):
    """Of numbers in each namespace, the innermost is the job's."""
    return value.split()[-1] if name.startswith("NS") and value.split() else value


def describe_thread(job, pid, tid, fields):
    where = f"/proc/{pid}/task/{tid}"
    status = status_of(where)
    name = f"thread {status['NSpid'].split()[-1]}"
    for key in OF_THREADS:
        fields[f"{name}: {key}"] = inner(key, status.get(key, "(none)")).strip()
    fields[f"{name}: scheduling"] = scheduling(int(tid))
    fields[f"{name}: CPUs"] = str(sorted(os.sched_getaffinity(int(tid))))
    fields[f"{name}: I/O priority"] = str(libc.syscall(SYS_IOPRIO_GET, 1, int(tid)))
    for one in ("personality", "timerslack_ns"):
        fields[f"{name}: {one}"] = read(f"/proc/{tid}/{one}" if one == "timerslack_ns" else f"{where}/{one}").strip()


def mappings_of(pid):
    """Each with its span, what it may, its place in a file, the file's name, and its flags."""
    found = []
    for line in read(f"/proc/{pid}/smaps").splitlines():
        head = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) (\S+) \S+ \d+ *(.*)", line)
        if head:
            found.append([int(head[1], 16), int(head[2], 16), head[3], int(head[4], 16), head[5], ""])
        elif line.startswith("VmFlags:"):
            found[-1][5] = line.removeprefix("VmFlags:")
    return found


# Whether memory counts as promised, and whether writes are counted: neighbours may differ in no more.
NEIGHBOURS = re.compile(r" (ac|sd)\b")


def joined(mappings):
    """The kernel makes one mapping of neighbours that are alike, or does not, as it came to be."""
    found = []
    for start, end, may, place, name, flags in mappings:
        last = found[-1] if found else None
        if (last and last[1] == start and last[2] == may and last[4] == name and
                NEIGHBOURS.sub("", last[5]) == NEIGHBOURS.sub("", flags) and
                (not name.startswith("/") or last[3] + last[1] - last[0] == place)):
            last[1] = end
        else:
            found.append([start, end, may, place, name, flags])
    return found


def describe_memory(pid, fields):
    for start, end, may, place, name, flags in joined(mappings_of(pid)):
        at = f"mapping {start:x}-{end:x}"
        fields[at] = f"{may} {place:x} {name}"
        fields[f"{at}: flags"] = flags


def options(fd):
    found = {}
    for name, (level, option, size) in OPTIONS.items():
        value, length = ctypes.create_string_buffer(size), ctypes.c_uint32(size)
        if libc.getsockopt(fd, level, option, value, ctypes.byref(length)) == 0:
            found[name] = value.raw[: length.value].hex()
    return found


def waiting(fd):
    count = ctypes.c_int()
    return count.value if libc.ioctl(fd, FIONREAD, ctypes.byref(count)) == 0 else None


# Lines of fdinfo that tell of the machine: where a mount or a file is, and a process by its number outside.
MACHINES = re.compile(r"^(mnt_id|ino|Pid):.*\n|\b(ino|sdev|fhandle-bytes|fhandle-type|f_handle|pos):\S+ ?", re.M)


def describe_descriptor(job, pid, pidfd, fd, fields):
    name = f"descriptor {fd}"
    target = re.sub(r"(socket|pipe):\[\d+\]", r"\1", link(f"/proc/{pid}/fd/{fd}"))
    fields[name] = target
    info = read(f"/proc/{pid}/fdinfo/{fd}")
    flags = int(re.search(r"^flags:\s*(\S+)", info, re.M)[1], 8)
    fields[f"{name}: place"] = re.search(r"^pos:\s*(\S+)", info, re.M)[1]
    fields[f"{name}: flags"] = oct(flags & ~os.O_TMPFILE)
    fields[f"{name}: O_DIRECTORY"] = str(bool(flags & os.O_DIRECTORY))
    fields[f"{name}: O_TMPFILE"] = str(bool(flags & os.O_TMPFILE & ~os.O_DIRECTORY))
    rest = re.sub(r"^(pos|flags|lock):.*\n", "", info, flags=re.M)
    if not target.startswith(("anon_inode:[timerfd]", "anon_inode:[pidfd]")):
        fields[f"{name}: more"] = "\n".join(sorted(line.strip() for line in MACHINES.sub("", rest).strip().splitlines()))
    fields[f"{name}: locks"] = str(sorted(re.findall(r"^lock:\s*\d+: (\S+\s+\S+\s+\S+) \S+ \S+ (\S+ \S+)", info, re.M)))
    for other in job.pids:
        same = next((one for one in sorted(map(int, os.listdir(f"/proc/{other}/fd")))
                     if libc.syscall(SYS_KCMP, other, pid, KCMP_FILE, one, int(fd)) == 0), None)
        if same is not None:
            fields[f"{name}: is"] = f"{same} of process {job.inside[other]}"
            break
    taken = libc.syscall(SYS_PIDFD_GETFD, pidfd, int(fd), 0)
    if taken < 0:
        return
    if target == "socket":
        for option, value in options(taken).items():
            fields[f"{name}: {option}"] = value
    if target == "pipe" or target == "socket":
        fields[f"{name}: waiting"] = str(waiting(taken))
    os.close(taken)


def describe_process(job, pid, fields):
    where = f"/proc/{pid}"
    status = status_of(where)
    for key in STATUS:
        fields[key] = inner(key, status.get(key, "(none)")).strip()
    fields["parent"] = job.inside.get(int(status["PPid"]), "outside")
    for one in ("limits", "oom_score_adj", "coredump_filter", "cmdline", "environ", "auxv", "setgroups"):
        fields[one] = read(f"{where}/{one}")
    # A number outside is the machine's.
    fields["timers"] = re.sub(r"(notify: \S+?)\.\d+", r"\1", read(f"{where}/timers"))
    for one in ("exe", "cwd", "root"):
        fields[one] = link(f"{where}/{one}")
    for one in ("pid", "mnt", "ipc", "uts", "net", "user", "cgroup"):
        fields[f"namespace {one}"] = "the job's" if link(f"{where}/ns/{one}") == link(f"/proc/{job.pids[0]}/ns/{one}") else "its own"
    for kind in KCMP:
        fields[f"{kind} is that of"] = job.first_with(kind, pid)
    for tid in sorted(os.listdir(f"{where}/task"), key=int):
        describe_thread(job, pid, tid, fields)
    if status.get("VmSize") is None:
        return
    describe_memory(pid, fields)
    pidfd = libc.syscall(SYS_PIDFD_OPEN, pid, 0)
    for fd in sorted(os.listdir(f"{where}/fd"), key=int):
        describe_descriptor(job, pid, pidfd, fd, fields)
    os.close(pidfd)


def describe_ipc(init):
    """System V objects of the job, without the times and pids of the last operations."""
    script = "for one in shm sem msg; do cat /proc/sysvipc/$one; done"
    said = subprocess.run(["nsenter", "-t", str(init), "-i", "sh", "-c", script], capture_output=True, text=True).stdout
    found, names = {}, []
    for line in said.splitlines():
        words = line.split()
        if words[0] == "key":
            names = words
            continue
        kept = {name: word for name, word in zip(names, words)
                if not re.search(r"time$|pid$|^rss$|^swap$", name)}
        found[f"{'shm' if 'shmid' in kept else 'sem' if 'semid' in kept else 'msg'} {words[1]}"] = str(kept)
    return found


def main():
    job = Job([int(pid) for pid in sys.argv[1:]])
    found = {"job": describe_ipc(job.pids[0])}
    for pid in job.pids:
        fields = found[job.inside[pid]] = {}
        describe_process(job, pid, fields)
    json.dump(found, sys.stdout)


main()
