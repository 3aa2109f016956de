"""What can follow of what was typed: a command of gdb's, or an expression."""

# More are no help to anybody who types.
MANY = 200


@request
def complete(text, thread=None, level=0):
    if thread is None:
        return complete_here(text)
    with Selected(thread):
        frame, before = gdb.newest_frame(), gdb.selected_frame()
        for _ in range(level):
            frame = frame.older() or frame
        frame.select()
        try:
            return complete_here(text)
        finally:
            before.select()


def complete_here(text):
    # A call that says how many there may be: of `print` alone there would be each symbol of each library.
    before = gdb.parameter("max-completions")
    gdb.execute("set max-completions %d" % MANY, to_string=True)
    try:
        found = gdb.execute("complete " + text, to_string=True)
    finally:
        limit = "unlimited" if before is None or before < 0 else before
        gdb.execute("set max-completions %s" % limit, to_string=True)
    return [line for line in found.split("\n") if line and "*** List may be truncated" not in line]
