"""
Where a step began, in case that it is interrupted. Counting the frames of a stack means to look at all of them: so the
frame itself is kept, and looked for from the top.
"""

# Frames that are looked at beyond the place where it would be: a signal's may be on another stack.
BEYOND = 100
step_frame = None
step_stack = 0


def stack_pointer(frame):
    return int(frame.read_register("sp").cast(gdb.lookup_type("unsigned long")))


@request
def remember_step(thread):
    global step_frame, step_stack
    with Selected(thread):
        step_frame = gdb.newest_frame()
        step_stack = stack_pointer(step_frame)


@request
def frames_above_step(thread):
    """How many frames are above the one that the step began in; 0 if that one has returned."""
    with Selected(thread):
        frame, above, beyond = gdb.newest_frame(), 0, 0
        while frame is not None and beyond < BEYOND:
            if frame == step_frame:
                return above
            beyond += stack_pointer(frame) > step_stack
            above += 1
            frame = frame.older()
        return 0
