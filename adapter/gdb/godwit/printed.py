"""What a printer of gdb's shows."""

import itertools
import re
import time
import gdb
from . import bounds, expressions, words
from .shapes import STRUCTS, Part, Shape, as_it_is, shape_of, text_inside

LENGTH = re.compile(r"(?:\bof length |\bwith |\bsize=|\blen=)(\d+)( elements?$)?")


def printed(value, type_, how, expression, language):
    printer = None if how.raw else gdb.default_visualizer(value)
    return None if printer is None else Printed(value, printer, how, expression, language)


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
