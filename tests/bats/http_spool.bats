# GET /v1/snapshot to clients that read slowly: what it holds, and what it takes.

load helper

teardown() {
	local bad=0
	keydir_teardown || bad=1
	umount -l "$T/shm" "$T/small" 2>/dev/null || true
	return $bad
}

# Write a module for tests in Python that read a snapshot slowly.
snapshot_client() {
	cat >"$T/snapshot_client.py" <<'EOF'
import http.client
import os

from http_raw import *


def open_snapshot():
    """A response of which 1 MB was read, and that MB."""
    conn = http.client.HTTPConnection("127.0.0.1", PORT, timeout=30 * PATIENCE)
    conn.request("GET", "/v1/snapshot")
    response = conn.getresponse()
    assert response.status == 200, (response.status, response.read())
    response.conn = conn
    return response, response.read(1000000)
EOF
}

# Run a Python program from standard input, with that module.
spool_py() {
	snapshot_client
	cat "$T/snapshot_client.py" - | T=$T STORE=$STORE py
}

@test "a client that stalls in a snapshot holds no page of the store, and gets its moment in the end" {
	start_httpd
	spool_py <<'EOF'
store = os.path.join(os.environ["STORE"], "data.mdb")
used = lambda: os.stat(store).st_blocks * 512
value = lambda c: bytes([c]) * 4000000
for i in range(6):
    assert ask("PUT", f"/v1/kv/big{i}", value(48 + i))[0] == 201
response, start = open_snapshot()
# The copy ends although the client takes no more.
wait_for(lambda: metric("keydir_snapshot_file_bytes") > 24000000)
before = used()
# Ten times as much as there is, while 23 of 24 MB are not taken.
for round in range(60):
    assert ask("PUT", f"/v1/kv/big{round % 6}", value(97 + round % 20))[0] == 200
assert ask("PUT", "/v1/kv/later", b"1")[0] == 201
assert used() < before + 40000000, (before, used())
assert metric("keydir_snapshot_clients") == 1
assert metric("keydir_snapshot_files") == 1
os.makedirs(os.path.join(os.environ["T"], "copy"), 0o700)
with open(os.path.join(os.environ["T"], "copy", "data.mdb"), "wb") as f:
    f.write(start)
    while block := response.read(1 << 20):
        f.write(block)
wait_for(lambda: metric("keydir_snapshot_files") == 0)
EOF
	# It is whole, and is the state of its moment.
	stop "$HTTPD_PID"
	start_httpd --store "$T/copy"
	grep -q 'checking the store' "$LOG"
	local i
	for i in {0..5}; do
		rest GET "/v1/kv/big$i"
		same 200 "$status"
		head -c 4000000 /dev/zero | tr '\0' "$i" | cmp - "$T/body"
	done
	rest GET /v1/kv/later
	same 404 "$status"
}

@test "clients share a copy if nothing changed since, and get one that has all changes otherwise" {
	start_httpd
	spool_py <<'EOF'
for i in range(4):
    assert ask("PUT", f"/v1/kv/big{i}", os.urandom(8000000))[0] == 201
first, start = open_snapshot()
second, other = open_snapshot()
assert metric("keydir_snapshot_clients") == 2 and metric("keydir_snapshot_files") == 1
assert first.getheader("X-Keydir-Offset") == second.getheader("X-Keydir-Offset")
assert ask("PUT", "/v1/kv/new", b"1")[0] == 201
third, _ = open_snapshot()
assert metric("keydir_snapshot_clients") == 3 and metric("keydir_snapshot_files") == 2
assert int(third.getheader("X-Keydir-Offset")) > int(first.getheader("X-Keydir-Offset"))
assert start + first.read() == other + second.read()
third.conn.close()
wait_for(lambda: metric("keydir_snapshot_clients") == 0)
EOF
}

@test "a snapshot goes elsewhere if the store needs its file system, and without room it is 507" {
	mkdir "$T/shm" "$T/small"
	mount -t tmpfs -o size=48m,mode=755 tmpfs "$T/shm" || skip_or_fail "needs the right to mount a tmpfs" || return 1
	mount -t tmpfs -o size=64m,mode=755 tmpfs "$T/small"
	STORE=$T/shm/store
	head -c 6000000 /dev/urandom >"$T/value"
	export TMPDIR=$T/small
	start_httpd --size 40M
	rest PUT /v1/kv/big --data-binary "@$T/value"
	# 48 - 6 MB are free, of which the store may still need most.
	rest GET /v1/snapshot
	same 507 "$status"
	grep -q '"type":"urn:keydir:problem:no-room"' "$T/body"
	grep -q "needs a file of about [0-9]* MiB, .* in $STORE .* in $TMPDIR" "$T/body"
	mount -o remount,size=160m "$T/small"
	rest GET /v1/snapshot
	same 200 "$status"
	[ "$(stat -c %s "$T/body")" -gt 6000000 ]
}
