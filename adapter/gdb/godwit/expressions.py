"""How to say a value again in the program's language, with no call and no other effect."""

import re

SIMPLE = re.compile(r"^[A-Za-z_$][\w$]*(?:(?:\.|->|::)[A-Za-z_$][\w$]*|\.\d+|\[\d+\])*$")
NAME = re.compile(r"^[A-Za-z_$][\w$]*$")
# Of an array of several dimensions, without the first ones: `grid(:,:,3)`.
FORTRAN_SLICE = re.compile(r"\((?::,)+-?\d+(?:,-?\d+)*\)$")
# The types of Go that gdb reads in an expression.
GO_TYPE = re.compile(r"^(?:u?int(?:8|16|32|64|ptr)?|float(?:32|64)|complex(?:64|128)|bool)$")
# gdb takes them for functions.
GO_WORDS = ("len", "cap")
# A type that can be written down: lambdas and what is in anonymous namespaces have names that are none.
NAMEABLE = re.compile(r"^[\w:<>, *&]+$")


def closed(expression):
    """As the left side of `.`, `->` or `[`."""
    return expression if SIMPLE.match(expression) else "(%s)" % expression


def member(expression, name, language, pointer):
    if expression is None:
        return None
    if language == "rust":
        owner = "(*%s)" % expression if pointer else closed(expression)
        name = re.sub(r"^__(\d+)$", r"\1", name)
        return "%s.%s" % (owner, name) if re.match(r"^\w+$", name) else None
    if not NAME.match(name) or (language == "go" and name in GO_WORDS):
        return None
    if language == "fortran":
        return "%s%%%s" % (closed(expression), name)
    return "%s%s%s" % (closed(expression), "->" if pointer and language != "go" else ".", name)


def element(expression, index, language, dimensions=1):
    """`dimensions`: of what the expression is, of which Fortran says the last one first."""
    if expression is None:
        return None
    if language != "fortran":
        return "%s[%d]" % (closed(expression), index)
    if FORTRAN_SLICE.search(expression):
        head, tail = expression.rsplit(":", 1)
        return "%s%d%s" % (head, index, tail)
    return "%s(%s%d)" % (closed(expression), ":," * (dimensions - 1), index)


def pointee(expression):
    return None if expression is None else "*%s" % closed(expression)


def base(expression, type_, pointer):
    """The part of an object that is of another class."""
    if expression is None or not NAMEABLE.match(type_):
        return None
    return "static_cast<%s &>(%s)" % (type_, "*" + closed(expression) if pointer else expression)


def in_memory(value, language):
    """By its address: of what has no name, or one that means something else."""
    try:
        address = value.address
        if address is None:
            return None
        name = str(value.type.unqualified())
        if language == "rust":
            return "*(%#x as *mut %s)" % (int(address), name) if NAMEABLE.match(name) else None
        if language == "go":
            return "{%s} %#x" % (name, int(address)) if GO_TYPE.match(name) else None
        pointer = str(address.type.unqualified())
        if not re.match(r"^[\w:<>, *&()\[\]]+$", pointer) or "(anonymous" in pointer:
            return None
        return "*(%s)%#x" % (pointer, int(address))
    except Exception:
        return None
