#!/usr/bin/env python3
"""Prints what each system call answers in each wrong case, one line each.

usage: errors.py DIR

DIR is empty. The lines of two file systems are compared with diff.
"""
import errno
import os
import sys

os.chdir(sys.argv[1])
LONG = "l" * 256


def put(name, data=b"0123456789"):
    with open(name, "wb") as f:
        f.write(data)


def say(what, call, *args, **kwargs):
    try:
        result = call(*args, **kwargs)
        result = "ok" if result is None else "ok %r" % (result,)
    except OSError as e:
        result = errno.errorcode[e.errno]
    print("%-44s %s" % (what, result))


def opened(name, flags, mode=0o644):
    os.close(os.open(name, flags, mode))


put("file")
os.mkdir("dir")
put("dir/in")
os.mkdir("empty")

for name in ("none", "none/x", "file/x", "file/", "dir", "dir/", LONG, ""):
    shown = "LONG" if name == LONG else repr(name)
    say("open %s rdonly" % shown, opened, name, os.O_RDONLY)
    say("open %s wronly" % shown, opened, name, os.O_WRONLY)
    say("stat %s" % shown, lambda n: os.stat(n) and None, name)
    say("chmod %s" % shown, os.chmod, name, 0o755)
    say("truncate %s" % shown, os.truncate, name, 10)
    say("utime %s" % shown, os.utime, name)
    say("listdir %s" % shown, lambda n: len(os.listdir(n)), name)
    say("getxattr %s" % shown, os.getxattr, name, "user.none")
    say("setxattr %s" % shown, os.setxattr, name, "user.x", b"x")
    say("access %s" % shown, os.access, name, os.F_OK)

for name in ("file", "dir", "none/x", "file/x", LONG):
    shown = "LONG" if name == LONG else repr(name)
    say("open %s creat excl" % shown, opened, name, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    say("open %s creat" % shown, opened, name, os.O_CREAT | os.O_WRONLY)
    say("open %s trunc" % shown, opened, name, os.O_TRUNC | os.O_WRONLY)
    say("open %s directory" % shown, opened, name, os.O_DIRECTORY)
    say("mkdir %s" % shown, os.mkdir, name)
    say("mknod %s" % shown, os.mknod, name)

put("file")
for name in ("none", "dir", "file/x", "none/x", LONG, ".", "dir/.."):
    shown = "LONG" if name == LONG else repr(name)
    say("unlink %s" % shown, os.unlink, name)
for name in ("none", "dir", "file", "file/x", LONG, ".", "dir/.."):
    shown = "LONG" if name == LONG else repr(name)
    say("rmdir %s" % shown, os.rmdir, name)

os.mkdir("dir/sub")
for old, new in (("none", "x"), ("file", "dir"), ("dir", "file"), ("empty", "dir"), ("dir", "dir/sub"),
                 ("dir", "dir/sub/x"), ("file", LONG), (LONG, "file"), ("file", "none/x"),
                 ("file", "file/x"), ("file", "dir/."), (".", "x"), ("file", "file"), ("dir", "empty"),
                 ("empty", "dir"), ("file", "other/")):
    say("rename %s %s" % (old if old != LONG else "LONG", new if new != LONG else "LONG"),
        os.rename, old, new)

os.mkdir("moved")

fd = os.open("file", os.O_RDONLY)
say("write to rdonly", os.write, fd, b"x")
say("ftruncate rdonly", os.ftruncate, fd, 1)
say("pread negative", os.pread, fd, 1, -1)
say("lseek negative", os.lseek, fd, -1, os.SEEK_SET)
say("lseek end", os.lseek, fd, 0, os.SEEK_END)
say("lseek data", os.lseek, fd, 0, os.SEEK_DATA)
say("lseek beyond data", os.lseek, fd, 100, os.SEEK_DATA)
say("read beyond", os.pread, fd, 10, 100)
say("fsync rdonly", os.fsync, fd)
say("fallocate rdonly", os.posix_fallocate, fd, 0, 10)
os.close(fd)
fd = os.open("file", os.O_WRONLY)
say("read from wronly", os.read, fd, 1)
say("fallocate", os.posix_fallocate, fd, 0, 100)
say("fallocate bad", os.posix_fallocate, fd, 0, 0)
say("size after", lambda: os.fstat(fd).st_size)
say("pwrite negative", os.pwrite, fd, b"x", -1)
say("ftruncate negative", os.ftruncate, fd, -1)
say("fdatasync", os.fdatasync, fd)
os.close(fd)
fd = os.open("moved", os.O_RDONLY)
say("read a directory", os.read, fd, 1)
say("fsync a directory", os.fsync, fd)
say("ftruncate a directory", os.ftruncate, fd, 1)
say("fchmod a directory", os.fchmod, fd, 0o700)
os.close(fd)
say("open tmpfile on a file", opened, "file", os.O_TMPFILE | os.O_WRONLY)
say("truncate negative", os.truncate, "file", -1)
say("symlink over a file", os.symlink, "x", "file")
say("link over a file", os.link, "file", "file")
say("readlink", os.readlink, "file")
