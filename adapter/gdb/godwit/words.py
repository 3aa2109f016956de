"""How values read: numbers, texts, addresses. Everything has a bound, for any data of the program's."""

import re
import gdb
from . import bounds
from .patience import TooLong

PAGE = 4096
FIRST_READ = 256

TEXT_UNITS = {"char": 1, "char8_t": 1, "char16_t": 2, "char32_t": 4, "wchar_t": 4}
ENCODINGS = {1: "utf-8", 2: "utf-16-le", 4: "utf-32-le"}


class How:
    """The format in which a value is asked for: `,x`, `,raw`, and how much of it."""

    def __init__(self, letter=None, raw=False, characters=bounds.IN_LIST):
        self.letter = letter
        self.raw = raw
        self.characters = characters

    def shorter(self):
        return How(self.letter, self.raw, min(self.characters, bounds.INNER_TEXT))

    def cooked(self, raw):
        return How(self.letter, raw, bounds.IN_LIST)


def bounded(text, limit):
    return text if len(text) <= limit else text[: limit - 1] + "…"


def type_name(type_):
    return bounded(str(type_), bounds.MAX_TYPE)


def number(value, how):
    """What has no parts, in gdb's words."""
    options = {"raw": True, "max_elements": 64, "symbols": True}
    if how.letter:
        options["format"] = how.letter
    return bounded(value.format_string(**options), bounds.IN_LIST)


# ---- Texts


def unit_of(type_):
    """Bytes of one character, where the type is one of characters. `unsigned char` is a number."""
    seen = 0
    while type_.code == gdb.TYPE_CODE_TYPEDEF and seen < 64:
        if type_.name in TEXT_UNITS and type_.sizeof in ENCODINGS:
            return type_.sizeof
        type_ = type_.target()
        seen += 1
    name = type_.unqualified().name
    return type_.sizeof if name in TEXT_UNITS and type_.sizeof in ENCODINGS else None


def read_text(address, unit, limit):
    """The bytes up to the first zero, and whether there are more. Raises gdb.MemoryError where there is none."""
    got = b""
    step = FIRST_READ
    most = (limit + 1) * unit
    while len(got) < most:
        at = address + len(got)
        size = min(step, most - len(got), PAGE - at % PAGE)
        try:
            got += bytes(gdb.selected_inferior().read_memory(at, size))
        except gdb.MemoryError:
            if not got:
                raise
            return got[: limit * unit], True
        end = zero_in(got, unit)
        if end is not None:
            return got[:end], False
        step = PAGE
    return got[: limit * unit], True


def zero_in(data, unit):
    """Where the first character is that is zero."""
    if unit == 1:
        end = data.find(b"\0")
        return None if end < 0 else end
    for at in range(0, len(data) - unit + 1, unit):
        if not any(data[at : at + unit]):
            return at
    return None


ESCAPES = {
    "\\": "\\\\",
    '"': '\\"',
    "\n": "\\n",
    "\t": "\\t",
    "\r": "\\r",
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\v": "\\v",
    "\0": "\\0",
}


def escaped(character):
    if character in ESCAPES:
        return ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is none of the encoding's
        return "\\x%02x" % (code - 0xDC00)
    return "\\x%02x" % code if code < 0x100 else "\\u%04x" % code if code < 0x10000 else "\\U%08x" % code


def quoted(text, more=False):
    return '"' + "".join(escaped(character) for character in text) + ('"…' if more else '"')


def decoded(data, unit):
    if unit == 1:
        return data.decode("utf-8", "surrogateescape")
    return data.decode(ENCODINGS[unit], "replace")


def text_at(address, unit, how):
    """What a pointer to characters points to."""
    data, more = read_text(address, unit, how.characters)
    return quoted(decoded(data, unit), more)


def text_of(data, unit, limit, more):
    """An array of characters: to its first zero, else all of it."""
    end = zero_in(data, unit)
    if end is not None:
        data, more = data[:end], False
    text = decoded(data[: len(data) - len(data) % unit], unit)
    return quoted(text[:limit], more or len(text) > limit)


def lazy_text(lazy, how):
    """gdb.LazyString: what printers of texts answer."""
    type_ = lazy.type.strip_typedefs()
    target = type_.target() if type_.code in (gdb.TYPE_CODE_PTR, gdb.TYPE_CODE_ARRAY) else type_
    unit = target.sizeof if target.sizeof in ENCODINGS else 1
    if lazy.length == 0 or lazy.address == 0:
        return '""'
    if lazy.length < 0:
        return text_at(lazy.address, unit, how)
    count = min(lazy.length, how.characters)
    data = bytes(gdb.selected_inferior().read_memory(lazy.address, count * unit))
    return quoted(decoded(data, unit), lazy.length > count)


def listed(parts, more):
    """`{1, 2, …}` within the room that a line has."""
    text = ""
    for part in parts:
        if len(text) + len(part) > bounds.ROOM:
            more = True
            break
        text += (", " if text else "") + part
    if more:
        text += ", …" if text else "…"
    return "{" + text + "}"


# ---- Problems


def problem(error):
    if isinstance(error, TooLong):
        return "it takes too long to read this: is it made yet?"
    return bounded(re.sub(r"\s*\n\s*", " ", str(error).strip()) or type(error).__name__, bounds.IN_LIST)
