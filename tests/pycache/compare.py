"""Sends one table of requests to PyCache's oracle and to Keydir: compare.py ORACLE KEYDIR.

Both are host:port. The answers must have the same status, the same members of Allow, and
the same JSON of type application/json where the oracle sends JSON. Redirects are followed,
as clients do. A refusal is a page of HTML from Flask, and from Keydir a document with
`message` and an empty `payload`. A row that differs on purpose says what Keydir answers
and why; a row that says so and does not differ is an error too."""
import json
import sys
from http.client import HTTPConnection
from urllib.parse import urlsplit

sys.set_int_max_str_digits(0)
JSON = {"Content-Type": "application/json"}


def same(*requests):
    """Rows that must not differ."""
    return [(request, None, None) for request in requests]


def differs(status, why, *requests):
    """Rows that Keydir answers with STATUS, because WHY."""
    return [(request, status, why) for request in requests]


def get(path):
    return ("GET", path, None, {})


def head(path):
    return ("HEAD", path, None, {})


def options(path):
    return ("OPTIONS", path, None, {})


def delete(path):
    return ("DELETE", path, None, {})


def post(path, body, headers=None):
    return ("POST", path, body, JSON if headers is None else headers)


def of_type(content_type):
    return {"Content-Type": content_type}


def set_and_read(path, body="1"):
    """Set a key, read it in two ways, delete it, and read it again."""
    return [post(path, body), get(path), head(path), delete(path), get(path), delete(path)]


VALUES = [
    "42", "-0", "-1.50", "1e3", "1E+2", "1e400", "0.1", "12345678901234567890123456789012345",
    "9" * 4000, '"text"', '" "', '"\\u00e9 \\n \\ud83d\\ude00"', '"\\ud800"', '"é"', '"0"',
    '"null"', '"a\\u0000b"', "{}", '{"a": [1, 2.50, true, null], "b": {}}',
    '{"a": 1, "a": 2}', '{"": 1}', "[0]", "[[]]", "[null]", '["a", {"b": null}]',
    "[" * 100 + "]" * 100, "NaN", "Infinity", "[-Infinity]", " \r\n\t 1 \n", '"' + "x" * 100000 + '"',
    '"</script>"', '"\x7f"', '\ufeff"with a byte order mark"',
]
NO_VALUES = [
    "", " ", "null", "true", "false", '""', "[]", "nope", "{", "[1,]", '{"a":}', "{'a': 1}", "1 2",
    "01", "1.", ".5", "+1", "0x10", '"\n"', "\x00", '"a', "[1] x", "nan", "-NaN", b"\xff", b'"\xff"',
    "// 1", "key=value",
]
KEYS = [
    "k", "some-key", "a.b_c~d", "a%20b", "a+b", "a%2Bb", "%C3%A9", "%F0%9F%98%80", "%25", "%2525", "a%3Fb",
    "a%23b", "a;b=c", "a,b", "a:b@c", "a&b", "(a)", "%22q%22", "%5C", "%7E", "-", "0", "None", "k" * 255,
    "k" * 300, "...", ".hidden", "%00x"[3:], "%0A", "a%0Ab", "%7F", "api", "health", "%3Cb%3E", "*", "a%", "%zz",
]

OTHER_METHODS = ["PUT", "PATCH", "TRACE", "PROPFIND", "BREW"]

TABLE = [
    *[row for value in VALUES for row in same(*set_and_read("/api/cache/k/", value))],
    *same(post("/api/cache/k/", "1"), *[post("/api/cache/k/", value) for value in NO_VALUES], get("/api/cache/k/")),
    *[row for key in KEYS for row in same(*set_and_read(f"/api/cache/{key}/"), *set_and_read(f"/api/cache/{key}"))],
    # Types that mean JSON, with a body that is not JSON.
    *same(
        post("/api/cache/t/", "1", of_type("application/json; charset=utf-8")),
        post("/api/cache/t/", "2", of_type("APPLICATION/JSON")),
        post("/api/cache/t/", "3", of_type("application/vnd.api+json")),
        post("/api/cache/t/", "a=1&b=2", of_type("application/x-www-form-urlencoded")),
        post("/api/cache/t/", "a=1", of_type("application/json")),
        post("/api/cache/t/", "", of_type("text/plain")),
        post("/api/cache/t/", None, {}),
        get("/api/cache/t/"),
    ),
    # Methods.
    *same(
        *[(method, path, None, {}) for method in OTHER_METHODS for path in ("/api/cache/k/", "/api/health/")],
        options("/api/cache/k/"), options("/api/health/"), options("/api/cache/k"), options("/api/health"),
        ("PUT", "/api/cache/k/", "1", JSON), ("POST", "/api/health/", "1", JSON), delete("/api/health/"),
        options("/api/nothing/"), ("PUT", "/api/nothing/", "1", JSON),
    ),
    # Invalid paths, slashes, queries.
    *same(
        get("/api/health/"), get("/api/health"), head("/api/health/"), get("/api/health/?verbose=1"),
        get("/api/"), get("/api"), get("/api/cache/"), get("/api/cache"), post("/api/cache/", "1"), delete("/api/cache/"),
        get("/api/nothing"), get("/api/healthy/"), get("/api/health/x"), get("/API/health/"), get("/api/cachek/"),
        *set_and_read("/api/cache/q/?a=1&a=2&&=%zz"), *set_and_read("/api/cache/q?ttl=1"),
        *set_and_read("//api/cache/s/"), *set_and_read("/api//cache/s/"), *set_and_read("/api/cache//s/"),
        *set_and_read("/api/cache/s//"), *set_and_read("/api//cache//s//"), get("//api/health//"),
        get("/api/cache//"), get("/api//cache"),
    ),
    # Intended differences.
    *differs(405, "the slash may be left out with any method", *[
        (method, path, None, {}) for method in OTHER_METHODS for path in ("/api/cache/k", "/api/health")]),
    *differs(200, "the methods below a path are its own", options("/api/cache/"), options("/api/cache")),
    *differs(201, "what is JSON is taken, whatever its type", *[
        post("/api/cache/t/", "1", headers) for headers in (
            {}, of_type("text/plain"), of_type("application/x-www-form-urlencoded"), of_type("nonsense"))]),
    *differs(201, "a key may have several names", *[
        post(path, "1") for path in ("/api/cache/a/b/", "/api/cache/a/c/d/e", "/api/cache/a%2Fb/")]),
    *differs(200, "a key may have several names", get("/api/cache/a/b/"), get("/api/cache/a%2fb/"), delete("/api/cache/a/b/")),
    *differs(400, "a key is a path of a file system, which has no such name", *[
        method(f"/api/cache/{key}/") for key in (".", "..", "%2E%2E", "a%00b") for method in (get, delete)]),
    *differs(400, "JSON between programs is UTF-8 (RFC 8259, 8.1)", *[
        post("/api/cache/t/", body) for body in (
            '"text"'.encode("utf-16"), '"text"'.encode("utf-32"), b'"\xed\xa0\x80"')]),
    *differs(201, "a number may have more digits than Python reads at once", post("/api/cache/t/", "9" * 5000)),
    *differs(415, "a compressed body would be stored as it is", post("/api/cache/t/", "1", {**JSON, "Content-Encoding": "gzip"})),
]


def send(address, request):
    method, path, body, headers = request
    for _ in range(5):
        connection = HTTPConnection(address, timeout=20)
        data = body.encode() if isinstance(body, str) else body
        connection.request(method, path, data, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        if answer.status not in (301, 302, 307, 308):
            break
        there = urlsplit(answer.headers["Location"])
        path = there.path + ("?" + there.query if there.query else "")
    return answer, content


def seen(answer, content):
    """What a client sees of an answer, to be compared."""
    kind = answer.headers.get_content_type()
    members = answer.headers.get("Allow", "").replace(",", " ").split()
    result = {"status": answer.status, "allow": sorted(members)}
    if answer.status < 400:
        result["type"] = kind if kind == "application/json" else None
        result["json"] = json.dumps(json.loads(content), sort_keys=True) if content and kind == "application/json" else None
    return result


def refusal_fault(request, answer, content):
    """What a refusal of Keydir lacks, or None."""
    if answer.status < 400 or request[0] == "HEAD" or not request[1].startswith("/api/"):
        return None
    try:
        document = json.loads(content)
    except ValueError:
        return f"no JSON: {content[:80]!r}"
    if not isinstance(document.get("message"), str) or document.get("payload") != {}:
        return f"no message or payload: {content[:200]!r}"
    return None


def main(oracle, keydir):
    faults = 0
    for request, status, why in TABLE:
        shown = f"{request[0]} {request[1][:60]} {str(request[2])[:40]!r} {request[3]}"
        expected = seen(*send(oracle, request))
        answer, content = send(keydir, request)
        got = seen(answer, content)
        fault = refusal_fault(request, answer, content)
        if status is None and got != expected:
            fault = f"PyCache answers {expected}, Keydir {got}"
        elif status is not None and expected["status"] == status:
            fault = f"does not differ, though it is said to: {why}"
        elif status is not None and got["status"] != status:
            fault = f"Keydir answers {got}, expected was {status}: {why}"
        if fault:
            faults += 1
            print(f"{shown}: {fault[:600]}")
    print(f"{len(TABLE)} requests, {faults} faults")
    return 1 if faults else 0


sys.exit(main(*sys.argv[1:]))
