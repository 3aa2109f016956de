"""Structures, classes, unions."""

import re
import gdb
from . import bounds, expressions, words
from .shapes import STRUCTS, Part, Shape, text_inside


def fields_of(value, type_, how, expression, language):
    return Fields(value, type_, how, expression, language) if type_.code in STRUCTS else None


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
                unsaid=not field.name or self.is_variant(field),
            )

    def getter(self, field):
        return lambda: self.value[field]

    def is_variant(self, field):
        """Of an enumeration of Rust, the variant that it is."""
        return self.language == "rust" and str(field.type) == "%s::%s" % (self.type, field.name)

    def said(self, field):
        if self.expression is None:
            return None
        if field.is_base_class:
            return expressions.base(self.expression, field.name or "", self.pointer)
        if not field.name or self.is_variant(field):
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
