"""
What a value looks like and is made of. A shape says its text, how many parts it has where that costs nothing, and its
parts from one number on. Nothing is read before it is asked for, and no more of it than is asked for.
"""

import gdb
from . import words

STRUCTS = (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION)
REFERENCES = (gdb.TYPE_CODE_REF, gdb.TYPE_CODE_RVALUE_REF)
# Asked in turn for the shape of a value; `kinds` has them.
CHOOSERS = []


class Part:
    """One of the things that a value is made of. `get` reads it."""

    def __init__(
        self, name, get, expression=None, field=None, how=None, kind=None, attributes=(), bits=None, unsaid=False
    ):
        self.name = name
        # The expression is what its parts are said by, and does not mean itself.
        self.unsaid = unsaid
        # How many, where it is but some of those at its address. 0: that can't be known.
        self.bits = bits
        self.get = get
        self.expression = expression
        # Its name within the whole, for what has no address: a bit field.
        self.field = field
        self.how = how
        self.kind = kind
        self.attributes = attributes


class Shape:
    # How many parts by a number, and by a name. None: unknown without a walk.
    indexed = 0
    named = 0
    # What its fields are fields of.
    whole = None

    def text(self, inner):
        raise NotImplementedError

    def parts(self, start, count):
        """Those by a number."""
        return []

    def by_name(self):
        return []

    def has_more(self, upto):
        return self.indexed is not None and upto < self.indexed


class Scalar(Shape):
    def __init__(self, value, how):
        self.value, self.how = value, how

    def text(self, inner):
        return words.number(self.value, self.how)


def shape_of(value, how, expression, language):
    """Raises gdb.error and gdb.MemoryError."""
    value = followed(value)
    type_ = value.type.strip_typedefs()
    for choose in CHOOSERS:
        shape = choose(value, type_, how, expression, language)
        if shape is not None:
            return shape
    return Scalar(value, how)


def followed(value):
    """What a reference refers to."""
    for _ in range(8):
        if value.type.strip_typedefs().code not in REFERENCES:
            break
        value = value.referenced_value()
    return value


def text_inside(value, how, language):
    """Of a part, on the line of the whole."""
    try:
        return shape_of(value, how.shorter(), None, language).text(True)
    except (gdb.error, RuntimeError, ValueError) as error:
        return "<%s>" % words.problem(error)


def as_it_is(value, expression):
    return Part("[raw]", lambda: value, expression, how=words.How(raw=True), kind="virtual")
