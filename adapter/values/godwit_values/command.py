"""`-godwit-values QUESTION`: question and answer are JSON. What the program says is data in it, and never more."""

import json
import gdb
from . import assigning, evaluating, rust, scopes, stacks, words
from .patience import TooLong, patience
from .shapes import followed
from .state import STOP

# Seconds to find what is to be shown; each line has its own besides.
PATIENCE_S = 5


class Values(gdb.MICommand):
    def __init__(self):
        super().__init__("-godwit-values")

    def invoke(self, arguments):
        try:
            question = json.loads(arguments[0])
            STOP.at(question["stop"])
            return {"answer": json.dumps(QUESTIONS[question["ask"]](question))}
        except (Exception, TooLong) as error:
            raise gdb.GdbError(words.problem(error))


def at_of(question):
    at = question.get("at")
    return None if at is None else (at["thread"], at["level"])


def how_of(question, characters=words.IN_LIST):
    return words.How(question.get("letter"), question.get("raw", False), characters)


def frames(question):
    thread = question["thread"]
    return stacks.listed(thread, question["start"], question["count"], question["names"], question["values"])


def holder(question):
    """What is open: a scope, or a value."""
    if "reference" in question:
        found = STOP.opened.get(question["reference"])
        if found is None:
            raise gdb.GdbError("this value was read at an earlier stop")
        return found
    at = at_of(question)
    prepare_language(at)
    return scopes.scope_of(at, question["scope"], question.get("returned"))


def prepare_language(at):
    with stacks.standing(at) as frame:
        if frame is not None and stacks.language_of(frame) == "rust":
            rust.load_printers()


def children(question):
    held = holder(question)
    with stacks.standing(held.at):
        with patience(PATIENCE_S):
            lines = held.children(question.get("start") or 0, question.get("count"), question.get("only"))
        letter = question.get("letter")
        if letter:
            for line in lines:
                if hasattr(line, "how"):
                    line.how = words.How(letter, line.how.raw)
        return {"variables": [line.told() for line in lines]}


def evaluate(question):
    at = at_of(question)
    if at is not None:
        prepare_language(at)
    how = how_of(question, words.BY_ITSELF)
    with stacks.standing(at) as frame, evaluating.without_effects(question.get("harmless", False)):
        variable = evaluating.evaluate(question["expression"], at, frame, how, question.get("elements"))
        told = variable.told(strict=True)
        if question.get("whole"):
            told["value"] = evaluating.copied(variable)
        return told


def assign(question):
    if "expression" in question:
        variable = evaluating.assignable(question["expression"], at_of(question))
    else:
        variable = holder(question).named_child(question["name"])
    assigning.assign(variable, question["value"])
    with stacks.standing(variable.at):
        return variable.told(strict=True)


def place(question):
    """Where a value is in memory, and how many bytes it has."""
    if "reference" in question or "scope" in question:
        variable = holder(question).named_child(question["name"])
    else:
        at = at_of(question)
        with stacks.standing(at) as frame, evaluating.without_effects(True):
            variable = evaluating.evaluate(question["name"], at, frame, words.How())
    with stacks.standing(variable.at):
        address = variable.address
        if address is None:
            raise gdb.GdbError("it has no memory of its own")
        return {"address": "%#x" % int(address), "size": followed(variable.value).type.strip_typedefs().sizeof}


QUESTIONS = {
    "frames": frames,
    "children": children,
    "evaluate": evaluate,
    "assign": assign,
    "place": place,
    "known": lambda question: {},
}
