#!/usr/bin/env python3
"""Compare the responses that writers got with the log and with a mount.

    check_writes.py --log FILE --mount DIR [--access FILE] REPORT...

The log has lines "KEY VALUE HEADERS" from kcat. The access log is Nginx's: a PUT that
it tried on several nodes may be in the log as often. Prints the counts, and exits
with status 1 if an acknowledged write is missing, or if the log contains a write more
often than it was sent.
"""
import argparse
import collections
import json
import os
import sys


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--log", required=True)
    parser.add_argument("--mount", required=True)
    parser.add_argument("--access")
    parser.add_argument("reports", nargs="+")
    args = parser.parse_args()

    logged = collections.Counter()
    with open(args.log) as file:
        for line in file:
            key, value, *headers = line.rstrip("\n").split(" ")
            headers = headers[0].split(",") if headers else []
            if "op=append" in headers:
                logged["append", key, value.rstrip(";")] += 1
            elif "op=set" in headers:
                logged["set", key, value] += 1

    tries = collections.Counter()
    if args.access:
        with open(args.access) as file:
            for line in file:
                entry = json.loads(line)
                if entry["method"] == "PUT":
                    nodes = [n for n in entry["node"].split(", ") if n]
                    tries[entry["uri"].removeprefix("/v1/kv/")] += max(1, len(nodes))

    counts = collections.Counter()
    faults = []
    appended = {}
    for name in args.reports:
        with open(name) as file:
            lines = file.read().split("\n")
        for line in lines[:-1]:
            outcome, kind, key, value = line.split(" ")
            counts[outcome + " " + kind] += 1
            times = logged.pop((kind, key, value), 0)
            most = max(1, tries[key]) if kind == "set" else 1
            if outcome == "acked" and times < 1:
                faults.append("acknowledged, not in the log: " + line)
            if outcome == "failed" and kind == "append" and times:
                faults.append("said to have failed, but in the log: " + line)
            if times > most:
                faults.append("%d times in the log, sent %d times: %s" % (times, most, line))
            if times > 1:
                counts["sent again by Nginx"] += 1
            path = os.path.join(args.mount, key)
            if kind == "append" and key not in appended:
                appended[key] = collections.Counter(read(path).split(";"))
            have = appended[key][value] if kind == "append" else read(path) == value
            if have != (times if kind == "append" else times > 0):
                faults.append("in the log %d times, in the store %d: %s" % (times, have, line))
    # No writer sent these.
    for kind, key, value in logged:
        faults.append("in the log, but nobody wrote it: %s %s %s" % (kind, key, value))
    print(dict(counts))
    for fault in faults[:20]:
        print(fault)
    if len(faults) > 20:
        print("... and %d more" % (len(faults) - 20))
    return faults != []


def read(path):
    try:
        with open(path) as file:
            return file.read()
    except FileNotFoundError:
        return ""


if __name__ == "__main__":
    sys.exit(main())
