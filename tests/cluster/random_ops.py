#!/usr/bin/env python3
"""A worker of the convergence test: random operations on a mount or over REST.

    random_ops.py --seed N --seconds N (--mount DIR | --url URL) --report FILE

All workers use the same few keys, so that they conflict. Results of operations are
counted, not checked: the test compares the stores of the nodes afterwards. A response
that no healthy node gives is a failure (status 1). A worker waits for a node that is
down. The sequence of choices depends only on the seed; the interleaving of workers
does not.
"""
import argparse
import collections
import ctypes
import errno
import http.client
import json
import os
import random
import stat
import sys
import time

DIRS = ["", "d0/", "d1/", "d1/sub/", "d2/"]
NAMES = ["k%d" % i for i in range(6)]
# Inline, at the inline limit, and in one and several chunks.
SIZES = [0, 1, 20, 511, 512, 513, 3000, 65520, 70000, 140000]
SIZE_WEIGHTS = [2, 4, 8, 2, 2, 2, 4, 1, 1, 1]
TIMEOUT_S = 20
OVERTIME_S = 60

# Errors while the node, the broker or the mount is being killed.
GONE = {errno.ENOTCONN, errno.ECONNABORTED, errno.EIO, errno.ETIMEDOUT, errno.EBADF,
        errno.ESHUTDOWN, errno.ECONNREFUSED, errno.ESTALE}
# Errors because of other workers' changes.
REFUSED = {errno.ENOENT, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENOTEMPTY,
           errno.EINVAL, errno.ELOOP, errno.ENODATA, errno.EBUSY}

libc = ctypes.CDLL(None, use_errno=True)
RENAME_NOREPLACE, RENAME_EXCHANGE = 1, 2


def renameat2(old, new, flags):
    if libc.renameat2(-100, old.encode(), -100, new.encode(), flags):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), new)


class Worker:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.counts = collections.Counter()

    def key(self):
        return self.random.choice(DIRS) + self.random.choice(NAMES)

    def directory(self):
        return self.random.choice(["d0", "d1", "d1/sub", "d2", "d3"])

    def value(self):
        size = self.random.choices(SIZES, SIZE_WEIGHTS)[0]
        return bytes([self.random.randrange(97, 123)]) * size

    def ttl(self):
        return self.random.choice(["300ms", "1s", "2s", "1h"])

    # Run for `seconds`, and longer until every operation succeeded once, because the
    # machine may be slow.
    def run(self, seconds):
        operations = sorted(name[3:] for name in dir(self) if name.startswith("op_"))
        end = time.monotonic() + seconds
        while True:
            now = time.monotonic()
            missing = [name for name in operations if not self.counts[name + " done"]]
            if now > end and (not missing or now > end + OVERTIME_S):
                break
            late = now > end and self.random.random() < 0.5
            name = self.random.choice(missing if late else operations)
            self.counts[name + " " + self.attempt(getattr(self, "op_" + name))] += 1


class Mount(Worker):
    def __init__(self, seed, path):
        super().__init__(seed)
        self.path = path
        self.parent_dev = os.stat(os.path.dirname(path)).st_dev
        self.fd = -1
        self.root = None

    # Use a descriptor of the mount's root: while nothing is mounted, no file may be
    # created in the underlying directory.
    def open_root(self):
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
            if os.fstat(fd).st_dev != self.parent_dev:
                self.fd = fd
                self.root = "/proc/self/fd/%d/" % fd
                return True
            os.close(fd)
        except OSError:
            pass
        time.sleep(0.05)
        return False

    def attempt(self, operation):
        if self.fd < 0 and not self.open_root():
            return "gone"
        try:
            operation()
            return "done"
        except OSError as error:
            if error.errno in GONE:
                self.open_root()
                return "gone"
            if error.errno in REFUSED:
                return "refused"
            raise

    def at(self, key):
        return self.root + key

    def op_write(self):
        with open(self.at(self.key()), "wb", buffering=0) as file:
            file.write(self.value())

    def op_append(self):
        with open(self.at(self.key()), "ab", buffering=0) as file:
            for _ in range(self.random.randrange(1, 4)):
                file.write(self.value()[:2000])

    def op_patch(self):
        with open(self.at(self.key()), "r+b", buffering=0) as file:
            for _ in range(self.random.randrange(1, 4)):
                file.seek(self.random.randrange(70000))
                file.write(self.value()[:2000])

    def op_truncate(self):
        os.truncate(self.at(self.key()), self.random.choice(SIZES))

    def op_exclusive(self):
        fd = os.open(self.at(self.key()), os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            os.write(fd, b"exclusive")
        finally:
            os.close(fd)

    def op_read(self):
        with open(self.at(self.key()), "rb", buffering=0) as file:
            file.read()

    def op_list(self):
        for entry in os.scandir(self.at(self.random.choice(DIRS))):
            entry.stat(follow_symlinks=False)

    def op_unlink(self):
        os.unlink(self.at(self.key()))

    def op_mkdir(self):
        os.mkdir(self.at(self.directory()))

    def op_rmdir(self):
        # Most directories are never empty, so create one that is.
        if self.random.random() < 0.5:
            os.rmdir(self.at(self.directory()))
        else:
            os.mkdir(self.at("d3"))
            os.rmdir(self.at("d3"))

    def op_rename(self):
        os.rename(self.at(self.key()), self.at(self.key()))

    def op_rename_noreplace(self):
        renameat2(self.at(self.key()), self.at(self.key()), RENAME_NOREPLACE)

    def op_rename_exchange(self):
        renameat2(self.at(self.key()), self.at(self.key()), RENAME_EXCHANGE)

    def op_rename_dir(self):
        os.rename(self.at(self.directory()), self.at(self.directory()))

    def op_symlink(self):
        os.symlink(self.key(), self.at(self.key()))

    def op_chmod(self):
        path = self.at(self.key())
        if not stat.S_ISLNK(os.lstat(path).st_mode):
            os.chmod(path, self.random.choice([0o600, 0o644, 0o755]))

    def op_utime(self):
        os.utime(self.at(self.key()), ns=(10**18, self.random.randrange(10**18)),
                 follow_symlinks=False)

    def op_ttl(self):
        os.setxattr(self.at(self.key()), "user.ttl", self.ttl().encode())

    def op_persist(self):
        os.removexattr(self.at(self.key()), "user.ttl")

    def op_default_ttl(self):
        path = self.at(self.directory())
        if self.random.random() < 0.5:
            os.setxattr(path, "user.default_ttl", self.ttl().encode())
        else:
            os.removexattr(path, "user.default_ttl")

    def op_setxattr(self):
        os.setxattr(self.at(self.key()), "user.x%d" % self.random.randrange(3), self.value()[:600],
                    self.random.choice([0, os.XATTR_CREATE, os.XATTR_REPLACE]))

    def op_removexattr(self):
        path = self.at(self.key())
        names = [name for name in os.listxattr(path) if name.startswith("user.x")]
        os.removexattr(path, self.random.choice(names or ["user.x0"]))


class Rest(Worker):
    # A healthy node never answers 429, nor 5xx except 503 and 504.
    GONE = {503, 504}
    REFUSED = {404, 409, 412, 422}

    def __init__(self, seed, url):
        super().__init__(seed)
        self.host = url.removeprefix("http://")
        self.connection = None
        self.version = "0"

    def attempt(self, operation):
        try:
            code = operation()
        except (OSError, http.client.HTTPException):
            if self.connection:
                self.connection.close()
            self.connection = None
            time.sleep(0.05)
            return "gone"
        if 200 <= code < 300:
            return "done"
        if code in self.GONE:
            time.sleep(0.05)
            return "gone"
        if code in self.REFUSED:
            return "refused"
        raise ValueError("status %d of %s" % (code, operation.__name__))

    def ask(self, method, path, body=None, **headers):
        if not self.connection:
            self.connection = http.client.HTTPConnection(self.host, timeout=TIMEOUT_S)
        self.connection.request(method, path, body,
                                {name.replace("_", "-"): text for name, text in headers.items()})
        answer = self.connection.getresponse()
        answer.read()
        if answer.headers["ETag"]:
            self.version = answer.headers["ETag"].strip('"')
        return answer.status

    def kv(self, key=None):
        return "/v1/kv/" + (key or self.key())

    def post(self, query, body=None, **headers):
        return self.ask("POST", self.kv() + "?op=" + query, body, **headers)

    def op_get(self):
        return self.ask("GET", self.kv())

    def op_consistent(self):
        return self.ask("GET", self.kv() + "?consistent")

    def op_put(self):
        return self.ask("PUT", self.kv(), self.value())

    def op_put_ttl(self):
        return self.ask("PUT", self.kv() + "?ttl=" + self.ttl(), self.value())

    def op_put_absent(self):
        return self.ask("PUT", self.kv(), self.value(), If_None_Match="*")

    def op_put_version(self):
        key = self.key()
        if self.ask("GET", self.kv(key)) != 200:
            return 404
        return self.ask("PUT", self.kv(key), self.value(), If_Match='"%s"' % self.version)

    def op_put_idempotent(self):
        return self.ask("PUT", self.kv(), self.value(),
                        Idempotency_Key="i%d" % self.random.randrange(200))

    def op_delete(self):
        return self.ask("DELETE", self.kv())

    def op_delete_tree(self):
        if self.random.random() < 0.7:
            return self.op_delete()
        return self.ask("DELETE", self.kv(self.directory()) + "/?recurse")

    def op_append(self):
        return self.post("append", self.value()[:2000])

    def op_append_ttl(self):
        return self.post("append&ttl=" + self.ttl(), self.value()[:2000])

    def op_put_number(self):
        return self.ask("PUT", self.kv(), b"%d" % self.random.randrange(10**9))

    def op_incr(self):
        return self.post("incr&by=%d" % self.random.randrange(-5, 6))

    def op_expire(self):
        return self.post("expire&ttl=" + self.ttl())

    def op_persist(self):
        return self.post("persist")

    def op_rename(self):
        return self.post("rename&to=" + self.key())

    def op_rename_noreplace(self):
        return self.post("rename&noreplace&to=" + self.key())

    def op_rename_exchange(self):
        return self.post("rename&exchange&to=" + self.key())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--mount")
    parser.add_argument("--url")
    parser.add_argument("--report", required=True)
    args = parser.parse_args()
    worker = Mount(args.seed, args.mount) if args.mount else Rest(args.seed, args.url)
    try:
        worker.run(args.seconds)
    finally:
        with open(args.report, "w") as file:
            json.dump(dict(worker.counts), file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
