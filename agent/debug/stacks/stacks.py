"""
Run by gdb, beside a job: reads the cores in /cores and says where their threads stand, a line of JSON each stack, with
the threads that have it. SECONDS is the time that it has; what it does not come to in that time it says, too.
"""

import json
import os
import struct
import time

import gdb

CORES = "/cores/"
JOB = "/job"
# Frames of a thread that are looked at, innermost first; one that stands for the rest has the name MORE.
MOST_FRAMES = 256
MORE = "…"
MAX_TEXT = 500
# Files that a process has mapped and that are programs or libraries.
MOST_FILES = 2048
# Bytes of the head of one, in which its parts are listed.
HEAD = 64
MOST_PARTS = 256
PT_LOAD = 1
# Where machines have programs and libraries that are no user's own.
SYSTEMS = ("/usr/lib", "/lib", "/usr/local/lib", "/nix/store", "/gnu/store")
# Beyond it there is only what calls every program's.
OUTERMOST = "main"

# gdb's own words are for its standard error.
out = os.fdopen(os.dup(1), "w", encoding="ascii")
os.dup2(2, 1)
until = time.monotonic() + SECONDS  # noqa: F821 (defined by the command that starts this)


def say(**what):
    out.write(json.dumps(what) + "\n")


def bounded(text):
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


DELETED = " (deleted)"


class Mapped:
    """A file that a process has mapped, by all of its mappings."""

    def __init__(self, path, inode):
        self.path = path
        self.inode = inode
        self.ranges = []
        # Where each mapping begins: its address, its offset in the file.
        self.at = []
        # It has lost its name, which may be another file's by now.
        self.deleted = path.endswith(DELETED)

    def holds(self, pc):
        return any(start <= pc < end for start, end in self.ranges)

    def offset_of(self, pc):
        for (start, end), (_, offset) in zip(self.ranges, self.at):
            if start <= pc < end:
                return pc - start + offset
        return 0


def mappings(pid):
    """Of files, by their paths as the kernel has them, in which no link is left; and where there is code of no file."""
    files, code = {}, []
    with open("%s%d.maps" % (CORES, pid), encoding="utf-8", errors="surrogateescape") as maps:
        for line in maps:
            fields = [*line.rstrip("\n").split(" ", 5), ""]
            if len(fields) < 6:
                continue
            span, rights, offset, _device, inode, path = fields[:6]
            path = path.lstrip(" ")
            start, end = (int(one, 16) for one in span.split("-"))
            if not path.startswith("/") or inode == "0":
                if "x" in rights and len(code) < MOST_FILES:
                    code.append((start, end))
                continue
            if path not in files and len(files) >= MOST_FILES:
                continue
            mapped = files.setdefault(path, Mapped(path, int(inode)))
            mapped.ranges.append((start, end))
            mapped.at.append((start, int(offset, 16)))
    return list(files.values()), code


def file_of(pid, mapped):
    """Where this very file can be read; None where it can't."""
    if mapped.deleted:
        copy = "%s%d.%d" % (CORES, pid, mapped.inode)
        return copy if os.path.exists(copy) else None
    path = JOB + mapped.path
    try:
        return path if os.stat(path).st_ino == mapped.inode else None
    except OSError:
        return None


def bias_of(path, mapped):
    """What is added to the addresses in the file; None where it is no program or library of 64 bits."""
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD)
            if len(head) < HEAD or head[:6] != b"\x7fELF\x02\x01":
                return None
            (table,) = struct.unpack_from("<Q", head, 32)
            size, count = struct.unpack_from("<HH", head, 54)
            if size != 56:
                return None
            file.seek(table)
            parts = file.read(size * min(count, MOST_PARTS))
    except OSError:
        return None
    for at in range(0, len(parts) - size + 1, size):
        kind, _flags, offset, address = struct.unpack_from("<IIQQ", parts, at)
        if kind != PT_LOAD:
            continue
        for start, begins in mapped.at:
            if begins == offset & ~0xFFF:
                return start - (address & ~0xFFF)
    return None


def quoted(text):
    return '"%s"' % text.replace("\\", "\\\\").replace('"', '\\"')


class Code:
    """What of a process's addresses is code, and whose."""

    def __init__(self, pid):
        gdb.execute("core-file %s%d" % (CORES, pid), to_string=True)
        files, self.nameless = mappings(pid)
        self.files = [(mapped, load(pid, mapped)) for mapped in files]

    def of(self, pc):
        """The mapped file that an address is in, and its bias; `(None, None)` in none."""
        for mapped, bias in self.files:
            if mapped.holds(pc):
                return mapped, bias
        return None, None

    def has(self, pc):
        return self.of(pc)[0] is not None or any(start <= pc < end for start, end in self.nameless)


def load(pid, mapped):
    """Has gdb read its symbols; the bias, None where that can't be told."""
    path = file_of(pid, mapped)
    bias = None if path is None else bias_of(path, mapped)
    if bias is not None and bias >= 0 and path.isprintable():
        try:
            gdb.execute("add-symbol-file %s -o %#x" % (quoted(path), bias), to_string=True)
        except (gdb.error, UnicodeError):
            pass
    return bias


def nameless(pc, mapped, bias):
    """The same for all processes, wherever they have the file: an address in it, or without that its place."""
    if mapped is None:
        return "??"
    base = os.path.basename(mapped.path).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return "%s+%#x" % (base, mapped.offset_of(pc) if bias is None else pc - bias)


def told(frame, code):
    """`(function, file, line, own)`: own is what is of the program, and of no library of the machine's."""
    pc = frame.pc()
    mapped, bias = code.of(pc)
    place = frame.find_sal()
    file = line = None
    if place.symtab is not None and place.symtab.is_valid():
        file = bounded(place.symtab.fullname())
        line = place.line or None
    own = mapped is not None and not mapped.path.startswith(SYSTEMS)
    return (bounded(frame.name() or nameless(pc, mapped, bias)), file, line, own)


def stack_of(code):
    """Of the selected thread, the innermost frame first."""
    frames = []
    frame = gdb.newest_frame()
    while frame is not None:
        if len(frames) == MOST_FRAMES:
            frames.append((MORE, None, None, False))
            break
        frames.append(told(frame, code))
        if frame.name() == OUTERMOST:
            break
        try:
            frame = frame.older()
        except gdb.error:
            break
        # Without debug information gdb guesses, and a wrong guess leads anywhere.
        if frame is not None and not code.has(frame.pc()):
            break
    return tuple(frames)


def read(pid, stacks):
    code = Code(pid)
    for thread in sorted(gdb.selected_inferior().threads(), key=lambda one: one.ptid[1]):
        if time.monotonic() > until:
            return False
        thread.switch()
        try:
            stack = stack_of(code)
        except (gdb.error, RuntimeError, UnicodeError) as error:
            stack = ((bounded("?? (%s)" % error), None, None, False),)
        stacks.setdefault(stack, []).append((pid, thread.ptid[1]))
    return True


def main():
    for setting in (
        "confirm off",
        "pagination off",
        "width 0",
        "backtrace limit unlimited",
        "python print-stack none",
        "debug-file-directory %s/usr/lib/debug" % JOB,
    ):
        gdb.execute("set " + setting, to_string=True)
    stacks, late = {}, False
    pids = sorted(int(name) for name in os.listdir(CORES) if name.isdigit())
    for index, pid in enumerate(pids):
        if index > 0:
            gdb.execute("add-inferior -no-connection", to_string=True)
            gdb.execute("inferior %d" % (index + 1), to_string=True)
        try:
            late = not read(pid, stacks)
            if late:
                break
        except (gdb.error, OSError, ValueError) as error:
            say(process=pid, problem=bounded(str(error)))
    for stack, threads in stacks.items():
        say(stack=stack, threads=threads)
    say(done=True, late=late)
    out.flush()


main()
