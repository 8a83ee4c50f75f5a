"""System calls and helpers that the cases share."""
import ctypes
import errno
import os
import stat
import time

libc = ctypes.CDLL(None, use_errno=True)
AT_FDCWD = -100
AT_SYMLINK_NOFOLLOW = 0x100
NOREPLACE, EXCHANGE, WHITEOUT = 1, 2, 4
UTIME_NOW, UTIME_OMIT = (1 << 30) - 1, (1 << 30) - 2
NOBODY = 65534


def check(result):
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def renameat2(old, new, flags):
    check(libc.renameat2(AT_FDCWD, os.fsencode(old), AT_FDCWD, os.fsencode(new), flags))


class Timespec(ctypes.Structure):
    _fields_ = [("s", ctypes.c_long), ("ns", ctypes.c_long)]


def utimensat(path, atime, mtime, flags=0):
    """Set times, each (seconds, nanoseconds); both None: pass a null pointer."""
    times = None if atime is None else (Timespec * 2)(Timespec(*atime), Timespec(*mtime))
    check(libc.utimensat(AT_FDCWD, os.fsencode(path), times, flags))


def fallocate(fd, mode, offset, length):
    check(libc.fallocate(fd, mode, ctypes.c_long(offset), ctypes.c_long(length)))


def getxattr(path, name, size):
    buf = ctypes.create_string_buffer(max(size, 1))
    return check(libc.getxattr(os.fsencode(path), name.encode(), buf, ctypes.c_size_t(size)))


def listxattr(path, size):
    buf = ctypes.create_string_buffer(max(size, 1))
    return check(libc.listxattr(os.fsencode(path), buf, ctypes.c_size_t(size)))


def put(name, content=b"0123456789", mode=None):
    with open(name, "wb") as file:
        file.write(content)
    if mode is not None:
        os.chmod(name, mode)


def get(name):
    with open(name, "rb") as file:
        return file.read()


def touch_open(name, flags, mode=0o644):
    """Open and close NAME."""
    os.close(os.open(name, flags, mode))


def errno_of(call, *args):
    try:
        call(*args)
        return "ok"
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error.errno))


def kind(st):
    return {stat.S_IFREG: "file", stat.S_IFDIR: "dir", stat.S_IFLNK: "link",
            stat.S_IFIFO: "fifo", stat.S_IFCHR: "char"}.get(stat.S_IFMT(st.st_mode), "?")


def entry(path):
    """Return the state of a name as text, without times and inode numbers."""
    try:
        st = os.lstat(path)
    except OSError as error:
        return errno.errorcode[error.errno]
    what = "%s %o" % (kind(st), stat.S_IMODE(st.st_mode))
    if stat.S_ISLNK(st.st_mode):
        return what + " -> " + os.readlink(path)[:40]
    if stat.S_ISREG(st.st_mode):
        try:
            return "%s %d %r" % (what, st.st_size, get(path)[:12])
        except OSError as error:
            return what + " " + errno.errorcode[error.errno]
    return what + " links %d" % st.st_nlink


def tree(top="."):
    """Return everything below TOP as text."""
    found = []
    for here, dirs, files in os.walk(top):
        for name in dirs + files:
            path = os.path.normpath(os.path.join(here, name))
            shown = path if len(path) < 60 else "%s...%d" % (path[:20], len(path))
            found.append(shown + " " + entry(path))
    return "; ".join(sorted(found))


def clear(top="."):
    for here, dirs, files in os.walk(top, topdown=False):
        for name in files:
            os.unlink(os.path.join(here, name))
        for name in dirs:
            path = os.path.join(here, name)
            if os.path.islink(path):
                os.unlink(path)
            else:
                os.rmdir(path)


def later():
    """Wait until the clock of any file system has advanced."""
    coarse = 5  # CLOCK_REALTIME_COARSE
    now = time.clock_gettime_ns(coarse)
    while time.clock_gettime_ns(coarse) < now + 5_000_000:
        time.sleep(0.001)
