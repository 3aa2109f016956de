"""
A program in a mount namespace of its own, inside the job's: with a tmpfs, a folder of its own files bound elsewhere, and
a folder of another of its home's mounts (FOLDER/mounted) bound elsewhere. After each move it looks whether all is there,
by name and by what it has open. It goes on when FOLDER/go-N is there.
"""

import ctypes
import os
import sys
import time

FOLDER, ROUNDS = sys.argv[1], int(sys.argv[2])
CLONE_NEWNS, MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 0x20000, 1, 32, 4096, 16384, 1 << 18
libc = ctypes.CDLL(None, use_errno=True)


def mount(source, name, kind=None, flags=0):
    at = os.path.join(FOLDER, name)
    os.makedirs(at, exist_ok=True)
    if libc.mount(source.encode(), at.encode(), kind, flags, None):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), at)
    return at


before = open(os.path.join(FOLDER, "mounted", "deep", "file"))
if libc.unshare(CLONE_NEWNS) or libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None):
    raise OSError(ctypes.get_errno(), "unshare")
own = mount("none", "own", b"tmpfs")
with open(os.path.join(own, "file"), "w") as made:
    made.write("own")
bound = mount(os.path.join(FOLDER, "plain"), "bound", flags=MS_BIND)
mount("none", "bound", flags=MS_BIND | MS_REMOUNT | MS_RDONLY)
deep = mount(os.path.join(FOLDER, "mounted", "deep"), "deep", flags=MS_BIND)
names = [os.path.join(place, "file") for place in (own, bound, deep)] + [os.path.join(FOLDER, "mounted", "deep", "file")]
held = [open(name) for name in names] + [before]


def look():
    """What is not as it was; None if all is."""
    said = [open(name).read() for name in names]
    for file in held:
        file.seek(0)
    said += [file.read() for file in held]
    if said != ["own", "plain", "deep", "deep"] + ["own", "plain", "deep", "deep", "deep"]:
        return f"the files say {said}"
    if not os.path.samefile(names[2], names[3]):
        return "a bound folder shows other files"
    try:
        open(os.path.join(bound, "new"), "w")
        return "a mount that was read-only can be written to"
    except OSError:
        pass
    if os.path.exists(os.path.join("/proc/1/root", own.lstrip("/"), "file")):
        return "the job has the mount too"
    return None


def say(problem, words):
    print(f"not so: {problem}" if problem else words, flush=True)


say(look(), "ready")
for at in range(1, ROUNDS + 1):
    while not os.path.exists(os.path.join(FOLDER, f"go-{at}")):
        time.sleep(0.02)
    say(look(), f"round {at} ok")
print("done", flush=True)
sys.exit(7)
