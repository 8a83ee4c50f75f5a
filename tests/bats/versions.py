#!/usr/bin/env python3
"""Check that an open file keeps the version that it was opened with.

    versions.py MOUNT OUT SIZE [WAY...]

Opens two keys of SIZE bytes for each WAY of reading (without any: for all), one that is
quiet and one that has just changed, and reads the start of each. Prints "replace" with
their names, and waits for a line: by then each must have been replaced by the key of the
same name with ".new". Then reads the rest in each way, and opens each key again. The line
"same number" says that the key must be the same inode as before. OUT is a file to copy to.
"""
import ctypes
import mmap
import os
import platform
import struct
import sys
import time

HEAD = 512
PATIENCE = int(os.environ.get("PATIENCE", "1"))
libc = ctypes.CDLL(None, use_errno=True)


def by_read(fd, size, out):
    parts = []
    while part := os.read(fd, 1 << 16):
        parts.append(part)
    return b"".join(parts)


def by_pread(fd, size, out):
    return os.pread(fd, 1 << 30, HEAD)


def copied(out, fill):
    """Return the bytes that FILL puts into the file OUT, some at a time."""
    while fill() > 0:
        pass
    with open(out, "rb") as file:
        return file.read()


def by_sendfile(fd, size, out):
    target = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    return copied(out, lambda: os.sendfile(target, fd, None, 1 << 20))


def by_splice(fd, size, out):
    target = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    read_end, write_end = os.pipe()

    def piece():
        n = os.splice(fd, write_end, 1 << 16)
        return os.splice(read_end, target, n) if n else 0
    return copied(out, piece)


def by_copy_file_range(fd, size, out):
    # Within one file system; the kernel does it by splice.
    target = os.open(top + "/copied", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    while os.copy_file_range(fd, target, 1 << 20) > 0:
        pass
    os.close(target)
    with open(top + "/copied", "rb") as file:
        return file.read()


def by_mmap(fd, size, out):
    with mmap.mmap(fd, size, prot=mmap.PROT_READ) as m:
        return m[HEAD:]


def by_aio(fd, size, out):
    """io_submit(2), a request for each 64 KiB."""
    context = ctypes.c_ulong()
    assert libc.syscall(206, 128, ctypes.byref(context)) == 0
    data = b""
    while len(data) < size - HEAD:
        n = min(1 << 16, size - HEAD - len(data))
        buffer = ctypes.create_string_buffer(n)
        request = ctypes.create_string_buffer(struct.pack(
            "<QIiHhIQQqQII", 0, 0, 0, 0, 0, fd, ctypes.addressof(buffer), n, HEAD + len(data),
            0, 0, 0))
        list_ = (ctypes.c_void_p * 1)(ctypes.addressof(request))
        assert libc.syscall(209, context, ctypes.c_long(1), list_) == 1
        event = ctypes.create_string_buffer(32)
        assert libc.syscall(208, context, ctypes.c_long(1), ctypes.c_long(1), event, None) == 1
        got = struct.unpack("<QQqq", event.raw)[2]
        assert got > 0, got
        data += buffer.raw[:got]
    return data


WAYS = [by_read, by_pread, by_sendfile, by_splice, by_copy_file_range, by_mmap]
if platform.machine() == "x86_64":
    WAYS.append(by_aio)


def wait_until_quiet(path):
    """A file that changed in the last second is read in another way."""
    deadline = time.monotonic() + 20 * PATIENCE
    while time.time() < os.stat(path).st_ctime + 1.2:
        assert time.monotonic() < deadline, "its time is in the future"
        time.sleep(0.02)


def put(path, data):
    with open(path, "wb") as file:
        file.write(data)


def name_of(way, state):
    return "%s.%s" % (way.__name__[3:], state)


def check(what, data, wanted):
    if data != wanted:
        old, new, all_ = data.count(b"M"), data.count(b"N"), len(wanted)
        sys.exit("%s: %d bytes of the old value and %d of the new, and not %d of %s" %
                 (what, old, new, all_, wanted[:1]))


def main():
    old, new = b"M" * size, b"N" * (size + 1000)
    names = [name_of(w, s) for s in ("quiet", "fresh") for w in WAYS]
    for name in names:
        put("%s/%s.new" % (top, name), new)
    for name in names:
        if name.endswith("quiet"):
            put("%s/%s" % (top, name), old)
    wait_until_quiet("%s/%s" % (top, name_of(WAYS[-1], "quiet")))
    files = {}
    numbers = {}
    for name in names:
        path = "%s/%s" % (top, name)
        if name.endswith("fresh"):
            put(path, old)
        files[name] = os.open(path, os.O_RDONLY)
        numbers[name] = os.fstat(files[name]).st_ino
        check(name, os.read(files[name], HEAD), old[:HEAD])
    print("replace", *names, flush=True)
    same_number = sys.stdin.readline().strip() == "same number"
    for way in WAYS:
        for state in ("quiet", "fresh"):
            name = name_of(way, state)
            check(name, way(files[name], size, out), old[HEAD:])
            again = os.open("%s/%s" % (top, name), os.O_RDONLY)
            check(name + ", opened again", os.read(again, HEAD) +
                  way(again, len(new), out), new)
            if same_number:
                assert os.fstat(again).st_ino == numbers[name]
                assert os.stat("%s/%s" % (top, name)).st_ino == numbers[name]
            os.close(again)
    for name in names:
        os.close(files[name])
        with open("%s/%s" % (top, name), "rb") as file:
            check(name + ", at last", file.read(), new)
    print("good")


top, out, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
WAYS = [w for w in WAYS if len(sys.argv) == 4 or w.__name__[3:] in sys.argv[4:]]
main()
