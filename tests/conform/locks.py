"""Cases about locks between processes: flock(2), fcntl(2)."""
import errno
import fcntl
import os
import signal
import struct

from calls import put

LAYOUT = "hhqqi4x"  # struct flock: type, whence, start, len, pid


def lock(fd, kind, start=0, length=0, command=fcntl.F_SETLK, whence=0):
    return fcntl.fcntl(fd, command, struct.pack(LAYOUT, kind, whence, start, length, 0))


def held(fd, kind, start=0, length=0, command=fcntl.F_GETLK):
    """Return the conflicting lock: kind, start, length, and whether the parent holds it."""
    found = struct.unpack(LAYOUT, lock(fd, kind, start, length, command))
    if found[0] == fcntl.F_UNLCK:
        return "free"
    who = {os.getppid(): "parent", -1: "a description"}.get(found[4], "somebody")
    return ({fcntl.F_RDLCK: "read", fcntl.F_WRLCK: "write"}[found[0]], found[2], found[3], who)


F_OFD_GETLK, F_OFD_SETLK = 36, 37


class Pair:
    """Let a parent and a child take turns."""

    def __init__(self):
        self.pipes = [os.pipe(), os.pipe()]

    def tell(self, which):
        os.write(self.pipes[which][1], b"x")

    def wait(self, which):
        os.read(self.pipes[which][0], 1)


def flocks(t):
    """flock: shared, exclusive, upgrades, and which descriptors share it."""
    put("f")
    one, two = os.open("f", os.O_RDWR), os.open("f", os.O_RDWR)
    nb = fcntl.LOCK_NB
    t.do("exclusive", fcntl.flock, one, fcntl.LOCK_EX | nb)
    t.do("again", fcntl.flock, one, fcntl.LOCK_EX | nb)
    t.do("another descriptor", fcntl.flock, two, fcntl.LOCK_SH | nb)
    t.do("a duplicate shares it", fcntl.flock, os.dup(one), fcntl.LOCK_EX | nb)
    t.child(lambda t: t.do("a child shares it", fcntl.flock, one, fcntl.LOCK_EX | nb))
    t.child(lambda t: t.do("a process of its own", fcntl.flock, os.open("f", os.O_RDONLY),
                           fcntl.LOCK_SH | nb))
    t.do("downgrade", fcntl.flock, one, fcntl.LOCK_SH | nb)
    t.do("two share", fcntl.flock, two, fcntl.LOCK_SH | nb)
    t.do("no upgrade", fcntl.flock, one, fcntl.LOCK_EX | nb)
    t.do("unlock the other", fcntl.flock, two, fcntl.LOCK_UN)
    t.do("upgrade", fcntl.flock, one, fcntl.LOCK_EX | nb)
    t.do("on one for reading", fcntl.flock, os.open("f", os.O_RDONLY), fcntl.LOCK_EX | nb)
    t.do("nonsense", fcntl.flock, one, 77)
    os.mkdir("d")
    t.do("a directory", fcntl.flock, os.open("d", os.O_RDONLY), fcntl.LOCK_EX | nb)
    # A child that holds the lock dies; the waiting parent gets it.
    pair = Pair()
    pid = os.fork()
    if pid == 0:
        fcntl.flock(os.open("g", os.O_CREAT | os.O_RDWR), fcntl.LOCK_EX)
        pair.tell(0)
        pair.wait(1)
        os._exit(0)
    pair.wait(0)
    fd = os.open("g", os.O_RDWR)
    t.do("held by a child", fcntl.flock, fd, fcntl.LOCK_EX | nb)
    os.kill(pid, signal.SIGKILL)
    t.do("waited for until it dies", fcntl.flock, fd, fcntl.LOCK_EX)
    os.waitpid(pid, 0)
    t.do("both kinds do not meet", lock, fd, fcntl.F_WRLCK)


def records(t):
    """fcntl locks: ranges, holders, splitting and joining, release by close."""
    put("f", b"x" * 100)
    fd = os.open("f", os.O_RDWR)
    t.quiet("write 10 to 19", lock, fd, fcntl.F_WRLCK, 10, 10)
    t.quiet("read 50 to the end", lock, fd, fcntl.F_RDLCK, 50, 0)

    def look(t):
        other = os.open("f", os.O_RDWR)
        for start, length in ((0, 10), (0, 11), (15, 1), (19, 1), (20, 30), (50, 10), (0, 0)):
            for kind, label in ((fcntl.F_RDLCK, "read"), (fcntl.F_WRLCK, "write")):
                t.do("%s %d %d: in the way" % (label, start, length), held, other, kind, start, length)
                t.quiet("%s %d %d" % (label, start, length), lock, other, kind, start, length)
                lock(other, fcntl.F_UNLCK, start, length)
    t.child(look)
    t.quiet("unlock the middle", lock, fd, fcntl.F_UNLCK, 12, 3)
    t.quiet("read over all", lock, fd, fcntl.F_RDLCK, 0, 15)
    t.child(look)
    t.quiet("read lock on WRONLY", lock, os.open("f", os.O_WRONLY), fcntl.F_RDLCK)
    t.quiet("write lock on RDONLY", lock, os.open("f", os.O_RDONLY), fcntl.F_WRLCK)
    t.quiet("negative length", lock, fd, fcntl.F_WRLCK, 90, -10)
    t.quiet("before the start", lock, fd, fcntl.F_WRLCK, -1, 1)
    t.quiet("of an odd kind", lock, fd, 9)
    t.quiet("from the end", lock, fd, fcntl.F_WRLCK, 0, 5, fcntl.F_SETLK, os.SEEK_END)
    os.close(os.open("f", os.O_RDONLY))
    t.child(lambda t: t.do("any close of the process lets go", held, os.open("f", os.O_RDWR),
                           fcntl.F_WRLCK))


def waiting(t):
    """fcntl with F_SETLKW: waits, is interrupted, sees a deadlock."""
    put("f", b"x" * 100)
    fd = os.open("f", os.O_RDWR)
    lock(fd, fcntl.F_WRLCK, 0, 10)
    pair = Pair()
    pid = os.fork()
    if pid == 0:
        own = os.open("f", os.O_RDWR)
        lock(own, fcntl.F_WRLCK, 20, 10)
        pair.tell(0)
        try:
            lock(own, fcntl.F_WRLCK, 0, 10, fcntl.F_SETLKW)
            os._exit(0)
        except OSError as error:
            os._exit(100 + error.errno)
    pair.wait(0)
    # Once the child waits for the parent, waiting for the child is a deadlock; until
    # then the lock is only refused.
    while True:
        try:
            lock(fd, fcntl.F_WRLCK, 20, 10, fcntl.F_SETLK)
            t.say("deadlock", "got it")
            break
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
        with open("/proc/locks") as table:
            if any("->" in line and (" %d " % pid) in line for line in table):
                break
    t.quiet("deadlock", lock, fd, fcntl.F_WRLCK, 20, 10, fcntl.F_SETLKW)
    t.quiet("unlock", lock, fd, fcntl.F_UNLCK, 0, 0)
    t.say("the child got it", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

    lock(fd, fcntl.F_WRLCK, 0, 10)

    def interrupted(t):
        class Alarm(Exception):
            pass

        def ring(*_):
            raise Alarm
        signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        try:
            lock(os.open("f", os.O_RDWR), fcntl.F_WRLCK, 0, 10, fcntl.F_SETLKW)
            t.say("interrupted", "got it")
        except Alarm:
            t.say("interrupted", "yes")
    t.child(interrupted)


def descriptions(t):
    """Locks of open file descriptions."""
    put("f", b"x" * 100)
    one, two = os.open("f", os.O_RDWR), os.open("f", os.O_RDWR)
    t.quiet("write", lock, one, fcntl.F_WRLCK, 0, 10, F_OFD_SETLK)
    t.quiet("another one", lock, two, fcntl.F_WRLCK, 5, 10, F_OFD_SETLK)
    t.do("in the way", held, two, fcntl.F_WRLCK, 5, 10, F_OFD_GETLK)
    t.quiet("a process's lock", lock, two, fcntl.F_RDLCK, 0, 10)
    dup = os.dup(one)
    os.close(one)
    t.quiet("held by the duplicate", lock, two, fcntl.F_WRLCK, 0, 10, F_OFD_SETLK)
    os.close(dup)
    t.quiet("free then", lock, two, fcntl.F_WRLCK, 0, 10, F_OFD_SETLK)


CASES = [flocks, records, waiting, descriptions]
