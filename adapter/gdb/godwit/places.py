"""Places in the program: lines with code, where a thread can be sent, what the current line calls, what is loaded."""

import re
import gdb
from . import bounds
from .command import request
from .stacks import at_of, standing

CALL = re.compile(r"^\s*(?:call|callq|bl)\s+0x([0-9a-f]+)\s+<([^>+]+)>")


def symtabs_of(path):
    try:
        _, found = gdb.decode_line('"%s":1' % path)
    except gdb.error:
        return []
    return {sal.symtab.fullname(): sal.symtab for sal in found or [] if sal.symtab}.values()


@request
def lines_with_code(path, first, last):
    """The lines from `first` to `last` that a breakpoint can be at."""
    last = min(last, first + bounds.MOST_SOURCE_LINES)
    lines = set()
    for symtab in symtabs_of(path):
        lines.update(line for line in symtab.linetable().source_lines() if first <= line <= last)
    return sorted(lines)


def function_at(address):
    block = gdb.block_for_pc(address)
    while block is not None and block.function is None:
        block = block.superblock
    return block.function if block is not None else None


@request
def addresses_of_line(path, line):
    """The line itself, or the next with code, and its address in each function that has it."""
    for symtab in symtabs_of(path):
        table = symtab.linetable()
        after = sorted(number for number in table.source_lines() if number >= line)
        if not after:
            continue
        found = {}
        for entry in table.line(after[0]) or []:
            function = function_at(entry.pc)
            if function is not None and (function.name not in found or entry.pc < found[function.name]):
                found[function.name] = entry.pc
        return {"line": after[0], "at": [{"function": name, "address": hex(pc)} for name, pc in found.items()]}
    return None


def origin(function):
    return function.symtab.fullname() if function.symtab else "", function.line, function.linkage_name


@request
def go_to(thread, address):
    """The thread's next instruction is that one, of the same function."""
    with standing((thread, 0)) as frame:
        here, there = function_at(frame.pc()), function_at(int(address, 16))
        if here is None or there is None or origin(here) != origin(there):
            raise gdb.GdbError("a thread can only go to a line of the function that it is in")
        gdb.execute("set var $pc = %s" % address, to_string=True)


@request
def calls_of_line(at):
    """The functions with lines of their own that are called from the rest of the line."""
    with standing(at_of(at)) as frame:
        if at["level"] != 0 or frame.find_sal().symtab is None:
            return []
        sal, pc = frame.find_sal(), frame.pc()
        last = sal.last if sal.last is not None else pc
        found = {}
        for one in frame.architecture().disassemble(pc, last):
            call = CALL.match(one["asm"])
            if not call:
                continue
            function = function_at(int(call.group(1), 16))
            if function is not None and function.symtab is not None:
                found[function.print_name] = function.symtab.fullname()
        return [{"function": name, "path": path} for name, path in found.items()]
