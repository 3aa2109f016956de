"""The questions about values."""

import gdb
from . import assigning, bounds, evaluating, go, rust, scopes, stacks, words
from .command import request
from .patience import patience
from .shapes import followed
from .stacks import at_of
from .state import STOP


def holder(reference=None, scope=None, at=None, returned=None):
    """What is open: a scope, or a value."""
    if reference is not None:
        found = STOP.opened.get(reference)
        if found is None:
            raise gdb.GdbError("this value was read at an earlier stop")
        return found
    prepare_language(at_of(at))
    return scopes.scope_of(at_of(at), scope, returned)


def prepare_language(at):
    with stacks.standing(at) as frame:
        language = None if frame is None else stacks.language_of(frame)
        if language == "rust":
            rust.load_printers()
        elif language == "go":
            go.load_printers()


@request
def children(start=0, count=None, only=None, letter=None, **held):
    held = holder(**held)
    with stacks.standing(held.at):
        with patience(bounds.PATIENCE_S):
            lines = held.children(start, count, only)
        if letter:
            for line in lines:
                if hasattr(line, "how"):
                    line.how = words.How(letter, line.how.raw)
        return {"variables": [line.told() for line in lines]}


@request
def evaluate(expression, at=None, letter=None, raw=False, elements=None, harmless=False, whole=False):
    at = at_of(at)
    if at is not None:
        prepare_language(at)
    how = words.How(letter, raw, bounds.BY_ITSELF)
    with stacks.standing(at) as frame, evaluating.without_effects(harmless):
        variable = evaluating.evaluate(expression, at, frame, how, elements)
        told = variable.told(strict=True)
        if whole:
            told["value"] = evaluating.copied(variable)
        return told


@request
def assign(value, name=None, expression=None, **held):
    if expression is not None:
        variable = evaluating.assignable(expression, at_of(held.get("at")))
    else:
        variable = holder(**held).named_child(name)
    assigning.assign(variable, value)
    with stacks.standing(variable.at):
        return variable.told(strict=True)


@request
def place(name, **held):
    """Where a value is in memory, and how many bytes it has."""
    if "reference" in held or "scope" in held:
        variable = holder(**held).named_child(name)
    else:
        at = at_of(held.get("at"))
        with stacks.standing(at) as frame, evaluating.without_effects(True):
            variable = evaluating.evaluate(name, at, frame, words.How())
    with stacks.standing(variable.at):
        address = variable.address
        if address is None:
            raise gdb.GdbError("it has no memory of its own")
        return {"address": "%#x" % int(address), "size": followed(variable.value).type.strip_typedefs().sizeof}
