"""PostgreSQL and Redis, with three clients of the same job that write into them."""

import glob
import os
import pwd
import shutil
import socket
import subprocess
import sys
import time

import writers


def as_user(name):
    """Who serves may not be root."""
    if os.getuid() != 0:
        return {}
    who = pwd.getpwnam(name)
    return {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []}


def own(folder, name):
    os.makedirs(folder, exist_ok=True)
    if os.getuid() == 0:
        shutil.chown(folder, name, name)


class Server:
    """A server that has ended is not waited for."""

    def wait_a_little(self):
        if self.server.poll() is not None:
            raise RuntimeError(f"the server has ended with {self.server.returncode}")
        time.sleep(0.2)

    def end(self):
        self.server.terminate()
        self.server.wait()


class Postgres(Server):
    programs = sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1:]

    def __init__(self, folder):
        self.folder = os.path.join(folder, "data")

    def program(self, name):
        return os.path.join(self.programs[0], name)

    def make(self):
        own(self.folder, "postgres")
        subprocess.run([self.program("initdb"), "-D", self.folder, "-A", "trust", "-U", "postgres"], check=True,
                       stdout=subprocess.DEVNULL, **as_user("postgres"))

    def begin(self):
        argv = [self.program("postgres"), "-D", self.folder, "-k", self.folder, "-c", "listen_addresses=",
                "-c", "checkpoint_timeout=30s", "-c", "log_min_messages=fatal"]
        self.server = subprocess.Popen(argv, **as_user("postgres"))
        while subprocess.run([self.program("pg_isready"), "-h", self.folder, "-U", "postgres"], stdout=subprocess.DEVNULL).returncode:
            self.wait_a_little()

    def client(self):
        argv = [self.program("psql"), "-h", self.folder, "-U", "postgres", "-qAt", "-v", "ON_ERROR_STOP=1"]
        return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def ask(self, text):
        answer, _ = self.client().communicate(text)
        return [line for line in answer.splitlines() if line]

    def fill(self):
        self.ask("CREATE EXTENSION amcheck; CREATE TABLE counter (value int); INSERT INTO counter VALUES (0);"
                 "CREATE TABLE entries (writer int, number int, text text); CREATE INDEX by_number ON entries (number);")

    def transactions(self, writer):
        client = self.client()
        while True:
            client.stdin.write(
                "WITH next AS (UPDATE counter SET value = value + 1 RETURNING value) INSERT INTO entries "
                f"SELECT {writer}, value, repeat(value::text, 40) FROM next RETURNING number;\n")
            yield int(client.stdout.readline())

    def look(self):
        wrong = self.ask("SELECT * FROM verify_heapam('entries');")
        if self.ask("SELECT bt_index_check('by_number', true); SELECT 'checked';")[-1:] != ["checked"]:
            wrong.append("amcheck does not like the index")
        rows = [tuple(map(int, line.split("|"))) for line in self.ask("SELECT writer, number FROM entries;")]
        return wrong, rows, int(self.ask("SELECT value FROM counter;")[0])


class Redis(Server):
    script = ("local n = redis.call('INCR', 'counter') redis.call('RPUSH', 'entries', ARGV[1] .. ' ' .. n) return n")

    def __init__(self, folder):
        self.folder = os.path.join(folder, "data")
        self.socket = os.path.join(self.folder, "socket")

    def make(self):
        own(self.folder, "redis")

    def begin(self):
        argv = ["redis-server", "--port", "0", "--unixsocket", self.socket, "--unixsocketperm", "777", "--dir", self.folder,
                "--appendonly", "yes", "--appendfsync", "always", "--daemonize", "no", "--logfile", os.devnull]
        self.server = subprocess.Popen(argv, **as_user("redis"))
        while self.ask("PING") not in ("PONG",):
            self.wait_a_little()

    def fill(self):
        pass

    def ask(self, *words):
        try:
            client = socket.socket(socket.AF_UNIX)
            client.connect(self.socket)
            return self.said(client.makefile("rwb"), *words)
        except OSError:
            return None

    def said(self, line, *words):
        line.write(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word.encode()) for word in words))
        line.flush()
        return self.answer(line)

    def answer(self, line):
        head = line.readline().decode().strip()
        if head[0] == "*":
            return [self.answer(line) for _ in range(int(head[1:]))]
        if head[0] == "$":
            return line.read(int(head[1:]) + 2)[:-2].decode()
        if head[0] == "-":
            raise RuntimeError(head)
        return head[1:]

    def transactions(self, writer):
        client = socket.socket(socket.AF_UNIX)
        client.connect(self.socket)
        line = client.makefile("rwb")
        while True:
            yield int(self.said(line, "EVAL", self.script, "0", str(writer)))

    def look(self):
        rows = [tuple(map(int, entry.split())) for entry in self.ask("LRANGE", "entries", "0", "-1")]
        wrong = []
        for part in glob.glob(os.path.join(self.folder, "appendonlydir", "*.aof")):
            said = subprocess.run(["redis-check-aof", part], capture_output=True, text=True)
            if said.returncode:
                wrong.append(f"redis-check-aof: {said.stdout[-300:]}")
        return wrong, rows, int(self.ask("GET", "counter"))


KINDS = {"postgres": Postgres, "redis": Redis}


def run(folder, kind):
    server = KINDS[kind](folder)
    server.make()
    server.begin()
    server.fill()
    good = writers.start(folder, lambda writer: writers.write(folder, writer, server.transactions(writer)))
    server.end()
    return good


def check(folder, kind):
    server = KINDS[kind](folder)
    server.begin()
    wrong, rows, counter = server.look()
    server.end()
    return wrong + writers.differences(folder, rows, counter), len(rows)


os.umask(0o022)
sys.stdout.reconfigure(line_buffering=True)
writers.main(run, check)
