# Clients that wait for changes are noticed when they leave, are limited in number, and
# are the first to be closed for others. Connections left for others, and few open files.

load helper

@test "a client that waits for a change and leaves frees its connection" {
	start_httpd --heartbeat 1h
	py <<'EOF'
from http_raw import *
import struct
before = metric("keydir_http_connections")
for i, s in enumerate(wait_for_changes(["/v1/kv/nothing?wait=300s", "/v1/watch?prefix="] * 10)):
    if i // 2 % 2:  # with a reset instead of a shutdown
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()
wait_for(lambda: metric("keydir_http_waiting") == 0)
wait_for(lambda: metric("keydir_http_connections") <= before + 1)
assert metric('keydir_http_connections_closed_total{reason="gone"}') == 20
EOF
}

@test "half of the connections may wait, and others are answered" {
	start_httpd --connections 40
	py <<'EOF'
from http_raw import *
import json
waiting = wait_for_changes(["/v1/kv/nothing?wait=300s"] * 20)
for target in ("/v1/kv/nothing?wait=300s", "/v1/watch?prefix="):
    status, headers, body = ask("GET", target)
    assert status == 503 and headers["retry-after"] == "1", status
    assert json.loads(body)["type"] == "urn:keydir:problem:busy"
assert ask("GET", "/v1/kv/nothing")[0] == 404
assert ask("PUT", "/v1/kv/nothing", b"now")[0] == 201
for s in waiting:  # they were not closed
    assert Reader(s).answer()[2] == b"now"
wait_for(lambda: metric("keydir_http_waiting") == 0)
EOF
}

@test "an address may wait with half of its connections" {
	start_httpd --connections-per-address 12
	py <<'EOF'
from http_raw import *
waiting = wait_for_changes(["/v1/kv/nothing?wait=300s"] * 6)
assert ask("GET", "/v1/kv/nothing?wait=300s")[0] == 503
waiting.pop().close()
wait_for(lambda: metric("keydir_http_waiting") == 5)
s = connect()
s.sendall(request("GET", "/v1/kv/nothing?wait=300s"))
wait_for(lambda: metric("keydir_http_waiting") == 6)
EOF
}

@test "when connections get short, waiting requests are answered and closed" {
	start_httpd --connections 40
	py <<'EOF'
from http_raw import *
waiting = wait_for_changes(["/v1/kv/nothing?wait=300s"] * 10 + ["/v1/watch?prefix="] * 10)
# Writers that do not end, which are too young to be cut off.
busy = []
def crowd():
    busy.append(unfinished_put())
    return metric('keydir_http_connections_closed_total{reason="waiting"}') > 0
for _ in range(16):
    crowd()
wait_for(crowd)
closed = 0
for s in waiting:
    s.settimeout(1)
    try:
        text = b""
        while data := s.recv(65536):
            text += data
        closed += 1
        assert text.startswith((b"HTTP/1.1 404", b"HTTP/1.1 200")), text
        assert b"Connection: close" in text or b"chunked" in text, text
    except TimeoutError:
        pass
assert closed > 0
assert ask("GET", "/healthz")[0] == 200
EOF
}

@test "with all connections taken, operators are served and others get Retry-After" {
	start_httpd --connections 20 --threads 1 --write-timeout 30s
	py <<'EOF'
from http_raw import *
held = []
def full():
    held.append(unfinished_put())
    return len(held) >= 21
wait_for(full)
status, headers, _ = ask("GET", "/v1/kv/x")
assert status == 503 and headers["connection"].lower() == "close", (status, headers)
assert ask("GET", "/healthz")[0] == 200
assert ask("GET", "/readyz")[0] == 200
assert ask("GET", "/metrics")[0] == 200
for s in held:
    s.close()
wait_for(lambda: ask("GET", "/v1/kv/x")[0] == 404)
EOF
}

# limited N: run with the lower limit of open files, which root cannot raise either.
limited() {
	cat >"$T/limited" <<-EOF
		#!/bin/bash
		ulimit -n $1
		exec setpriv --bounding-set=-sys_resource --inh-caps=-sys_resource "$KEYDIR_BUILD/keydir-httpd" "\$@"
	EOF
	chmod +x "$T/limited"
}

@test "with few open files the connections are fewer, or the start is refused" {
	require setpriv
	allow_log 'open files'
	limited 200
	# shellcheck disable=SC2034 # start_httpd starts it
	KEYDIR_HTTPD=$T/limited
	start_httpd --threads 2
	grep -q 'allows fewer connections wanted=10000 allowed=68' "$T"/httpd1.log
	py <<'EOF'
from http_raw import *
idle = [socket.create_connection(("127.0.0.1", PORT), 20) for _ in range(90)]
wait_for(lambda: ask("GET", "/healthz")[0] == 200)
EOF
	stop "$HTTPD_PID"
	limited 60
	fails_with 'the limit of open files is 60' "$T/limited" --store "$STORE" --listen "127.0.0.1:$(free_port)" --threads 2
}

@test "denied requests do not fill the log, and are all counted" {
	printf 'reader %s read /\n' "$(printf 'a-token-of-some-length' | "$KEYDIR_BUILD/keydir-httpd" --hash-token)" >"$T/tokens"
	allow_log denied
	start_httpd --tokens "$T/tokens"
	py <<'EOF'
from http_raw import *
with connect() as s:
    reader = Reader(s)
    for _ in range(500):
        s.sendall(request("GET", "/v1/kv/a"))
        assert reader.answer()[0] == 401
EOF
	count=$(grep -c denied "$T"/httpd1.log)
	[[ $count -ge 50 && $count -le 200 ]]
}
