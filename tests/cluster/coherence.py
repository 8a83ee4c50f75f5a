#!/usr/bin/env python3
"""Check what readers on three mounts saw against the log.

    coherence.py run --seed N --seconds N --dir DIR --node MOUNT URL --node ...
    kcat ... -f '%o %T %K %S\\n%k\\n%h\\n%s\\n' | coherence.py check --dir DIR --bound SECONDS

"run" starts writers, which change keys on every mount and over every node's REST, and
readers on every mount, which open and read, map, stat, list and look up these keys.
Every value contains its key, its writer and its length. What each reader saw, and when
each write was acknowledged, is written to DIR. "check" replays the log into the states
of each key, and compares them with what the readers saw. A reader must see a state
that is not older than the one it saw last of that key (of its values, of its name and
size, in listings), and not older than a state that was acknowledged when the read
began: immediately by this node (except for a REST response so late that it may not
have waited for the mounts), or SECONDS ago by another node. A value that outlives its
TTL by more than SECONDS_AFTER_EXPIRY is a failure.

The kernel requests a file's size and its pages separately, so a read(2) may mix two
versions when a change is announced (fs/POSIX.md). The readers retry for CUT_SECONDS:
a value that is still torn is a failure, and so are retries of more than CUT_MOST of
all reads.
"""
import argparse
import bisect
import collections
import errno
import http.client
import mmap
import os
import random
import sys
import time
import traceback
import zlib

# Sanitizers slow everything down.
PATIENCE = int(os.environ.get("PATIENCE", "1"))
SECONDS_AFTER_EXPIRY = 1.0 * PATIENCE
CUT_SECONDS = 0.5 * PATIENCE
FOLLOW_SECONDS = 4.0 * PATIENCE  # for a handle that is read repeatedly to see a change
SLOW = 0.09  # REST waits 0.1 s for the mounts of its node
CUT_MOST = 0.01 * PATIENCE
# Inline, at the inline limit, one page, several, and the longest value read whole.
SIZES = [100, 400, 511, 512, 513, 2000, 4095, 4096, 4097, 9000, 30000, 131072]
PLACES = ["k0", "k1", "k2"]  # below mv/a or mv/b


def value(tag, who, seq, size):
    head = b"%s %s:%d %d " % (tag.encode(), who.encode(), seq, size)
    head += b"%08x\n" % zlib.crc32(head)
    return (head + (b"%s%d." % (who.encode(), seq)) * (size // 3))[:size]


def identify(data, tag, whole=True):
    """Return the id in DATA, or "torn ..." if DATA is not one value of TAG."""
    head, newline, _ = data[:200].partition(b"\n")
    words = head.split(b" ")
    if not newline or len(words) != 4 or words[3] != b"%08x" % zlib.crc32(head[:-8]):
        return "torn: %d bytes, %r" % (len(data), data[:60])
    who, seq = words[1].decode().split(":")
    if words[0] != tag.encode():
        return "torn: of another key, %r" % head
    if whole and data != value(tag, who, int(seq), int(words[2])):
        return "torn: %d bytes with the head %r" % (len(data), head)
    return words[1].decode()


# --- running -----------------------------------------------------------------


class Worker:
    def __init__(self, args, name, node):
        self.random = random.Random("%d %s" % (args.seed, name))
        self.name = name
        self.node = node
        self.mount, self.url = args.node[node]
        self.out = open(os.path.join(args.dir, name), "w")
        self.seq = 0
        self.took = 0.0  # duration of the latest REST request, in seconds
        self.end = time.time() + args.seconds

    def run(self):
        while time.time() < self.end:
            self.step()
        self.out.close()

    def note(self, *words):
        self.out.write("\t".join(str(w) for w in words) + "\n")

    def value(self, tag):
        self.seq += 1
        return value(tag, self.name, self.seq, self.random.choice(SIZES))

    def done(self, key):
        """Note that the newest value of KEY is acknowledged."""
        self.acknowledged(key, "%s:%d" % (self.name, self.seq))

    def acknowledged(self, key, what):
        self.note("%.6f" % time.time(), self.node if self.took < SLOW else "late", key, what)

    def path(self, key):
        return os.path.join(self.mount, key)


class MountWriter(Worker):
    """A writer on one mount. It overwrites a key in place that no reader of this mount
    reads (the file is empty for a moment), and replaces others by renaming."""

    def step(self):
        r = self.random
        if r.random() < 0.5:
            key = "st/s%d" % self.node
            with open(self.path(key), "wb", buffering=0) as file:
                file.write(self.value(key))
            self.done(key)
        elif r.random() < 0.8:
            key = "ch/c%d" % r.randrange(6)
            temp = self.path("ch/.%s" % self.name)
            with open(temp, "wb", buffering=0) as file:
                file.write(self.value(key))
            os.rename(temp, self.path(key))
            self.done(key)
        else:
            try:
                os.unlink(self.path("ch/c%d" % r.randrange(6)))
            except FileNotFoundError:
                pass
        time.sleep(r.random() * 0.02)


class RestWriter(Worker):
    def __init__(self, args, name, node):
        super().__init__(args, name, node)
        self.connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=30)

    def ask(self, method, path, body=None):
        begin = time.time()
        self.connection.request(method, "/v1/kv/" + path, body)
        answer = self.connection.getresponse()
        answer.read()
        self.took = time.time() - begin
        if answer.status not in (200, 201, 204, 404):
            raise ValueError("%s %s: %d" % (method, path, answer.status))
        return answer

    def step(self):
        r = self.random
        chance = r.random()
        if chance < 0.4:
            key = "st/s%d" % r.randrange(4)
            self.ask("PUT", key, self.value(key))
            self.done(key)
        elif chance < 0.6:
            key = "ch/c%d" % r.randrange(6)
            self.ask("PUT", key, self.value(key))
            self.done(key)
        elif chance < 0.75:
            key = "ch/c%d" % r.randrange(6)
            answer = self.ask("DELETE", key)
            if answer.status == 204:
                self.acknowledged(key, "deleted " + answer.headers["X-Keydir-Offset"])
        else:
            key = "tt/t%d" % r.randrange(6)
            self.ask("PUT", key + "?ttl=%dms" % r.randrange(100, 800), self.value(key))
            self.done(key)
        time.sleep(r.random() * 0.02)


class Mover(Worker):
    """Rename a directory whose entries others have looked up."""

    def step(self):
        for old, new in (("mv/a", "mv/b"), ("mv/b", "mv/a")):
            name = self.random.choice(PLACES)
            with open(self.path("mv/.moved"), "wb", buffering=0) as file:
                file.write(self.value("mv/" + name))
            os.rename(self.path("mv/.moved"), self.path(old + "/" + name))
            self.done(old + "/" + name)
            time.sleep(self.random.random() * 0.1)
            os.rename(self.path(old), self.path(new))
            time.sleep(self.random.random() * 0.1)


class Reader(Worker):
    def __init__(self, args, name, node):
        super().__init__(args, name, node)
        self.files = {}
        self.keys = ["st/s%d" % i for i in range(4) if i != node]
        self.keys += ["ch/c%d" % i for i in range(6)] + ["tt/t%d" % i for i in range(6)]
        self.keys += ["mv/%s/%s" % (d, n) for d in "ab" for n in PLACES]

    def tag(self, key):
        return "mv/" + key[5:] if key.startswith("mv/") else key

    def saw(self, begin, how, key, what):
        self.note("%.6f" % begin, "%.6f" % time.time(), how, key, what)

    def step(self):
        key = self.random.choice(self.keys)
        how = self.random.choice(["read", "read", "stat", "look", "list"] +
                                 ["held", "map"] * key.startswith("st/"))
        first = None
        while True:
            begin = time.time()
            try:
                what = getattr(self, how)(key)
            except FileNotFoundError:
                what = "absent"
            except OSError as error:
                # Removed and created again twice between lookup and open: POSIX.md.
                if error.errno != errno.ESTALE:
                    raise
                continue
            if not what.startswith("torn") or begin > (first or begin) + CUT_SECONDS:
                break
            if not first:
                first = begin
                self.saw(begin, "cut", key, what)
        self.saw(begin, how, key, what)
        if self.random.random() < 0.02:
            time.sleep(self.random.random() * 0.05)

    def read(self, key):
        fd = os.open(self.path(key), os.O_RDONLY)
        try:
            return identify(os.read(fd, 1 << 20), self.tag(key))
        finally:
            os.close(fd)

    def stat(self, key):
        return "size %d" % os.stat(self.path(key)).st_size

    def look(self, key):
        return "present" if os.access(self.path(key), os.F_OK) else "absent"

    def list(self, key):
        where, name = os.path.split(key)
        return "present" if name in os.listdir(self.path(where)) else "absent"

    def hold(self, key):
        if key not in self.files:
            fd = os.open(self.path(key), os.O_RDONLY)
            self.files[key] = (fd, mmap.mmap(fd, 100, prot=mmap.PROT_READ))
        return self.files[key]

    def held(self, key):
        return identify(os.pread(self.hold(key)[0], 1 << 20, 0), key)

    def map(self, key):
        # A page may be invalidated in the middle of a copy.
        return identify(self.hold(key)[1][:100], key, whole=False)


def run(args):
    first = RestWriter(args, "setup", 0)
    for i in range(4):
        first.ask("PUT", "st/s%d" % i, first.value("st/s%d" % i))
        first.done("st/s%d" % i)
    for name in PLACES:
        first.ask("PUT", "mv/a/" + name, first.value("mv/" + name))
        first.done("mv/a/" + name)
    first.ask("PUT", "ch/c0", first.value("ch/c0"))
    first.ask("PUT", "tt/keep", b"")
    first.out.close()
    for mount, _ in args.node:
        while not (os.path.exists(mount + "/tt/keep") and os.path.exists(mount + "/ch/c0")):
            time.sleep(0.01)
    jobs = [(Mover, "mover", 0)]
    for node in range(len(args.node)):
        jobs += [(MountWriter, "mount%d" % node, node), (RestWriter, "rest%d" % node, node),
                 (Reader, "reader%da" % node, node), (Reader, "reader%db" % node, node)]
    pids = []
    for kind, name, node in jobs:
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                kind(args, name, node).run()
                status = 0
            except Exception:
                traceback.print_exc()
            finally:
                os._exit(status)
        pids.append(pid)
    return max(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids)


# --- checking ----------------------------------------------------------------

# One state of a key, from OFFSET on; ID is None while the key does not exist.
State = collections.namedtuple("State", "offset id size expiry since")


class History:
    """The states of each key, according to the log."""

    def __init__(self):
        self.now = {}  # existing keys: key -> state
        self.states = collections.defaultdict(lambda: [State(-1, None, 0, None, None)])

    def put(self, key, state):
        before = self.now.get(key)
        if before and before.expiry and state.since < before.expiry:
            # By its own clock a node may expire the key before it applies the next event.
            self.states[key].append(State(before.offset, None, 0, None, before.expiry))
        self.fade(key, state.since)
        self.now[key] = state
        self.states[key].append(state)

    def drop(self, key, offset, ms):
        if self.fade(key, ms) and self.now.pop(key, None):
            self.states[key].append(State(offset, None, 0, None, ms))

    def fade(self, key, ms):
        """Return whether KEY exists at MS; if it expired before, add that state."""
        state = self.now.get(key)
        if state and state.expiry and ms >= state.expiry:
            del self.now[key]
            self.states[key].append(State(state.offset, None, 0, None, state.expiry))
        return key in self.now

    def rename(self, old, new, offset, ms):
        for key in [k for k in self.now if k == old or k.startswith(old + "/")]:
            if self.fade(key, ms):
                state = self.now[key]
                self.drop(key, offset, ms)
                self.put(new + key[len(old):], state._replace(offset=offset, since=ms))

    def apply(self, offset, ms, key, headers, data):
        op = headers.get("op", "set")
        if op == "set":
            ttl = headers.get("ttl", "0")
            words = data[:200].split(b" ")
            ident = words[1].decode() if len(words) > 3 else "?"
            self.put(key, State(offset, ident, len(data), ms + int(ttl) if ttl.isdigit() and int(ttl)
                                else None, ms))
        elif op == "del":
            self.drop(key, offset, ms)
        elif op == "rename":
            self.rename(key, headers["to"], offset, ms)
        elif op not in ("mkdir", "tick", "format"):
            raise ValueError("unexpected operation in the log: " + op)


def read_log(stream):
    history = History()
    records = 0
    while True:
        line = stream.readline()
        if not line:
            break
        offset, ms, key_len, size = (int(w) for w in line.split())
        key = stream.read(max(key_len, 0)).decode()
        assert stream.read(1) == b"\n"
        headers = dict(h.split("=", 1) for h in stream.readline().decode().strip().split(",") if h)
        data = stream.read(max(size, 0))
        assert stream.read(1) == b"\n"
        history.apply(offset, ms, key, headers, data)
        records += 1
    for key in list(history.now):
        history.fade(key, 1 << 60)
    return history, records


def matches(state, what, end):
    if state.id is None:
        return what == "absent" and (state.since is None or end * 1000 >= state.since - 20)
    return what in ("present", state.id, "size %d" % state.size)


class Acks:
    """The times from which a key must be in a certain state or a later one."""

    def __init__(self, history, files, bound):
        self.found = collections.defaultdict(list)  # (key, node) -> [(moment, index)]
        # The first state with each id: a rename adds another one.
        index = {key: {s.id: i for i, s in reversed(list(enumerate(states))) if s.id}
                 for key, states in history.states.items()}
        for path in files:
            for line in open(path):
                moment, node, key, what = line.rstrip("\n").split("\t")
                if what.startswith("deleted "):
                    at = self.deletion(history.states[key], int(what.split()[1]))
                else:
                    at = index.get(key, {}).get(what)
                if at is None:
                    raise ValueError("acknowledged, and not in the log: %s %s" % (key, what))
                for reader in range(3):
                    late = 0 if str(reader) == node else bound
                    self.found[key, reader].append((float(moment) + late, at))
        for key, states in history.states.items():
            for i, state in enumerate(states):
                if state.id is None and state.since:
                    # Expired or deleted: every reader may see it late.
                    for reader in range(3):
                        self.found[key, reader].append(
                            (state.since / 1000 + max(bound, SECONDS_AFTER_EXPIRY), i))
                if state.id and state.expiry and i + 1 < len(states) and states[i + 1].id is None \
                        and states[i + 1].since == state.expiry:
                    for reader in range(3):
                        self.found[key, reader].append(
                            (state.expiry / 1000 + SECONDS_AFTER_EXPIRY, i + 1))
        for key, list_ in self.found.items():
            list_.sort()
            most, kept = -1, []
            for moment, at in list_:
                most = max(most, at)
                kept.append((moment, most))
            self.found[key] = kept

    @staticmethod
    def deletion(states, offset):
        at = [i for i, s in enumerate(states) if s.id is None and 0 <= s.offset <= offset]
        return at[-1] if at else None

    def least(self, key, reader, moment):
        list_ = self.found.get((key, reader), [])
        i = bisect.bisect_right(list_, (moment, 1 << 60))
        return list_[i - 1][1] if i else 0


class Checker:
    def __init__(self, history, acks):
        self.history = history
        self.acks = acks
        self.counts = collections.Counter()
        self.failures = []

    def fail(self, why, name, words, more=""):
        self.counts["wrong"] += 1
        if len(self.failures) < 20:
            self.failures.append("%s: %s saw %s%s" % (why, name, " ".join(words), more))

    def reader(self, path):
        name = os.path.basename(path)
        node = int(name[6])
        seen = collections.defaultdict(int)
        moves = 0
        for line in open(path):
            words = line.rstrip("\n").split("\t")
            begin, end, how, key, what = float(words[0]), float(words[1]), *words[2:]
            self.counts[how] += 1
            if how == "cut":
                continue
            if what.startswith("torn"):
                self.fail("torn", name, words)
                continue
            states = self.history.states[key]
            # The kernel caches pages, attributes and listings separately. A read may see
            # a newer version than a mapping until the kernel's pages are invalidated.
            # A handle may stay on the version that it was opened with.
            seen_as = (key, {"list": 1, "stat": 2, "look": 2, "map": 3, "held": 3}.get(how, 4))
            at = self.find(states, seen[seen_as], what, end)
            if at is None:
                older = self.find(states, 0, what, end)
                self.fail("older than what it had seen" if older is not None else "never was", name,
                          words, ", after %s" % (states[seen[seen_as]],))
                continue
            moves += at > seen[seen_as]
            seen[seen_as] = at
            late = FOLLOW_SECONDS if how in ("held", "map") else 0
            least = self.acks.least(key, node, begin - late)
            if least > at:
                at = self.find(states, least, what, end)
                if at is None:
                    self.fail("too old", name, words, ", when there was %s" % (states[least],))
                else:
                    seen[seen_as] = at
        self.counts["changes seen"] += moves

    @staticmethod
    def find(states, begin, what, end):
        for i in range(begin, len(states)):
            if matches(states[i], what, end):
                return i
        return None


def check(args):
    history, records = read_log(sys.stdin.buffer)
    names = sorted(os.listdir(args.dir))
    paths = {n: os.path.join(args.dir, n) for n in names}
    acks = Acks(history, [p for n, p in paths.items() if not n.startswith("reader")], args.bound)
    checker = Checker(history, acks)
    for name in names:
        if name.startswith("reader"):
            checker.reader(paths[name])
    print("%d records; %s" % (records, ", ".join("%s %d" % c for c in sorted(checker.counts.items()))))
    for failure in checker.failures:
        print(failure)
    for how in ("read", "stat", "look", "list", "held", "map", "changes seen"):
        if checker.counts[how] < 100:
            print("too little was done: %s %d" % (how, checker.counts[how]))
            return 1
    if checker.counts["cut"] > CUT_MOST * (checker.counts["read"] + checker.counts["held"]):
        print("too many reads were cut")
        return 1
    return 1 if checker.counts["wrong"] else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["run", "check"])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--dir", required=True)
    parser.add_argument("--bound", type=float, default=5)
    parser.add_argument("--node", nargs=2, action="append", default=[])
    args = parser.parse_args()
    return run(args) if args.what == "run" else check(args)


if __name__ == "__main__":
    sys.exit(main())
