"""
The program's values, as the adapter shows them: read inside gdb, through its pretty printers, one question a view.

`command` takes the questions; `stacks` has frames, `scopes` what is in them, `variables` what can be opened, `shapes`
what a value looks like and is made of, `words` how it reads, `expressions` how to say it again, `evaluating` what is
typed, `assigning` how a value is changed, `patience` how long one may take.
"""

from . import command

command.Values()
