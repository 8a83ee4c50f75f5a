# Many, slow, misbehaving and vanishing clients; stopping under load.

load helper

@test "1,000 idle connections need no thread each, and other clients are served" {
	start_httpd
	py <<'EOF'
import os
from http_raw import *
threads = lambda: len(os.listdir(f"/proc/{os.environ['PID']}/task"))
before = threads()
idle = [connect() for _ in range(1000)]
half = idle[:300]
for s in half:  # some of them in the middle of a request
    s.sendall(b"GET /v1/kv/a HTTP/1.1\r\nHo")
used = idle[300:600]
for s in used:  # some kept alive after one
    s.sendall(request("PUT", "/v1/kv/a", b"1"))
for s in used:
    assert Reader(s).answer()[0] in (200, 201)
begin = time.monotonic()
for i in range(200):
    assert ask("PUT", f"/v1/kv/k{i}", b"x")[0] == 201
    assert ask("GET", f"/v1/kv/k{i}")[2] == b"x"
assert time.monotonic() - begin < 10 * PATIENCE
assert threads() == before, (threads(), before)
for s in half:  # and they are still good
    s.sendall(b"st: localhost\r\n\r\n")
for s in half:
    assert Reader(s).answer()[2] == b"1"
EOF
}

@test "concurrent changes are each made once, whether or not their clients stay" {
	start_httpd
	py <<'EOF'
from http_raw import *
for round in range(5):
    sockets = [connect() for _ in range(60)]
    for i, s in enumerate(sockets):
        s.sendall(request("PUT", f"/v1/kv/r{round}/k{i}", b"v%d" % i))
        if i % 3 == 1:  # closed before the response
            s.close()
        if i % 3 == 2:  # another request follows at once, and must wait its turn
            s.sendall(request("POST", "/v1/kv/log?op=append", b"%d %d\n" % (round, i)))
            s.sendall(request("DELETE", f"/v1/kv/r{round}/k{i}"))
    tags = []
    for i, s in enumerate(sockets):
        if i % 3 == 1:
            continue
        reader = Reader(s)
        status, headers, _ = reader.answer()
        assert status == 201, status
        tags.append(headers["etag"])
        if i % 3 == 2:
            assert reader.answer()[0] in (200, 201)
            assert reader.answer()[0] == 204
    assert len(set(tags)) == len(tags)  # each has its own offset
    gone = range(1, 60, 3)
    wait_for(lambda: all(ask("GET", f"/v1/kv/r{round}/k{i}")[0] == 200 for i in gone))
    for i in range(0, 60, 3):
        assert ask("GET", f"/v1/kv/r{round}/k{i}")[2] == b"v%d" % i
lines = ask("GET", "/v1/kv/log")[2].split(b"\n")[:-1]
assert len(lines) == 100 and len(set(lines)) == 100, lines
EOF
}

@test "slow clients: sending a byte at a time, reading no response" {
	start_httpd
	py <<'EOF'
from http_raw import *
big = bytes(range(256)) * 40000
assert ask("PUT", "/v1/kv/big", big)[0] == 201
# Clients that read nothing of a long value.
lazy = []
for _ in range(20):
    s = connect()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    s.sendall(request("GET", "/v1/kv/big"))
    lazy.append(s)
for s in lazy:  # the response has begun
    s.recv(1, socket.MSG_PEEK)
slow = [(connect(), request("PUT", f"/v1/kv/slow{i}", b"slowly")) for i in range(20)]
longest = max(len(text) for _, text in slow)
for at in range(longest):
    for s, text in slow:
        s.sendall(text[at:at + 1])
    if at % 8 == 0:
        # The slow clients do not go on meanwhile: a request that waits for them times out.
        assert ask("PUT", "/v1/kv/quick", b"q")[0] in (200, 201)
        assert ask("GET", "/v1/kv/quick")[2] == b"q"
for s, _ in slow:
    assert Reader(s).answer()[0] == 201
# A reader of a value gets one version, whatever is written in the meantime.
assert ask("PUT", "/v1/kv/big", b"short")[0] == 200
for s in lazy:
    status, _, body = Reader(s).answer()
    assert status == 200 and body == big
EOF
}

@test "pipelined requests on a connection get their responses in order" {
	start_httpd
	py <<'EOF'
from http_raw import *
with connect() as s:
    s.sendall(b"".join(request("PUT", f"/v1/kv/p{i}", b"v%d" % i) + request("GET", f"/v1/kv/p{i}") for i in range(300)))
    r = Reader(s)
    for i in range(300):
        assert r.answer()[0] == 201
        assert r.answer()[2] == b"v%d" % i
with connect() as s:
    # A GET and a DELETE with bodies, which are read and are not taken for the next
    # request.
    s.sendall(request("GET", "/v1/kv/p1", b"GET /v1/kv/p2 HTTP/1.1\r\nHost: localhost\r\n\r\n") + request("GET", "/v1/kv/p3")
              + request("DELETE", "/v1/kv/p3", b"x" * 100000) + request("GET", "/v1/kv/p3"))
    r = Reader(s)
    assert r.answer()[2] == b"v1"
    assert r.answer()[2] == b"v3"
    assert r.answer()[0] == 204
    assert r.answer()[0] == 404
EOF
}

@test "clients that vanish at any moment leave nothing allocated" {
	# MHD notices the end of a connection between two chunks only when it stays silent.
	start_httpd --idle-timeout 2s
	py <<'EOF'
from http_raw import *
import struct
def vanish(s):  # with a reset instead of a shutdown
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()
big = b"x" * 5000000
assert ask("PUT", "/v1/kv/big", big)[0] == 201
offset = int(ask("GET", "/v1/kv/big")[1]["x-keydir-offset"])
put = request("PUT", "/v1/kv/never", b"y" * 100000)
for end in (vanish, socket.socket.close):
    for cut in (1, 10, len(put) - 100000 - 10, len(put) - 100000, len(put) - 50000, len(put) - 1):
        s = connect()
        s.sendall(put[:cut])
        end(s)
    for _ in range(10):
        s = connect()
        s.sendall(request("GET", "/v1/kv/big"))
        s.recv(1000)
        end(s)
    for _ in range(20):  # suspended: waiting for a later offset
        s = connect()
        s.sendall(request("GET", "/v1/kv/big", b"", f"X-Keydir-Offset: {offset + 2}"))
        time.sleep(0.002)
        end(s)
    for _ in range(5):
        s = connect()
        s.sendall(request("PUT", "/v1/kv/never", b"", "Transfer-Encoding: chunked") + b"5\r\nhello\r\n5")
        end(s)
assert ask("GET", "/v1/kv/never")[0] == 404
for i in range(3):
    assert ask("PUT", "/v1/kv/after", b"%d" % i)[0] in (200, 201)
wait_for(lambda: active() == 0)
assert ask("GET", "/v1/kv/big")[2] == big
EOF
}

@test "malformed HTTP is refused or closed, and the server continues" {
	start_httpd --idle-timeout 1s
	py <<'EOF'
from http_raw import *
import random
random.seed(5)
good = request("GET", "/v1/kv/a", b"", "If-None-Match: \"1\"", "Range: bytes=0-1")
texts = [b"\r\n\r\n", b"GET\r\n\r\n", b"GET /\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\0\0\0\0\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\r\n\r\n",
         b"GET /v1/kv/a\0b HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET /v1/kv/a b HTTP/1.1\r\nHost: localhost\r\n\r\n",
         b"GET /v1/kv/a HTTP/1.1\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
         b"PUT /v1/kv/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
         b"PUT /v1/kv/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n",
         b"PUT /v1/kv/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5x\r\n\r\nhello",
         b"PUT /v1/kv/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
         b"PUT /v1/kv/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nhello\r\n0\r\n\r\n",
         b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
         b"GET /v1/kv/a HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 100000 + b"\r\n\r\n",
         b"GET /v1/kv/a HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 20000 + b"\r\n",
         b"GET /v1/kv/a HTTP/1.1\r\nHost: localhost\r\n X: folded\r\n\r\n", b"GET http:// HTTP/1.1\r\nHost: localhost\r\n\r\n",
         b"GET * HTTP/1.1\r\nHost: localhost\r\n\r\n", b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n"]
for _ in range(400):
    text = bytearray(good)
    for _ in range(random.randint(1, 6)):
        at = random.randrange(len(text))
        how = random.randrange(3)
        if how == 0:
            text[at] = random.randrange(256)
        elif how == 1:
            del text[at]
        else:
            text.insert(at, random.choice(b"\0\r\n :%?#/\xff\x7f"))
    texts.append(bytes(text))
stored = set()
for text in texts:
    with connect(10) as s:
        try:
            s.sendall(text)
            s.shutdown(socket.SHUT_WR)
            while s.recv(65536):
                pass
        except TimeoutError:
            raise
        except OSError:  # closed while the test was still sending
            pass
assert ask("PUT", "/v1/kv/a", b"fine")[0] in (200, 201)
assert ask("GET", "/v1/kv/a")[2] == b"fine"
wait_for(lambda: active() == 0)
EOF
	# None of it stored a key.
	rest GET '/v1/kv/?recurse'
	same a "$(jq -r '.entries[].name' "$T/body")"
}

@test "an endless body is cut off, and an announced size allocates no memory" {
	start_httpd --max-value 1M
	py <<'EOF'
from http_raw import *
import os
rss = lambda: int(open(f"/proc/{os.environ['PID']}/statm").read().split()[1]) * 4096
with connect() as s:
    s.sendall(request("PUT", "/v1/kv/endless", b"", "Transfer-Encoding: chunked"))
    sent = 0
    try:
        while sent < 1 << 30:
            s.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            sent += 65536
        raise AssertionError("took a gigabyte")
    except (ConnectionResetError, BrokenPipeError):
        pass
before = rss()
held = []
for _ in range(300):  # 300 x 1 MiB announced, nothing sent
    s = connect()
    s.sendall(b"PUT /v1/kv/later HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1048576\r\n\r\nx")
    held.append(s)
wait_for(lambda: active() >= 300)
assert rss() - before < 100 << 20, (rss() - before)
assert ask("PUT", "/v1/kv/now", b"x")[0] in (201, 503)
for s in held:
    s.close()
wait_for(lambda: active() == 0)
# The memory of the bodies is freed: the largest values are accepted again.
for _ in range(5):
    assert ask("PUT", "/v1/kv/now", b"x" * (1 << 20))[0] in (200, 201)
EOF
}

@test "too many bodies at once are 503, until memory is free again" {
	start_httpd
	py <<'EOF'
from http_raw import *
# 16 MiB each: while 16 of them are held, another one does not fit.
body = b"x" * (16 << 20)
held = []
for i in range(15):
    s = connect()
    s.sendall(request("PUT", f"/v1/kv/b{i}", body)[:-1])
    held.append(s)
codes = set()
def refused():
    codes.add(ask("PUT", "/v1/kv/one-more", body)[0])
    s = connect()
    s.sendall(request("PUT", "/v1/kv/held", body)[:-1])
    held.append(s)
    return 503 in codes
wait_for(refused, 60)
assert codes <= {200, 201, 503, 507}, codes
assert ask("GET", "/healthz")[0] == 200
for s in held:
    s.close()
wait_for(lambda: ask("PUT", "/v1/kv/one-more", body[:8 << 20])[0] in (200, 201))
EOF
}

@test "a connection that is silent too long is closed" {
	start_httpd --idle-timeout 3s
	py <<'EOF'
from http_raw import *
begin = time.monotonic()
silent = connect()
half = connect()
half.sendall(b"GET /v1/kv/a HTTP/1.1\r\n")
used = connect()
used.sendall(request("GET", "/healthz"))
r = Reader(used)
assert r.answer()[0] == 200
for s in (silent, half):
    try:
        while s.recv(1000):
            pass
    except ConnectionResetError:
        pass
assert r.closed()
assert 0.5 < time.monotonic() - begin < 30 * PATIENCE
EOF
}

@test "connections over the limit wait; those over an address's own limit are closed" {
	start_httpd --connections 20 --threads 2
	py <<'EOF'
from http_raw import *
for s in [connect() for _ in range(40)]:
    s.close()
wait_for(lambda: ask("GET", "/healthz")[0] == 200)
EOF
	stop "$HTTPD_PID"
	start_httpd --connections-per-address 5
	py <<'EOF'
from http_raw import *
held = [connect() for _ in range(30)]
good = 0
for s in held:
    try:
        s.sendall(request("GET", "/healthz"))
        good += Reader(s).answer()[0] == 200
    except (EOFError, ConnectionResetError, BrokenPipeError):
        pass
assert 1 <= good <= 5, good
for s in held:
    s.close()
def again():
    try:
        return ask("GET", "/healthz")[0] == 200
    except (EOFError, ConnectionResetError):
        return False
wait_for(again)
EOF
}

# Clients write until the server stops. Each response is complete, and every write with a
# 2xx is there after the restart.
@test "SIGTERM under load: responses are complete, acknowledged writes are kept, and it ends" {
	start_httpd
	cat >"$T/writer.py" <<'EOF'
import sys
from http_raw import *
done = open(sys.argv[2], "w", buffering=1)
i = 0
r = s = None
while True:
    try:
        if s is None:
            s = connect(5)
            r = Reader(s)
        key = f"w{sys.argv[1]}-{i}"
        s.sendall(request("PUT", f"/v1/kv/load/{key}", key.encode() * 50))
        status, headers, body = r.answer()
        assert status == 201, status
        done.write(key + "\n")
        i += 1
        if headers.get("connection") == "close":
            s = None
    except ConnectionRefusedError:
        break
    except (EOFError, ConnectionResetError, BrokenPipeError) as e:
        # Closed between two responses: no part of a response was received.
        assert r.buf == b"", r.buf
        s = None
EOF
	local i pids=()
	export PORT PATIENCE PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$BATS_TEST_DIRNAME"
	for i in 1 2 3 4 5 6 7 8; do
		timeout 60 python3 "$T/writer.py" $i "$T/done$i" 3>&- &
		pids+=($!)
	done
	many_done() { [ "$(cat "$T"/done? 2>/dev/null | wc -l)" -gt 500 ]; }
	wait_for 30 many_done
	local begin=$SECONDS
	stop "$HTTPD_PID"
	[ $((SECONDS - begin)) -lt $((15 * PATIENCE)) ]
	for i in "${pids[@]}"; do wait "$i"; done
	start_httpd
	local next='' got=0
	: >"$T/there"
	while :; do
		rest GET "/v1/kv/load/?limit=10000${next:+&cursor=$next}"
		jq -r '.entries[] | select(.size > 0).name' "$T/body" >>"$T/there"
		next=$(jq -r '.cursor // empty' "$T/body")
		[ -n "$next" ] || break
	done
	same "" "$(comm -23 <(sort "$T"/done?) <(sort "$T/there"))"
}

@test "SIGTERM while requests wait: they are answered, and it ends" {
	start_httpd
	py <<'EOF'
import os, signal
from http_raw import *
waiting = []
for _ in range(50):
    s = connect()
    s.sendall(request("GET", "/v1/kv/a", b"", "X-Keydir-Offset: 1000000"))
    waiting.append(s)
wait_for(lambda: active() == 50)
begin = time.monotonic()
os.kill(int(os.environ["PID"]), signal.SIGTERM)
for s in waiting:
    status, headers, _ = Reader(s).answer()
    assert status in (412, 503), status
    assert headers["connection"] == "close"
assert time.monotonic() - begin < 15 * PATIENCE
EOF
	forget "$HTTPD_PID"
	wait_for 10 not is_running "$HTTPD_PID"
	wait "$HTTPD_PID"
}

@test "kill -9 under load keeps every acknowledged write" {
	start_httpd
	cat >"$T/writer.py" <<'EOF'
import sys
from http_raw import *
done = open(sys.argv[2], "w", buffering=1)
i = 0
with connect(10) as s:
    r = Reader(s)
    try:
        while True:
            key = f"w{sys.argv[1]}-{i}"
            s.sendall(request("PUT", f"/v1/kv/load/{key}", key.encode()))
            assert r.answer()[0] == 201
            done.write(key + "\n")
            i += 1
    except (EOFError, ConnectionResetError, BrokenPipeError):
        pass
EOF
	local i pids=()
	export PORT PATIENCE PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$BATS_TEST_DIRNAME"
	for i in 1 2 3 4; do
		timeout 60 python3 "$T/writer.py" $i "$T/done$i" 3>&- &
		pids+=($!)
	done
	many_done() {
		local file
		for file in "$T"/done{1..4}; do [ -s "$file" ] || return; done # all have begun
		[ "$(cat "$T"/done? | wc -l)" -gt 3000 ]
	}
	wait_for 30 many_done
	kill_hard "$HTTPD_PID"
	for i in "${pids[@]}"; do wait "$i"; done
	start_httpd
	cat "$T"/done? | while read -r key; do echo "url = \"$URL/v1/kv/load/$key\""; done >"$T/config"
	curl -sS --fail -K "$T/config" >"$T/values"
	same "$(cat "$T"/done? | tr -d '\n' | md5sum)" "$(md5sum <"$T/values")"
}
