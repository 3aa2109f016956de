"""How much of anything is read, shown or waited for at once, for any data of the program's."""

# ---- Characters

IN_LIST = 1000
# Where a value is asked for by itself.
BY_ITSELF = 10000
# Elements and characters of what stands for a whole; where each element costs a read of its own; and of one inside it.
ITEMS = 8
WALKED_ITEMS = 4
ROOM = 120
INNER_TEXT = 60
MAX_TYPE = 500
MAX_NAME = 500

# ---- Bytes

# Read at once rather than part by part. gdb itself refuses more than 64 KiB.
AT_ONCE = 32768
# Of a whole that is copied.
COPIED_BYTES = 65536

# ---- Lines of one answer

# Of what has a number, and of what has to be walked. The rest is behind one more line.
MOST_LINES = 1000
MOST_WALKED = 100
MOST_NAMED = 5000
MOST_STATICS = 2000
MOST_ELEMENTS = 1 << 31
MOST_FRAMES = 10000
# Lines of a source file that are searched for code.
MOST_SOURCE_LINES = 10000
# More are no help to anybody who types.
MOST_COMPLETIONS = 200

# ---- What is walked

# Parts that are kept of what has to be walked.
KEPT = 4096
# Frames that are looked at beyond the place where one would be: a signal's may be on another stack.
BEYOND = 100

# ---- Seconds of gdb's own time

# To find what is to be shown; on the way to a part of what has to be walked.
PATIENCE_S = 5
# For one line, which a log point's text is too.
LINE_S = 3
