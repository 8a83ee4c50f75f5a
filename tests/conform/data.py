"""Cases about content: reading, writing, sizes, mapping, copying."""
import fcntl
import mmap
import os
import subprocess

from calls import check, entry, errno_of, fallocate, get, kind, libc, put

BLOCK = bytes(range(256)) * 16  # 4,096 bytes
SEEK_DATA, SEEK_HOLE = os.SEEK_DATA, os.SEEK_HOLE


def reading(t):
    """read, pread, readv, lseek: positions and ends."""
    put("f", b"0123456789")
    fd = os.open("f", os.O_RDONLY)
    t.do("all", os.read, fd, 100)
    t.do("at the end", os.read, fd, 100)
    t.do("pread", os.pread, fd, 3, 4)
    t.do("pread beyond", os.pread, fd, 3, 10)
    t.do("pread far beyond", os.pread, fd, 3, 1 << 40)
    t.do("pread negative", os.pread, fd, 3, -1)
    t.do("pread nothing", os.pread, fd, 0, 0)
    bufs = [bytearray(3), bytearray(0), bytearray(4)]
    t.do("preadv", os.preadv, fd, bufs, 1)
    t.say("preadv filled", b"|".join(bytes(b) for b in bufs))
    for whence, label in ((os.SEEK_SET, "SET"), (os.SEEK_CUR, "CUR"), (os.SEEK_END, "END"),
                          (SEEK_DATA, "DATA"), (SEEK_HOLE, "HOLE")):
        for offset in (0, 5, 9, 10, 11, -1, -100, 1 << 62):
            os.lseek(fd, 2, os.SEEK_SET)
            t.do("lseek %d %s" % (offset, label), os.lseek, fd, offset, whence)
    t.do("lseek odd", os.lseek, fd, 0, 9)
    t.do("write", os.write, fd, b"x")
    t.do("ftruncate", os.ftruncate, fd, 1)
    t.do("fallocate", fallocate, fd, 0, 0, 10)
    os.close(fd)
    fd = os.open("f", os.O_WRONLY)
    t.do("read of WRONLY", os.read, fd, 1)
    os.close(fd)
    fd = os.open("f", os.O_PATH)
    t.do("read of PATH", os.read, fd, 1)
    t.do("lseek of PATH", os.lseek, fd, 0, 0)
    t.do("fstat of PATH", lambda: os.fstat(fd).st_size)
    os.close(fd)


def writing(t):
    """write and pwrite: in the middle, at the end, beyond it, in many pieces."""
    fd = os.open("f", os.O_CREAT | os.O_RDWR, 0o644)
    t.do("write nothing", os.write, fd, b"")
    t.do("write", os.write, fd, b"0123456789")
    t.do("in the middle", os.pwrite, fd, b"ab", 3)
    t.do("over the end", os.pwrite, fd, b"cdef", 8)
    t.do("beyond", os.pwrite, fd, b"gh", 20)
    t.do("content", os.pread, fd, 100, 0)
    t.do("nothing, beyond", os.pwrite, fd, b"", 100)
    t.do("size after nothing", lambda: os.fstat(fd).st_size)
    t.do("negative", os.pwrite, fd, b"x", -1)
    t.do("far beyond", os.pwrite, fd, b"x", (1 << 63) - 1)
    t.do("writev", os.pwritev, fd, [b"one", b"", b"two"], 30)
    t.do("position", os.lseek, fd, 0, os.SEEK_CUR)
    t.do("sparse", os.pwrite, fd, b"z", 100000)
    t.do("gap reads as zeros", os.pread, fd, 200000, 0)
    t.do("fsync", os.fsync, fd)
    t.do("fdatasync", os.fdatasync, fd)
    t.do("sync_file_range", lambda: check(libc.sync_file_range(fd, 0, 0, 7)))
    t.do("again after fsync", os.pwrite, fd, b"Z", 99999)
    os.close(fd)
    t.say("after", entry("f"))
    t.do("content after", get, "f")
    # Every length around a page and a request, written and read back.
    for size in (1, 4095, 4096, 4097, 65535, 65536, 131071, 131072, 131073, 1048575, 1048577, 3000001):
        value = (BLOCK * (size // 4096 + 1))[:size]
        put("sized", value)
        t.say("%d bytes there and back" % size, get("sized") == value)
        t.say("%d bytes: size" % size, os.stat("sized").st_size)
    fd = os.open("sized", os.O_RDWR)
    for offset, size in ((1, 4096), (4095, 2), (131070, 5), (1048570, 20), (2999999, 10)):
        os.pwrite(fd, b"\xff" * size, offset)
        t.do("pieces at %d" % offset, os.pread, fd, size + 4, offset - 1)
    os.close(fd)
    t.say("size after pieces", os.stat("sized").st_size)


def appending(t):
    """O_APPEND: where writes land, and what turning it on and off does."""
    put("f", b"start ")
    fd = os.open("f", os.O_WRONLY | os.O_APPEND)
    t.do("write", os.write, fd, b"one ")
    t.do("position", os.lseek, fd, 0, os.SEEK_CUR)
    t.do("pwrite appends, too", os.pwrite, fd, b"two ", 0)
    os.lseek(fd, 0, os.SEEK_SET)
    t.do("write after lseek", os.write, fd, b"three ")
    t.do("size", lambda: os.fstat(fd).st_size)
    t.do("content", get, "f")
    other = os.open("f", os.O_RDWR)
    os.pwrite(other, b"START", 0)
    os.write(fd, b"four ")
    t.do("with another writer", get, "f")
    os.ftruncate(other, 3)
    os.write(fd, b"!")
    t.do("after a truncation", get, "f")
    t.do("ftruncate by the appender", os.ftruncate, fd, 10)
    os.write(fd, b"?")
    t.do("after its truncation", get, "f")
    os.close(other)
    os.close(fd)
    t.do("closed", get, "f")
    put("g", b"0123456789")
    fd = os.open("g", os.O_RDWR | os.O_APPEND)
    fcntl.fcntl(fd, fcntl.F_SETFL, 0)
    t.do("O_APPEND off: pwrite", os.pwrite, fd, b"ab", 2)
    t.do("O_APPEND off: content", os.pread, fd, 100, 0)
    os.lseek(fd, 5, os.SEEK_SET)
    os.write(fd, b"c")
    t.do("O_APPEND off: position", os.lseek, fd, 0, os.SEEK_CUR)
    fcntl.fcntl(fd, fcntl.F_SETFL, os.O_APPEND)
    t.do("O_APPEND on again", os.pwrite, fd, b"XY", 0)
    os.close(fd)
    t.do("O_APPEND off and on: content", get, "g")
    fd = os.open("g", os.O_RDWR)
    fcntl.fcntl(fd, fcntl.F_SETFL, os.O_APPEND)
    os.pwrite(fd, b"end", 0)
    t.do("O_APPEND on later", os.pread, fd, 100, 0)
    t.do("flags", lambda: fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_APPEND != 0)
    os.close(fd)
    fd = os.open("h", os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND)
    for i in range(300):
        os.write(fd, b"line %d\n" % i)
    t.do("a new file, while open", lambda: os.fstat(fd).st_size)
    os.close(fd)
    t.say("a new file", get("h") == b"".join(b"line %d\n" % i for i in range(300)))
    fd = os.open("h", os.O_RDWR | os.O_APPEND | os.O_TRUNC)
    os.write(fd, b"fresh")
    t.do("emptied and appended", os.pread, fd, 100, 0)
    os.close(fd)
    t.do("emptied and appended, closed", get, "h")


def truncating(t):
    """truncate and ftruncate: both directions, open files, and invalid arguments."""
    value = BLOCK * 5
    put("f", value)
    fd = os.open("f", os.O_RDWR)
    for size in (20000, 4097, 4096, 4095, 1, 0, 5000, 5001, 100, 300000, 4096):
        t.do("to %d" % size, os.ftruncate, fd, size)
        t.do("content at %d" % size, os.pread, fd, 400000, 0)
        t.do("size at %d" % size, lambda: os.stat("f").st_size)
    os.pwrite(fd, b"end", 4094)
    t.do("after a write", os.pread, fd, 10, 4090)
    t.do("by name while open", os.truncate, "f", 4095)
    t.do("seen by who has it open", os.pread, fd, 10, 4090)
    t.do("negative", os.ftruncate, fd, -1)
    t.do("by name, negative", os.truncate, "f", -1)
    t.do("of WRONLY", os.ftruncate, os.open("f", os.O_WRONLY), 10)
    os.close(fd)
    t.do("at last", get, "f")
    reader = os.open("f", os.O_RDONLY)
    t.do("opened with O_TRUNC by another", lambda: os.close(os.open("f", os.O_WRONLY | os.O_TRUNC)))
    t.do("the reader sees the end", os.pread, reader, 10, 0)
    t.do("far beyond", os.truncate, "f", (1 << 63) - 1)
    put("f", b"new value")
    t.do("and then the new one", os.pread, reader, 20, 0)
    os.close(reader)


def unlinked(t):
    """An open file that is removed, replaced, or renamed over."""
    put("f", b"content")
    fd = os.open("f", os.O_RDWR)
    os.unlink("f")
    t.do("links", lambda: os.fstat(fd).st_nlink)
    t.do("read", os.pread, fd, 20, 0)
    t.do("write", os.pwrite, fd, b"MORE", 5)
    t.do("read back", os.pread, fd, 20, 0)
    t.do("ftruncate", os.ftruncate, fd, 3)
    t.do("size", lambda: os.fstat(fd).st_size)
    t.do("grow", os.ftruncate, fd, 6)
    t.do("read grown", os.pread, fd, 20, 0)
    t.do("fchmod", os.fchmod, fd, 0o600)
    t.do("mode", lambda: "%o" % os.fstat(fd).st_mode)
    t.do("futimens", os.utime, fd, ns=(10**18, 2 * 10**18))
    t.do("times", lambda: (os.fstat(fd).st_atime_ns, os.fstat(fd).st_mtime_ns))
    t.do("fsetxattr", os.setxattr, fd, "user.x", b"y")
    t.do("fgetxattr", os.getxattr, fd, "user.x")
    t.do("fsync", os.fsync, fd)
    t.do("its name", os.stat, "f")
    put("f", b"another")
    t.do("still its own", os.pread, fd, 20, 0)
    t.do("the other", get, "f")
    t.do("reopen by /proc", lambda: os.pread(os.open("/proc/self/fd/%d" % fd, os.O_RDONLY), 20, 0))
    m = mmap.mmap(fd, 6, prot=mmap.PROT_READ)
    t.say("mapped", bytes(m))
    m.close()
    t.do("close", os.close, fd)
    put("old", b"old content")
    fd = os.open("old", os.O_RDWR)
    put("new", b"new content")
    os.rename("new", "old")
    t.do("replaced: read", os.pread, fd, 20, 0)
    t.do("replaced: links", lambda: os.fstat(fd).st_nlink)
    t.do("replaced: write", os.pwrite, fd, b"gone", 0)
    os.close(fd)
    t.do("replaced: the new one", get, "old")
    fd = os.open("created", os.O_CREAT | os.O_RDWR)
    os.write(fd, b"x")
    put("over", b"over")
    os.rename("over", "created")
    os.write(fd, b"y")
    t.do("created, then replaced: read", os.pread, fd, 9, 0)
    os.close(fd)
    t.do("created, then replaced: name", get, "created")
    fd = os.open("created", os.O_WRONLY | os.O_APPEND)
    os.unlink("created")
    t.do("append to what is removed", os.write, fd, b"more")
    t.do("its size", lambda: os.fstat(fd).st_size)
    os.close(fd)
    t.do("it stays removed", os.stat, "created")


def descriptors(t):
    """dup, fork, two descriptors: positions shared or not, changes seen at once."""
    fd = os.open("f", os.O_CREAT | os.O_RDWR)
    two = os.dup(fd)
    os.write(fd, b"one")
    os.write(two, b"two")
    t.do("dup shares the position", os.pread, fd, 10, 0)
    own = os.open("f", os.O_RDWR)
    os.write(own, b"ONE")
    t.do("its own position", os.pread, two, 10, 0)
    t.do("fstat of all", lambda: [os.fstat(n).st_size for n in (fd, two, own)])

    def work(_):
        os.write(fd, b"child")
        os.close(fd)
    t.child(work)
    os.write(fd, b"parent")
    t.do("after a fork", os.pread, own, 30, 0)
    os.close(fd)
    os.close(two)
    t.do("one is left", os.pread, own, 30, 0)
    os.close(own)
    t.do("closed", get, "f")
    t.do("close twice", os.close, own)
    t.do("use after close", os.fstat, own)
    fd = os.open("f", os.O_RDONLY)
    again = os.open("/proc/self/fd/%d" % fd, os.O_RDWR)
    os.write(again, b"again")
    t.do("reopened for writing", os.pread, fd, 30, 0)
    os.close(again)
    os.close(fd)


def mapped(t):
    """mmap: shared and private, together with read and write, and at the end of the file."""
    put("f", BLOCK * 2 + b"tail")
    fd = os.open("f", os.O_RDWR)
    size = os.fstat(fd).st_size
    m = mmap.mmap(fd, size)
    t.say("read", m[8190:8196])
    m[0:4] = b"AAAA"
    t.do("a shared write is read", os.pread, fd, 8, 0)
    os.pwrite(fd, b"BBBB", 4)
    t.say("a write is seen mapped", m[0:10])
    t.do("msync", m.flush)
    private = mmap.mmap(fd, size, flags=mmap.MAP_PRIVATE)
    private[0:4] = b"pppp"
    t.do("a private write is not read", os.pread, fd, 8, 0)
    t.say("nor seen by the shared one", m[0:8])
    os.pwrite(fd, b"longer", size)
    t.do("grown: size", lambda: os.fstat(fd).st_size)
    t.say("the page's end shows it", m[size - 4:size])
    os.ftruncate(fd, 4096)
    os.ftruncate(fd, 8192)
    t.say("cut and grown: zeros", m[4096:4100])
    t.say("what stayed", m[4092:4096])
    os.unlink("f")
    m[1:3] = b"!!"
    t.do("unlinked: read", os.pread, fd, 5, 0)
    private.close()
    m.close()
    os.close(fd)
    put("g", b"0123456789")
    for flags, label in ((os.O_RDONLY, "RDONLY"), (os.O_WRONLY, "WRONLY"), (os.O_RDWR, "RDWR"),
                         (os.O_RDWR | os.O_APPEND, "APPEND")):
        for how, prot, text in ((mmap.MAP_SHARED, mmap.PROT_READ, "shared read"),
                                (mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE, "shared write"),
                                (mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE, "private write")):
            fd = os.open("g", flags)
            t.say("%s %s" % (label, text), errno_of(
                lambda: mmap.mmap(fd, 10, flags=how, prot=prot).close()))
            os.close(fd)

    def beyond(_):
        fd = os.open("g", os.O_RDWR)
        m = mmap.mmap(fd, 10)
        os.ftruncate(fd, 0)
        m[0:1]
    t.child(beyond)
    t.do("closed without msync", write_mapped, "h")
    t.do("is there", get, "h")
    os.mkdir("dir")
    t.say("a directory", errno_of(lambda: mmap.mmap(os.open("dir", os.O_RDONLY), 10,
                                                   prot=mmap.PROT_READ)))


def write_mapped(name):
    fd = os.open(name, os.O_CREAT | os.O_RDWR)
    os.ftruncate(fd, 10000)
    m = mmap.mmap(fd, 10000)
    os.close(fd)
    m[9000:9005] = b"later"
    m.close()


def holes(t):
    """fallocate, and where SEEK_DATA and SEEK_HOLE find data and holes."""
    modes = {"0": 0, "KEEP_SIZE": 1, "PUNCH_HOLE": 2, "PUNCH_HOLE KEEP_SIZE": 3, "COLLAPSE": 8,
             "ZERO": 16, "ZERO KEEP_SIZE": 17, "INSERT": 32}
    for label, mode in modes.items():
        put("f", BLOCK * 3)
        fd = os.open("f", os.O_RDWR)
        for offset, length in ((0, 4096), (4096, 4096), (12288, 4096), (100, 10), (-1, 10), (0, 0),
                               (0, -1)):
            t.do("fallocate %s %d %d" % (label, offset, length), fallocate, fd, mode, offset, length)
            t.do("size after %s %d %d" % (label, offset, length), lambda: os.fstat(fd).st_size)
        t.do("content after " + label, os.pread, fd, 30000, 0)
        os.close(fd)
    t.do("posix_fallocate of WRONLY", os.posix_fallocate, os.open("f", os.O_WRONLY), 0, 20000)
    t.say("size", os.stat("f").st_size)
    fd = os.open("sparse", os.O_CREAT | os.O_RDWR)
    os.pwrite(fd, b"x", 1 << 20)
    for offset in (0, 4096, 1 << 20, (1 << 20) + 1, (1 << 20) + 2, -1):
        for whence, label in ((SEEK_DATA, "DATA"), (SEEK_HOLE, "HOLE")):
            t.do("sparse: %s from %d" % (label, offset), os.lseek, fd, offset, whence)
    t.do("sparse: sum", lambda: sum(os.pread(fd, 2 << 20, 0)))
    t.do("sparse: empty file has no data", os.lseek, os.open("none", os.O_CREAT | os.O_RDWR), 0,
         SEEK_DATA)
    os.close(fd)


def copying(t):
    """copy_file_range, sendfile, splice."""
    value = BLOCK * 70
    put("from", value)
    src = os.open("from", os.O_RDONLY)
    dst = os.open("to", os.O_CREAT | os.O_RDWR)
    # The kernel chooses how many bytes one call copies.
    done = 0
    while True:
        n = os.copy_file_range(src, dst, len(value))
        if not n:
            break
        done += n
    t.say("all of it", done)
    t.say("equal", get("to") == value)
    t.do("at offsets", os.copy_file_range, src, dst, 100, 50, 10)
    t.do("what is there", os.pread, dst, 120, 0)
    t.do("from beyond", os.copy_file_range, src, dst, 100, len(value) + 5, 0)
    t.do("to beyond", os.copy_file_range, src, dst, 10, 0, len(value) + 1000)
    t.do("size then", lambda: os.fstat(dst).st_size)
    t.do("to RDONLY", os.copy_file_range, src, src, 10, 0, 5000)
    t.do("from WRONLY", os.copy_file_range, os.open("from", os.O_WRONLY), dst, 10, 0, 0)
    t.do("to APPEND", os.copy_file_range, src, os.open("to", os.O_WRONLY | os.O_APPEND), 10, 0, 0)
    same = os.open("to", os.O_RDWR)
    t.do("overlapping", os.copy_file_range, same, same, 100, 0, 50)
    t.do("within one file", os.copy_file_range, same, same, 100, 0, 1000)
    t.do("flags", lambda: check(libc.copy_file_range(src, None, dst, None, 10, 1)))
    t.do("sendfile", os.sendfile, dst, src, 1000, 5000)
    reader, writer = os.pipe()
    t.do("splice out", os.splice, src, writer, 100, offset_src=256)
    t.do("splice in", os.splice, reader, dst, 100, offset_dst=7)
    os.close(reader)
    os.close(writer)
    os.close(src)
    os.close(dst)
    os.close(same)
    t.say("at last equal in size", os.stat("to").st_size)
    t.do("head", lambda: get("to")[:300])


def direct(t):
    """O_DIRECT and O_SYNC: the bytes read and written, with any alignment requirement."""
    page = mmap.mmap(-1, 8192)
    page[:] = BLOCK * 2
    fd = t.quiet("open", os.open, "f", os.O_CREAT | os.O_RDWR | os.O_DIRECT)
    if fd is not None:
        t.do("write", os.write, fd, page)
        t.do("pread", lambda: os.preadv(fd, [page], 4096))
        t.say("content", bytes(page)[:4096] == BLOCK)
        os.close(fd)
        t.say("closed", get("f") == BLOCK * 2)
    fd = os.open("g", os.O_CREAT | os.O_RDWR | os.O_SYNC)
    t.do("O_SYNC write", os.write, fd, b"synced")
    t.do("O_SYNC seen", get, "g")
    os.close(fd)


def executing(t):
    """Executing a program stored there."""
    put("prog", get("/bin/true"), 0o755)
    t.do("run", lambda: subprocess.run(["./prog"], check=False).returncode)
    t.do("without the x bit", lambda: os.chmod("prog", 0o644) or
         subprocess.run(["./prog"], check=False).returncode)
    put("script", b"#!/bin/sh\nexit 7\n", 0o755)
    t.do("a script", lambda: subprocess.run(["./script"], check=False).returncode)
    put("sleeper", get("/bin/sleep"), 0o755)
    with subprocess.Popen(["./sleeper", "60"]) as process:
        t.do("write to what runs", os.open, "sleeper", os.O_WRONLY)
        t.do("unlink what runs", os.unlink, "sleeper")
        process.kill()
    fd = os.open("prog", os.O_RDWR)
    os.chmod("prog", 0o755)
    t.do("run what is open for writing", lambda: subprocess.run(["./prog"], check=False).returncode)
    os.close(fd)
    t.say("kinds", sorted(kind(os.lstat(n)) for n in os.listdir(".")))


CASES = [reading, writing, appending, truncating, unlinked, descriptors, mapped, holes, copying,
         direct, executing]
