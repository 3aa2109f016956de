"""Threads and their frames: found by number, walked no deeper than the editor asks."""

import os
from contextlib import contextmanager
import gdb
from . import bounds, words
from .command import request
from .state import STOP

SCALARS = (
    gdb.TYPE_CODE_INT,
    gdb.TYPE_CODE_BOOL,
    gdb.TYPE_CODE_CHAR,
    gdb.TYPE_CODE_ENUM,
    gdb.TYPE_CODE_FLT,
    gdb.TYPE_CODE_PTR,
    gdb.TYPE_CODE_FLAGS,
)


class Stack:
    """What is known of one thread's frames."""

    def __init__(self):
        self.frames = [gdb.newest_frame()]
        self.whole = False

    def reach(self, level):
        while not self.whole and len(self.frames) <= level:
            try:
                older = self.frames[-1].older()
            except gdb.error:
                older = None
            if older is None:
                self.whole = True
            else:
                self.frames.append(older)

    def frame(self, level):
        self.reach(level)
        if level >= len(self.frames):
            raise gdb.GdbError("there is no frame %d" % level)
        return self.frames[level]


def stack_of(thread):
    """Of the selected thread."""
    stack = STOP.stacks.get(thread)
    if stack is None:
        stack = STOP.stacks[thread] = Stack()
    return stack


def thread_of(number):
    for inferior in gdb.inferiors():
        for thread in inferior.threads():
            if thread.global_num == number:
                return thread
    raise gdb.GdbError("there is no thread %d (any more)" % number)


def at_of(at):
    """As a question has it."""
    return None if at is None else (at["thread"], at["level"])


@contextmanager
def standing(at):
    """In a frame, `(thread, level)`; what was selected before is selected afterwards. None: where gdb is."""
    if at is None:
        yield selected()
        return
    number, level = at
    before, frame_before = gdb.selected_thread(), selected()
    switched = before is None or before.global_num != number
    if switched:
        thread_of(number).switch()
    try:
        frame = stack_of(number).frame(level)
        frame.select()
        yield frame
    finally:
        if switched and before is not None and before.is_valid():
            before.switch()
        if frame_before is not None and frame_before.is_valid():
            frame_before.select()


def selected():
    try:
        return gdb.selected_frame()
    except gdb.error:
        return None


def language_of(frame):
    try:
        return frame.language()
    except (AttributeError, gdb.error):
        return "c"


@request
def frames(thread, start, count, names, values):
    """Frames from `start` on."""
    with standing((thread, 0)):
        stack = stack_of(thread)
        most = min(count or bounds.MOST_FRAMES, bounds.MOST_FRAMES)
        # One further, to know whether there is one.
        stack.reach(start + most)
        here = stack.frames[start : start + most]
        told = [told_frame(frame, start + index, names, values) for index, frame in enumerate(here)]
        return {"frames": told, "known": len(stack.frames), "whole": stack.whole}


def told_frame(frame, level, with_names, with_values):
    pc = frame.pc()
    told = {"level": level, "name": name_of(frame, with_names, with_values), "pc": "%#x" % pc}
    place = frame.find_sal()
    if place.symtab is not None and place.symtab.is_valid():
        path = place.symtab.fullname()
        told["path"] = path
        told["there"] = os.path.isfile(path)
        if place.line:
            told["line"] = place.line
    module = module_of(pc)
    if module:
        told["module"] = module
    return told


def module_of(pc):
    return gdb.solib_name(pc) or gdb.current_progspace().filename


def name_of(frame, with_names, with_values):
    name = frame.name()
    if name is None:
        return "??"
    name = words.bounded(name, bounds.MAX_NAME)
    if not with_names:
        return name
    block = function_block(frame)
    if block is None:
        return name
    arguments = (argument_of(symbol, frame, with_values) for symbol in block if symbol.is_argument)
    return "%s(%s)" % (name, ", ".join(arguments))


def argument_of(symbol, frame, with_value):
    if not with_value:
        return symbol.print_name
    try:
        value = symbol.value(frame)
        if value.type.strip_typedefs().code not in SCALARS:
            return symbol.print_name + "=…"
        options = {"symbols": False, "max_elements": 0} if is_text(value.type) else {"symbols": False}
        text = "%#x" % int(value) if is_text(value.type) else value.format_string(raw=True, **options)
    except (gdb.error, RuntimeError) as error:
        text = "<%s>" % words.problem(error)
    return "%s=%s" % (symbol.print_name, words.bounded(text, bounds.INNER_TEXT))


def is_text(type_):
    """Its text is somewhere else, and not read for a frame's name."""
    type_ = type_.strip_typedefs()
    return type_.code == gdb.TYPE_CODE_PTR and type_.target().strip_typedefs().sizeof == 1


def block_of(frame):
    try:
        return frame.block()
    except RuntimeError:
        return None


def function_block(frame):
    block = block_of(frame)
    while block is not None and block.function is None:
        if block.is_global or block.is_static:
            return None
        block = block.superblock
    return block
