#!/usr/bin/env python3
"""Several processes do random operations in two places at once, while others read.

usage: together.py SEED COUNT MOUNT SECOND LOCAL

MOUNT is an empty directory of a mount of Keydir, SECOND the same directory of
another mount of that store, LOCAL an empty directory of a local file system.
Each of WORKERS processes does COUNT random operations on MOUNT and LOCAL in turn
and compares every result (compare.py): in a directory of its own, and in two that
all of them share, where it has names of its own, so that what comes out does not
depend on who is faster. It renames between all of them. In between it

- appends lines to a file that all share: at the end each line is there once, and
  those of one process are in their order;
- writes the next state of a value of its own, in one of three ways (by write in
  pieces, through a mapping, as a new file renamed to its place). A state is a byte,
  all over the value, one more than that of the state before.

Readers map these values meanwhile. What they must see:
- on the same mount and on LOCAL: no byte older than the last state that was
  complete when they began to look, and none newer than the last that was begun;
  in a file that was renamed to its place one state, and that alone;
- on the second mount: no byte older than one that they saw before in that place,
  none newer than the last that was begun, and the last state in the end.
"""
import mmap
import os
import random
import stat
import sys
import time
import traceback

import compare

WORKERS = 4
SIZE = 40000  # of a value: some pages, the last not full
STATE_EVERY = 8
STATES_MAX = 250  # a byte each
SHARED = ["shared", "shared/sub"]
DEADLINE_S = 20 * int(os.environ.get("PATIENCE", "1"))
LOOK_S = 0.002


class Board:
    """States that the processes share, in shared memory: one byte each."""

    def __init__(self):
        self.bytes = mmap.mmap(-1, mmap.PAGESIZE)

    def begun(self, way, worker, side, state=None):
        return self._at(0, way, worker, side, state)

    def done(self, way, worker, side, state=None):
        return self._at(1, way, worker, side, state)

    def _at(self, what, way, worker, side, state):
        place = ((what * len(WAYS) + way) * WORKERS + worker) * 2 + side
        if state is not None:
            self.bytes[place] = state
        return self.bytes[place]

    def over(self, now=None):
        if now:
            self.bytes[mmap.PAGESIZE - 1] = 1
        return self.bytes[mmap.PAGESIZE - 1] == 1


# --- states -------------------------------------------------------------------

def by_write(path, state, rng):
    fd = os.open(path, os.O_WRONLY)
    at = 0
    while at < SIZE:
        at += os.pwrite(fd, bytes([state]) * min(SIZE - at, rng.choice([1, 4096, 5000, SIZE])), at)
    os.close(fd)


def by_mapping(path, state, rng):
    fd = os.open(path, os.O_RDWR)
    with mmap.mmap(fd, SIZE) as m:
        if rng.random() < 0.5:
            os.close(fd)
            fd = None
        m[:] = bytes([state]) * SIZE
    if fd is not None:
        os.close(fd)


def by_rename(path, state, rng):
    fd = os.open(path + ".new", os.O_CREAT | os.O_WRONLY | rng.choice([0, os.O_EXCL]), 0o644)
    os.write(fd, bytes([state]) * SIZE)
    os.close(fd)
    os.rename(path + ".new", path)


WAYS = [by_write, by_mapping, by_rename]
RENAMED = WAYS.index(by_rename)


def value_path(top, way, worker):
    return os.path.join(top, "values", "%s%d" % (WAYS[way].__name__, worker))


# --- workers ------------------------------------------------------------------

class Side(compare.Side):
    """One place, as one worker sees it: its own entries."""

    def __init__(self, top, own=""):
        super().__init__(top)
        self.own = own

    def describe(self, st):
        # Without times: a write through a mapping changes no time on tmpfs, and emptying
        # an empty file changes none on a mount.
        return super().describe(st)[:-1]

    def listdir(self, rel):
        return [n for n in super().listdir(rel) if rel not in SHARED or n[0] == self.own]

    def tree(self):
        found = {}
        for place in [""] + SHARED:
            for name in os.listdir(self.path(place)):
                if name[0] == self.own:
                    top = Side(os.path.join(self.path(place), name))
                    path = os.path.join(place, name)
                    found[path] = self.entry(top.top)
                    if found[path][0][0] == stat.S_IFDIR:
                        found.update((path + "/" + p, e) for p, e in top.whole_tree().items())
        return found

    def whole_tree(self):
        return super().tree()


class Worker(compare.Driver):
    def __init__(self, worker, seed, tops, board):
        super().__init__(seed * 100 + worker, [Side(top, str(worker)) for top in tops])
        self.worker = worker
        self.board = board
        self.names = [str(worker) + n for n in ("a", "b", "c", "dir", "x" * 254)]
        self.targets = self.names[:4] + ["%da/%db" % (worker, worker)]
        self.count = 0
        self.states = [1] * len(WAYS)

    def rel(self):
        place = self.random.choice(SHARED + ["%dprivate" % self.worker] * 2)
        name = super().rel()
        return name if name == compare.LONG_NAME else place + "/" + name

    def choose(self):
        if self.random.random() < 0.03:
            return ("listdir", self.random.choice(SHARED))
        return super().choose()

    def step(self):
        self.count += 1
        if self.count % STATE_EVERY == 0:
            self.next_state()
        if self.count % 10 == 0:
            self.add_line()
        return super().step()

    def next_state(self):
        way = self.random.randrange(len(WAYS))
        state = self.states[way] + 1
        if state > STATES_MAX:
            return
        self.states[way] = state
        for number, side in enumerate(self.sides):
            self.board.begun(way, self.worker, number, state)
            WAYS[way](value_path(side.top, way, self.worker), state, self.random)
            self.board.done(way, self.worker, number, state)

    def add_line(self):
        for side in self.sides:
            fd = os.open(side.path("log"), os.O_WRONLY | os.O_APPEND)
            os.write(fd, b"%d %d\n" % (self.worker, self.count))
            os.close(fd)


# --- readers --------------------------------------------------------------------

def fail(text, *args):
    print(text % args, flush=True)
    os._exit(1)


def look(path):
    """Return the bytes of a new mapping of PATH."""
    fd = os.open(path, os.O_RDONLY)
    with mmap.mmap(fd, SIZE, prot=mmap.PROT_READ) as m:
        os.close(fd)
        return m[:]


def reader(top, side, seed, board):
    """A reader of the place that is written to: side 0 is the mount, 1 is LOCAL."""
    rng = random.Random(seed)
    kept = {}
    for way in range(len(WAYS)):
        for worker in range(WORKERS):
            fd = os.open(value_path(top, way, worker), os.O_RDONLY)
            kept[way, worker] = mmap.mmap(fd, SIZE, prot=mmap.PROT_READ)
            os.close(fd)
    first = {key: m[:1] for key, m in kept.items()}
    while not board.over():
        way, worker = rng.randrange(len(WAYS)), rng.randrange(WORKERS)
        oldest = board.done(way, worker, side)
        # A mapping of a replaced file keeps its content.
        new = way == RENAMED or rng.random() < 0.3
        data = look(value_path(top, way, worker)) if new else kept[way, worker][:]
        newest = board.begun(way, worker, side)
        if min(data) < oldest or max(data) > newest:
            fail("%s of %d in %s: bytes %d to %d, written were %d to %d", WAYS[way].__name__, worker,
                 top, min(data), max(data), oldest, newest)
        if way == RENAMED and min(data) != max(data):
            fail("renamed of %d in %s: %d and %d in one file", worker, top, min(data), max(data))
        if way == RENAMED and kept[way, worker][:] != first[way, worker] * SIZE:
            fail("renamed of %d in %s: the file replaced has changed", worker, top)
        time.sleep(LOOK_S)


def second_reader(top, seed, board):
    """A reader of another mount: it may be late, but never goes back."""
    rng = random.Random(seed)
    mappings = {}
    for way in range(RENAMED):
        for worker in range(WORKERS):
            fd = os.open(value_path(top, way, worker), os.O_RDONLY)
            mappings[way, worker] = mmap.mmap(fd, SIZE, prot=mmap.PROT_READ)
            os.close(fd)
    seen = {key: bytes(SIZE) for key in mappings}

    def check(way, worker):
        data = mappings[way, worker][:]
        newest = board.begun(way, worker, 0)
        last = seen[way, worker]
        if data != last:
            back = [i for i in range(SIZE) if data[i] < last[i]]
            if back or max(data) > newest:
                fail("%s of %d on the second mount: back at %s, newest %d of %d", WAYS[way].__name__,
                     worker, back[:5], max(data), newest)
            seen[way, worker] = data
        return min(data) == newest

    while not board.over():
        check(rng.randrange(RENAMED), rng.randrange(WORKERS))
        time.sleep(LOOK_S)
    end = time.monotonic() + DEADLINE_S
    for key in mappings:
        while not check(*key):
            if time.monotonic() > end:
                fail("%s of %d: the second mount never shows the last state", WAYS[key[0]].__name__,
                     key[1])
            time.sleep(LOOK_S)


# --- all together ------------------------------------------------------------------

def process(work, *args):
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            status = 0 if work(*args) in (None, True) else 1
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(status)
    return pid


def ended_well(pids):
    good = True
    for pid in pids:
        good = os.waitpid(pid, 0)[1] == 0 and good
    return good


def lines_are_right(top, count):
    with open(os.path.join(top, "log"), "rb") as f:
        lines = f.read().splitlines()
    for worker in range(WORKERS):
        own = [line for line in lines if line.startswith(b"%d " % worker)]
        if own != [b"%d %d" % (worker, i) for i in range(10, count + 1, 10)]:
            print("the lines of %d in %s are %s" % (worker, top, own))
            return False
    return len(lines) == WORKERS * (count // 10)


def values_are_right(top, board, side):
    good = True
    for way in range(len(WAYS)):
        for worker in range(WORKERS):
            with open(value_path(top, way, worker), "rb") as f:
                data = f.read()
            if data != bytes([board.done(way, worker, side)]) * SIZE:
                print("%s is not what was written last" % value_path(top, way, worker))
                good = False
    return good


def prepare(top, board, side):
    for name in SHARED + ["values"] + ["%dprivate" % worker for worker in range(WORKERS)]:
        os.mkdir(os.path.join(top, name))
    with open(os.path.join(top, "log"), "wb"):
        pass
    for way in range(len(WAYS)):
        for worker in range(WORKERS):
            with open(value_path(top, way, worker), "wb") as f:
                f.write(bytes([1]) * SIZE)
            board.begun(way, worker, side, 1)
            board.done(way, worker, side, 1)


def whole_trees_agree(tops):
    trees = [Side(top).whole_tree() for top in tops]
    for tree in trees:
        del tree["log"]  # its order depends on which process was faster
    for name in sorted(set(trees[0]) | set(trees[1])):
        pair = [tree.get(name) for tree in trees]
        if pair[0] != pair[1]:
            print("in the end %s differs: %s" % (name, compare.short(tuple(pair))))
            return False
    return True


def main():
    seed, count = int(sys.argv[1]), int(sys.argv[2])
    mount, second, local = sys.argv[3:6]
    tops, board = [mount, local], Board()
    print("seed %d" % seed, flush=True)
    os.umask(0o022)
    for side, top in enumerate(tops):
        prepare(top, board, side)
    readers = [process(reader, mount, 0, seed, board), process(reader, mount, 0, seed + 1, board),
               process(second_reader, second, seed, board), process(reader, local, 1, seed, board)]
    workers = [process(lambda w: Worker(w, seed, tops, board).run(count), w) for w in range(WORKERS)]
    good = ended_well(workers)
    board.over(True)
    good = ended_well(readers) and good
    for side, top in enumerate(tops):
        good = lines_are_right(top, count) and values_are_right(top, board, side) and good
    return 0 if whole_trees_agree(tops) and good else 1


if __name__ == "__main__":
    sys.exit(main())
