"""What is in a frame: its variables, those of its file, its registers."""

import re
import gdb
from . import bounds, expressions, stacks, words
from .shapes import Part
from .state import STOP
from .variables import Variable

# Registers that are shown by the name of their group, behind the general ones.
GROUPS = ("float", "vector", "system", "others")


class Scope:
    """The variables of one frame, of one kind."""

    def __init__(self, at, kind, returned=None):
        self.at, self.kind, self.returned = at, kind, returned
        self.known = None

    def variables(self):
        if self.known is None:
            with stacks.standing(self.at) as frame:
                parts = PARTS[self.kind](frame, self)
                language = stacks.language_of(frame)
                self.known = [Variable(part, self.at, language) if isinstance(part, Part) else part for part in parts]
        return self.known

    def children(self, start=0, count=None, only=None):
        if only == "indexed":
            return []
        return self.variables()[start : start + count if count else None]

    def named_child(self, name):
        for variable in self.variables():
            if variable.name == name:
                return variable
        raise gdb.GdbError("there is no variable %s here" % words.bounded(name, 100))


def scope_of(at, kind, returned):
    key = (at, kind)
    if key not in STOP.scopes:
        STOP.scopes[key] = Scope(at, kind, returned)
    return STOP.scopes[key]


# ---- Variables of the function


def locals_of(frame, scope):
    found = []
    for depth, block in enumerate(blocks_of(frame)):
        found += [(symbol, depth) for symbol in block if is_shown(symbol)]
    arguments = [one for one in found if one[0].is_argument]
    others = [one for one in found if not one[0].is_argument]
    # As they stand in the source.
    others.sort(key=lambda one: one[0].line)
    parts = [returned_part(scope.returned)] if scope.returned and scope.at[1] == 0 else []
    return parts + named_apart(arguments + others, frame)


def returned_part(variable):
    return Part("[returned]", lambda: gdb.parse_and_eval(variable), variable, kind="virtual")


def blocks_of(frame):
    """From the innermost to the function's."""
    block = stacks.block_of(frame)
    while block is not None and not block.is_global and not block.is_static:
        yield block
        if block.function is not None:
            return
        block = block.superblock


def is_shown(symbol):
    return symbol.is_argument or symbol.is_variable


def named_apart(found, frame):
    """The innermost of a name is what the name means; the others have their line with it."""
    innermost = {}
    for symbol, depth in found:
        name = symbol.print_name
        innermost[name] = min(depth, innermost.get(name, depth))
    taken, parts = set(), []
    language = stacks.language_of(frame)
    for symbol, depth in found:
        name = words.bounded(symbol.print_name, bounds.MAX_NAME)
        visible = depth == innermost[symbol.print_name] and name not in taken
        label = name if visible else free("%s@%d" % (name, symbol.line), taken)
        taken.add(label)
        get = getter(symbol, frame)
        parts.append(Part(label, get, name if visible else said_by_address(get, language)))
    return parts


def free(label, taken):
    number, tried = 1, label
    while tried in taken:
        number += 1
        tried = "%s#%d" % (label, number)
    return tried


def getter(symbol, frame):
    return lambda: symbol.value(frame) if symbol.needs_frame else symbol.value()


def said_by_address(get, language):
    try:
        return expressions.in_memory(get(), language)
    except (gdb.error, RuntimeError):
        return None


# ---- Variables of the file


def statics_of(frame, scope):
    block = stacks.block_of(frame)
    if block is None:
        return []
    own = {symbol.print_name for inner in blocks_of(frame) for symbol in inner}
    found = {}
    for outer in (block.static_block, block.global_block):
        for symbol in outer or ():
            if symbol.is_variable and not symbol.needs_frame and symbol.print_name not in found:
                found[symbol.print_name] = symbol
                if len(found) >= bounds.MOST_STATICS:
                    break
    return [static_part(found[name], name in own) for name in sorted(found)]


def static_part(symbol, hidden):
    name = symbol.print_name
    said = "'%s'::%s" % (symbol.symtab.filename, name) if hidden else name
    return Part(words.bounded(name, bounds.MAX_NAME), symbol.value, said, attributes=("static",))


# ---- Registers


class Group:
    """Registers under one name, read when it is opened."""

    kind = "virtual"
    attributes = ()

    def __init__(self, name, frame, at):
        self.name, self.frame, self.at = "[%s]" % name, frame, at
        self.group = name
        self.known = None

    def told(self, strict=False):
        return {"name": self.name, "value": "", "reference": STOP.hand_out(self), "kind": "virtual"}

    def children(self, start=0, count=None, only=None):
        if self.known is None:
            parts = registers_in(self.group, self.frame)
            self.known = [Variable(part, self.at, "c") for part in parts]
        return self.known[start : start + count if count else None]

    named_child = Scope.named_child

    def variables(self):
        return self.children()


def registers_of(frame, scope):
    return registers_in("general", frame) + [Group(name, frame, scope.at) for name in GROUPS]


def registers_in(group, frame):
    architecture = frame.architecture()
    if group == "vector":
        names = [name for name in with_narrower(names_of(architecture)) if is_vector(frame, name)]
    elif group == "others":
        shown = {name for one in ("general", "float", "system") for name in names_of(architecture, one)}
        names = [name for name in names_of(architecture) if name not in shown and not is_vector(frame, name)]
    else:
        names = names_of(architecture, group)
    return [register_part(name, frame) for name in names]


def names_of(architecture, *group):
    return [register.name for register in architecture.registers(*group) if register.name]


def with_narrower(names):
    """gdb lists of x86's vectors the widest alone, and has the others too."""
    for name in names:
        yield name
        wide = re.match(r"^([yz])mm(\d+)$", name)
        for narrower in {"z": "yx", "y": "x"}[wide.group(1)] if wide else "":
            yield "%smm%s" % (narrower, wide.group(2))


def is_vector(frame, name):
    try:
        return frame.read_register(name).type.strip_typedefs().code == gdb.TYPE_CODE_UNION
    except (gdb.error, RuntimeError, ValueError):
        return False


def register_part(name, frame):
    get = lambda: frame.read_register(name)
    try:
        whole = frame.read_register(name).type.strip_typedefs().code == gdb.TYPE_CODE_INT
    except (gdb.error, RuntimeError, ValueError):
        whole = False
    return Part(name, get, "$" + name, how=words.How("x") if whole else None)


PARTS = {"locals": locals_of, "statics": statics_of, "registers": registers_of}
