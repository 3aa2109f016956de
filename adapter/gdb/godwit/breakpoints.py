"""Hit counts of all kinds, and log points: breakpoints that never stop, so that a step over one stays a step."""

import gdb
from . import bounds, evaluating, stacks, words
from .command import request
from .patience import TooLong, patience
from .state import PASSED_BY

# Around what is said: adapter/gdb/output-filter.ts knows it by them.
LOG_BEGIN, LOG_END = "\x02", "\x03"


def counts(hits, time):
    """Is the breakpoint's hit of this number one of those that are wanted?"""
    kind, count = hits["kind"], hits["count"]
    if kind == "each":
        return time % count == 0
    return {"at": time == count, "from": time >= count, "until": time <= count}[kind]


class LogPoint(gdb.Breakpoint):
    def prepare(self, parts, condition, hits):
        self.parts, self.only_if, self.wanted, self.time = parts, condition, hits, 0
        self.silent = True

    def value(self, expression):
        """As the editor shows it."""
        try:
            with patience(bounds.LINE_S):
                how = words.How(characters=bounds.BY_ITSELF)
                return evaluating.evaluate(expression, None, stacks.selected(), how).shape.text(False)
        except (Exception, TooLong) as problem:  # a printer's may be any
            return "<%s>" % words.problem(problem)

    def stop(self):
        try:
            if self.only_if and not gdb.parse_and_eval(self.only_if):
                return False
            # Of gdb's own count nothing is left when nothing stops.
            self.time += 1
            if self.wanted and not counts(self.wanted, self.time):
                return False
            text = "".join(self.value(part) if odd else part for part, odd in self.parts)
        except gdb.error as problem:
            text = "<%s: %s>" % (self.only_if, words.problem(problem))
        gdb.write(LOG_BEGIN + text + LOG_END + "\n")
        gdb.flush()
        return False


@request
def log_point(location, parts, condition=None, hits=None):
    point = LogPoint(location)
    point.prepare(parts, condition, hits)
    return point.number


def breakpoint_of(number):
    return next(point for point in gdb.breakpoints() if point.number == number)


@request
def log_anew(number):
    breakpoint_of(number).time = 0


@request
def stop_at_each(number, count):
    PASSED_BY[number] = count - 1
    breakpoint_of(number).ignore_count = count - 1


def count_anew(event):
    for point in getattr(event, "breakpoints", []):
        if point.number in PASSED_BY:
            point.ignore_count = PASSED_BY[point.number]


gdb.events.stop.connect(count_anew)


def files_of(point):
    if hasattr(point, "locations"):  # gdb 13 and newer
        return [location.fullname or "" for location in point.locations]
    try:
        return [place.symtab.filename for place in gdb.decode_line(point.location)[1] or () if place.symtab]
    except (gdb.error, TypeError):
        return []


def judge_here(point):
    """
    gdb has conditions judged by its server, next to the program. Those of Rust it translates wrongly (addresses of locals
    are cut to 32 bits), and such a breakpoint would never stop: gdb judges them itself.
    """
    if not point.condition or (point.number, point.condition) in _judged:
        return
    files = files_of(point)
    if any(file.endswith(".rs") for file in files):
        # It is for all breakpoints, and stays so.
        gdb.events.breakpoint_created.disconnect(judge_here)
        gdb.events.breakpoint_modified.disconnect(judge_here)
        gdb.execute("set breakpoint condition-evaluation host", to_string=True)
    elif files:
        # Each hit is a change of the breakpoint; it need not be looked at again.
        _judged.add((point.number, point.condition))


_judged = set()
gdb.events.breakpoint_created.connect(judge_here)
gdb.events.breakpoint_modified.connect(judge_here)
