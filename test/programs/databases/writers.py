"""Three processes that write into one database, each of which says in a file what it was told to be committed.

A transaction takes the one counter up by one and leaves a row with the number that it has read: a lost lock shows as a
number that two rows have, a lost commit as one that was told and is in no row.
"""
import os
import sys

WRITERS = 3


def told_in(folder, writer):
    return os.path.join(folder, f"told-{writer}")


def has_to_end(folder):
    return os.path.exists(os.path.join(folder, "stop"))


def write(folder, writer, transactions):
    """`transactions` gives the number of each row once it is committed."""
    told = os.open(told_in(folder, writer), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for number in transactions:
        os.write(told, f"{number}\n".encode())
        if has_to_end(folder):
            break


def start(folder, write_as):
    """Starts the writers, waits for their ends, and says whether all went well."""
    children = {}
    for writer in range(WRITERS):
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                write_as(writer)
                status = 0
            except BaseException as error:
                print(f"not so: writer {writer} goes on: {error!r}", flush=True)
            os._exit(status)
        children[pid] = writer
    print("ready", flush=True)
    good = True
    while children:
        # Other children are waited for elsewhere.
        pid, status = os.waitpid(next(iter(children)), 0)
        children.pop(pid)
        good = good and status == 0
    return good


def differences(folder, rows, counter):
    """`rows` has (writer, number), in any order."""
    numbers = sorted(number for _, number in rows)
    wrong = []
    if numbers != list(range(1, counter + 1)):
        seen = set(numbers)
        missing = [number for number in range(1, counter + 1) if number not in seen]
        wrong.append(f"the counter stands at {counter}, there are {len(numbers)} rows; missing: {missing[:10]}")
        twice = [one for one, other in zip(numbers, numbers[1:]) if one == other]
        if twice:
            wrong.append(f"numbers that two rows have: {twice[:10]}")
    there = set(rows)
    for writer in range(WRITERS):
        with open(told_in(folder, writer)) as file:
            told = [int(line) for line in file if line.endswith("\n")]
        lost = [number for number in told if (writer, number) not in there]
        if lost:
            wrong.append(f"writer {writer} was told of {len(told)} commits; lost: {lost[:10]}")
        more = sum(1 for who, _ in rows if who == writer) - len(told)
        if more > 1:
            wrong.append(f"writer {writer} has {more} rows of which it was not told")
    return wrong


def main(run, check):
    """`PROGRAM FOLDER KIND` is the job, `PROGRAM FOLDER KIND check` looks at what it has left."""
    folder, kind = sys.argv[1:3]
    if sys.argv[3:] != ["check"] and not run(folder, kind):
        sys.exit(1)
    wrong, rows = check(folder, kind)
    for line in wrong:
        print(f"not so: {line}", flush=True)
    if wrong:
        sys.exit(1)
    print(f"whole: {rows} rows", flush=True)
    sys.exit(7)
