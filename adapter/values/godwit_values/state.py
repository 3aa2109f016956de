"""What lives from one stop of the program to the next."""
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


STOP = Stop()

# Whoever writes: a person's command, an expression, a function of the program's that an expression calls.
for event in (gdb.events.memory_changed, gdb.events.register_changed, gdb.events.inferior_call):
    event.connect(lambda _: STOP.written())
