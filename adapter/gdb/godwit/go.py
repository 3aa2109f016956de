"""
Go's own printers are with its compiler, not with gdb: they are looked for when a frame of Go is seen. Not where the
program says that they are, for a program may say anything.
"""

import contextlib
import glob
import io
import os
import gdb

PLACES = (
    "/usr/lib/go-*/src/runtime/runtime-gdb.py",
    "/usr/local/go/src/runtime/runtime-gdb.py",
    "~/sdk/go*/src/runtime/runtime-gdb.py",
)
_loaded = []


def load_printers():
    if _loaded:
        return
    _loaded.append(True)
    for place in PLACES:
        for script in sorted(glob.glob(os.path.expanduser(place)), reverse=True):
            # What it says of itself while it is loaded is of no use to a person.
            with contextlib.redirect_stderr(io.StringIO()), contextlib.suppress(gdb.error):
                gdb.execute("source %s" % script, to_string=True)
                return
