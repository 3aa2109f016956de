"""Pointers, and what is behind them."""

import gdb
from . import expressions, words
from .fields import Fields
from .rows import contiguous_kind
from .shapes import STRUCTS, Part, Shape

NO_POINTEE = (gdb.TYPE_CODE_VOID, gdb.TYPE_CODE_FUNC, gdb.TYPE_CODE_METHOD)


def pointer_of(value, type_, how, expression, language):
    return Pointer(value, type_, how, expression, language) if type_.code == gdb.TYPE_CODE_PTR else None


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
