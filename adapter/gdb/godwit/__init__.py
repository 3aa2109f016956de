"""
What the debug adapter has done inside gdb: one call where gdb's own interface takes one a thread, a frame or a value. `-godwit NAME JSON` is the one command (`command`); `adapter/gdb/contract.ts` says what can be asked.

Of the program's values `values` takes the questions; `stacks` has frames, `scopes` what is in them, `variables` what can
be opened, `shapes` what a value looks like and is made of (`kinds`: `rows`, `printed`, `fields`, `pointers`), `words` how
it reads, `expressions` how to say it again, `evaluating` what is typed, `assigning` how a value is changed. `bounds` says
how much of anything there may be, `patience` how long one may take, `state` what is kept from one call to the next.
"""

from . import breakpoints, command, completions, exceptions, kinds, places, processes, stacks, steps, threads, values

command.Command()
