"""Create names exclusively on a mount while another node removes them.

    exclusive.py run MOUNT HOST:PORT SECONDS   one line for each call: KIND RESULT
    exclusive.py compare CALLS LOG             compares with the log, as `kcat -f '%h %k\\n'` shows it

POSIX: an exclusive creation succeeds for the caller whose creation was done, and for no
other caller. The log shows which creations were done.
"""
import collections
import ctypes
import http.client
import os
import random
import sys
import threading
import time

KINDS = ("open", "mkdir", "symlink", "rename")
RENAME_NOREPLACE = 1  # linux/fs.h
AT_FDCWD = -100

libc = ctypes.CDLL(None, use_errno=True)


def rename_noreplace(source, target):
    if libc.renameat2(AT_FDCWD, source.encode(), AT_FDCWD, target.encode(), RENAME_NOREPLACE) < 0:
        raise OSError(ctypes.get_errno(), "renameat2")


def make(kind, path, spare):
    if kind == "open":
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    elif kind == "mkdir":
        os.mkdir(path)
    elif kind == "symlink":
        os.symlink("target", path)
    else:
        open(spare, "w").close()
        os.fsync(os.open(spare, os.O_RDONLY))
        rename_noreplace(spare, path)


def caller(kind, mount, stop, results):
    n = 0
    while time.monotonic() < stop:
        n += 1
        try:
            make(kind, f"{mount}/d/{kind}", f"{mount}/spare{n}")
            result = "won"
        except OSError as e:
            result = os.strerror(e.errno).replace(" ", "_")
        results.append(f"{kind} {result}")


def remover(kind, address, stop):
    client = http.client.HTTPConnection(address, timeout=30)
    while time.monotonic() < stop:
        client.request("DELETE", f"/v1/kv/d/{kind}?recurse")
        client.getresponse().read()
        time.sleep(random.random() * 0.002)


def run(mount, address, seconds):
    os.makedirs(f"{mount}/d", exist_ok=True)
    stop = time.monotonic() + float(seconds)
    # Not printed by the threads: a text stream is not made for several of them.
    results = {kind: [] for kind in KINDS}
    threads = [threading.Thread(target=caller, args=(kind, mount, stop, results[kind])) for kind in KINDS]
    threads += [threading.Thread(target=remover, args=(kind, address, stop)) for kind in KINDS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for kind in KINDS:
        print("\n".join(results[kind]))


def compare(calls, log):
    told = collections.Counter()
    wrong = collections.Counter()
    for line in open(calls):
        kind, result = line.split()
        told[kind] += result == "won"
        wrong[kind] += result not in ("won", "File_exists")
    there, done = set(), collections.Counter()
    for line in open(log):
        headers, _, key = line.rstrip("\n").rpartition(" ")
        fields = dict(h.split("=", 1) for h in headers.split(",") if "=" in h)
        op = fields.get("op")
        target = fields.get("to", key)
        kind = target.removeprefix("d/")
        if kind not in KINDS:
            continue
        if op == "del":
            there.discard(kind)
        elif kind not in there:
            there.add(kind)
            done[kind] += 1
    bad = 0
    for kind in KINDS:
        print(f"{kind}: {done[kind]} done, {told[kind]} told so, {wrong[kind]} other errors")
        bad += done[kind] != told[kind] or done[kind] == 0 or wrong[kind] != 0
    return bad


if __name__ == "__main__":
    if sys.argv[1] == "run":
        run(*sys.argv[2:])
    else:
        sys.exit(compare(*sys.argv[2:]) != 0)
