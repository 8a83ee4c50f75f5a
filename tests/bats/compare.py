#!/usr/bin/env python3
"""Do the same random operations in two directories and compare every result.

usage: compare.py SEED COUNT DIR1 DIR2

DIR1 is a mount of Keydir, DIR2 a directory of a local file system. Results are
return values, data read, attributes and error numbers; every few hundred
operations the whole trees are compared. Prints the seed and the operations
that led to a difference, and ends with status 1 at the first one.
"""
import ctypes
import errno
import fcntl
import mmap
import os
import random
import stat
import sys

NAMES = ["a", "b", "c", "dir", "sub", "x" * 255]
LONG_NAME = "y" * 256
SIZES = [0, 1, 2, 100, 511, 512, 513, 4095, 4096, 4097, 10000, 65520, 65521, 200000]
MAX_OPEN = 8
SET_BEFORE = 10**18
HISTORY = 60

libc = ctypes.CDLL(None, use_errno=True)
AT_FDCWD = -100
RENAME_NOREPLACE, RENAME_EXCHANGE = 1, 2


def renameat2(old, new, flags):
    if libc.renameat2(AT_FDCWD, os.fsencode(old), AT_FDCWD, os.fsencode(new), flags) != 0:
        err = ctypes.get_errno()
        raise OSError(err, os.strerror(err))


class Side:
    """One of the two directories, with the files that are open in it."""

    def __init__(self, top):
        self.top = top
        self.fds = {}

    def path(self, rel):
        return os.path.join(self.top, rel) if rel else self.top

    def attempt(self, operation, *args):
        try:
            return getattr(self, operation)(*args)
        except OSError as e:
            return "error " + errno.errorcode.get(e.errno, str(e.errno))

    def describe(self, st):
        kind = stat.S_IFMT(st.st_mode)
        size = None if stat.S_ISDIR(st.st_mode) else st.st_size
        # A time that was set is earlier than the time of any change. A directory's time
        # changes again when a file created in it reaches the log.
        mtime = st.st_mtime_ns if st.st_mtime_ns < SET_BEFORE else "now"
        if stat.S_ISDIR(st.st_mode):
            mtime = None
        return (kind, stat.S_IMODE(st.st_mode), st.st_nlink, size, mtime)

    def open(self, slot, rel, flags, mode):
        self.fds[slot] = os.open(self.path(rel), flags, mode)
        return "opened"

    def close(self, slot):
        os.close(self.fds.pop(slot))

    def read(self, slot, count):
        return os.read(self.fds[slot], count)

    def pread(self, slot, count, offset):
        return os.pread(self.fds[slot], count, offset)

    def write(self, slot, data):
        return os.write(self.fds[slot], data)

    def pwrite(self, slot, data, offset):
        return os.pwrite(self.fds[slot], data, offset)

    def lseek(self, slot, offset, whence):
        if stat.S_ISDIR(os.fstat(self.fds[slot]).st_mode):
            return None  # positions of a directory are the file system's own
        return os.lseek(self.fds[slot], offset, whence)

    def fstat(self, slot):
        return self.describe(os.fstat(self.fds[slot]))

    def ftruncate(self, slot, size):
        return os.ftruncate(self.fds[slot], size)

    def fsync(self, slot):
        return os.fsync(self.fds[slot])

    def fchmod(self, slot, mode):
        return os.fchmod(self.fds[slot], mode)

    def mapped(self, slot, offset, data):
        """Read a page through a shared mapping; with DATA also write there."""
        fd = self.fds[slot]
        size = os.fstat(fd).st_size
        page = offset - offset % mmap.PAGESIZE
        if not stat.S_ISREG(os.fstat(fd).st_mode) or page >= size:
            return None
        if fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_APPEND:
            return None  # not mapped on Keydir
        prot = mmap.PROT_READ | (mmap.PROT_WRITE if data else 0)
        with mmap.mmap(fd, min(size - page, mmap.PAGESIZE), prot=prot, offset=page) as m:
            before = m[:]
            if data:
                m[:min(len(data), len(m))] = data[:len(m)]
            return before

    def fallocate(self, slot, offset, length):
        st = os.fstat(self.fds[slot])
        if not stat.S_ISREG(st.st_mode) or offset + length <= st.st_size:
            return None  # file systems differ in whether that is a change
        return os.posix_fallocate(self.fds[slot], offset, length)

    def copy(self, source, slot, count, offset):
        return os.copy_file_range(self.fds[source], self.fds[slot], count, 0, offset)

    def truncate(self, rel, size):
        return os.truncate(self.path(rel), size)

    def unlink(self, rel):
        return os.unlink(self.path(rel))

    def mkdir(self, rel, mode):
        return os.mkdir(self.path(rel), mode)

    def rmdir(self, rel):
        return os.rmdir(self.path(rel))

    def symlink(self, target, rel):
        return os.symlink(target, self.path(rel))

    def readlink(self, rel):
        return os.readlink(self.path(rel))

    def rename(self, old, new):
        return os.rename(self.path(old), self.path(new))

    def rename2(self, old, new, flags):
        return renameat2(self.path(old), self.path(new), flags)

    def stat(self, rel):
        return self.describe(os.lstat(self.path(rel)))

    def chmod(self, rel, mode):
        return os.chmod(self.path(rel), mode)

    def utime(self, rel, atime, mtime):
        os.utime(self.path(rel), ns=(atime, mtime))
        st = os.stat(self.path(rel))
        return (st.st_atime_ns, st.st_mtime_ns)

    def listdir(self, rel):
        return sorted(os.listdir(self.path(rel)))

    def access(self, rel, mode):
        return os.access(self.path(rel), mode)

    def setxattr(self, rel, name, value, flags):
        return os.setxattr(self.path(rel), name, value, flags)

    def getxattr(self, rel, name):
        return os.getxattr(self.path(rel), name)

    def removexattr(self, rel, name):
        return os.removexattr(self.path(rel), name)

    def listxattr(self, rel):
        return sorted(n for n in os.listxattr(self.path(rel)) if n.startswith("user."))

    def whole(self, rel):
        with open(self.path(rel), "rb") as f:
            return f.read()

    def tree(self):
        found = {}
        for here, dirs, files in os.walk(self.top):
            for name in dirs + files:
                full = os.path.join(here, name)
                found[os.path.relpath(full, self.top)] = self.entry(full)
        return found

    def entry(self, full):
        st = os.lstat(full)
        data = b""
        if stat.S_ISLNK(st.st_mode):
            data = os.readlink(full)
        if stat.S_ISREG(st.st_mode):
            with open(full, "rb") as f:
                data = f.read()
        xattrs = {n: os.getxattr(full, n, follow_symlinks=False)
                  for n in os.listxattr(full, follow_symlinks=False)
                  if n.startswith("user.")}
        return (self.describe(st), data, xattrs)


class Driver:
    names = NAMES
    targets = NAMES[:5] + ["../a", "../dir/b", "a/b"]

    def __init__(self, seed, sides):
        self.random = random.Random(seed)
        self.sides = sides
        self.history = []
        self.slots = set()
        self.writable = set()

    def rel(self):
        r = self.random
        if r.random() < 0.01:
            return LONG_NAME
        return "/".join(r.choice(self.names) for _ in range(r.choice([1, 1, 1, 2, 2, 3])))

    def data(self):
        size = self.random.choice(SIZES)
        return bytes([self.random.randrange(256)]) * size

    def choose(self):
        r = self.random
        slot = r.choice(sorted(self.slots)) if self.slots else None
        choices = [
            (12, lambda: ("open",)),
            (3, lambda: ("unlink", self.rel())),
            (4, lambda: ("mkdir", self.rel(), r.choice([0o755, 0o700]))),
            (2, lambda: ("rmdir", self.rel())),
            (2, lambda: ("symlink", r.choice(self.targets), self.rel())),
            (1, lambda: ("readlink", self.rel())),
            (4, lambda: ("rename", self.rel(), self.rel())),
            (2, lambda: ("rename2", self.rel(), self.rel(),
                         r.choice([RENAME_NOREPLACE, RENAME_EXCHANGE, 3]))),
            (5, lambda: ("stat", self.rel())),
            (3, lambda: ("listdir", r.choice(["", self.rel()]))),
            (2, lambda: ("truncate", self.rel(), r.choice(SIZES))),
            (2, lambda: ("chmod", self.rel(), r.choice([0o600, 0o644, 0o755, 0o4755]))),
            (2, lambda: ("utime", self.rel(), r.randrange(SET_BEFORE), r.randrange(SET_BEFORE))),
            (1, lambda: ("access", self.rel(), r.choice([os.F_OK, os.R_OK, os.X_OK]))),
            (3, lambda: ("whole", self.rel())),
            (2, lambda: ("setxattr", self.rel(), r.choice(["user.p", "user.q"]), self.data()[:300],
                         r.choice([0, 0, os.XATTR_CREATE, os.XATTR_REPLACE]))),
            (2, lambda: ("getxattr", self.rel(), r.choice(["user.p", "user.q"]))),
            (1, lambda: ("removexattr", self.rel(), r.choice(["user.p", "user.q"]))),
            (1, lambda: ("listxattr", self.rel())),
        ]
        if slot is not None:
            choices += [
                (8, lambda: ("write", slot, self.data())),
                (6, lambda: ("pwrite", slot, self.data(), r.choice(SIZES))),
                (4, lambda: ("read", slot, r.choice(SIZES))),
                (5, lambda: ("pread", slot, r.choice(SIZES), r.choice(SIZES))),
                (3, lambda: ("lseek", slot, r.choice(SIZES), r.choice([0, 1, 2]))),
                (4, lambda: ("fstat", slot)),
                (3, lambda: ("ftruncate", slot, r.choice(SIZES))),
                (2, lambda: ("fsync", slot)),
                (4, lambda: ("mapped", slot, r.choice(SIZES), b"")),
                (2, lambda: ("mapped", slot, r.choice(SIZES), self.data()[:5000])),
                (2, lambda: ("fallocate", slot, r.choice(SIZES), r.choice(SIZES))),
                (2, lambda: ("copy", r.choice(sorted(self.slots)), slot, r.choice(SIZES), r.choice(SIZES))),
                (1, lambda: ("fchmod", slot, r.choice([0o600, 0o640]))),
                (7, lambda: ("close", slot)),
            ]
        weights = [w for w, _ in choices]
        return r.choices(choices, weights)[0][1]()

    def open_args(self):
        r = self.random
        free = [s for s in range(MAX_OPEN) if s not in self.slots]
        if not free:
            return None
        flags = r.choice([os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_RDWR])
        for flag, chance in ((os.O_CREAT, 0.6), (os.O_EXCL, 0.15), (os.O_TRUNC, 0.3),
                             (os.O_APPEND, 0.25), (os.O_DIRECTORY, 0.02), (os.O_NOFOLLOW, 0.05)):
            if r.random() < chance:
                flags |= flag
        if flags & os.O_DIRECTORY:
            flags &= ~(os.O_CREAT | os.O_EXCL | os.O_TRUNC)
        if not flags & os.O_ACCMODE:
            flags &= ~os.O_TRUNC  # unspecified by POSIX
        if not flags & os.O_CREAT:
            flags &= ~os.O_EXCL  # the same
        return ("open", free[0], self.rel(), flags, r.choice([0o644, 0o600, 0o666]))

    def step(self):
        op = self.choose()
        if op[0] == "open":
            op = self.open_args()
            if op is None:
                return True
        self.history.append(op)
        results = [side.attempt(*op) for side in self.sides]
        if op[0] == "open" and results[0] == "opened" == results[1]:
            self.slots.add(op[1])
        if op[0] == "close":
            self.slots.discard(op[1])
        return self.same(op, results)

    def same(self, op, results):
        if results[0] == results[1]:
            return True
        self.tell(op, results)
        return False

    def tell(self, op, results):
        for past in self.history[-HISTORY:]:
            print("  ", short(past))
        print("differ in", short(op))
        for side, result in zip(self.sides, results):
            print("   %s: %s" % (side.top, short(result)))

    def run(self, count):
        """Do COUNT operations, then close the open files. Return False at a difference."""
        for i in range(count):
            if not self.step() or (i % 300 == 299 and not self.compare_trees()):
                print("operation %d" % i)
                return False
        for slot in sorted(self.slots):
            results = [side.attempt("close", slot) for side in self.sides]
            if not self.same(("close", slot), results):
                return False
        return self.compare_trees()

    def compare_trees(self):
        # Open files may have changes that the other side already shows.
        trees = [side.tree() for side in self.sides]
        if trees[0] == trees[1]:
            return True
        for name in sorted(set(trees[0]) | set(trees[1])):
            pair = [t.get(name) for t in trees]
            if pair[0] != pair[1]:
                self.tell(("tree", name), pair)
        return False


def short(thing):
    if isinstance(thing, bytes) and len(thing) > 24:
        runs = [thing[i] for i in range(len(thing)) if i == 0 or thing[i] != thing[i - 1]]
        return "<%d bytes, runs %s>" % (len(thing), runs[:12])
    if isinstance(thing, tuple):
        return "(" + ", ".join(short(t) for t in thing) + ")"
    if isinstance(thing, str) and len(thing) > 60 and set(thing.split("/")[-1]) <= {"x", "y"}:
        return repr(thing.replace("x" * 255, "X255").replace("y" * 256, "Y256"))
    return repr(thing)


def main():
    seed, count = int(sys.argv[1]), int(sys.argv[2])
    sides = [Side(top) for top in sys.argv[3:5]]
    driver = Driver(seed, sides)
    print("seed %d" % seed)
    os.umask(0o022)
    return 0 if driver.run(count) else 1


if __name__ == "__main__":
    sys.exit(main())
