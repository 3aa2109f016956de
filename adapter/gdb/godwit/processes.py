"""What becomes of a program's children."""

import gdb
from .command import request

# As agent/debug/stub/children.ts has it.
FOLLOW = "Qgodwit.children:1"


@request
def follow_children():
    """The stub keeps each child that gdb lets go, for a debugger of its own. False where it does not know how to."""
    return gdb.selected_inferior().connection.send_packet(FOLLOW) == b"OK"


@request
def ended_by():
    """The signal that ended the program that has left a core file."""
    try:
        return int(gdb.parse_and_eval("$_siginfo.si_signo"))
    except gdb.error:
        return None


_enabled = set()


@request
def forget_program():
    """gdb disables a breakpoint whose place is not there any more."""
    _enabled.update(point.number for point in gdb.breakpoints() if point.enabled)
    gdb.execute("file", to_string=True)


@request
def enable_again():
    for point in gdb.breakpoints():
        if point.number in _enabled:
            point.enabled = True
    _enabled.clear()
