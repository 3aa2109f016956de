"""How to say a value again in the program's language, with no call and no other effect."""

import re

SIMPLE = re.compile(r"^[A-Za-z_$][\w$]*(?:(?:\.|->|::)[A-Za-z_$][\w$]*|\.\d+|\[\d+\])*$")
NAME = re.compile(r"^[A-Za-z_$][\w$]*$")
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
    if not NAME.match(name):
        return None
    if language == "fortran":
        return "%s%%%s" % (closed(expression), name)
    return "%s%s%s" % (closed(expression), "->" if pointer and language != "go" else ".", name)


def element(expression, index, language):
    if expression is None:
        return None
    return ("%s(%d)" if language == "fortran" else "%s[%d]") % (closed(expression), index)


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
        pointer = str(address.type.unqualified())
        if not re.match(r"^[\w:<>, *&()\[\]]+$", pointer) or "(anonymous" in pointer:
            return None
        return "*(%s)%#x" % (pointer, int(address))
    except Exception:
        return None
