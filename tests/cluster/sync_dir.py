"""Run `sync DIR` on one node's mount, while other nodes change names in it continuously.

    sync_dir.py MOUNT HOST:PORT SECONDS

HOST:PORT is another node. A name that it acknowledged before the fsync of a directory
must exist after it: in that directory, in another one, and with its new value if this
kernel has read the file before. In a second part, other processes create and remove
names and directories on the mount, so that the kernel holds locks for them that depend
on the directory being synced.
"""
import http.client
import multiprocessing
import os
import sys
import time

mount, address, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])


class Node:
    def __init__(self):
        self.client = http.client.HTTPConnection(address, timeout=30)

    def ask(self, method, key, body=None):
        self.client.request(method, f"/v1/kv/{key}", body)
        answer = self.client.getresponse()
        answer.read()
        return answer.status


def elsewhere(n, stop):
    node = Node()
    i = 0
    while time.monotonic() < stop:
        i += 1
        node.ask("PUT", f"d/o{n}-{i % 50}", "x" * 3000)
        node.ask("DELETE", f"d/o{n}-{(i + 25) % 50}")


def here(n, stop):
    i = 0
    while time.monotonic() < stop:
        i += 1
        for path in (f"{mount}/d/sub{n}", f"{mount}/d"):
            try:
                os.mkdir(path)
            except FileExistsError:
                pass
            try:
                os.rmdir(path)
            except OSError:
                pass


def sync(directory):
    fd = os.open(directory, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)


def count(node, others, stop):
    """Print how often it was tried, how often a name was missing, and a value old."""
    for process in others:
        process.start()
    n = missing = old = 0
    while time.monotonic() < stop:
        n += 1
        name, value = f"k{n % 5}", str(n)
        for directory in ("e", "d"):
            os.path.exists(f"{mount}/{directory}/{name}")  # The kernel caches that the name does not exist.
        open(f"{mount}/e/value").read()
        for key in ("e/value", f"e/{name}", f"d/{name}"):
            if node.ask("PUT", key, value) not in (200, 201, 204):
                sys.exit(f"PUT {key} failed")
        sync(f"{mount}/d")
        missing += not os.path.exists(f"{mount}/d/{name}")
        missing += not os.path.exists(f"{mount}/e/{name}")
        old += open(f"{mount}/e/value").read() != value
        for directory in ("d", "e"):
            node.ask("DELETE", f"{directory}/{name}")
    for process in others:
        process.join()
    print(f"{n} times: {missing} names missing, {old} values old")
    return missing or old or n == 0


def main():
    node = Node()
    node.ask("PUT", "d/first", "1")
    node.ask("PUT", "e/value", "0")
    while not os.path.exists(f"{mount}/e/value"):
        time.sleep(0.01)
    bad = False
    for kinds in ((elsewhere,), (elsewhere, here)):
        stop = time.monotonic() + seconds
        others = [multiprocessing.Process(target=f, args=(n, stop)) for f in kinds for n in (1, 2, 3)]
        bad = count(node, others, stop) or bad
    return bad


sys.exit(1 if main() else 0)
