"""Cases about attributes: modes, times, extended attributes, sizes of the file system."""
import os
import stat

from calls import (AT_SYMLINK_NOFOLLOW, UTIME_NOW, UTIME_OMIT, check, entry, fallocate, get,
                   getxattr, later, libc, listxattr, put, renameat2, touch_open, utimensat)

OLD = 10**18


def modes(t):
    """chmod, umask, and modes given at creation."""
    put("f")
    os.mkdir("d")
    os.symlink("f", "l")
    for mode in (0, 0o777, 0o4755, 0o2755, 0o1755, 0o7777, 0o644, 0o111):
        for name in ("f", "d"):
            t.do("chmod %s %o" % (name, mode), os.chmod, name, mode)
            t.say("mode of %s %o" % (name, mode), entry(name))
    t.do("chmod of a link", os.chmod, "l", 0o600)
    t.say("it was the file", entry("f"))
    for mask in (0, 0o022, 0o077, 0o777):
        os.umask(mask)
        for label, make in (("create", lambda n: touch_open(n, os.O_CREAT | os.O_WRONLY, 0o7777)),
                            ("exclusive", lambda n: touch_open(
                                n, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)),
                            ("mknod", lambda n: os.mknod(n, stat.S_IFREG | 0o666)),
                            ("mkdir", lambda n: os.mkdir(n, 0o1777)),
                            ("symlink", lambda n: os.symlink("x", n))):
            name = "%s%03o" % (label, mask)
            t.do(name, make, name)
            t.say(name + " is", entry(name))
    os.umask(0o022)
    os.mkdir("sgid")
    os.chmod("sgid", 0o2775)
    os.mkdir("sgid/dir")
    put("sgid/file")
    t.say("a directory in one with the setgid bit", entry("sgid/dir"))
    t.say("a file in one with the setgid bit", entry("sgid/file"))
    put("keep", b"x", 0o4755)
    with open("keep", "ab") as file:
        file.write(b"y")
    t.say("root's write keeps the setuid bit", entry("keep"))
    fd = os.open("born", os.O_CREAT | os.O_WRONLY, 0o200)
    os.fchmod(fd, 0o640)
    os.write(fd, b"z")
    os.close(fd)
    t.say("fchmod before the first write", entry("born"))


def owners(t):
    """chown by root."""
    put("f", b"x", 0o6755)
    os.mkdir("d")
    os.symlink("f", "l")
    t.do("to nobody in particular", os.chown, "f", -1, -1)
    t.say("mode then", entry("f"))
    for name in ("f", "d", "l"):
        t.do("to its owner %s" % name, os.chown, name, 0, 0)
        t.do("lchown to its owner %s" % name, os.lchown, name, 0, 0)
        t.do("to another %s" % name, os.chown, name, 1234, -1)
        t.do("to another group %s" % name, os.chown, name, -1, 1234)
    fd = os.open("f", os.O_RDONLY)
    t.do("fchown to its owner", os.fchown, fd, 0, 0)
    t.do("fchown to another", os.fchown, fd, 1234, 1234)
    os.close(fd)
    t.do("of nothing", os.chown, "none", 0, 0)


def times_set(t):
    """utimensat: each special value."""
    put("f")
    os.mkdir("d")
    os.symlink("f", "l")
    given = {"both": ((5, 123456789), (7, 987654321)), "atime omitted": ((0, UTIME_OMIT), (9, 1)),
             "mtime omitted": ((11, 2), (0, UTIME_OMIT)),
             "both omitted": ((0, UTIME_OMIT), (0, UTIME_OMIT)), "negative": ((-5, 5), (-7, 999999999)),
             "epoch": ((0, 0), (0, 0)), "2106 and later": ((1 << 32, 0), ((1 << 33) - 1, 1))}
    for name in ("f", "d"):
        for label, (atime, mtime) in given.items():
            t.do("%s %s" % (name, label), utimensat, name, atime, mtime)
            st = os.stat(name)
            t.say("%s %s: atime" % (name, label), st.st_atime_ns)
            t.say("%s %s: mtime" % (name, label), st.st_mtime_ns)
        for label, atime, mtime in (("atime now", (0, UTIME_NOW), (3, 3)),
                                    ("mtime now", (4, 4), (0, UTIME_NOW)),
                                    ("both now", (0, UTIME_NOW), (0, UTIME_NOW)),
                                    ("null", None, None)):
            before = os.stat(name)
            later()
            t.do("%s %s" % (name, label), utimensat, name, atime, mtime)
            st = os.stat(name)
            t.say("%s %s: what" % (name, label), [
                "now" if new > 10**18 and new != old else new
                for new, old in ((st.st_atime_ns, before.st_atime_ns),
                                 (st.st_mtime_ns, before.st_mtime_ns))])
            t.say("%s %s: ctime moved" % (name, label), st.st_ctime_ns > before.st_ctime_ns)
    t.do("bad nanoseconds", utimensat, "f", (0, 1000000000), (0, 0))
    t.do("negative nanoseconds", utimensat, "f", (0, 0), (0, -1))
    t.do("of nothing", utimensat, "none", (0, 0), (0, 0))
    t.do("of nothing, omitted", utimensat, "none", (0, UTIME_OMIT), (0, UTIME_OMIT))
    t.do("below a file", utimensat, "f/x", (0, 0), (0, 0))
    t.do("bad flags", utimensat, "f", (0, 0), (0, 0), 0x40000)
    t.do("of a link", utimensat, "l", (21, 1), (22, 2), AT_SYMLINK_NOFOLLOW)
    t.say("of a link: it", (os.lstat("l").st_atime_ns, os.lstat("l").st_mtime_ns))
    t.say("of a link: not the file", os.stat("f").st_mtime_ns != 22 * 10**9 + 2)
    fd = os.open("f", os.O_RDONLY)
    t.do("of a descriptor", os.utime, fd, ns=(31 * 10**9 + 1, 32 * 10**9 + 2))
    t.say("of a descriptor: it", os.stat("f").st_mtime_ns)
    os.close(fd)
    fd = os.open("w", os.O_CREAT | os.O_WRONLY)
    os.write(fd, b"data")
    os.utime(fd, ns=(OLD, OLD + 1))
    os.close(fd)
    t.say("set before close, they stay", os.stat("w").st_mtime_ns)
    fd = os.open("w", os.O_WRONLY)
    os.utime(fd, ns=(OLD, OLD + 2))
    os.write(fd, b"more")
    os.close(fd)
    t.say("written after they were set", os.stat("w").st_mtime_ns > OLD + 10**9)


def moved(before, after):
    return " ".join(field for field in ("mtime", "ctime")
                    if getattr(before, "st_%s_ns" % field) != getattr(after, "st_%s_ns" % field))


def times_moved(t):
    """Which times each call changes, of the entry and of its directory."""
    xattr = b"x"
    steps = {
        "write": lambda: put("d/f", b"new"),
        "append": lambda: os.close(append("d/f")),
        "truncate": lambda: os.truncate("d/f", 2),
        "truncate to the same size": lambda: os.truncate("d/f", os.stat("d/f").st_size),
        "open O_TRUNC": lambda: touch_open("d/f", os.O_WRONLY | os.O_TRUNC),
        "open O_TRUNC of an empty file": lambda: touch_open("d/f", os.O_WRONLY | os.O_TRUNC),
        "open for writing": lambda: touch_open("d/f", os.O_WRONLY),
        "chmod": lambda: os.chmod("d/f", 0o600),
        "chmod to the same": lambda: os.chmod("d/f", 0o600),
        "setxattr": lambda: os.setxattr("d/f", "user.x", xattr),
        "removexattr": lambda: os.removexattr("d/f", "user.x"),
        "read": lambda: get("d/f") and None,
        "list": lambda: os.listdir("d") and None,
        "create": lambda: touch_open("d/new", os.O_CREAT | os.O_WRONLY),
        "create what exists": lambda: touch_open("d/new", os.O_CREAT | os.O_WRONLY),
        "rename within": lambda: os.rename("d/new", "d/newer"),
        "rename away": lambda: os.rename("d/newer", "newer"),
        "rename to here": lambda: os.rename("newer", "d/newer"),
        "exchange": lambda: renameat2("d/newer", "d/f", 2),
        "unlink": lambda: os.unlink("d/newer"),
        "mkdir": lambda: os.mkdir("d/sub"),
        "rmdir": lambda: os.rmdir("d/sub"),
        "symlink": lambda: os.symlink("f", "d/l"),
        "unlink of a link": lambda: os.unlink("d/l"),
        "fallocate": lambda: allocate("d/f"),
    }
    os.mkdir("d")
    put("d/f", b"value")
    for label, step in steps.items():
        later()
        d, f = os.stat("d"), os.stat("d/f")
        later()
        t.do(label, step)
        t.say(label + " moves of the file", moved(f, os.stat("d/f")))
        t.say(label + " moves of the directory", moved(d, os.stat("d")))


def append(name):
    fd = os.open(name, os.O_WRONLY | os.O_APPEND)
    os.write(fd, b"+")
    return fd


def allocate(name):
    fd = os.open(name, os.O_RDWR)
    fallocate(fd, 0, 0, 100)
    os.close(fd)


def xattrs(t):
    """Extended attributes: flags, names, sizes, on each kind of entry."""
    put("f")
    os.mkdir("d")
    os.symlink("f", "l")
    create, replace = os.XATTR_CREATE, os.XATTR_REPLACE
    for name in ("f", "d", "l"):
        t.do("get none of %s" % name, os.getxattr, name, "user.a")
        t.do("replace none of %s" % name, os.setxattr, name, "user.a", b"1", replace)
        t.do("create of %s" % name, os.setxattr, name, "user.a", b"1", create)
        t.do("create again of %s" % name, os.setxattr, name, "user.a", b"2", create)
        t.do("replace of %s" % name, os.setxattr, name, "user.a", b"22", replace)
        t.do("both flags of %s" % name, os.setxattr, name, "user.a", b"3", create | replace)
        t.do("odd flags of %s" % name, os.setxattr, name, "user.a", b"3", 8)
        t.do("get of %s" % name, os.getxattr, name, "user.a")
        t.do("empty value of %s" % name, os.setxattr, name, "user.empty", b"")
        t.do("get empty of %s" % name, os.getxattr, name, "user.empty")
        t.do("list of %s" % name, lambda n=name: sorted(
            a for a in os.listxattr(n) if a.startswith("user.")))
        t.do("remove of %s" % name, os.removexattr, name, "user.a")
        t.do("remove again of %s" % name, os.removexattr, name, "user.a")
        for size in (0, 1, 2):
            t.do("size 0 asks, of %s" % name, getxattr, name, "user.empty", size)
    t.do("on the link itself", os.setxattr, "l", "user.x", b"y", follow_symlinks=False)
    t.do("get from the link itself", os.getxattr, "l", "user.x", follow_symlinks=False)
    t.do("list of the link itself", os.listxattr, "l", follow_symlinks=False)
    for n in (0, 1, 249, 250, 251, 300):
        t.do("name of user. and %d" % n, os.setxattr, "f", "user." + "n" * n, b"v")
        t.do("get name of user. and %d" % n, os.getxattr, "f", "user." + "n" * n)
    t.do("empty name", os.setxattr, "f", "", b"v")
    t.do("no name space", os.setxattr, "f", "plain", b"v")
    t.do("get without name space", os.getxattr, "f", "plain")
    t.do("remove without name space", os.removexattr, "f", "plain")
    t.do("other name space", os.setxattr, "f", "other.x", b"v")
    t.do("trusted", os.setxattr, "f", "trusted.x", b"v")
    t.do("get trusted", os.getxattr, "f", "trusted.x")
    t.do("security", os.setxattr, "f", "security.x", b"v")
    t.do("get security", os.getxattr, "f", "security.none")
    t.do("system", os.setxattr, "f", "system.x", b"v")
    t.do("access list", os.getxattr, "f", "system.posix_acl_access")
    os.removexattr("f", "user.empty")
    put("big")
    for size in (255, 256, 4096, 65535, 65536):
        t.do("value of %d" % size, os.setxattr, "big", "user.big", b"v" * size)
        t.do("value of %d: size" % size, lambda: len(os.getxattr("big", "user.big")))
        t.do("into a small buffer %d" % size, getxattr, "big", "user.big", size - 1)
        t.do("into the right buffer %d" % size, getxattr, "big", "user.big", size)
    t.do("value of 65537", os.setxattr, "big", "user.big", b"v" * 65537)
    t.do("still the last one", lambda: len(os.getxattr("big", "user.big")))
    put("many")
    for i in range(100):
        os.setxattr("many", "user.%03d" % i, b"%d" % i)
    t.do("a hundred", lambda: sorted(a for a in os.listxattr("many") if a.startswith("user.")) ==
         ["user.%03d" % i for i in range(100)])
    t.do("list into a small buffer", listxattr, "many", 20)
    t.do("all read", lambda: all(os.getxattr("many", "user.%03d" % i) == b"%d" % i for i in range(100)))
    fd = os.open("f", os.O_RDONLY)
    t.do("by a descriptor for reading", os.setxattr, fd, "user.fd", b"v")
    t.do("get by a descriptor", os.getxattr, fd, "user.fd")
    os.close(fd)
    t.do("by O_PATH", os.setxattr, os.open("f", os.O_PATH), "user.fd", b"v")
    os.rename("f", "renamed")
    t.do("renamed along", os.getxattr, "renamed", "user.fd")
    put("renamed", b"overwritten")
    t.do("overwritten, kept", os.getxattr, "renamed", "user.fd")
    put("renamed.new")
    os.rename("renamed.new", "renamed")
    t.do("replaced, gone", os.getxattr, "renamed", "user.fd")
    t.do("of nothing", os.setxattr, "none", "user.x", b"v")
    t.do("list of nothing", os.listxattr, "none")
    t.do("remove of nothing", os.removexattr, "none", "user.x")


def file_system(t):
    """statfs, access, sync."""
    put("f")
    st = os.statvfs("f")
    t.say("longest name", st.f_namemax)
    t.say("free blocks are no more than all", st.f_bavail <= st.f_bfree <= st.f_blocks)
    t.say("free files are no more than all", st.f_favail <= st.f_ffree <= st.f_files)
    t.say("some are free", st.f_bavail > 0 and st.f_favail > 0)
    t.say("block size", (st.f_bsize, st.f_frsize))
    t.do("fstatvfs", lambda: os.fstatvfs(os.open("f", os.O_RDONLY)).f_namemax)
    for mode in (0o000, 0o400, 0o200, 0o100, 0o777):
        os.chmod("f", mode)
        t.say("access of root at %o" % mode, [os.access("f", how) for how in (4, 2, 1, 6, 7)])
    os.mkdir("d", 0)
    t.say("access of root to a directory", os.access("d", 7))
    t.do("syncfs", lambda: check(libc.syncfs(os.open("f", os.O_RDONLY))))
    t.do("pathconf: longest name", os.pathconf, "f", "PC_NAME_MAX")
    put("sized", b"x" * 10000)
    t.say("blocks of 10,000 bytes", os.stat("sized").st_blocks >= 20)
    t.say("number of an inode stays", os.stat("sized").st_ino == os.stat("./sized").st_ino)
    first = os.stat("sized").st_ino
    os.rename("sized", "again")
    t.say("and goes along", os.stat("again").st_ino == first)
    t.say("one device", os.stat("f").st_dev == os.stat(".").st_dev)


CASES = [modes, owners, times_set, times_moved, xattrs, file_system]
