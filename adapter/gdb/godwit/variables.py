"""What an editor shows on a line, and opens."""

import gdb
from . import bounds, shapes, words
from .patience import TooLong, patience
from .state import STOP


class Variable:
    """A value by its name. `get` reads it; what was read is good until something is written."""

    def __init__(self, part, at, language, how=None, parent=None):
        self.name, self.expression, self.field = part.name, part.expression, part.field
        self.kind, self.attributes, self.bits, self.unsaid = part.kind, part.attributes, part.bits, part.unsaid
        self.at, self.language, self.parent = at, language, parent
        self.how = part.how or how or words.How()
        self._get = part.get
        self._read_at = None
        self.handed = {}
        self._reference = None

    def read(self):
        """Raises gdb.error."""
        if self._read_at != STOP.writes:
            value = self._get() if self._read_at is None else self.again()
            self._value = value if isinstance(value, gdb.Value) else gdb.Value(value)
            self._shape = None
            self._read_at = STOP.writes
        return self._value

    @property
    def address(self):
        """Of a value that it has for itself: none for bit fields and for what is in registers."""
        return shapes.followed(self.value).address if self.bits is None else None

    def again(self):
        """As it is after something was written."""
        address = self._value.address if self.bits is None else None
        if address is not None:
            return address.dereference()
        if self.parent is not None and self.field is not None:
            return self.parent.shape.whole[self.field]
        return self._get()

    @property
    def value(self):
        return self.read()

    @property
    def shape(self):
        value = self.read()
        if self._shape is None:
            self._shape = shapes.shape_of(value, self.how, self.expression, self.language)
        return self._shape

    def told(self, strict=False):
        """As the contract has it. Strict: what can't be read is an error, not a text."""
        told = {"name": self.name}
        try:
            with patience(bounds.LINE_S):
                value = self.value
                told["type"] = words.type_name(value.type)
                self.tell_value(told, value)
        except (Exception, TooLong) as error:  # a printer's may be any
            if strict:
                raise
            told.update({"value": "<%s>" % words.problem(error), "failed": True})
        if self.expression is not None and not self.unsaid and len(self.expression) <= bounds.IN_LIST:
            told["expression"] = self.expression
        if self.kind:
            told["kind"] = self.kind
        if self.attributes:
            told["attributes"] = list(self.attributes)
        return told

    def tell_value(self, told, value):
        shape = self.shape
        told["value"] = shape.text(False)
        if shape.indexed is None or shape.indexed or shape.named:
            if self._reference is None or self._reference not in STOP.opened:
                self._reference = STOP.hand_out(self)
            told["reference"] = self._reference
            if shape.indexed:
                told["indexed"] = shape.indexed
                told["named"] = shape.named
            elif shape.indexed == 0:
                told["named"] = shape.named
        memory = memory_of(value) if self.bits is None else None
        if memory is not None:
            told["memory"] = "%#x" % memory

    def children(self, start=0, count=None, only=None):
        shape = self.shape
        lines = []
        if only != "indexed":
            named = list(self.made(part) for part in limited(shape.by_name(), bounds.MOST_NAMED))
            if only == "named":
                named = named[start : start + count] if count else named[start:]
            lines += named
        if only != "named":
            limit = bounds.MOST_LINES if shape.indexed is not None else bounds.MOST_WALKED
            wanted = min(count or limit, bounds.MOST_LINES)
            first = start if only == "indexed" or count else 0
            parts = list(shape.parts(first, wanted))
            indexed = [self.made(part) for part in parts]
            if not count and len(parts) == wanted and shape.has_more(first + wanted):
                indexed.append(Rest(self, first + wanted))
            # What it is made of comes after what it holds.
            lines = indexed + lines
        return lines

    def made(self, part):
        child = Variable(part, self.at, self.language, self.how.cooked(self.how.raw and part.name != "[raw]"), self)
        if len(self.handed) < 20 * bounds.MOST_LINES:
            self.handed[part.name] = child
        return child

    def named_child(self, name):
        if name not in self.handed:
            self.children()
        if name not in self.handed and name.startswith("[") and name[1:-1].isdigit():
            self.children(int(name[1:-1]), 1, "indexed")
        if name not in self.handed:
            raise gdb.GdbError("it has no part %s" % words.bounded(name, 100))
        return self.handed[name]


class Rest:
    """What is left of something that has too many parts to be shown at once."""

    def __init__(self, whole, start):
        self.whole, self.start, self.at = whole, start, whole.at
        self.kind, self.name = "virtual", "[%d…]" % start

    def told(self, strict=False):
        return {"name": self.name, "value": "more", "reference": STOP.hand_out(self), "kind": "virtual"}

    def children(self, start=0, count=None, only=None):
        shape = self.whole.shape
        wanted = bounds.MOST_LINES if shape.indexed is not None else bounds.MOST_WALKED
        lines = [self.whole.made(part) for part in shape.parts(self.start, wanted)]
        if len(lines) == wanted and shape.has_more(self.start + wanted):
            lines.append(Rest(self.whole, self.start + wanted))
        return lines

    def named_child(self, name):
        return self.whole.named_child(name)


def limited(parts, limit):
    for index, part in enumerate(parts):
        if index >= limit:
            return
        yield part


def memory_of(value):
    """Where an editor of memory should look: what a pointer points to, else where the value is."""
    value = shapes.followed(value)
    if value.type.strip_typedefs().code == gdb.TYPE_CODE_PTR:
        return int(value) & (2**64 - 1) or None
    address = value.address
    return None if address is None else int(address)
