"""What can follow of what was typed: a command of gdb's, or an expression."""

import re
import gdb
from . import bounds, scopes, stacks
from .command import request
from .stacks import at_of, standing

# A name that is no member's.
NAME = re.compile(r"^print .*?(?<![\w$.>:])([A-Za-z_]\w*)$")


@request
def complete(text, at=None):
    with standing(at_of(at)):
        # Those of the frame come first: gdb leaves out any of them where there are many.
        return list(dict.fromkeys(names_here(text) + by_gdb(text)))


def names_here(text):
    name, frame = NAME.match(text), stacks.selected()
    if name is None or frame is None:
        return []
    before = text[: name.start(1)]
    symbols = (symbol for block in scopes.blocks_of(frame) for symbol in block if scopes.is_shown(symbol))
    return [before + symbol.print_name for symbol in symbols if symbol.print_name.startswith(name.group(1))]


def by_gdb(text):
    # A call that says how many there may be: of `print` alone there would be each symbol of each library.
    before = gdb.parameter("max-completions")
    gdb.execute("set max-completions %d" % bounds.MOST_COMPLETIONS, to_string=True)
    try:
        found = gdb.execute("complete " + text, to_string=True)
    finally:
        limit = "unlimited" if before is None or before < 0 else before
        gdb.execute("set max-completions %s" % limit, to_string=True)
    return [line for line in found.split("\n") if line and "*** List may be truncated" not in line]
