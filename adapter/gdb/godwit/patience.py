"""
A bound on the time that a printer may take. One that follows the pointers of something that is not made yet, or was
overwritten, may go round for ever, and gdb does nothing else meanwhile.
"""

import ctypes
import signal
import threading
import time
from contextlib import contextmanager
from . import giving_up

LOOK_EVERY_S = 0.25
# What is waited for costs no time of the processor: a busy machine, or a far one, makes nothing go round for ever.
WAITING = 5
# Looks without anything to watch after which the watcher ends.
IDLE_LOOKS = 40


class TooLong(BaseException):
    """No Exception: a printer might keep one to itself."""


_lock = threading.Lock()
_watched = {"thread": threading.get_ident(), "until": None, "watcher": None}


@contextmanager
def patience(seconds):
    """Raises TooLong within the block when so much of gdb's own time is used up, wherever in Python it is."""
    with _lock:
        _watched["until"] = (time.process_time() + seconds, time.monotonic() + WAITING * seconds)
        if _watched["watcher"] is None:
            watcher = threading.Thread(target=_watch, daemon=True)
            _watched["watcher"] = watcher
            # Signals are gdb's own thread's: a new thread has the mask of the one that starts it.
            before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            try:
                watcher.start()
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
    try:
        yield
    finally:
        with _lock:
            _watched["until"] = None
            _raise(None)
        giving_up.check()


def _watch():
    idle = 0
    while True:
        time.sleep(LOOK_EVERY_S)
        with _lock:
            until = _watched["until"]
            idle = idle + 1 if until is None else 0
            if idle > IDLE_LOOKS:
                _watched["watcher"] = None
                return
            if until is not None and _is_over(until):
                _watched["until"] = None
                _raise(TooLong)


def _is_over(until):
    used, passed = until
    return time.process_time() > used or time.monotonic() > passed


def _raise(what):
    argument = None if what is None else ctypes.py_object(what)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(_watched["thread"]), argument)
