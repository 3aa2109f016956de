"""The threads and their names. gdb's own list has the frame of each besides, for which it asks of each thread."""


@request
def threads():
    return [
        {"id": thread.global_num, "name": thread.name or "Thread %d.%d" % thread.ptid[:2]}
        for inferior in gdb.inferiors()
        for thread in inferior.threads()
    ]


class Selected:
    """Another thread is spoken of for a while."""

    def __init__(self, number):
        self.number = number

    def __enter__(self):
        self.before = gdb.selected_thread()
        self.switch(self.number)

    def __exit__(self, *_):
        if self.before is not None and self.before.is_valid():
            self.switch(self.before.global_num)

    def switch(self, number):
        now = gdb.selected_thread()
        if now is not None and now.global_num == number:
            return
        for inferior in gdb.inferiors():
            for thread in inferior.threads():
                if thread.global_num == number:
                    return thread.switch()
        raise gdb.GdbError("there is no thread %d" % number)
