"""What is kept from one call to the next."""

import gdb

# Scopes have smaller numbers: the adapter gives those.
FIRST_REFERENCE = 1 << 20


class Stop:
    """One stop. What was handed out at another one is not answered for."""

    def __init__(self):
        self.number = -1
        # Goes on through all stops, so that no number ever means two things.
        self.next_reference = FIRST_REFERENCE
        # How often the program's state was written to: what was read before may be no longer so.
        self.writes = 0
        self.opened = {}
        self.stacks = {}
        self.scopes = {}

    def at(self, number):
        if number == self.number:
            return
        self.number = number
        self.forget()

    def forget(self):
        self.writes += 1
        self.opened.clear()
        self.stacks.clear()
        self.scopes.clear()

    def hand_out(self, variable):
        reference = self.next_reference
        self.next_reference += 1
        self.opened[reference] = variable
        return reference

    def written(self):
        self.writes += 1


class Step:
    """The step that was begun last."""

    def __init__(self):
        self.began(None, 0)

    def began(self, frame, stack):
        self.frame, self.stack = frame, stack


STOP = Stop()
STEP = Step()
# By a breakpoint's number, of those that stop at each so many hits: how many of them are passed by.
PASSED_BY = {}


def _written(_):
    STOP.written()


def _register_written(_):
    STOP.written()
    # Frames are found by what is in registers.
    STOP.stacks.clear()
    STOP.scopes.clear()


def _continued(_):
    """It may be stopped again before a client has learnt of it."""
    STOP.forget()


# By any command, a person's too. A function that an expression calls comes back to where the program was:
# it may have written, and all that was handed out is good still.
gdb.events.memory_changed.connect(_written)
gdb.events.register_changed.connect(_register_written)
gdb.events.inferior_call.connect(_written)
gdb.events.cont.connect(_continued)
