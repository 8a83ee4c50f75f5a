#!/usr/bin/env python3
"""Make the same system calls in two directories and compare the results.

usage: run.py POSIX.md LOCAL MOUNT [CASE...]

LOCAL is an empty directory of a local file system, MOUNT one of a mount of Keydir,
both writable by root and searchable for every user. A case is a function in one of the
other modules here. It runs once in each directory, in a separate process, and its steps
must have the same result: a value, or an error number.

The table below "Differences, call by call" in POSIX.md lists the permitted differences,
one per row: the step, the result on the local file system, and the result on the mount
("*" matches anything). A difference that no row permits is a failure, and so is a row
that no step needs.
"""
import errno
import fnmatch
import json
import os
import re
import select
import signal
import sys
import time

import attributes
import data
import directories
import locks
import names
import users

MODULES = [names, directories, data, attributes, users, locks]
CASE_SECONDS = 60 * int(os.environ.get("PATIENCE", "1"))


def show(value):
    """Return a value as short text."""
    if value is None:
        return "ok"
    if isinstance(value, (bytes, bytearray)) and len(value) > 24:
        runs = [(value[i], i) for i in range(len(value)) if i == 0 or value[i] != value[i - 1]]
        return "%d bytes: %s" % (len(value), " ".join("%02x@%d" % run for run in runs[:16]))
    return value if isinstance(value, str) else repr(value)


class Steps:
    """The steps of a case in one directory."""

    def __init__(self, out, name):
        self.out = out
        self.name = name

    def say(self, label, value):
        self.out.write(json.dumps([self.name + ": " + label, show(value)]) + "\n")
        self.out.flush()

    def do(self, label, call, *args, **kwargs):
        """Call, record the result, and return the value (None on an error)."""
        try:
            value = call(*args, **kwargs)
        except OSError as error:
            self.say(label, errno.errorcode.get(error.errno, str(error.errno)))
            return None
        self.say(label, value)
        return value

    def quiet(self, label, call, *args, **kwargs):
        """The same for a value that cannot be compared: record only success or error."""
        try:
            value = call(*args, **kwargs)
        except OSError as error:
            self.say(label, errno.errorcode.get(error.errno, str(error.errno)))
            return None
        self.say(label, None)
        return value

    def child(self, work, uid=None):
        """Run WORK(self) in another process, as user UID, and wait until it ends."""
        pid = os.fork()
        if pid == 0:
            try:
                if uid is not None:
                    os.setgroups([])
                    os.setresgid(uid, uid, uid)
                    os.setresuid(uid, uid, uid)
                work(self)
            except BaseException as error:  # Reported, then the process ends.
                self.say("child failed", repr(error))
            finally:
                os._exit(0)
        _, status = os.waitpid(pid, 0)
        if status:
            self.say("child ended with", status)


def run_case(case, top):
    """Run CASE below TOP; return its steps, pairs of label and result."""
    place = os.path.join(top, case.__name__)
    os.mkdir(place)
    os.chmod(place, 0o755)
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        os.setpgid(0, 0)
        os.umask(0o022)
        os.chdir(place)
        with os.fdopen(writer, "w") as out:
            steps = Steps(out, case.__name__)
            try:
                case(steps)
            except BaseException as error:
                line = error.__traceback__.tb_next.tb_lineno if error.__traceback__.tb_next else 0
                steps.say("case failed", "line %d: %r" % (line, error))
        os._exit(0)
    os.close(writer)
    got, end = b"", time.monotonic() + CASE_SECONDS
    while True:
        left = end - time.monotonic()
        if left <= 0 or not select.select([reader], [], [], left)[0]:
            got += json.dumps([case.__name__ + ": hangs", "after %d s" % CASE_SECONDS]).encode()
            os.killpg(pid, signal.SIGKILL)
            break
        piece = os.read(reader, 65536)
        if not piece:
            break
        got += piece
    os.close(reader)
    os.waitpid(pid, 0)
    return [tuple(json.loads(line)) for line in got.decode().splitlines()]


def allowed_rows(path):
    """Return (step, local, mount) of each row of the table."""
    with open(path) as file:
        text = file.read()
    part = text.split("\n## Differences, call by call\n", 1)[1].split("\n## ", 1)[0]
    rows = []
    for line in part.splitlines():
        cells = [c.strip() for c in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
        if line.startswith("| `") and len(cells) == 4:
            rows.append(tuple(re.sub(r"^`|`$", "", c) for c in cells[:3]))
    return rows


def fits(text, pattern):
    return fnmatch.fnmatchcase(text, pattern.replace("[", "[[]"))


def compare(local, mount, rows, used):
    """Print the differences that are not permitted; return their number."""
    bad = 0
    mount_results = {}
    for label, result in mount:
        mount_results.setdefault(label, []).append(result)
    for label, result in local:
        others = mount_results.get(label)
        other = others.pop(0) if others else "(not reached)"
        if result == other:
            continue
        hits = [row for row in rows
                if fits(label, row[0]) and fits(result, row[1]) and fits(other, row[2])]
        used.update(hits)
        if not hits:
            bad += 1
            print("%s\n    local: %s\n    mount: %s" % (label, result, other))
    for label, results in mount_results.items():
        for result in results:
            bad += 1
            print("%s\n    only on the mount: %s" % (label, result))
    return bad


def main():
    rows = allowed_rows(sys.argv[1])
    wanted = sys.argv[4:]
    bad = steps = 0
    used = set()
    for module in MODULES:
        for case in module.CASES:
            if wanted and case.__name__ not in wanted:
                continue
            begin = time.monotonic()
            local, mount = (run_case(case, top) for top in sys.argv[2:4])
            bad += compare(local, mount, rows, used)
            broken = [p for p in local if ": case failed" in p[0] or ": hangs" in p[0]]
            for label, result in broken:
                bad += 1
                print("%s: %s" % (label, result))
            steps += len(local)
            if os.environ.get("TELL"):
                print("%s: %d steps, %.1f s" % (case.__name__, len(local), time.monotonic() - begin))
    for row in rows:
        if row not in used and (not wanted or row[0].split(":")[0] in wanted):
            bad += 1
            print("no step needs the row: %s | %s | %s" % row)
    print("%d steps, %d wrong, %d differences allowed" % (steps, bad, len(used)))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
