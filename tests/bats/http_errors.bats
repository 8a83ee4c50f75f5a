# A table of each route with each wrong method, parameter, header, body, length and
# encoding. Every refusal is a problem document of one form that says what to do, and
# changes nothing.

load helper

@test "each route refuses every request that it does not accept, with a problem document" {
	start_httpd --max-value 4K
	rest PUT /v1/kv/key --data-binary value
	rest PUT /v1/kv/dir/below --data-binary value
	PORT=$PORT PYTHONPATH=$BATS_TEST_DIRNAME python3 - "$KEYDIR_ROOT/httpd/openapi.json" <<'EOT'
import itertools, json, sys
from http_raw import Reader, connect, request

doc = json.load(open(sys.argv[1]))
types = set(doc["components"]["schemas"]["Problem"]["properties"]["type"]["enum"])
counts = {}
sock = reader = None


def ask(method, path, body=b"", *headers):
    """On one connection for as long as the server keeps it."""
    global sock, reader
    for _ in range(2):
        if sock is None:
            sock = connect()
            reader = Reader(sock)
        try:
            sock.sendall(request(method, path, body, *headers))
            answer = reader.answer(head=method == "HEAD")
        except (EOFError, OSError):
            sock = None
            continue
        if answer[1].get("connection", "").lower() == "close":
            sock = None
        return answer
    raise AssertionError(f"no answer: {method} {path[:80]} {headers}")


def refused(want, method, path, body=b"", *headers):
    status, head, text = ask(method, path, body, *headers)
    what = f"{method} {path[:80]} {body[:40]!r} {[h[:60] for h in headers]}: {status} {text[:200]!r}"
    assert status == want, f"{want} wanted: {what}"
    assert head["content-type"] == "application/problem+json", what
    assert head["cache-control"] == "no-store", what
    assert head["x-keydir-offset"].isdigit() and head["x-request-id"], what
    counts[status] = counts.get(status, 0) + 1
    if method == "HEAD":
        return
    problem = json.loads(text)
    assert problem["type"] in types and problem["title"] and problem["status"] == status, what
    assert len(problem["detail"]) >= 20 and problem["detail"][-1] in ".*", what
    assert problem["instance"] == path.split("?")[0], what
    return problem


def snapshot():
    return ask("GET", "/v1/kv/?recurse&values")[2]


before = snapshot()
KV = {"get": {}, "head": {}, "put": {}, "delete": {}, "post": {}}
ROUTES = {"/v1/kv/key": "/v1/kv/{key}", "/v1/kv/dir/": "/v1/kv/{directory}/", "/v1/kv/": "/v1/kv/",
          "/api/cache/key/": "/api/cache/{key}/"}
ROUTES.update({p: p for p in doc["paths"] if "{" not in p})
METHODS = ["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "TRACE", "BREW"]

for path, described in ROUTES.items():
    there = {m.upper() for m in doc["paths"][described]}
    for method in METHODS:
        if method not in there:
            # The method is reported first, whatever else is wrong.
            refused(405, method, path)
            refused(405, method, path + "?nonsense=1", b"", "X-Keydir-Offset: x")
            continue
        # Parameters: unknown, of another request, invalid values.
        strict = path not in ("/healthz", "/readyz", "/metrics") and not path.startswith("/api/")
        if strict:
            for query in ("nonsense", "%00", "TTL=5", "a=b&c", "=x", "ttl[]=5"):
                refused(400, method, f"{path}?{query}")
        for name in ("consistent", "recurse", "values", "noreplace", "exchange"):
            known = [doc["components"]["parameters"][p["$ref"].split("/")[-1]]["name"]
                     for p in doc["paths"][described][method.lower()].get("parameters", []) if "$ref" in p]
            if name in known:
                for value in ("maybe", "2", "TRUE", "%31"):
                    refused(400, method, f"{path}?op=rename&to=x&{name}={value}" if method == "POST" and "kv" in path
                            else f"{path}?{name}={value}")
        # An invalid offset; a distant one makes the request wait, which another test
        # checks.
        body = b"[1]" if path in ("/v1/txn", "/v1/mget") else b""
        for offset in ("x", "-1", "1.5", "", "9" * 30, "0x10", "1 2"):
            refused(400, method, path, body, f"X-Keydir-Offset: {offset}")

# Repeated parameters.
for method, path, query in (("GET", "/v1/kv/key", "wait=1ms"), ("GET", "/v1/kv/", "limit=1"), ("GET", "/v1/kv/d/", "recurse"),
                            ("PUT", "/v1/kv/new", "ttl=5"), ("DELETE", "/v1/kv/key", "recurse=0"), ("POST", "/v1/kv/key", "op=incr"),
                            ("GET", "/v1/watch", "prefix=a"), ("GET", "/v1/status", "consistent"), ("GET", "/readyz", "reads")):
    name = query.split("=")[0]
    assert f"parameter {name} " in refused(400, method, f"{path}?{query}&{query}")["detail"], query

# keys
for key in ("a//b", "//", ".", "..", "a/./b", "a/../b", "%2F", "a%2f%2Fb", "..%2fa", "%00", "a%00", "%", "%4", "%zz", "x" * 256,
            "/".join(["x" * 200] * 21), "a//"):
    for method in ("GET", "HEAD", "PUT", "DELETE", "POST"):
        refused(400, method, f"/v1/kv/{key}?op=incr" if method == "POST" else f"/v1/kv/{key}")
    # PyCache's keys may have any length, repeated slashes, and a literal percent sign.
    if "//" not in key and key != "x" * 256 and key not in ("%", "%4", "%zz"):
        for method in ("GET", "HEAD", "POST", "DELETE"):
            refused(400, method, f"/api/cache/{key}/")

# times to live
for ttl in ("", "0", "-1", "1.5", "abc", "1w", "1S", "%20", "5%0A%0A", "9" * 40, "36601d", "%zz", "keep%00", "KEEP", "1" * 80):
    refused(400, "PUT", f"/v1/kv/new?ttl={ttl}", b"v")
    for op in ("append", "incr", "expire"):
        refused(400, "POST", f"/v1/kv/key?op={op}&ttl={ttl}")
    refused(400, "GET", f"/v1/kv/none?wait={ttl}")
    refused(400, "GET", f"/v1/watch?wait={ttl}")
refused(400, "POST", "/v1/kv/key?op=expire&ttl=keep")
refused(400, "POST", "/v1/kv/key?op=expire")
refused(400, "GET", "/v1/kv/none?wait=301s")

# operations
for op in ("", "?op", "?op=", "?op=set", "?op=INCR", "?op=append&by=1", "?op=incr&to=a", "?op=persist&ttl=5",
           "?op=rename", "?op=rename&to=", "?op=rename&to=..", "?op=rename&to=a//b", "?op=rename&to=%zz",
           "?op=rename&to=a&noreplace&exchange", "?op=incr&by=", "?op=incr&by=x", "?op=incr&by=1.5",
           "?op=incr&by=9223372036854775808", "?op=incr&by=%2B1"):
    refused(400, "POST", "/v1/kv/key" + op)
refused(400, "POST", "/v1/kv/key?op=incr", b"body")
refused(409, "POST", "/v1/kv/key?op=incr")
refused(409, "POST", "/v1/kv/dir?op=append", b"x")
refused(404, "POST", "/v1/kv/none?op=expire&ttl=5")
refused(404, "POST", "/v1/kv/none?op=rename&to=x")
refused(409, "POST", "/v1/kv/dir?op=rename&to=dir/below/it")

# Preconditions: malformed, and not met.
for tag in ("x", '"', '"1', "1", "W/1", '"1" "2"', "*, *", '* "1"', ",", "", '"1",x', ", ".join(f'"{n}"' for n in range(65))):
    for method, path in (("PUT", "/v1/kv/key"), ("DELETE", "/v1/kv/key"), ("POST", "/v1/kv/key?op=append"),
                         ("PUT", "/v1/kv/dir/"), ("DELETE", "/v1/kv/dir/")):
        refused(400, method, path, b"", f"If-Match: {tag}")
        refused(400, method, path, b"", f"If-None-Match: {tag}")
    refused(400, "GET", "/v1/kv/key", b"", f"If-Match: {tag}")
for method, path, body in (("PUT", "/v1/kv/key", b"new"), ("DELETE", "/v1/kv/key", b""), ("POST", "/v1/kv/key?op=append", b"x")):
    for condition in ('If-Match: "999"', 'If-Match: W/"1"', 'If-Match: "nonsense"', 'If-Match: "999", "998"',
                      "If-None-Match: *", "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT"):
        refused(412, method, path, body, condition)
    refused(412, method, path.replace("key", "none"), body, "If-Match: *")
refused(412, "GET", "/v1/kv/key", b"", 'If-Match: "999"')
refused(412, "GET", "/v1/kv/none", b"", "If-Match: *")
for key in ("", "x" * 256):
    for method, path in (("PUT", "/v1/kv/key"), ("DELETE", "/v1/kv/key"), ("POST", "/v1/kv/key?op=append"), ("POST", "/api/cache/key/")):
        refused(400, method, path, b"", f"Idempotency-Key: {key}")

# lengths and encodings
big = b"x" * 4097
for method, path in (("PUT", "/v1/kv/key"), ("POST", "/v1/kv/key?op=append"), ("POST", "/v1/txn"), ("POST", "/v1/mget"),
                     ("POST", "/api/cache/key/")):
    refused(413, method, path, big)
    refused(413, method, path, b"1001\r\n" + big + b"\r\n0\r\n\r\n", "Transfer-Encoding: chunked")
    refused(413, method, path, b"", "Content-Length: 4097", "Expect: 100-continue")
    sock = None
    for coding in ("gzip", "br", "deflate", "x", "gzip, identity"):
        refused(415, method, path, b"x", f"Content-Encoding: {coding}")
refused(413, "POST", "/v1/kv/key?op=append", b"x" * 4092)
refused(400, "PUT", "/v1/kv/key", b"x", "Content-Type: " + "x" * 256)
refused(400, "PUT", "/v1/kv/newdir/", b"body")
refused(400, "PUT", "/v1/kv/newdir/?ttl=5")

# bodies
for body in (b"", b"x", b"{}", b"[]", b"null", b"1", b'"a"', b"[1]", b"[[]]", b"[{}]", b"[", b'["a"', b"\xff", b'["\xff"]', b"[null]",
             b'[{"key":1}]', b'[{"path":"%zz"}]', b'[{"key":"a","path":"a"}]', b'[{"key":"a","x":1}]', b'["a//b"]', b'[""]',
             b'["a\\u0000"]', b'[{"key":"a"},{}]'):
    refused(400, "POST", "/v1/mget", body)
OPERATION = {"op": "set", "key": "new", "value": "v"}
for change in ({"op": "SET"}, {"op": 1}, {"op": None}, {"key": ""}, {"key": "a//b"}, {"key": ".."}, {"key": 1}, {"path": "a"},
               {"value": 1}, {"value": None}, {"value": ["x"]}, {"encoding": "hex"}, {"encoding": "base64", "value": "x"},
               {"encoding": "base64", "value": "aGk"}, {"encoding": "base64", "value": "aGk=="}, {"encoding": "base64", "value": "aGl="},
               {"ttl": 0}, {"ttl": -1}, {"ttl": 1.5}, {"ttl": "x"}, {"ttl": True}, {"ttl": 10 ** 13}, {"if": "maybe"}, {"if": -1},
               {"if": 1.5}, {"if": None}, {"type": 1}, {"type": "x" * 256}, {"type": "a\nb"}, {"by": 1}, {"recurse": True}, {"to": "x"}, {"nonsense": 1}):
    good = {"op": "mkdir", "key": "made"}
    refused(400, "POST", "/v1/txn", json.dumps([good, {**OPERATION, **change}]).encode())
for operation in ({"op": "incr", "key": "n", "by": "1"}, {"op": "incr", "key": "n", "by": 1.5}, {"op": "expire", "key": "key"},
                  {"op": "rename", "key": "key"}, {"op": "rename", "key": "key", "to": ""}, {"op": "del", "key": "key", "recurse": 1},
                  {"op": "rename", "key": "key", "to": "x", "noreplace": True, "exchange": True}):
    refused(400, "POST", "/v1/txn", json.dumps([operation]).encode())
refused(400, "POST", "/v1/txn", json.dumps([{"op": "mkdir", "key": "d"}] * 1025).encode()[:4096])
refused(412, "POST", "/v1/txn", json.dumps([{"op": "mkdir", "key": "made"}, {**OPERATION, "key": "key", "if": "absent"}]).encode())
refused(409, "POST", "/v1/txn", json.dumps([{"op": "mkdir", "key": "made"}, {**OPERATION, "key": "dir"}]).encode())
for body in (b"", b"null", b"true", b'""', b"[]", b"x", b"{", b"1 2", b'"\xff"'):
    refused(400, "POST", "/api/cache/key/", body)

# Listings, watches, missing entries, entries of the other kind.
for query in ("limit=", "limit=0", "limit=-1", "limit=x", "limit=10001", "limit=" + "9" * 30, "cursor=!", "cursor=x", "cursor=Li4", "wait=5s"):
    refused(400, "GET", "/v1/kv/dir/?" + query)
for query in ("from=", "from=x", "from=-1", "from=" + "9" * 30, "prefix=a//b", "prefix=/a", "prefix=..", "prefix=%zz", "prefix=%00"):
    refused(400, "GET", "/v1/watch?" + query)
    refused(400, "HEAD", "/v1/watch?" + query)
for last in ("", "x", "-1", "1.", "1.x", "1.-1", ".1", "9" * 30):
    refused(400, "GET", "/v1/watch", b"", f"Last-Event-ID: {last}")
for path in ("/v1/kv/none", "/v1/kv/none/", "/v1/kv/key/", "/v1/kv/dir", "/v1/kv/key/below"):
    refused(404, "GET", path)
    refused(404, "HEAD", path)
for path in ("/v1/kv/none", "/v1/kv/none/", "/v1/kv/key/", "/v1/kv/key/below", "/v1/kv/none?recurse"):
    refused(404, "DELETE", path)
for method, path in (("PUT", "/v1/kv/dir"), ("PUT", "/v1/kv/key/"), ("PUT", "/v1/kv/key/below"), ("DELETE", "/v1/kv/dir"),
                     ("DELETE", "/v1/kv/dir/"), ("POST", "/v1/kv/key/?op=incr"), ("POST", "/api/cache/dir/")):
    refused(409, method, path, b"1" if method == "POST" and "api" in path else b"")
for part in ("bytes=5-", "bytes=-0", "bytes=99-100"):
    refused(416, "GET", "/v1/kv/key", b"", f"Range: {part}")
for path in ("/v1", "/v1/", "/v1/kvx", "/v1/keys/a", "/v2/kv/a", "/api/", "/api/cachex/a/", "/favicon.ico", "/metrics/", "/V1/kv/a"):
    for method in METHODS:
        refused(404, method, path)

assert snapshot() == before, "something was changed"
assert counts[400] > 600 and all(counts.get(s, 0) > 2 for s in (404, 405, 409, 412, 413, 415, 416)), counts
EOT
}

# MAY_BE_HTML: a libmicrohttpd that calls itself directly keeps its own responses
# (httpd/refusals.c).
@test "a request past a limit, or malformed HTTP, gets a problem document too" {
	start_httpd
	library=$(ldd "$KEYDIR_HTTPD" | awk '/libmicrohttpd/ {print $3}')
	readelf -rW "$library" | grep -q MHD_queue_response || export MAY_BE_HTML=1
	PORT=$PORT PYTHONPATH=$BATS_TEST_DIRNAME python3 <<'EOT'
import json, os
from http_raw import *
may_be_html = "MAY_BE_HTML" in os.environ
HOST = b" HTTP/1.1\r\nHost: localhost\r\n"
GET, PUT = b"GET /healthz" + HOST, b"PUT /v1/kv/a" + HOST
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
# Name of the problem, status, request.
rows = [
    ("target-too-long", 414, b"GET /" + b"a" * 16384 + HOST + b"\r\n"),
    ("target-too-long", 414, b"GET /v1/kv/a?ttl=" + b"1" * 16384 + HOST + b"\r\n"),
    ("target-too-long", 414, b"GET /" + b"a" * 40000 + HOST + b"\r\n"),
    ("target-too-long", 414, b"GET /" + b"a" * 1000000 + HOST + b"\r\n"),
    ("no-such-path", 404, b"GET /" + b"a" * 16383 + HOST + b"\r\n"),
    ("no-such-path", 404, b"GET /" + b"a" * 16383 + HOST + b"X: " + b"y" * 7500 + b"\r\n" + b"X: y\r\n" * 62 + b"\r\n"),
    ("headers-too-large", 431, GET + b"X: y\r\n" * 64 + b"\r\n"),
    (None, 200, GET + b"X: y\r\n" * 63 + b"\r\n"),
    ("headers-too-large", 431, GET + b"X: y\r\n" * 5000 + b"\r\n"),
    ("headers-too-large", 431, GET + b"X: " + b"y" * 8192 + b"\r\n\r\n"),
    (None, 200, GET + b"X: " + b"y" * 8100 + b"\r\n\r\n"),
    ("headers-too-large", 431, GET + b"X: " + b"y" * 40000 + b"\r\n\r\n"),
    ("headers-too-large", 431, GET + b"X: " + b"y" * 1000000 + b"\r\n\r\n"),
    ("headers-too-large", 431, GET + b"Cookie: " + b"a=b; " * 1500 + b"\r\n\r\n"),
    ("headers-too-large", 431, PUT + CHUNKED + b"1\r\na\r\n0\r\nX: " + b"y" * 40000 + b"\r\n\r\n"),
    ("bad-parameter", 400, b"GET /healthz?" + b"a&" * 33 + HOST + b"\r\n"),
    ("bad-request", 400, b"GET /healthz HTTP/1.1\r\n\r\n"),
    ("bad-request", 400, b"GET /v1/kv/a b" + HOST + b"\r\n"),
    ("bad-request", 400, b"GET a" + HOST + b"\r\n"),
    ("bad-request", 400, b"GET /healthz\r\n\r\n"),
    ("bad-request", 400, b"GET /healthz HTTP/x\r\n\r\n"),
    ("bad-request", 400, GET + b"no colon\r\n\r\n"),
    ("bad-request", 400, PUT + b"Content-Length: x\r\n\r\n"),
    ("bad-request", 400, PUT + b"Content-Length: -1\r\n\r\n"),
    ("too-large", 413, PUT + b"Content-Length: 99999999999999999999999\r\n\r\n"),
    ("bad-request", 400, PUT + CHUNKED + b"zz\r\n"),
    # A body whose end two readers could see in two places.
    ("bad-request", 400, PUT + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("bad-request", 400, PUT + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"),
    ("bad-request", 400, PUT + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    ("bad-request", 400, PUT + b"Transfer-Encoding: identity\r\n\r\nabc"),
    ("bad-request", 400, PUT + b"Host: y\r\nContent-Length: 0\r\n\r\n"),
    ("bad-request", 400, PUT + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("bad-request", 400, PUT.replace(b"/1.1", b"/1.0") + CHUNKED + b"0\r\n\r\n"),
    (None, 201, PUT + b"Transfer-Encoding: Chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"),
    (None, 204, b"OPTIONS *" + HOST + b"\r\n"),
    ("bad-request", 400, b"GET *" + HOST + b"\r\n"),
    ("http-version", 505, b"GET /healthz HTTP/2.0\r\nHost: localhost\r\n\r\n"),
    ("http-version", 505, b"GET /healthz HTTP/0.9\r\n\r\n"),
]
for name, status, text in rows:
    for i in range(3):
        with connect() as s:
            s.sendall(text)
            got, head, body = Reader(s).answer()
        what = (text[:60], len(text), got, head, body[:200])
        assert got == (200 if status == 201 and i else status), what
        if name is None:
            continue
        if may_be_html and head["content-type"] == "text/html":
            continue
        assert head["content-type"] == "application/problem+json" and head["cache-control"] == "no-store", what
        assert head["x-keydir-offset"].isdigit() and head["x-request-id"], what
        problem = json.loads(body)
        assert problem["type"] == "urn:keydir:problem:" + name and problem["status"] == status, what
        assert len(problem["detail"]) >= 20 and problem["detail"][-1] == ".", what
# Input without a request line: the connection is closed.
for text in (b"nonsense\r\n\r\n", b" / HTTP/1.1\r\n\r\n"):
    with connect() as s:
        s.sendall(text)
        assert Reader(s).closed(), text
wait_for(lambda: active() == 0)
# Each refusal is counted.
text = ask("GET", "/metrics")[2].decode()
assert may_be_html or 'keydir_http_requests_total{route="other",method="other",status="5xx"} 6\n' in text, text
EOT
}

@test "an ambiguous header is refused, and the connection closed" {
	start_httpd
	py <<'EOF'
from http_raw import *
hidden = request("PUT", "/v1/kv/hidden", b"x")
first = b"POST /v1/kv/a?op=append HTTP/1.1\r\nHost: localhost\r\n%s\r\n\r\n"
length = b"%d" % len(hidden)
for header in (b"Transfer-Encoding : chunked", b"Transfer-Encoding\t: chunked", b"Transfer-Encoding:\r\n chunked",
               b"Transfer-Encoding\x0b: chunked", b"Content-Length : " + length, b"Content-Length:\r\n " + length,
               b"Content-Length:\r\n\t" + length, b"content-length:\r\n " + length, b"\tContent-Length: " + length,
               b" Transfer-Encoding: chunked", b"X: y\rTransfer-Encoding: chunked", b"X: y\rContent-Length: " + length,
               b"If-None-Match:\r\n *", b"if-match:\r\n \"1\"", b"Idempotency-Key:\r\n one", b"X y: z"):
    with connect() as s:
        s.sendall(first % header + hidden)
        r = Reader(s)
        status, headers, body = r.answer()
        assert status == 400 and headers["connection"] == "close", (header, status, headers)
        assert b"urn:keydir:problem:bad-request" in body, body
        assert r.closed(), header
assert ask("GET", "/v1/kv/hidden")[0] == 404
assert ask("GET", "/v1/kv/a")[0] == 404
# Names that only begin like a significant one are accepted.
for header in ("If-Match-Not: x", "X-Request-Id-Of: x", "Accept-Language: de", "User-Agent-Hint: x", "X'~!#$%&*+.^_`|: x"):
    assert ask("GET", "/healthz", b"", header)[0] == 200, header
EOF
}
