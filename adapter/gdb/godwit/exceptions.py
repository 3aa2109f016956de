"""What was thrown, at a stop in the C++ library's __cxa_throw or its kind, and what a Rust program panicked about."""

import re
import gdb
from . import bounds, evaluating, words
from .breakpoints import breakpoint_of
from .command import request
from .patience import patience
from .shapes import shape_of
from .stacks import standing

# unwind.h, cxxabi.h (x86-64 and arm64): how far an exception's type is before the header that is shared with others.
TYPE_BEFORE_HEADER = 80
HEADER = 32


@request
def catch(what, condition=None):
    """Catches an event of the program's, by gdb's own command; returns the number."""
    gdb.execute("catch " + what, to_string=True)
    number = int(gdb.convenience_variable("bpnum"))
    if condition:
        try:
            breakpoint_of(number).condition = condition
        except gdb.error:
            gdb.execute("delete %d" % number, to_string=True)
            raise
    return number


def word(address):
    return int.from_bytes(gdb.selected_inferior().read_memory(address, 8), "little")


def c_string(address):
    data, _ = words.read_text(address, 1, bounds.IN_LIST)
    return data.decode("utf-8", "replace")


def argument(number):
    name = {"i386:x86-64": ("rdi", "rsi"), "aarch64": ("x0", "x1")}[gdb.selected_frame().architecture().name()]
    unsigned = gdb.lookup_type("unsigned long")
    return int(gdb.selected_frame().read_register(name[number]).cast(unsigned))


def type_named(type_info):
    # std::type_info: a table of functions, then the name; a leading * says how it is compared.
    name = c_string(word(type_info + 8)).lstrip("*")
    plain = gdb.execute("demangle -- _ZTS" + name, to_string=True).strip()
    return re.sub("^typeinfo name for ", "", plain)


def bases(kind):
    for field in kind.fields():
        if field.is_base_class:
            yield str(field.type)
            yield from bases(field.type)


# Those of the C++ library that hold a text, right behind their table of functions. The program often has no more of
# them than the names.
WITH_TEXT = {
    "std::" + name
    for name in (
        "logic_error domain_error invalid_argument length_error out_of_range runtime_error range_error"
        " overflow_error underflow_error system_error ios_base::failure[abi:cxx11] filesystem::filesystem_error"
    ).split()
}


def message_of(address, type_name):
    names, kind = [type_name], None
    try:
        kind = gdb.lookup_type(type_name).strip_typedefs()
        if kind.code == gdb.TYPE_CODE_STRUCT:
            names.extend(bases(kind))
    except gdb.error:
        pass
    if WITH_TEXT.intersection(names):
        return c_string(word(address + 8))
    if kind is None:
        return ""
    value = gdb.Value(address).cast(kind.pointer()).dereference()
    return shape_of(value, words.How(), None, "c++").text(False)


def thrown_here(filter):
    """The object and its type's std::type_info."""
    unsigned = gdb.lookup_type("unsigned long")
    try:
        # The library has probes there (SystemTap's).
        return [int(gdb.parse_and_eval("$_probe_arg%d" % number).cast(unsigned)) for number in (0, 1)]
    except gdb.error:
        pass
    if filter == "throw":
        return argument(0), argument(1)
    if filter == "catch":
        header = argument(0)
        return header + HEADER, word(header - TYPE_BEFORE_HEADER)
    raise gdb.error("the library keeps to itself what is thrown on")


@request
def thrown(thread, filter):
    """`filter`: at what it has stopped. None where nothing is known of what was thrown."""
    with standing((thread, 0)), evaluating.without_effects(True), patience(bounds.PATIENCE_S):
        try:
            address, type_info = thrown_here(filter)
            type_name = type_named(type_info)
            return {"type": type_name, "message": message_of(address, type_name)}
        except (gdb.error, KeyError, UnicodeError, OverflowError):
            return None
