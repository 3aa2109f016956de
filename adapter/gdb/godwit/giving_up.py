"""
What a client does not want any more. It says so on a pipe of its own, for gdb reads no further command before it has
answered the one that it is at.
"""

import ctypes
import os
import signal
import threading
from contextlib import contextmanager
import gdb

# The adapter's end is in adapter/gdb/gdb.ts.
PIPE = 3


class GivenUp(BaseException):
    """No Exception: a printer might keep one to itself."""


class _Questions:
    def __init__(self):
        self.lock = threading.Lock()
        self.main = threading.get_ident()
        # They are asked in the order of their numbers, and may be given up before they are begun.
        self.at, self.begun, self.unwanted = None, 0, set()
        self.calls = False

    def give_up(self, number):
        with self.lock:
            if number > self.begun:
                self.unwanted.add(number)
            if number != self.at:
                return
            self.unwanted.add(number)
            self.throw(ctypes.py_object(GivenUp))
            # A function of the program's runs: Python waits for it. Only then is the signal gdb's to stop it with.
            if self.calls:
                os.kill(os.getpid(), signal.SIGINT)

    def throw(self, what):
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self.main), what)


_questions = _Questions()


@contextmanager
def possible(number):
    """Raises GivenUp within the block, or at its beginning, when the question of that number is given up."""
    with _questions.lock:
        _questions.at, _questions.begun = number, number
    try:
        check()
        yield
    finally:
        with _questions.lock:
            _questions.at = None
            _questions.unwanted = {other for other in _questions.unwanted if other > number}
            _questions.throw(None)


def check():
    """Where what was thrown may have been taken back with something else."""
    if _questions.at in _questions.unwanted:
        raise GivenUp("it was given up")


def _called(event):
    _questions.calls = isinstance(event, gdb.InferiorCallPreEvent)


def _listen():
    with os.fdopen(PIPE) as pipe:
        for line in pipe:
            _questions.give_up(int(line))


def begin():
    try:
        os.set_inheritable(PIPE, False)
    except OSError:
        return  # gdb was not started by the adapter.
    gdb.events.inferior_call.connect(_called)
    # Signals are gdb's own thread's: a new thread has the mask of the one that starts it.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        threading.Thread(target=_listen, daemon=True).start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


begin()
