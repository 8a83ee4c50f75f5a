"""Cases about names: opening, creating, removing, renaming."""
import os
import socket
import stat

from calls import (AT_FDCWD, EXCHANGE, NOREPLACE, WHITEOUT, check, clear, entry, get, libc, put,
                   renameat2, touch_open, tree)

LONG = "l" * 255
TOO_LONG = "l" * 256
# The longest path that the kernel accepts has 4,096 bytes with the NUL.
LONGEST = "./" * 2047 + "f"
BEYOND = "./" * 2048 + "f"


def objects():
    """Create one entry of each kind."""
    clear()
    put("file")
    put("f")
    os.mkdir("dir")
    put("dir/in", b"inner")
    os.mkdir("empty")
    os.symlink("file", "to_file")
    os.symlink("dir", "to_dir")
    os.symlink("none", "dangling")
    os.symlink("loop", "loop")
    put(LONG, b"long")
    return tree()


def look(t, label, fresh):
    """Record the current entries; if they differ from FRESH, create all of them again."""
    now = tree()
    t.say(label, "as before" if now == fresh else now)
    if now != fresh:
        objects()


TARGETS = ["file", "dir", "empty", "none", "to_file", "to_dir", "dangling", "loop", LONG, TOO_LONG,
           LONGEST, BEYOND, "file/", "dir/", "none/", "file/x", "none/x", "to_dir/in", "dir/in",
           "dangling/x", "loop/x", ".", "..", "", "dir/.", "dir/..", "to_file/", "to_dir/"]


def shown(name):
    return {LONG: "L255", TOO_LONG: "L256", LONGEST: "P4095", BEYOND: "P4097"}.get(name, name or "''")


def open_flags(t):
    """open(2): each kind of name with each flag, and the state afterwards."""
    flags = {"RDONLY": os.O_RDONLY, "WRONLY": os.O_WRONLY, "RDWR": os.O_RDWR,
             "CREAT": os.O_CREAT | os.O_WRONLY, "CREAT RDONLY": os.O_CREAT,
             "CREAT EXCL": os.O_CREAT | os.O_EXCL | os.O_RDWR,
             "CREAT TRUNC": os.O_CREAT | os.O_TRUNC | os.O_WRONLY,
             "TRUNC": os.O_TRUNC | os.O_RDWR, "APPEND": os.O_APPEND | os.O_WRONLY,
             "DIRECTORY": os.O_DIRECTORY, "DIRECTORY WRONLY": os.O_DIRECTORY | os.O_WRONLY,
             "NOFOLLOW": os.O_NOFOLLOW, "NOFOLLOW CREAT": os.O_NOFOLLOW | os.O_CREAT | os.O_WRONLY,
             "PATH": os.O_PATH, "PATH NOFOLLOW": os.O_PATH | os.O_NOFOLLOW,
             "NOATIME": os.O_NOATIME, "SYNC": os.O_SYNC | os.O_WRONLY, "TMPFILE": os.O_TMPFILE | os.O_RDWR}
    changing = ("CREAT", "TRUNC")
    fresh = objects()
    for name in TARGETS:
        for label, flag in flags.items():
            t.do("open %s %s" % (shown(name), label), touch_open, name, flag, 0o640)
            if label.split()[0] in changing or label == "NOFOLLOW CREAT":
                look(t, "after open %s %s" % (shown(name), label), fresh)


def make_and_remove(t):
    """mkdir, mknod, symlink, link, unlink, rmdir, readlink, truncate: each kind of name."""
    calls = {
        "mkdir": lambda n: os.mkdir(n, 0o750),
        "mkdir sticky": lambda n: os.mkdir(n, 0o3777),
        "mknod": lambda n: os.mknod(n, stat.S_IFREG | 0o600),
        "symlink": lambda n: os.symlink("to", n),
        "unlink": os.unlink,
        "rmdir": os.rmdir,
        "truncate": lambda n: os.truncate(n, 4),
        "chmod": lambda n: os.chmod(n, 0o600),
    }
    looks = {
        "readlink": os.readlink,
        "stat": lambda n: os.stat(n) and None,
        "lstat": lambda n: os.lstat(n) and None,
        "listdir": lambda n: len(os.listdir(n)),
        "access": lambda n: os.access(n, os.R_OK),
        "statvfs": lambda n: os.statvfs(n) and None,
        "getxattr": lambda n: os.getxattr(n, "user.none"),
        "listxattr": lambda n: os.listxattr(n) and None,
        "utime": lambda n: os.utime(n, ns=(10**18, 10**18)),
        "lutime": lambda n: os.utime(n, ns=(10**18, 10**18), follow_symlinks=False),
    }
    fresh = objects()
    for name in TARGETS:
        for label, call in looks.items():
            t.do("%s %s" % (label, shown(name)), call, name)
        for label, call in calls.items():
            t.do("%s %s" % (label, shown(name)), call, name)
            look(t, "after %s %s" % (label, shown(name)), fresh)


def rename_cases(t):
    """rename: each kind onto each kind, with each flag."""
    kinds = ["file", "dir", "empty", "none", "to_dir", "dangling"]
    targets = kinds + ["f", "to_file", LONG, "dir/in", "dir/new", "dir/sub/new", "empty/new", "file/x",
                       TOO_LONG, "dir/", "none/", "file/", ".", "..", "", "to_dir/new"]
    flags = {"": 0, " NOREPLACE": NOREPLACE, " EXCHANGE": EXCHANGE}
    fresh = objects()
    for old in kinds + [TOO_LONG, "dir/in", "file/", "dir/", ".", "dir/..", ""]:
        for new in targets:
            for label, flag in flags.items():
                what = "rename %s %s%s" % (shown(old), shown(new), label)
                t.do(what, renameat2, old, new, flag)
                look(t, "after " + what, fresh)
    for label, flag in {"NOREPLACE and EXCHANGE": 3, "WHITEOUT": WHITEOUT, "flag 8": 8}.items():
        objects()
        t.do("rename with " + label, renameat2, "file", "other", flag)
        t.say("rename with %s, after" % label, tree())


def special_files(t):
    """Files that are neither keys nor directories nor symbolic links."""
    put("file")
    t.do("link", os.link, "file", "hard")
    t.do("link to a directory", os.link, ".", "hard")
    t.do("link over a file", os.link, "file", "file")
    t.do("link of nothing", os.link, "none", "other")
    t.do("mkfifo", os.mkfifo, "fifo")
    t.do("mknod char", os.mknod, "null", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    t.do("mknod block", os.mknod, "block", stat.S_IFBLK | 0o600, os.makedev(7, 0))
    with socket.socket(socket.AF_UNIX) as sock:
        t.do("bind", sock.bind, "socket")
    t.do("mknod nonsense", os.mknod, "odd", 0o170000)
    fd = os.open("file", os.O_RDONLY)
    t.do("linkat of a descriptor", lambda: check(libc.linkat(
        AT_FDCWD, b"/proc/self/fd/%d" % fd, AT_FDCWD, b"again", 0x400)))
    os.close(fd)
    fd = t.quiet("O_TMPFILE", os.open, ".", os.O_TMPFILE | os.O_RDWR, 0o600)
    if fd is not None:
        os.close(fd)


def symlinks(t):
    """Symbolic links: targets of each length, chains, and which calls follow them."""
    for n in (1, 255, 256, 1000, 4094, 4095, 4096):
        t.do("symlink of %d" % n, os.symlink, "t" * n, "link%d" % n)
        t.do("readlink of %d" % n, lambda n=n: len(os.readlink("link%d" % n)))
        t.do("size of %d" % n, lambda n=n: os.lstat("link%d" % n).st_size)
    t.do("symlink to nothing", os.symlink, "", "nothing")
    put("end", b"reached")
    os.symlink("end", "hop0")
    for i in range(45):
        os.symlink("hop%d" % i, "hop%d" % (i + 1))
    t.do("39 links", get, "hop38")
    t.do("40 links", get, "hop39")
    t.do("41 links", get, "hop40")
    os.mkdir("dir")
    os.symlink("../end", "dir/up")
    t.do("read through ..", get, "dir/up")
    os.symlink(os.path.abspath("end"), "absolute")
    t.do("read an absolute one", get, "absolute")
    t.do("chmod follows", os.chmod, "hop3", 0o600)
    t.say("chmod followed", entry("end"))
    t.do("truncate follows", os.truncate, "hop3", 3)
    t.say("truncate followed", entry("end"))
    t.do("unlink does not", os.unlink, "hop3")
    t.say("unlink did not", entry("end"))
    t.do("write through a dangling one", put, "hop4", b"x")
    t.do("mode of a link", lambda: "%o" % os.lstat("hop1").st_mode)
    os.rename("hop1", "dir/hop1")
    t.do("renamed, it leads elsewhere", get, "dir/hop1")
    t.do("open NOFOLLOW PATH readlinkat", lambda: os.readlink(
        "", dir_fd=os.open("hop2", os.O_PATH | os.O_NOFOLLOW)))


def bytes_in_names(t):
    """Each byte that a name can contain, and unusual names."""
    for b in range(1, 256):
        if b != ord("/"):
            with open(b"n" + bytes([b]), "wb") as file:
                file.write(bytes([b]))
    t.say("all listed", sorted(os.listdir(b".")) == [b"n" + bytes([b]) for b in range(1, 256)
                                                      if b != ord("/")])
    t.say("all read", all(get(b"n" + bytes([b])) == bytes([b])
                          for b in range(1, 256) if b != ord("/")))
    for name in ("...", " ", "\t", "-", "~", "*", "?", "\\", "a b", "ä", "日本", ".hidden", "%2f",
                 ".fuse_hidden0", "..a", "a..", "con", "x" * 254, "ä" * 127, "ä" * 128):
        t.do("make %s" % name[:12] + str(len(name)), put, name, name[:5].encode())
        t.do("read %s" % name[:12] + str(len(name)), get, name)
        t.do("rename %s" % name[:12] + str(len(name)), os.rename, name, "moved")
        t.do("unlink %s" % name[:12] + str(len(name)), os.unlink, "moved")
    clear()
    put("Case")
    t.do("names have a case", get, "case")


def deep_paths(t):
    """Nested directories, down to the greatest length of a key."""
    name = "d" * 255
    depth = 0
    for _ in range(20):
        result = t.do("mkdir at depth %d" % depth, os.mkdir, name)
        del result
        if not os.path.isdir(name):
            break
        os.chdir(name)
        depth += 1
    t.do("a file there", put, "f")
    t.do("getcwd there", lambda: os.getcwd() and None)
    for _ in range(depth):
        os.chdir("..")
    t.do("back up", os.listdir, "d" * 255 + "/" + "d" * 255)


CASES = [open_flags, make_and_remove, rename_cases, special_files, symlinks, bytes_in_names,
         deep_paths]
