"""Cases about directories: iterating, positions, removal while in use."""
import ctypes
import os

from calls import entry, errno_of, get, libc, put, tree

libc.opendir.restype = ctypes.c_void_p
libc.fdopendir.restype = ctypes.c_void_p
libc.telldir.restype = ctypes.c_long


class Dirent(ctypes.Structure):
    _fields_ = [("ino", ctypes.c_uint64), ("off", ctypes.c_int64), ("len", ctypes.c_ushort),
                ("type", ctypes.c_ubyte), ("name", ctypes.c_char * 256)]


libc.readdir.restype = ctypes.POINTER(Dirent)


class Dir:
    """A stream of opendir(3)."""

    def __init__(self, path):
        self.stream = ctypes.c_void_p(libc.opendir(os.fsencode(path)))
        if not self.stream:
            raise OSError(ctypes.get_errno(), "opendir")

    def read(self):
        """Return the next entry, or None at the end."""
        ctypes.set_errno(0)
        found = libc.readdir(self.stream)
        if found:
            return found.contents
        if ctypes.get_errno():
            raise OSError(ctypes.get_errno(), "readdir")
        return None

    def rest(self):
        """Return the names up to the end."""
        names = []
        while True:
            found = self.read()
            if not found:
                return names
            names.append(os.fsdecode(found.name))

    def tell(self):
        return libc.telldir(self.stream)

    def seek(self, position):
        libc.seekdir(self.stream, ctypes.c_long(position))

    def rewind(self):
        libc.rewinddir(self.stream)

    def close(self):
        libc.closedir(self.stream)


def fill(n, top="many"):
    os.mkdir(top)
    for i in range(n):
        put("%s/name%04d" % (top, i), b"")


def iterate(t):
    """readdir: what it returns for each kind of entry, in any order."""
    os.mkdir("top")
    t.say("empty", sorted(os.listdir("top")))
    put("top/file")
    os.mkdir("top/dir")
    os.symlink("file", "top/link")
    d = Dir("top")
    found = {}
    while True:
        e = d.read()
        if not e:
            break
        found[os.fsdecode(e.name)] = (e.type, e.ino == os.lstat("top/" + os.fsdecode(e.name)).st_ino)
    d.close()
    t.say("types and inode numbers", sorted(found.items()))
    t.say("dot is the directory itself", os.stat("top/.").st_ino == os.stat("top").st_ino)
    t.say("dot dot is the one above", os.stat("top/..").st_ino == os.stat(".").st_ino)
    t.do("opendir of a file", lambda: Dir("top/file").close())
    t.do("opendir of nothing", lambda: Dir("top/none").close())
    t.do("getdents of a file", os.listdir, os.open("top/file", os.O_RDONLY))


def positions(t):
    """telldir, seekdir, rewinddir in a directory of many names."""
    count = 700
    fill(count)
    d = Dir("many")
    names, places = [], []
    while True:
        places.append(d.tell())
        e = d.read()
        if not e:
            break
        names.append(os.fsdecode(e.name))
    t.say("all came once", sorted(names) == sorted([".", ".."] + ["name%04d" % i for i in range(count)]))
    wrong = []
    for i in (0, 1, 2, 3, 100, 350, 351, 699, 700, 701, 5, 650):
        d.seek(places[i])
        e = d.read()
        if not e or os.fsdecode(e.name) != names[i]:
            wrong.append(i)
    t.say("seekdir leads back to the same name", wrong)
    d.seek(places[count // 2])
    t.say("and from there on all the others come", d.rest() == names[count // 2:])
    d.seek(places[-1])
    t.say("the end is the end", d.rest())
    put("many/new")
    os.unlink("many/name0003")
    d.rewind()
    again = d.rest()
    t.say("rewinddir shows what was made", "new" in again)
    t.say("rewinddir does not show what was removed", "name0003" in again)
    t.say("rewinddir: how many", len(again))
    d.seek(places[2])
    first = d.read()
    t.say("seekdir after a change still works", first is not None)
    d.close()


def change_while_reading(t):
    """Names that are created and removed while a directory is read."""
    fill(600)
    d = Dir("many")
    got = [os.fsdecode(d.read().name) for _ in range(50)]
    for i in range(0, 600, 3):
        os.unlink("many/name%04d" % i)
    for i in range(200):
        put("many/late%04d" % i, b"")
    for i in range(1, 600, 3):
        os.rename("many/name%04d" % i, "many/moved%04d" % i)
    got += d.rest()
    stayed = ["name%04d" % i for i in range(2, 600, 3)]
    t.say("what stayed came", [n for n in stayed if n not in got])
    t.say("nothing came twice", sorted(n for n in set(got) if got.count(n) > 1))
    d.close()
    # Like rm -r: remove the names just read, repeatedly.
    fill(500, "gone")
    d = Dir("gone")
    while True:
        e = d.read()
        if not e:
            break
        if not e.name.startswith(b"."):
            os.unlink(b"gone/" + e.name)
    d.close()
    t.do("all removed while reading", os.rmdir, "gone")


def removed_while_open(t):
    """An open or current directory that is removed."""
    os.mkdir("dir")
    fd = os.open("dir", os.O_RDONLY)
    os.rmdir("dir")
    t.do("listing it", os.listdir, fd)
    t.do("links", lambda: os.fstat(fd).st_nlink)
    t.do("create in it", os.open, "x", os.O_CREAT | os.O_WRONLY, 0o644, dir_fd=fd)
    t.do("mkdir in it", os.mkdir, "x", dir_fd=fd)
    t.do("look in it", os.stat, "x", dir_fd=fd)
    t.do("fsync it", os.fsync, fd)
    t.do("fchmod it", os.fchmod, fd, 0o700)
    t.do("stat it after", lambda: "%o" % os.fstat(fd).st_mode)
    t.do("rename into it", os.rename, ".", "x", dst_dir_fd=fd)
    os.close(fd)
    os.mkdir("place")
    here = os.open(".", os.O_RDONLY)
    os.chdir("place")
    os.rmdir("../place")
    t.do("getcwd", os.getcwd)
    t.do("make something here", put, "x")
    t.do("stat here", lambda: os.stat(".").st_nlink)
    t.do("to the one above", os.chdir, "..")
    os.fchdir(here)
    os.close(here)


def moved_while_open(t):
    """An open or current directory that is renamed."""
    os.makedirs("a/b/c")
    put("a/b/c/key", b"v")
    base = os.getcwd()
    fd = os.open("a/b", os.O_RDONLY)
    os.chdir("a/b/c")
    os.rename(base + "/a", base + "/z")
    t.do("getcwd", lambda: os.path.relpath(os.getcwd(), base))
    t.do("read here", get, "key")
    t.do("make here", put, "new", b"n")
    t.do("the old name", get, base + "/a/b/c/key")
    t.do("the new name", get, base + "/z/b/c/new")
    t.do("by the descriptor", lambda: os.listdir(fd))
    os.rename("../../b", "../../../b2")
    t.do("getcwd again", lambda: os.path.relpath(os.getcwd(), base))
    t.do("dot dot", lambda: os.path.relpath(os.path.realpath(".."), base))
    os.close(fd)
    os.chdir(base)
    t.say("all", tree())


def links_and_sizes(t):
    """Link counts of directories, and directories that are not empty."""
    os.mkdir("dir")
    for i in range(3):
        os.mkdir("dir/d%d" % i)
        t.say("links with %d" % (i + 1), os.stat("dir").st_nlink)
    put("dir/file")
    t.say("a file does not count", os.stat("dir").st_nlink)
    os.rename("dir/d0", "moved")
    t.say("one moved away", os.stat("dir").st_nlink)
    os.rename("moved", "dir/d9")
    t.say("and back", os.stat("dir").st_nlink)
    t.do("rmdir full", os.rmdir, "dir")
    t.do("rmdir as a file", os.unlink, "dir")
    for name in os.listdir("dir"):
        path = "dir/" + name
        (os.rmdir if os.path.isdir(path) else os.unlink)(path)
    t.say("links when empty", os.stat("dir").st_nlink)
    t.do("rmdir", os.rmdir, "dir")
    os.makedirs("x/y")
    t.do("rmdir dot", os.rmdir, "x/.")
    t.do("rmdir dot dot", os.rmdir, "x/y/..")
    t.do("ftruncate", lambda: os.truncate("x", 0))
    fd = os.open("x", os.O_RDONLY)
    t.do("read", os.read, fd, 10)
    t.do("write", os.write, fd, b"x")
    t.do("pread", os.pread, fd, 10, 0)
    t.do("fallocate", os.posix_fallocate, fd, 0, 10)
    t.do("fsync", os.fsync, fd)
    t.do("fdatasync", os.fdatasync, fd)
    t.say("copy_file_range", errno_of(os.copy_file_range, fd, fd, 10))
    os.close(fd)
    fd = os.open("x", os.O_PATH)
    for label, call in (("fsync", os.fsync), ("listdir", os.listdir), ("fstat", lambda f: None)):
        t.do("%s of O_PATH" % label, call, fd)
    t.do("fchmod of O_PATH", os.fchmod, fd, 0o700)
    os.close(fd)


def unlogged_names(t):
    """Names of open files that were never written or closed."""
    os.mkdir("dir")
    fd = os.open("dir/open", os.O_CREAT | os.O_RDWR, 0o600)
    t.say("listed", os.listdir("dir"))
    t.say("entry", entry("dir/open"))
    t.do("rmdir", os.rmdir, "dir")
    t.do("rename over the directory", os.rename, "dir/open", "dir")
    t.do("exclusive", os.open, "dir/open", os.O_CREAT | os.O_EXCL | os.O_RDWR)
    t.do("mkdir there", os.mkdir, "dir/open")
    t.do("symlink there", os.symlink, "x", "dir/open")
    os.mkdir("other")
    t.do("an empty directory over its directory", os.rename, "other", "dir")
    os.write(fd, b"written")
    t.do("rename the directory", os.rename, "dir", "moved")
    t.do("read", get, "moved/open")
    t.do("rename it", os.rename, "moved/open", "moved/name")
    os.write(fd, b" on")
    t.do("read it", get, "moved/name")
    t.do("xattr", os.setxattr, "moved/name", "user.x", b"y")
    t.do("chmod", os.chmod, "moved/name", 0o640)
    os.close(fd)
    t.say("after", tree("moved"))
    fd = os.open("moved/gone", os.O_CREAT | os.O_RDWR)
    t.do("unlink", os.unlink, "moved/gone")
    t.do("unlink again", os.unlink, "moved/gone")
    t.say("links", os.fstat(fd).st_nlink)
    os.write(fd, b"still")
    t.do("read what was unlinked", os.pread, fd, 9, 0)
    os.close(fd)
    t.say("at the end", tree("moved"))


CASES = [iterate, positions, change_while_reading, removed_while_open, moved_while_open,
         links_and_sizes, unlogged_names]
