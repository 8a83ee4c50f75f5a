"""Cases about permissions: what another user than root may do."""
import os

from calls import NOBODY, entry, fallocate, get, put, renameat2, touch_open, utimensat

MODES = [0o000, 0o004, 0o002, 0o006, 0o001, 0o007, 0o770, 0o444]


def file_modes(t):
    """What the modes of root's file permit another user."""
    for mode in MODES:
        name = "f%03o" % mode
        put(name, b"0123456789", mode)
        os.setxattr(name, "user.x", b"y")
    os.symlink("f000", "l")

    def work(t):
        for mode in MODES:
            name = "f%03o" % mode
            for label, call in (
                    ("read", lambda n: get(n)[:0]),
                    ("write", lambda n: touch_open(n, os.O_WRONLY)),
                    ("read and write", lambda n: touch_open(n, os.O_RDWR)),
                    ("append", lambda n: touch_open(n, os.O_WRONLY | os.O_APPEND)),
                    ("creat", lambda n: touch_open(n, os.O_WRONLY | os.O_CREAT)),
                    ("empty", lambda n: touch_open(n, os.O_WRONLY | os.O_TRUNC)),
                    ("truncate", lambda n: os.truncate(n, 5)),
                    ("execute", lambda n: os.access(n, os.X_OK)),
                    ("access read", lambda n: os.access(n, os.R_OK)),
                    ("access write", lambda n: os.access(n, os.W_OK)),
                    ("stat", lambda n: os.stat(n).st_size),
                    ("chmod", lambda n: os.chmod(n, 0o777)),
                    ("chown", lambda n: os.chown(n, NOBODY, NOBODY)),
                    ("utime", lambda n: os.utime(n, ns=(1, 1))),
                    ("utime now", lambda n: utimensat(n, None, None)),
                    ("getxattr", lambda n: os.getxattr(n, "user.x")),
                    ("setxattr", lambda n: os.setxattr(n, "user.x", b"z")),
                    ("removexattr", lambda n: os.removexattr(n, "user.none")),
                    ("listxattr", lambda n: os.listxattr(n) and None),
                    ("O_PATH", lambda n: touch_open(n, os.O_PATH)),
                    ("O_NOATIME", lambda n: touch_open(n, os.O_RDONLY | os.O_NOATIME)),
                    ("unlink", os.unlink),
                    ("rename", lambda n: os.rename(n, n + "x"))):
                t.do("%s %03o" % (label, mode), call, name)
        t.do("readlink", os.readlink, "l")
        t.do("read through a link", get, "l")
    t.child(work, NOBODY)
    t.say("after", [entry("f%03o" % mode) for mode in MODES])


def directory_modes(t):
    """What the modes of root's directory permit another user."""
    for mode in MODES:
        name = "d%03o" % mode
        os.mkdir(name)
        put(name + "/key", b"v", 0o666)
        os.mkdir(name + "/sub")
        os.chmod(name + "/sub", 0o777)
        os.chmod(name, mode)
    os.mkdir("own")
    os.chmod("own", 0o777)

    def work(t):
        for mode in MODES:
            name = "d%03o" % mode
            for label, call in (
                    ("list", lambda n: sorted(os.listdir(n))),
                    ("read in it", lambda n: get(n + "/key")),
                    ("write in it", lambda n: touch_open(n + "/key", os.O_WRONLY)),
                    ("stat in it", lambda n: os.stat(n + "/key").st_size),
                    ("look for nothing", lambda n: os.stat(n + "/none")),
                    ("create", lambda n: touch_open(n + "/new", os.O_CREAT | os.O_WRONLY)),
                    ("create exclusively", lambda n: touch_open(
                        n + "/newer", os.O_CREAT | os.O_EXCL | os.O_WRONLY)),
                    ("mkdir", lambda n: os.mkdir(n + "/dir")),
                    ("mkdir over", lambda n: os.mkdir(n + "/key")),
                    ("symlink", lambda n: os.symlink("x", n + "/link")),
                    ("rename in it", lambda n: os.rename(n + "/key", n + "/moved")),
                    ("rename out of it", lambda n: os.rename(n + "/sub", "own/sub" + n)),
                    ("exchange", lambda n: renameat2(n + "/moved", n + "/new", 2)),
                    ("unlink", lambda n: os.unlink(n + "/moved")),
                    ("unlink nothing", lambda n: os.unlink(n + "/none")),
                    ("rmdir in it", lambda n: os.rmdir(n + "/dir")),
                    ("chdir", lambda n: os.chdir(n) or os.chdir("..")),
                    ("chmod", lambda n: os.chmod(n, 0o777)),
                    ("utime now", lambda n: utimensat(n, None, None)),
                    ("setxattr", lambda n: os.setxattr(n, "user.x", b"z")),
                    ("getxattr", lambda n: os.getxattr(n, "user.none")),
                    ("access", lambda n: [os.access(n, how) for how in (4, 2, 1)]),
                    ("rmdir", os.rmdir),
                    ("rename", lambda n: os.rename(n, n + "x"))):
                t.do("%s %03o" % (label, mode), call, name)
    t.child(work, NOBODY)
    for mode in MODES:
        t.say("after %03o" % mode, sorted(os.listdir("d%03o" % mode)))
    t.say("own", sorted(os.listdir("own")))


def sticky(t):
    """A world-writable directory, with and without the sticky bit."""
    for label, mode in (("plain", 0o777), ("sticky", 0o1777)):
        os.mkdir(label)
        os.chmod(label, mode)
        put(label + "/roots", b"v", 0o666)
        os.mkdir(label + "/dir")
        os.chmod(label + "/dir", 0o777)

    def work(t):
        for label in ("plain", "sticky"):
            os.chdir(label)
            t.do(label + ": make", put, "mine", b"m")
            t.do(label + ": read", get, "mine")
            t.do(label + ": write to root's", put, "roots", b"w")
            t.do(label + ": rename root's", os.rename, "roots", "taken")
            t.do(label + ": unlink root's", os.unlink, "roots")
            t.do(label + ": rename mine", os.rename, "mine", "still")
            t.do(label + ": mine over root's", os.rename, "still", "taken")
            t.do(label + ": rmdir root's", os.rmdir, "dir")
            os.chdir("..")
    t.child(work, NOBODY)


def made_by_another(t):
    """Files that another user creates in a world-writable directory."""
    os.mkdir("shared")
    os.chmod("shared", 0o777)

    def work(t):
        os.chdir("shared")
        fd = os.open("secret", os.O_CREAT | os.O_RDWR, 0o600)
        t.do("write what one just made", os.write, fd, b"x")
        t.do("read it back", os.pread, fd, 9, 0)
        t.do("fallocate it", fallocate, fd, 0, 0, 5)
        os.close(fd)
        t.do("as its owner: made with 0600: open again", touch_open, "secret", os.O_RDONLY)
        t.do("as its owner: made with 0600: chmod", os.chmod, "secret", 0o644)
        t.do("made with 0666", touch_open, "open", os.O_CREAT | os.O_WRONLY, 0o666)
        t.do("made with 0666: open again", touch_open, "open", os.O_RDONLY)
        t.do("made with 0000, for writing", touch_open, "none", os.O_CREAT | os.O_RDWR, 0)
        t.do("exclusively with 0000, for writing", touch_open, "excl",
             os.O_CREAT | os.O_EXCL | os.O_RDWR, 0)
        t.do("as its owner: who", lambda: os.stat("open").st_uid)
        t.do("unlink what one made", os.unlink, "open")
        t.do("as its owner: chown to oneself", os.chown, "secret", NOBODY, NOBODY)
        t.do("as its owner: utime", os.utime, "secret", ns=(5, 5))
        t.do("mkdir", os.mkdir, "dir", 0o700)
        t.do("as its owner: into it", os.chdir, "dir")
        t.do("make in it", put, "key")
    t.child(work, NOBODY)


def privileges(t):
    """Mode bits that a write or a chown by another user clears."""
    for name in ("suid", "sgid", "both"):
        put(name, b"0123456789", {"suid": 0o4777, "sgid": 0o2777, "both": 0o6777}[name])

    def work(t):
        for name in ("suid", "sgid", "both"):
            fd = os.open(name, os.O_RDWR)
            t.do("write to " + name, os.write, fd, b"x")
            t.do("mode of %s while open" % name, lambda: "%o" % os.fstat(fd).st_mode)
            os.close(fd)
            t.say("mode of " + name, entry(name))
    t.child(work, NOBODY)
    for name, call in (("suid", lambda n: os.truncate(n, 3)),
                       ("sgid", lambda n: touch_open(n, os.O_WRONLY | os.O_TRUNC)),
                       ("both", lambda n: open(n, "ab").close())):
        os.chmod(name, 0o6777)
        t.child(lambda t, call=call, name=name: t.do("change %s" % name, call, name), NOBODY)
        t.say("change %s: its mode" % name, entry(name))


CASES = [file_modes, directory_modes, sticky, made_by_another, privileges]
