"""What the debug adapter asks of gdb, in one call each: `-godwit NAME JSON`, answered with JSON."""
import json

import gdb

requests = {}


def request(function):
    requests[function.__name__] = function
    return function


class Call(gdb.MICommand):
    def invoke(self, argv):
        arguments = json.loads(argv[1]) if len(argv) > 1 else {}
        return {"answer": json.dumps(requests[argv[0]](**arguments))}


Call("-godwit")
