"""The kinds of shapes, in the order in which they are asked whether a value is theirs."""

from . import fields, pointers, printed, rows, shapes

shapes.CHOOSERS[:] = [rows.contiguous, printed.printed, fields.fields_of, rows.array_of, pointers.pointer_of]
