"""What becomes of a program's children."""

import gdb
from .command import request

# As agent/debug/stub/children.ts has it.
FOLLOW = "Qgodwit.children:1"


@request
def follow_children():
    """The stub keeps each child that gdb lets go, for a debugger of its own. False where it does not know how to."""
    return gdb.selected_inferior().connection.send_packet(FOLLOW) == b"OK"
