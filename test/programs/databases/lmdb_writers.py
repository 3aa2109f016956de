"""LMDB, written by three processes of one job: a robust mutex and the readers' table in a shared mapping of a file."""
import os

import lmdb

import writers

SIZE = 64 * 1024 * 1024
# One of the writers opens the database anew after so many transactions. Who finds it unlocked makes its mutexes anew.
REOPENED_AFTER = 10


def opened(folder, kind):
    return lmdb.open(os.path.join(folder, "base"), map_size=SIZE, max_dbs=2, writemap=kind == "writemap")


def transactions(folder, kind, writer):
    environment = opened(folder, kind)
    entries = environment.open_db(b"entries")
    done = 0
    while True:
        with environment.begin(write=True) as change:
            number = int(change.get(b"counter", b"0")) + 1
            change.put(b"counter", b"%d" % number)
            # One key a writer and number: a number that was given twice is seen in both.
            change.put(b"%08d %d" % (number, writer), b"%d" % number * 40, db=entries)
        if number % 7 == 0:
            look_around(environment, entries)
        yield number
        done += 1
        if writer == 2 and done % REOPENED_AFTER == 0:
            environment.close()
            environment = opened(folder, kind)
            entries = environment.open_db(b"entries")


def look_around(environment, entries):
    """What is read is one moment's: as many entries as the counter says."""
    with environment.begin() as look:
        counter, there = int(look.get(b"counter")), look.stat(db=entries)["entries"]
        if counter != there:
            raise AssertionError(f"the counter stands at {counter}, there are {there} entries")


def run(folder, kind):
    environment = opened(folder, kind)
    environment.open_db(b"entries")
    environment.close()
    return writers.start(folder, lambda writer: writers.write(folder, writer, transactions(folder, kind, writer)))


def check(folder, kind):
    environment = opened(folder, kind)
    entries = environment.open_db(b"entries")
    rows, wrong = [], []
    with environment.begin() as look:
        counter = int(look.get(b"counter"))
        for key, value in look.cursor(db=entries):
            number, writer = map(int, key.split())
            rows.append((writer, number))
            if value != b"%d" % number * 40:
                wrong.append(f"row {number} has another text")
        # A walk over the pages: what it counts must be what the tree says that it has.
        if look.stat(db=entries)["entries"] != len(rows):
            wrong.append(f"{look.stat(db=entries)['entries']} entries are told of, {len(rows)} are there")
    environment.close()
    return wrong[:3] + writers.differences(folder, rows, counter), len(rows)


writers.main(run, check)
