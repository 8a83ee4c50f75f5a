#!/usr/bin/env python3
"""Check the English of comments and manuals: tests/prose.py [--show MARKER] PATH...

Count the constructions below per 1,000 words, and fail if the whole exceeds the limit of
one of them, or if a single file exceeds FILE_LIMIT for all of them together. Each of them
can be good English once; many of them make a text hard to read. Lower a limit when the
text has improved.

The tracked files below each PATH are read; all files where git cannot list them.
"""

import os
import re
import subprocess
import sys
from collections import Counter

# Name, regular expression, most hits per 1,000 words of all files.
MARKERS = [
    ("what-is", r"\b[Ww]hat(?: [a-z]+)? (?:is|are|was|were|has|had|have|comes|came|goes|stands|lies)\b", 0.3),
    ("bare-who", r"(?:^|[.:;(,] |\b(?:of|by|for|to|from|than|and|or|but|as) )[Ww]ho(?:ever|m)?\b", 0.15),
    ("tell", r"\b(?:tells?|told|telling)\b", 0.2),
    ("behind", r"\bbehind\b", 0.15),
    ("somebody", r"\b(?:some|every|no)body\b", 0.1),
    ("but-for", r"\bbut for\b", 0.1),
    ("beside", r"\bbeside\b", 0.1),
    ("of-first", r"(?:^|[.:;(] )Of [a-z]", 0.1),
    ("is-no", r"\b(?:is|are|was) (?:no|none)\b(?! longer| more)", 0.6),
    ("so-many", r"\bso (?:many|long|much)\b(?! as)", 0.1),
]

# Most hits of all markers per 1,000 words of one file. A short file counts as one of
# MIN_WORDS, so that a few hits in it pass.
FILE_LIMIT = 20
MIN_WORDS = 200

C_TOKENS = re.compile(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.S)
HASH_NAMES = (".sh", ".bash", ".bats", ".py", ".yml", ".conf", "Makefile", "Dockerfile")


def c_comments(source):
    """Return the comments, without the comment signs inside string literals."""
    tokens = (m.group() for m in C_TOKENS.finditer(source))
    return [re.sub(r"\n[ \t]*\*?", "\n", t.strip("/*")) for t in tokens if t[0] == "/"]


def hash_comments(source):
    """Return blocks of whole-line comments and Python's docstrings."""
    blocks = re.findall(r"(?m)(?:^[ \t]*#(?!!).*\n?)+", source)
    docs = re.findall(r'(?ms)^[ \t]*"""(.*?)"""', source)
    return [re.sub(r"(?m)^[ \t]*#+", "", b) for b in blocks] + docs


def paragraphs(source):
    """Return the paragraphs of Markdown or a manual, without blocks of code."""
    return re.split(r"\n\s*\n|\n\.[A-Z]\S*", re.sub(r"```.*?```", "", source, flags=re.S))


def texts(path, source):
    """Return the English in a file, each text on one line; none for an unknown kind."""
    if path.endswith((".c", ".h", ".js", ".mjs", ".go")):
        found = c_comments(source)
    elif path.endswith(".md") or re.search(r"\.[1-8]$", path):
        found = paragraphs(source)
    elif path.endswith(HASH_NAMES) or source.startswith("#!"):
        found = hash_comments(source)
    else:
        found = []
    return [" ".join(t.split()) for t in found if "Permission is hereby granted" not in t]


def git_files(paths):
    """Return the tracked files below the paths; none without git, or if it refuses the tree.

    Git refuses a tree of another user, such as one mounted into a container.
    """
    try:
        out = subprocess.run(["git", "ls-files", "-z", "--", *paths], capture_output=True, text=True)
    except OSError:
        return []
    return out.stdout.split("\0")[:-1] if out.returncode == 0 else []


def files(paths):
    """Return the names of the files below the paths."""
    if os.path.exists(".git"):
        listed = git_files(paths)
        if listed:
            return listed
    found = [p for p in paths if os.path.isfile(p)]
    for path in paths:
        for folder, _, names in os.walk(path):
            found += [os.path.join(folder, n) for n in names]
    return sorted(found)


def main(args):
    show = None
    if args[:1] == ["--show"]:
        show, args = args[1], args[2:]
    words, hits, faults = 0, Counter(), []
    for path in files(args):
        try:
            with open(path, encoding="utf-8") as f:
                source = f.read()
        except (OSError, UnicodeDecodeError):
            continue
        file_words, file_hits = 0, Counter()
        for text in texts(path, source):
            file_words += len(text.split())
            for name, pattern, _ in MARKERS:
                for m in re.finditer(pattern, text):
                    file_hits[name] += 1
                    if name == show:
                        print(f"{path}: {text[max(0, m.start() - 40):m.end() + 60]}")
        rate = 1000 * file_hits.total() / max(file_words, MIN_WORDS)
        if rate > FILE_LIMIT:
            names = ", ".join(f"{n} {k}" for n, k in file_hits.most_common())
            faults.append(f"{path}: {rate:.0f} hard constructions per 1,000 words, limit {FILE_LIMIT}: {names}")
        words += file_words
        hits += file_hits
    for name, _, limit in MARKERS:
        rate = 1000 * hits[name] / max(words, 1)
        if rate > limit:
            faults.append(f"all files: {name} {rate:.2f} per 1,000 words, limit {limit}: see --show {name}")
    if words == 0:
        faults.append("no text found below " + " ".join(args))
    print("\n".join(faults), end="\n" if faults else "")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
