#!/usr/bin/env python3
"""Write one value after the other, and record the responses.

    write_load.py --name NAME --seconds N [--until FILE] (--mount DIR | --url URL) --report FILE

Write for N seconds, and then until FILE exists (OVERTIME_S longer at most).

Every write is unique: it sets a new key, or appends a new word and a semicolon to the
writer's one key. The report has a line for each:

    OUTCOME KIND KEY VALUE

OUTCOME is acked (2xx, or a close without error), unknown (504, ETIMEDOUT, or the node
or its mount died meanwhile) or failed (503, EIO: nothing was changed). KIND is set or
append.
"""
import argparse
import errno
import http.client
import os
import sys
import time

PAUSE_S = 0.004
GONE_PAUSE_S = 0.05
TIMEOUT_S = 60
OVERTIME_S = 600


class Rest:
    def __init__(self, url):
        self.host = url.removeprefix("http://")
        self.connection = None

    def send(self, method, path, body):
        if not self.connection:
            self.connection = http.client.HTTPConnection(self.host, timeout=TIMEOUT_S)
        self.connection.request(method, "/v1/kv/" + path, body)
        answer = self.connection.getresponse()
        answer.read()
        return answer.status

    def write(self, kind, key, value):
        try:
            if kind == "append":
                status = self.send("POST", key + "?op=append", value + ";")
            else:
                status = self.send("PUT", key, value)
        except (OSError, http.client.HTTPException):
            self.connection = None
            return "unknown"
        if 200 <= status < 300:
            return "acked"
        if status == 503:
            return "failed"
        if status in (502, 504):
            return "unknown"
        raise ValueError("%s %s: status %d" % (kind, key, status))


class Mount:
    def __init__(self, path):
        self.path = path
        self.below = os.stat(os.path.dirname(path)).st_dev
        self.root = None

    # Use a descriptor: while nothing is mounted, no file may be created below the mount point.
    def open_root(self):
        if self.root is not None:
            os.close(self.root)
            self.root = None
        root = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        if os.fstat(root).st_dev == self.below:
            os.close(root)
            raise OSError(errno.ENOTCONN, "not mounted")
        self.root = root

    def write(self, kind, key, value):
        try:
            if self.root is None:
                self.open_root()
        except OSError:
            return None
        flags = os.O_WRONLY | os.O_CREAT
        flags |= os.O_APPEND if kind == "append" else os.O_TRUNC
        try:
            fd = os.open(key, flags, 0o644, dir_fd=self.root)
        except OSError as error:
            return self.judge(error, None)
        try:
            os.write(fd, (value + ";" * (kind == "append")).encode())
        except OSError as error:
            try:
                os.close(fd)
            except OSError:
                pass
            return self.judge(error, "unknown")
        try:
            os.close(fd)
        except OSError as error:
            return self.judge(error, "unknown")
        return "acked"

    def judge(self, error, otherwise):
        if error.errno == errno.EIO:
            return otherwise and "failed"
        if error.errno == errno.ETIMEDOUT:
            return otherwise
        if error.errno in (errno.ENOTCONN, errno.ECONNABORTED, errno.EBADF, errno.ENOENT):
            os.close(self.root)
            self.root = None
            return otherwise
        raise error


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--name", required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--until")
    parser.add_argument("--mount")
    parser.add_argument("--url")
    parser.add_argument("--report", required=True)
    args = parser.parse_args()
    writer = Mount(args.mount) if args.mount else Rest(args.url)
    end = time.monotonic() + args.seconds

    def running():
        now = time.monotonic()
        return now < end or (args.until and not os.path.exists(args.until) and now < end + OVERTIME_S)

    number = 0
    with open(args.report, "w") as report:
        while running():
            number += 1
            kind = "append" if number % 5 == 0 else "set"
            value = "%s.%d" % (args.name, number)
            key = args.name if kind == "append" else value
            outcome = writer.write(kind, key, value)
            if outcome:
                print(outcome, kind, key, value, file=report, flush=True)
            time.sleep(PAUSE_S if outcome == "acked" else GONE_PAUSE_S)
    return 0


if __name__ == "__main__":
    sys.exit(main())
