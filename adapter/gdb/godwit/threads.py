"""The threads and their names. gdb's own list has the frame of each besides, for which it asks of each thread."""

import gdb
from .command import request


@request
def threads():
    return [
        {"id": thread.global_num, "name": thread.name or "Thread %d.%d" % thread.ptid[:2]}
        for inferior in gdb.inferiors()
        for thread in inferior.threads()
    ]
