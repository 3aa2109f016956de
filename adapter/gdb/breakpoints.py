"""Hit counts of all kinds, and log points: breakpoints that never stop, so that a step over one stays a step."""

LOG_BEGIN, LOG_END = "\x02", "\x03"


def counts(hits, time):
    """Is the breakpoint's hit of this number one of those that are wanted?"""
    kind, count = hits["kind"], hits["count"]
    if kind == "each":
        return time % count == 0
    return {"at": time == count, "from": time >= count, "until": time <= count}[kind]


def shown(value):
    """A value as the editor shows it: of an array of characters the text in it."""
    before = gdb.parameter("print null-stop")
    gdb.execute("set print null-stop on", to_string=True)
    try:
        return value.format_string()
    finally:
        gdb.execute("set print null-stop %s" % ("on" if before else "off"), to_string=True)


class LogPoint(gdb.Breakpoint):
    def prepare(self, parts, condition, hits):
        self.parts, self.only_if, self.wanted, self.time = parts, condition, hits, 0
        self.silent = True

    def value(self, expression):
        try:
            return shown(gdb.parse_and_eval(expression))
        except (gdb.error, ValueError) as problem:
            return "<%s>" % problem

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
            text = "<%s: %s>" % (self.only_if, problem)
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


# By number, of those that stop at each so many hits: how many of them are passed by.
passed_by = {}


@request
def stop_at_each(number, count):
    passed_by[number] = count - 1
    breakpoint_of(number).ignore_count = count - 1


def count_anew(event):
    for point in getattr(event, "breakpoints", []):
        if point.number in passed_by:
            point.ignore_count = passed_by[point.number]


gdb.events.stop.connect(count_anew)
