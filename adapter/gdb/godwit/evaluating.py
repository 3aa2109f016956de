"""Expressions that a person types, watches or points at."""

from contextlib import contextmanager
import gdb
from . import bounds, pointers, rows, shapes, stacks, words
from .shapes import Part
from .variables import Variable


@contextmanager
def without_effects(wanted):
    """gdb itself then calls no function of the program, and writes nothing into its memory."""
    settings = ("may-call-functions", "may-write-memory") if wanted else ()
    before = [(name, gdb.parameter(name)) for name in settings]
    for name, _ in before:
        gdb.execute("set %s off" % name, to_string=True)
    try:
        yield
    finally:
        for name, value in before:
            gdb.execute("set %s %s" % (name, "on" if value else "off"), to_string=True)


def evaluate(expression, at, frame, how, elements=None):
    """Raises gdb.error with what is wrong with it. The frame is selected."""
    value = gdb.parse_and_eval(expression)
    if elements is not None:
        value = several(value, int(gdb.parse_and_eval(elements)))
    language = "c" if frame is None else stacks.language_of(frame)
    return Variable(Part(expression, lambda: value, expression, how=how), at, language)


def assignable(expression, at):
    """What an expression stands for, to be written to. It is said again for each look at it: gdb tells of a value by an
    expression neither whether it is a bit field nor which register it is in."""
    with stacks.standing(at) as frame, without_effects(True):
        gdb.parse_and_eval(expression)
        language = "c" if frame is None else stacks.language_of(frame)
        part = Part(expression, lambda: gdb.parse_and_eval(expression), expression, bits=0)
        return Variable(part, at, language, words.How(characters=bounds.BY_ITSELF))


def several(value, count):
    """The first of them is at the pointer, or in the array."""
    if not 0 < count <= bounds.MOST_ELEMENTS:
        raise gdb.GdbError("%d is no number of elements" % count)
    value = shapes.followed(value)
    type_ = value.type.strip_typedefs()
    if type_.code == gdb.TYPE_CODE_ARRAY:
        value = value[type_.range()[0]].address
    elif type_.code != gdb.TYPE_CODE_PTR:
        raise gdb.GdbError("only pointers and arrays have several elements")
    element = value.type.strip_typedefs().target()
    return value.cast(element.array(count - 1).pointer()).dereference()


def copied(variable):
    """All of it, as text."""
    value = shapes.followed(variable.value)
    shape = variable.shape
    if not (shape.indexed is None or shape.indexed or shape.named) or isinstance(shape, (rows.Text, pointers.Pointer)):
        return shape.text(False)
    if value.type.sizeof > bounds.COPIED_BYTES:
        return shape.text(False)
    options = {"format": variable.how.letter} if variable.how.letter else {}
    return words.bounded(value.format_string(raw=variable.how.raw, max_elements=1000, **options), bounds.BY_ITSELF)
