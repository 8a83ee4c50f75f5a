"""Facts that schemathesis needs and the description does not have.

Limits that JSON Schema cannot express, because it counts characters and not
bytes, and waiting: a watch has no end and a wait may take minutes, so both are
made short here. A cursor is opaque; here are some that fit. An Idempotency-Key
is for one change, so each gets its own. Nothing else is changed or left out."""
import base64
import itertools
import re

import schemathesis
from hypothesis import strategies as st

KEY_MAX, NAME_MAX = 4096, 255
TTL_MAX_MS = 3_162_240_000_000
UNITS = {"": 1000, "ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def is_long_key(text):
    data = text.encode("utf-8", "surrogatepass")
    return len(data) > KEY_MAX or any(len(name) > NAME_MAX for name in data.split(b"/"))


def is_long_ttl(text):
    found = re.fullmatch(r"([0-9]+)(ms|s|m|h|d)?", text)
    return bool(found) and int(found[1]) * UNITS[found[2] or ""] > TTL_MAX_MS


def has_nul_name(value):
    """JSON that libjansson does not read: a NUL in a member's name."""
    if isinstance(value, dict):
        return any("\0" in k or has_nul_name(v) for k, v in value.items())
    return isinstance(value, list) and any(map(has_nul_name, value))


def too_long(value, name=""):
    """Return whether VALUE contains a key or a TTL with more bytes than allowed."""
    if isinstance(value, dict):
        return any(too_long(v, k) for k, v in value.items())
    if isinstance(value, list):
        return any(too_long(v, name) for v in value)
    if not isinstance(value, str):
        return False
    return is_long_ttl(value) if name == "ttl" else name in ("", "key", "to", "path", "to_path", "prefix") and is_long_key(value)


def cursor(name):
    return base64.urlsafe_b64encode(b"b" + name.encode()).decode().rstrip("=")


schemathesis.openapi.format("keydir-cursor", st.text("abc", max_size=3).map(lambda t: t and cursor(t)))


@schemathesis.hook
def filter_case(context, case):
    return not (has_nul_name(case.body) or too_long(case.query or {}) or too_long(case.path_parameters or {}, "key")
                or (case.operation.path.startswith("/v1/") and too_long(case.body)))


numbers = itertools.count()


@schemathesis.hook
def before_call(context, case, kwargs):
    query = case.query
    if case.operation.path == "/v1/watch" and case.method.upper() == "GET":
        query.setdefault("wait", "1ms")
    if re.fullmatch(r"[0-9]*[1-9][0-9]*(ms|s|m|h|d)?", str(query.get("wait", ""))):
        query["wait"] = "1ms"
    for name in ("If-Match", "If-None-Match"):
        # where it wants any valid value it takes 0, whatever the pattern
        if (case.headers or {}).get(name) == "0":
            case.headers[name] = '"0"'
    key = (case.headers or {}).get("Idempotency-Key", "")
    if 0 < len(key) <= 255:
        case.headers["Idempotency-Key"] = f"change-{next(numbers)}"
    offset = (case.headers or {}).get("X-Keydir-Offset", "")
    if re.fullmatch(r"[0-9]+", str(offset)):
        case.headers["X-Keydir-Offset"] = "1"
