"""SQLite, written by three processes of one job: with a rollback journal, a write-ahead log, and each through mappings."""
import os
import sqlite3

import writers

KINDS = {
    "rollback": ["PRAGMA journal_mode=DELETE"],
    "rollback-mmap": ["PRAGMA journal_mode=PERSIST", "PRAGMA mmap_size=67108864"],
    "wal": ["PRAGMA journal_mode=WAL", "PRAGMA wal_autocheckpoint=40"],
    "wal-mmap": ["PRAGMA journal_mode=WAL", "PRAGMA wal_autocheckpoint=40", "PRAGMA mmap_size=67108864"],
}
# Longer than any move takes on a machine that does much else.
BUSY_S = 600
# One of the writers opens the database anew after so many transactions: closing is where POSIX locks are lost.
REOPENED_AFTER = 10


def opened(folder, kind):
    base = sqlite3.connect(os.path.join(folder, "base"), timeout=BUSY_S, isolation_level=None)
    for pragma in KINDS[kind]:
        base.execute(pragma).fetchall()
    return base


def transactions(folder, kind, writer):
    base = opened(folder, kind)
    done = 0
    while True:
        base.execute("BEGIN IMMEDIATE")
        number = base.execute("SELECT value FROM counter").fetchone()[0] + 1
        base.execute("UPDATE counter SET value = ?", (number,))
        base.execute("INSERT INTO entries VALUES (?, ?, ?)", (writer, number, str(number) * 40))
        base.execute("COMMIT")
        done += 1
        if done % 7 == 0:
            look_around(base)
        yield number
        if writer == 2 and done % REOPENED_AFTER == 0:
            base.close()
            base = opened(folder, kind)


def look_around(base):
    """What is read is one moment's: as many rows as the counter says."""
    counter, rows = base.execute("SELECT value, (SELECT count(*) FROM entries) FROM counter").fetchone()
    if counter != rows:
        raise AssertionError(f"the counter stands at {counter}, there are {rows} rows")


def run(folder, kind):
    base = opened(folder, kind)
    base.execute("CREATE TABLE counter (value INTEGER)")
    base.execute("INSERT INTO counter VALUES (0)")
    base.execute("CREATE TABLE entries (writer INTEGER, number INTEGER, text TEXT)")
    base.execute("CREATE INDEX by_number ON entries (number)")
    base.close()
    return writers.start(folder, lambda writer: writers.write(folder, writer, transactions(folder, kind, writer)))


def check(folder, kind):
    base = opened(folder, kind)
    said = base.execute("PRAGMA integrity_check").fetchall()
    wrong = [] if said == [("ok",)] else [f"integrity_check says {said[:3]}"]
    counter = base.execute("SELECT value FROM counter").fetchone()[0]
    rows = base.execute("SELECT writer, number FROM entries").fetchall()
    wrong += [
        f"row {number} has another text"
        for _, number, text in base.execute("SELECT * FROM entries")
        if text != str(number) * 40
    ][:3]
    base.close()
    return wrong + writers.differences(folder, rows, counter), len(rows)


writers.main(run, check)
