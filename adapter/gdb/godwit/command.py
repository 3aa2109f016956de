"""
`-godwit NAME JSON`: question and answer are JSON; an error is one line of text. What the program says is data in it,
and never more.
"""

import json
import gdb
from . import giving_up, words
from .patience import TooLong
from .state import STOP

_requests = {}


def request(function):
    """It can be asked for by its name."""
    _requests[function.__name__] = function
    return function


class Command(gdb.MICommand):
    def __init__(self):
        super().__init__("-godwit")

    def invoke(self, arguments):
        try:
            name, question = arguments[0], json.loads(arguments[1])
            stop, number = question.pop("stop"), question.pop("ask")
            STOP.at(stop)
            if name not in _requests:
                raise gdb.GdbError("there is no request %s" % name)
            with giving_up.possible(number):
                return {"answer": json.dumps(_requests[name](**question))}
        except (Exception, TooLong, giving_up.GivenUp) as error:
            raise gdb.GdbError(words.problem(error))
