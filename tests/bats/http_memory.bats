# Requests of clients use bounded memory, and leave the server able to serve others.

load helper

# Small enough for a test to fill. Values are larger than the buffers of a socket that no
# client reads from (6 MiB).
LIMITS=(--max-value 8M --answer-memory 64M --size 512M)

@test "unread listings, batch reads and watches stay within --answer-memory" {
	start_httpd "${LIMITS[@]}"
	py <<'EOF'
from http_raw import *
assert ask("PUT", "/v1/kv/d/ones", b"\x01" * (7 << 20))[0] == 201
assert ask("PUT", "/v1/kv/d/text", b"t" * (7 << 20))[0] == 201
offset = int(ask("GET", "/healthz")[1]["x-keydir-offset"])
before = rss()
for text in (request("GET", "/v1/kv/d/?values"),
             request("POST", "/v1/mget", b'["d/ones","d/text","d/ones"]'),
             request("POST", "/v1/mget", b'["d/ones","d/text","d/ones"]', "Accept: multipart/mixed"),
             request("GET", f"/v1/watch?prefix=d/&values&from={offset - 1}"),
             request("GET", "/api/cache/d/text/")):
    held = hold(60, text)
    wait_for(lambda: metric("keydir_http_answer_memory_refused_total") > 0 or
             metric("keydir_http_answer_bytes") > 25 << 20)
    # Other clients are served in the meantime, or get Retry-After.
    for _ in range(5):
        assert ask("GET", "/healthz")[0] == 200
        assert ask("PUT", "/v1/kv/other", b"o")[0] in (200, 201)
        assert ask("GET", "/v1/kv/other")[2] == b"o"
        assert ask("GET", "/v1/kv/d/text")[2] == b"t" * (7 << 20)
    assert metric("keydir_http_answer_bytes") <= 64 << 20
    assert rss() - before < 200, (rss(), before, text)
    for s in held:
        s.close()
    wait_for(lambda: metric("keydir_http_answer_bytes") < 4 << 20)
    # The memory is free again afterwards.
    status, _, body = ask("GET", "/v1/kv/d/?values")
    assert status == 200 and len(body) > 14 << 20
EOF
}

@test "a response without memory for it is 503 with Retry-After" {
	start_httpd "${LIMITS[@]}"
	py <<'EOF'
import json
from http_raw import *
assert ask("PUT", "/v1/kv/d/big", b"b" * (7 << 20))[0] == 201
held = []
def refused():
    held.extend(hold(1, request("GET", "/v1/kv/d/?values")))
    status, headers, body = ask("GET", "/v1/kv/d/?values")
    if status == 200:
        return False
    problem = json.loads(body)
    assert status == 503 and headers["retry-after"] == "1", (status, headers)
    assert problem["type"] == "urn:keydir:problem:busy" and "--answer-memory" in problem["detail"]
    return True
wait_for(refused, 60)
EOF
}

@test "clients that read a response too slowly are cut off sooner while memory is short" {
	start_httpd "${LIMITS[@]}"
	py <<'EOF'
from http_raw import *
assert ask("PUT", "/v1/kv/d/big", b"b" * (7 << 20))[0] == 201
held = hold(8, request("GET", "/v1/kv/d/?values"))
wait_for(lambda: metric("keydir_http_answer_bytes") > 32 << 20)
# Long before the 60 s of --request-timeout.
wait_for(lambda: metric("keydir_http_answer_bytes") <= 32 << 20, 40)
assert metric('keydir_http_connections_closed_total{reason="slow"}') > 0
assert ask("GET", "/v1/kv/d/?values")[0] == 200
EOF
}

@test "unread values are sent in pieces when memory is short, and never mixed" {
	start_httpd "${LIMITS[@]}"
	py <<'EOF'
from http_raw import *
values = {}
for i in range(30):
    values[i] = bytes([97 + i % 26]) * (7 << 20)
    assert ask("PUT", f"/v1/kv/v{i}", values[i])[0] == 201
before = rss()
held = {i: hold(1, request("GET", f"/v1/kv/v{i}"))[0] for i in range(30)}
for s in held.values():
    s.settimeout(20 * PATIENCE)
    s.recv(1, socket.MSG_PEEK)  # the response has begun
assert metric("keydir_http_answer_bytes") < 40 << 20
assert rss() - before < 100, (rss(), before)
# Clients that read on get whole values.
for i in range(10, 30, 2):
    status, headers, body = Reader(held[i]).answer()
    assert status == 200 and body == values[i]
# A value that is overwritten in the meantime arrives whole or cut, never mixed.
whole = cut = 0
for i in range(11, 30, 2):
    assert ask("PUT", f"/v1/kv/v{i}", b"-" * (7 << 20))[0] == 200
    try:
        status, headers, body = Reader(held[i]).answer()
        assert status == 200 and body == values[i]
        whole += 1
    except (EOFError, ConnectionResetError):
        cut += 1
assert cut > 0, (whole, cut)
EOF
}

@test "clients that read one large value share one copy" {
	start_httpd --max-value 4M --answer-memory 48M
	py <<'EOF'
from http_raw import *
value = bytes(range(256)) * (1 << 14)
assert ask("PUT", "/v1/kv/big", value)[0] == 201
held = hold(40, request("GET", "/v1/kv/big"))
for s in held:
    s.settimeout(20 * PATIENCE)
    s.recv(1, socket.MSG_PEEK)
assert metric("keydir_http_answer_bytes") < 20 << 20
assert ask("PUT", "/v1/kv/big", b"short")[0] == 200
for s in held:
    status, _, body = Reader(s).answer()
    assert status == 200 and body == value
wait_for(lambda: metric("keydir_http_answer_bytes") < 1 << 20)
EOF
}

@test "a value over --max-value, which another node allowed, can still be read" {
	start_httpd --max-value 8M --size 64M
	head -c 8000000 /dev/zero | tr '\0' x >"$T/value"
	rest PUT /v1/kv/d/large --data-binary @"$T/value"
	same 201 "$status"
	stop "$HTTPD_PID"
	start_httpd --max-value 1M
	rest GET /v1/kv/d/large
	same 200 "$status"
	cmp "$T/value" "$T/body"
	rest GET /v1/kv/d/large -r 7000000-7999999
	same 206 "$status"
	same 1000000 "$(stat -c %s "$T/body")"
	# A listing omits it and names its size.
	rest GET '/v1/kv/d/?values'
	same 'large 8000000 null' "$(jq -r '.entries[] | "\(.name) \(.size) \(.value)"' "$T/body")"
}

@test "text that escapes would more than double is given in base64" {
	start_httpd
	printf '\001\001\001' >"$T/value"
	rest PUT /v1/kv/d/a --data-binary @"$T/value"
	printf 'a\nb"\n' >"$T/value"
	rest PUT /v1/kv/d/b --data-binary @"$T/value"
	rest GET '/v1/kv/d/?values'
	same 'a base64 AQEB' "$(jq -r '.entries[0] | "\(.name) \(.encoding) \(.value)"' "$T/body")"
	same '"b" null "a\nb\"\n"' "$(jq -r '.entries[1] | "\(.name|tojson) \(.encoding) \(.value|tojson)"' "$T/body")"
}

@test "a value is recognised as JSON without building its document" {
	start_httpd
	python3 -c 'import sys; sys.stdout.write("[" + "{}," * 5592000 + "{}]")' >"$T/value"
	rest PUT /v1/kv/j -H Expect: --data-binary @"$T/value"
	same 201 "$status"
	py <<'EOF'
from http_raw import *
before = rss()
held = hold(4, request("GET", "/api/cache/j/"))
for s in held:
    s.settimeout(60 * PATIENCE)
    s.recv(1, socket.MSG_PEEK)
assert rss() - before < 200, (rss(), before)
assert ask("GET", "/healthz")[0] == 200
EOF
	rest POST /api/cache/k/ -H Expect: --data-binary @"$T/value"
	same 201 "$status"
	rest GET /v1/kv/k
	cmp "$T/value" "$T/body"
	peak=$(awk '/VmHWM/ { print int($2 / 1024) }' "/proc/$HTTPD_PID/status")
	[ "$peak" -lt 700 ]
}

@test "bodies of transactions and batch reads are bounded in bytes and in values" {
	start_httpd
	python3 -c 'import sys; sys.stdout.write("[" + "{}," * 1000000 + "{}]")' >"$T/objects"
	python3 -c 'import sys; sys.stdout.write("[" + " " * 5000000 + "]")' >"$T/blanks"
	for path in txn mget; do
		rest POST /v1/$path -H Expect: --data-binary @"$T/objects"
		same 400 "$status"
		same urn:keydir:problem:bad-body "$(jq -r .type "$T/body")"
		[[ $(jq -r .detail "$T/body") == *'1000002 JSON values'* ]]
	done
	peak=$(awk '/VmHWM/ { print int($2 / 1024) }' "/proc/$HTTPD_PID/status")
	[ "$peak" -lt 100 ]
	rest POST /v1/mget -H Expect: --data-binary @"$T/blanks"
	same 413 "$status"
	# The largest allowed request succeeds.
	python3 -c 'import json; print(json.dumps([{"key": "k%d" % i} for i in range(10000)]))' >"$T/keys"
	rest POST /v1/mget --data-binary @"$T/keys"
	same 200 "$status"
	python3 -c 'import json
print(json.dumps([{"op": "set", "key": "k%d" % i, "value": "v", "ttl": "1h", "type": "a/b", "if": "absent"} for i in range(1024)]))' >"$T/ops"
	rest POST /v1/txn --data-binary @"$T/ops"
	same 200 "$status"
}
