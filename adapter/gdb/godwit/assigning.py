"""
Changing the program's values. All that is to be written is worked out first, and refused where it does not fit; only
then is anything written.
"""

import re
import gdb
from . import fields, shapes, stacks, words
from .state import STOP

PLACE = "_godwit_place"
VALUE = "_godwit_value"
WHOLE_NUMBERS = (gdb.TYPE_CODE_INT, gdb.TYPE_CODE_CHAR)
LITERAL = re.compile(r'^(?:u8|u|U|L)?"')
CPP_STRING = re.compile(r"^std::(?:__cxx11::)?basic_string<char,|^std::(?:__cxx11::)?string$")


def assign(variable, wanted):
    """`wanted`: `{"text"}`, or `{"items": [{"name", "value"}]}` for what stands in braces."""
    with stacks.standing(variable.at):
        try:
            for write in prepared(variable, wanted):
                write()
        finally:
            STOP.written()


def prepared(variable, wanted):
    value = shapes.followed(variable.value)
    type_ = value.type.strip_typedefs()
    if "items" in wanted:
        return prepared_parts(variable, type_, wanted["items"])
    text = wanted["text"].strip()
    unit = words.unit_of(type_.target()) if type_.code == gdb.TYPE_CODE_ARRAY else None
    if LITERAL.match(text):
        if unit:
            return [text_write(value, unit, text)]
        if CPP_STRING.match(str(type_)):
            return [string_write(value, text)]
    return [scalar_write(variable, type_, text)]


def prepared_parts(variable, type_, items):
    if type_.code == gdb.TYPE_CODE_ARRAY:
        first, last = type_.range()
        if len(items) > last - first + 1:
            raise gdb.GdbError("it has %d elements, not %d" % (last - first + 1, len(items)))
        parts = variable.children(0, len(items), "indexed")
    elif type_.code in shapes.STRUCTS and isinstance(variable.shape, fields.Fields):
        parts = [part for part in variable.children() if part.kind is None and "static" not in part.attributes]
    else:
        raise gdb.GdbError("it can't be set from a list in braces")
    if any(item.get("name") for item in items):
        by_name = {part.name: part for part in parts}
        unknown = [item.get("name") for item in items if item.get("name") not in by_name]
        if unknown:
            raise gdb.GdbError("it has no part %s" % unknown[0])
        pairs = [(by_name[item["name"]], item["value"]) for item in items]
    elif len(items) > len(parts):
        raise gdb.GdbError("it has %d parts, not %d" % (len(parts), len(items)))
    else:
        pairs = list(zip(parts, (item["value"] for item in items)))
    return [write for part, item in pairs for write in prepared(part, item)]


def left_side(variable):
    """An expression for where it is. A place in memory needs no name that the program's language could hide."""
    address = variable.address
    if address is not None:
        gdb.set_convenience_variable(PLACE, address)
        return "*$" + PLACE
    if variable.expression is not None and variable.field is None or variable.parent is None:
        return variable.expression
    whole = variable.parent.shape.whole if variable.parent is not None else None
    if whole is None or whole.address is None or not isinstance(variable.field, str):
        if variable.expression is not None:
            return variable.expression
        raise gdb.GdbError("it has no place that could be written to")
    gdb.set_convenience_variable(PLACE, whole.address)
    return "(*$%s).%s" % (PLACE, variable.field)


def scalar_write(variable, type_, text):
    new = new_value(type_, text, variable.bits)

    def write():
        before = variable.value if variable.address is None and type_.code in WHOLE_NUMBERS else None
        if before is not None:
            before.fetch_lazy()
        store(variable, new)
        if before is not None:
            check_stored(variable, before, new, text)

    return write


def store(variable, new):
    place = left_side(variable)
    if isinstance(new, gdb.Value):
        gdb.set_convenience_variable(VALUE, new)
        new = "$" + VALUE
    gdb.parse_and_eval("%s = %s" % (place, new))


def check_stored(variable, before, new, text):
    """Of an expression gdb does not say how many bits it has: it is seen by what becomes of the number."""
    STOP.written()
    if int(variable.value) == int(new):
        return
    store(variable, before)
    raise gdb.GdbError("%s does not fit: nothing was changed" % words.bounded(text, 100))


def new_value(type_, text, bits):
    """What is to be written; text for what gdb alone can make sense of."""
    if type_.code == gdb.TYPE_CODE_BOOL and text in ("true", "false"):
        return gdb.Value(int(text == "true")).cast(type_)
    if type_.code == gdb.TYPE_CODE_PTR and LITERAL.match(text):
        return text
    value = gdb.parse_and_eval(text)
    value.fetch_lazy()
    kind = value.type.strip_typedefs().code
    if type_.code in WHOLE_NUMBERS or type_.code == gdb.TYPE_CODE_BOOL:
        check_fits(type_, value, text, bits)
    if type_.code in WHOLE_NUMBERS + (gdb.TYPE_CODE_BOOL, gdb.TYPE_CODE_ENUM, gdb.TYPE_CODE_FLT, gdb.TYPE_CODE_PTR):
        if kind in shapes.STRUCTS:
            raise gdb.GdbError("%s is no such value" % words.bounded(text, 100))
        return value.cast(type_)
    return value


def check_fits(type_, value, text, bits):
    number = int(value)
    if value.type.strip_typedefs().code == gdb.TYPE_CODE_FLT and float(value) != number:
        raise gdb.GdbError("%s is no whole number" % words.bounded(text, 100))
    bits = bits or 8 * type_.sizeof
    least, most = (0, 1) if type_.code == gdb.TYPE_CODE_BOOL else (-(1 << (bits - 1)), (1 << bits) - 1)
    if not least <= number <= most:
        what = "is neither true nor false" if type_.code == gdb.TYPE_CODE_BOOL else "does not fit into %d bits" % bits
        raise gdb.GdbError("%s %s" % (words.bounded(text, 100), what))


# ---- Texts


def literal_bytes(text, unit):
    value = gdb.parse_and_eval(text)
    type_ = value.type.strip_typedefs()
    if type_.code != gdb.TYPE_CODE_ARRAY or type_.target().sizeof != unit:
        raise gdb.GdbError("its characters have %d bytes each" % unit)
    first, last = type_.range()
    numbers = (int(value[index]) % (1 << 8 * unit) for index in range(first, last + 1))
    data = b"".join(number.to_bytes(unit, "little") for number in numbers)
    return data[:-unit]  # without the zero at the end


def text_write(value, unit, text):
    data = literal_bytes(text, unit)
    size = value.type.strip_typedefs().sizeof
    if len(data) > size:
        raise gdb.GdbError("it has room for %d characters, not %d" % (size // unit, len(data) // unit))
    if value.address is None:
        raise gdb.GdbError("it is not in memory")
    address = int(value.address)
    return lambda: write_memory(address, data + bytes(size - len(data)))


def string_write(value, text):
    """Within what the string has room for; a longer one is the program's own to make room for."""
    data = literal_bytes(text, 1)
    start = int(value["_M_dataplus"]["_M_p"])
    own = int(value["_M_local_buf"].address) == start
    room = 15 if own else int(value["_M_allocated_capacity"])
    if len(data) > room:
        return lambda: call_assign(value, text)

    def write():
        write_memory(start, data + b"\0")
        gdb.set_convenience_variable(PLACE, value["_M_string_length"].address)
        gdb.parse_and_eval("*$%s = %d" % (PLACE, len(data)))

    return write


def call_assign(value, text):
    gdb.set_convenience_variable(PLACE, value.address)
    gdb.parse_and_eval("(*$%s).assign(%s)" % (PLACE, text))


def write_memory(address, data):
    gdb.selected_inferior().write_memory(address, data)
