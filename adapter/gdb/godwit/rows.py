"""What lies in a row: arrays, texts, and containers of C++ that keep their elements so."""

import gdb
from . import bounds, expressions, words
from .shapes import Part, Shape, as_it_is, text_inside


class Row(Shape):
    """`count` values of one type, one behind the other, at an address."""

    def __init__(self, address, type_, count, how, expression, language):
        self.address, self.element, self.indexed, self.how = address, type_, count, how
        self.expression, self.language = expression, language
        self.plain = type_.strip_typedefs().code in (
            gdb.TYPE_CODE_INT,
            gdb.TYPE_CODE_FLT,
            gdb.TYPE_CODE_BOOL,
            gdb.TYPE_CODE_CHAR,
        )

    def text(self, inner):
        if inner:
            return "{…}" if self.indexed else "{}"
        values = self.values(0, min(self.indexed, bounds.ITEMS))
        if values and values[0].is_lazy:
            values[0].fetch_lazy()  # nothing of it can be read: said once
        parts = [text_inside(value, self.how, self.language) for value in values]
        return "[%d] %s" % (self.indexed, words.listed(parts, self.indexed > bounds.ITEMS))

    def values(self, start, count):
        pointer = gdb.Value(self.address + start * self.element.sizeof).cast(self.element.pointer())
        if 1 < count and count * self.element.sizeof <= bounds.AT_ONCE:
            row = pointer.cast(self.element.array(count - 1).pointer()).dereference()
            try:
                row.fetch_lazy()
                return [row[index] for index in range(count)]
            except gdb.MemoryError:
                pass
        return [(pointer + index).dereference() for index in range(count)]

    def parts(self, start, count):
        count = max(0, min(count, self.indexed - start))
        for index, value in enumerate(self.values(start, count) if count else [], start):
            yield Part(
                "[%d]" % index, lambda value=value: value, expressions.element(self.expression, index, self.language)
            )


class Array(Shape):
    """One that has no address, or none that can be counted from: in registers, of another language."""

    def __init__(self, value, type_, how, expression, language):
        self.value, self.how, self.expression, self.language = value, how, expression, language
        self.whole = value
        self.first, last = type_.range()
        self.indexed = max(0, last - self.first + 1)
        self.dimensions = dimensions_of(type_)

    def text(self, inner):
        if inner:
            return "{…}" if self.indexed else "{}"
        indexes = range(self.first, self.first + min(self.indexed, bounds.ITEMS))
        parts = [text_inside(self.value[index], self.how, self.language) for index in indexes]
        return "[%d] %s" % (self.indexed, words.listed(parts, self.indexed > bounds.ITEMS))

    def parts(self, start, count):
        for index in range(start, min(start + count, self.indexed)):
            at = self.first + index
            yield Part(
                "[%d]" % at,
                lambda at=at: self.value[at],
                expressions.element(self.expression, at, self.language, self.dimensions),
                at,
            )


def dimensions_of(type_):
    count = 0
    while type_.code == gdb.TYPE_CODE_ARRAY:
        count, type_ = count + 1, type_.target().strip_typedefs()
    return count


def array_of(value, type_, how, expression, language):
    return row_of(value, type_, how, expression, language) if type_.code == gdb.TYPE_CODE_ARRAY else None


def row_of(value, type_, how, expression, language):
    unit = None if how.letter or how.raw else words.unit_of(type_.target())
    first, last = type_.range()
    address = value.address
    if address is None or first != 0 or language == "fortran":
        row = Array(value, type_, how, expression, language)
    else:
        row = Row(int(address), type_.target(), max(0, last + 1), how, expression, language)
    return Text(row, value, address, unit, how) if unit else row


class Text(Shape):
    """An array of characters: its text, and its characters one by one."""

    def __init__(self, row, value, address, unit, how):
        self.row, self.value, self.unit, self.how = row, value, unit, how
        self.address = None if address is None else int(address)
        self.indexed = row.indexed

    def text(self, inner):
        count = min(self.indexed, self.how.characters)
        if self.address is not None:
            data = bytes(gdb.selected_inferior().read_memory(self.address, count * self.unit)) if count else b""
        else:
            data = b"".join(
                int(self.value[index]).to_bytes(self.unit, "little", signed=int(self.value[index]) < 0)
                for index in range(count)
            )
        return words.text_of(data, self.unit, self.how.characters, self.indexed > count)

    def parts(self, start, count):
        return self.row.parts(start, count)


def contiguous_kind(type_):
    name = type_.name or ""
    if name.startswith("std::vector<"):
        return "vector"
    return "array" if name.startswith("std::array<") else None


def contiguous(value, type_, how, expression, language):
    """Containers of C++ whose elements lie in a row: no need to walk to the last of a million."""
    if how.raw or type_.code != gdb.TYPE_CODE_STRUCT:
        return None
    kind = contiguous_kind(type_)
    try:
        if kind == "vector":
            inside = value["_M_impl"]
            first, end = inside["_M_start"], inside["_M_finish"]
            if first.type.strip_typedefs().code != gdb.TYPE_CODE_PTR:
                return None  # of bits
            size = first.type.strip_typedefs().target().sizeof
            count = (int(end) - int(first)) // size
            if count < 0:
                return None
            within = expressions.member(
                expressions.member(expression, "_M_impl", language, False), "_M_start", language, False
            )
            return Container(
                value, Row(int(first), first.type.strip_typedefs().target(), count, how, within, language), expression
            )
        if kind == "array":
            elements = value["_M_elems"]
            within = expressions.member(expression, "_M_elems", language, False)
            return Container(
                value, row_of(elements, elements.type.strip_typedefs(), how, within, language), expression
            )
    except (gdb.error, RuntimeError, ValueError):
        pass
    return None


class Container(Shape):
    """A row, and how it is kept."""

    named = 1

    def __init__(self, value, row, expression):
        self.value, self.row, self.expression = value, row, expression
        self.indexed = row.indexed

    def text(self, inner):
        return self.row.text(inner)

    def parts(self, start, count):
        return self.row.parts(start, count)

    def by_name(self):
        return [as_it_is(self.value, self.expression)]
