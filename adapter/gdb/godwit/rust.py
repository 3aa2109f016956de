"""
Rust's own printers are with its compiler, not with gdb: they are looked for when a frame of Rust is seen. They are for
the library of their own version, so those of the compiler that made the program come first.
"""

import glob
import os
import re
import subprocess
import sys
import gdb

PLACES = (
    "/usr/lib/rustlib/etc",
    "/usr/lib/rust*/lib/rustlib/etc",
    "/usr/local/lib/rustlib/etc",
    "~/.rustup/toolchains/stable*/lib/rustlib/etc",
    "~/.rustup/toolchains/*/lib/rustlib/etc",
)
VERSION = re.compile(r"rustc (?:version )?(\d+\.\d+\.\d+)")
# Seconds for a compiler to say its version.
PATIENCE_S = 5
_seen = set()
_printers = []


def load_printers():
    if not _printers:
        _printers.append(found())
    lookup = _printers[0]
    if lookup is None:
        return
    for objfile in gdb.objfiles():
        if objfile.filename not in _seen:
            _seen.add(objfile.filename)
            lookup.register_printers(objfile)


def found():
    for folder in in_order(folders()):
        sys.path.append(folder)
        try:
            import gdb_lookup

            return gdb_lookup
        except Exception:
            sys.path.remove(folder)
    return None


def folders():
    places = [folder for place in PLACES for folder in sorted(glob.glob(os.path.expanduser(place)))]
    known = dict.fromkeys(os.path.realpath(folder) for folder in places)
    return [folder for folder in known if os.path.isfile(os.path.join(folder, "gdb_lookup.py"))]


def in_order(known):
    if len(known) < 2:
        return known
    made = VERSION.search(gdb.execute("info source", to_string=True))
    version = made and made.group(1)
    return sorted(known, key=lambda folder: version_of(folder) != version)


def version_of(folder):
    """Of the compiler that the printers are with: PREFIX/bin/rustc, PREFIX/lib/rustlib/etc."""
    compiler = os.path.normpath(os.path.join(folder, "../../../bin/rustc"))
    try:
        told = subprocess.run([compiler, "--version"], stdout=subprocess.PIPE, timeout=PATIENCE_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    made = VERSION.search(told.stdout.decode("utf-8", "replace"))
    return made and made.group(1)
