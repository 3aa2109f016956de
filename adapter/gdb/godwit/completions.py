"""What can follow of what was typed: a command of gdb's, or an expression."""

import gdb
from . import bounds
from .command import request
from .stacks import at_of, standing


@request
def complete(text, at=None):
    with standing(at_of(at)):
        return complete_here(text)


def complete_here(text):
    # A call that says how many there may be: of `print` alone there would be each symbol of each library.
    before = gdb.parameter("max-completions")
    gdb.execute("set max-completions %d" % bounds.MOST_COMPLETIONS, to_string=True)
    try:
        found = gdb.execute("complete " + text, to_string=True)
    finally:
        limit = "unlimited" if before is None or before < 0 else before
        gdb.execute("set max-completions %s" % limit, to_string=True)
    return [line for line in found.split("\n") if line and "*** List may be truncated" not in line]
