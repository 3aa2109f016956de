"""
Where a step began, in case that it is interrupted. Counting the frames of a stack means to look at all of them: so the
frame itself is kept, and looked for from the top.
"""

import gdb
from . import bounds
from .command import request
from .stacks import standing
from .state import STEP


def stack_pointer(frame):
    return int(frame.read_register("sp").cast(gdb.lookup_type("unsigned long")))


@request
def remember_step(thread):
    with standing((thread, 0)) as frame:
        STEP.began(frame, stack_pointer(frame))


@request
def frames_above_step(thread):
    """How many frames are above the one that the step began in; 0 if that one has returned."""
    with standing((thread, 0)) as frame:
        above, beyond = 0, 0
        while frame is not None and beyond < bounds.BEYOND:
            if frame == STEP.frame:
                return above
            beyond += stack_pointer(frame) > STEP.stack
            above += 1
            frame = frame.older()
        return 0
