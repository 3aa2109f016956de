"""
What a value looks like and is made of. A shape says its text, how many parts it has where that costs nothing, and its
parts from one number on. Nothing is read before somebody looks at it, and no more of it than is looked at.
"""

import itertools
import re
import time
import gdb
from . import bounds, expressions, words

STRUCTS = (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION)
REFERENCES = (gdb.TYPE_CODE_REF, gdb.TYPE_CODE_RVALUE_REF)
NO_POINTEE = (gdb.TYPE_CODE_VOID, gdb.TYPE_CODE_FUNC, gdb.TYPE_CODE_METHOD)


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


def shape_of(value, how, expression, language):
    """Raises gdb.error and gdb.MemoryError."""
    value = followed(value)
    type_ = value.type.strip_typedefs()
    if not how.raw:
        if type_.code == gdb.TYPE_CODE_STRUCT:
            known = contiguous(value, type_, how, expression, language)
            if known:
                return known
        printer = gdb.default_visualizer(value)
        if printer is not None:
            return Printed(value, printer, how, expression, language)
    if type_.code in STRUCTS:
        return Fields(value, type_, how, expression, language)
    if type_.code == gdb.TYPE_CODE_ARRAY:
        return array_of(value, type_, how, expression, language)
    if type_.code == gdb.TYPE_CODE_PTR:
        return Pointer(value, type_, how, expression, language)
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


class Scalar(Shape):
    def __init__(self, value, how):
        self.value, self.how = value, how

    def text(self, inner):
        return words.number(self.value, self.how)


class Pointer(Shape):
    def __init__(self, value, type_, how, expression, language):
        self.value, self.how, self.expression, self.language = value, how, expression, language
        target = type_.target().strip_typedefs()
        self.unit = None if how.letter else words.unit_of(type_.target())
        self.target = target
        self.inner = None
        if int(value) == 0 or target.code in NO_POINTEE:
            return
        if target.code in STRUCTS:
            self.inner = self.object_behind()
            self.named, self.whole = self.inner.named, self.inner.whole
            self.indexed = self.inner.indexed
        else:
            self.named = 1

    def object_behind(self):
        """As the class that it is, where the program says so."""
        value, expression, pointer = self.value, self.expression, True
        if any(
            field.is_base_class or (field.artificial and (field.name or "").startswith("_vptr"))
            for field in self.target.fields()
        ):
            try:
                dynamic = value.dynamic_type
                if dynamic != value.type and dynamic.code == gdb.TYPE_CODE_PTR:
                    value = value.cast(dynamic)
                    expression = None
            except (gdb.error, RuntimeError):
                pass
        whole = value.dereference()
        if gdb.default_visualizer(whole) is not None or contiguous_kind(whole.type.strip_typedefs()):
            return Behind(self.value, self.expression)
        if expression is None:
            return Fields(
                whole, whole.type.strip_typedefs(), self.how, expressions.in_memory(whole, self.language), self.language
            )
        return Fields(whole, whole.type.strip_typedefs(), self.how, expression, self.language, pointer)

    def text(self, inner):
        address = int(self.value)
        if self.unit and address:
            try:
                return "%#x %s" % (address, words.text_at(address, self.unit, self.how))
            except gdb.MemoryError:
                return "%#x <no memory there>" % address
        if self.how.letter or self.target.code in NO_POINTEE:
            return words.number(self.value, self.how)
        return "%#x" % address

    def parts(self, start, count):
        return self.inner.parts(start, count) if self.inner else []

    def by_name(self):
        if self.inner:
            return self.inner.by_name()
        return Behind(self.value, self.expression).by_name() if self.named else []


class Behind(Shape):
    """The one thing that a pointer points to."""

    named = 1

    def __init__(self, value, expression):
        self.value, self.expression = value, expression

    def by_name(self):
        value, expression = self.value, self.expression
        simple = expression is not None and expressions.NAME.match(expression)
        name = "*" + expression if simple else "*"
        return [Part(name, value.dereference, expressions.pointee(expression))]


class Fields(Shape):
    """A structure, a class, a union."""

    def __init__(self, value, type_, how, expression, language, pointer=False):
        self.value, self.type, self.how, self.expression = value, type_, how, expression
        self.language, self.pointer, self.whole = language, pointer, value
        self.fields = type_.fields()
        self.named = len(self.fields)

    def text(self, inner):
        if inner:
            return "{…}"
        self.read()
        shown = [field for field in self.fields if not field.artificial and hasattr(field, "bitpos")]
        parts = []
        for field in shown[: bounds.ITEMS]:
            text = text_inside(self.value[field], self.how, self.language)
            parts.append("%s = %s" % (label(field), text) if label(field) else text)
        return words.listed(parts, len(shown) > bounds.ITEMS)

    def read(self):
        """At once: else each field is read by itself."""
        if self.type.sizeof <= bounds.AT_ONCE and self.value.is_lazy:
            try:
                self.value.fetch_lazy()
            except gdb.MemoryError:
                pass  # some of it may be there

    def by_name(self):
        if self.fields:
            self.read()
        names = {}
        for field in self.fields:
            name = label(field) or "<anonymous>"
            names[name] = names.get(name, 0) + 1
            if names[name] > 1:
                name += "#%d" % names[name]
            yield Part(
                name,
                self.getter(field),
                self.said(field),
                field.name or None,
                kind=kind_of(field),
                attributes=attributes_of(field),
                bits=field.bitsize or None,
                unsaid=not field.name,
            )

    def getter(self, field):
        return lambda: self.value[field]

    def said(self, field):
        if self.expression is None:
            return None
        if field.is_base_class:
            return expressions.base(self.expression, field.name or "", self.pointer)
        if not field.name:
            # Its members are named as if they were the whole's.
            return expressions.pointee(self.expression) if self.pointer else self.expression
        return expressions.member(self.expression, field.name, self.language, self.pointer)


def label(field):
    name = field.name or ""
    if re.match(r"^__\d+$", name):
        return name[2:]
    return words.bounded(name, bounds.MAX_NAME)


def kind_of(field):
    if field.is_base_class:
        return "baseClass"
    return "virtual" if field.artificial else None


def attributes_of(field):
    return () if hasattr(field, "bitpos") or field.is_base_class else ("static",)


# ---- What lies in a row


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
                "[%d]" % at, lambda at=at: self.value[at], expressions.element(self.expression, at, self.language), at
            )


def array_of(value, type_, how, expression, language):
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
                value, array_of(elements, elements.type.strip_typedefs(), how, within, language), expression
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


def as_it_is(value, expression):
    return Part("[raw]", lambda: value, expression, how=words.How(raw=True), kind="virtual")


# ---- What a printer of gdb's shows

LENGTH = re.compile(r"(?:\bof length |\bwith |\bsize=|\blen=)(\d+)( elements?$)?")


class Printed(Shape):
    def __init__(self, value, printer, how, expression, language):
        self.value, self.printer, self.how, self.expression, self.language = value, printer, how, expression, language
        self.hint = printer.display_hint() if hasattr(printer, "display_hint") else None
        self.opens = hasattr(printer, "children") and self.hint != "string"
        self.said = None
        self.walk = Walk(printer, self.hint == "map") if self.opens else None
        self.named = 1 if self.opens else 0
        self.indexed = self.count() if self.opens else 0

    def count(self):
        if hasattr(self.printer, "num_children"):
            known = self.printer.num_children()
            if known is not None:
                return known // 2 if self.hint == "map" else known
        length = LENGTH.search(self.own_text() or "")
        if length and (self.hint in ("array", "map") or length.group(2)):
            return int(length.group(1))
        return 0 if (self.own_text() or "").startswith("empty ") else None

    def own_text(self):
        """What the printer says, as it was meant to be shown."""
        if self.said is None:
            said = self.printer.to_string() if hasattr(self.printer, "to_string") else ""
            self.said = (self.shown(said),)
        return self.said[0]

    def shown(self, said):
        if said is None:
            return ""
        if isinstance(said, gdb.Value):
            if self.hint == "string":
                return shape_of(said, self.how, None, self.language).text(False)
            return (
                text_inside(said, self.how, self.language)
                if said.type.code in STRUCTS
                else shape_of(said, self.how, None, self.language).text(True)
            )
        if hasattr(said, "value") and hasattr(said, "address"):
            return words.lazy_text(said, self.how)
        text = str(said)
        if self.hint == "string":
            return words.quoted(text[: self.how.characters], len(text) > self.how.characters)
        return words.bounded(text, self.how.characters)

    def text(self, inner):
        text = self.own_text()
        if not self.opens:
            return text
        if inner:
            return text or "{…}"
        if self.indexed is not None and self.hint in ("array", "map"):
            return "[%d] %s" % (self.indexed, self.few())
        few = self.few()
        return text if few == "{}" and text else "%s = %s" % (text, few) if text else few

    def few(self):
        try:
            got = self.walk.at(0, bounds.WALKED_ITEMS)
            more = self.walk.goes_on(bounds.WALKED_ITEMS)
        except (gdb.error, RuntimeError) as error:
            return "<%s>" % words.problem(error)
        parts = []
        for name, value in got:
            shown = self.part_text(value)
            parts.append(
                shown
                if self.hint == "array" or name.startswith("[") and self.hint != "map"
                else "%s = %s" % (name, shown)
            )
        return words.listed(parts, more)

    def part_text(self, value):
        if not isinstance(value, gdb.Value):
            return words.bounded(str(value), bounds.INNER_TEXT)
        return text_inside(value, self.how, self.language)

    def parts(self, start, count):
        names = {}
        for name, value in self.walk.at(start, count) if self.walk else []:
            names[name] = names.get(name, 0) + 1
            if names[name] > 1:
                name += "#%d" % names[name]
            said = expressions.in_memory(value, self.language) if isinstance(value, gdb.Value) else None
            yield Part(name, lambda value=value: value, said)

    def has_more(self, upto):
        return self.walk is not None and self.walk.goes_on(upto)

    def by_name(self):
        return [as_it_is(self.value, self.expression)] if self.opens else []


class Walk:
    """The children that a printer has, in the order in which alone it tells them."""

    def __init__(self, printer, pairs):
        self.printer, self.pairs = printer, pairs
        self.begin()

    def begin(self):
        children = iter(self.printer.children())
        self.rest = (
            pairs_of(children)
            if self.pairs
            else ((words.bounded(str(name), bounds.MAX_NAME), value) for name, value in children)
        )
        self.kept = []
        self.dropped = 0
        self.ended = False

    def reach(self, upto):
        """Goes on from where it came to the last time."""
        end = time.monotonic() + bounds.PATIENCE_S
        while not self.ended and self.dropped + len(self.kept) < upto:
            taken = list(itertools.islice(self.rest, 1))
            self.ended = not taken
            self.kept += taken
            if len(self.kept) > 2 * bounds.KEPT:
                self.dropped += len(self.kept) - bounds.KEPT
                del self.kept[:-bounds.KEPT]
            if time.monotonic() > end:
                at = self.dropped + len(self.kept)
                raise gdb.GdbError(
                    "it takes longer than %d s to come to number %d; asked again, it goes on from number %d"
                    % (bounds.PATIENCE_S, upto - 1, at)
                )

    def at(self, start, count):
        if start < self.dropped:
            self.begin()
        self.reach(start + count)
        return self.kept[start - self.dropped : start - self.dropped + count]

    def goes_on(self, upto):
        self.reach(upto + 1)
        return self.dropped + len(self.kept) > upto


def pairs_of(children):
    """A map's are its keys and values in turn."""
    for _, key in children:
        _, value = next(children, (None, None))
        text = (
            text_inside(key, words.How(characters=bounds.INNER_TEXT), "c")
            if isinstance(key, gdb.Value)
            else words.bounded(str(key), bounds.INNER_TEXT)
        )
        yield "[%s]" % text, value
