# GET /v1/watch: changes as server-sent events; GET ?wait= on a key.

load helper

# watch NAME QUERY [CURL OPTION...]: start a watcher in the background, its stream in
# $T/NAME; return once it watches.
watch() {
	local name=$1 query=$2
	shift 2
	: >"$T/$name"
	start "watch-$name" curl -sSN --globoff -o "$T/$name" -D "$T/$name.headers" "$@" "$URL/v1/watch?$query"
	forget "$PID" # it ends by itself, or with the server
	WATCHERS+=("$PID")
	wait_for 10 grep -q '^: watching' "$T/$name"
}
teardown() {
	local pid
	for pid in "${WATCHERS[@]}"; do kill "$pid" 2>/dev/null || true; done
	keydir_teardown
}
WATCHERS=()

# The messages of a stream, one JSON document a line.
messages() { sed -n 's/^data: //p' "$T/$1"; }
# Their "event key" pairs.
short() { messages "$1" | jq -r '"\(.event) \(.path)"'; }
has_count() { [ "$(messages "$1" | wc -l)" -ge "$2" ]; }

@test "every operation has its own event, with the state that it left" {
	start_httpd
	watch all values
	same text/event-stream "$(tr -d '\r' <"$T/all.headers" | sed -n 's/^Content-Type: //p')"
	same no "$(tr -d '\r' <"$T/all.headers" | sed -n 's/^X-Accel-Buffering: //p')"
	rest PUT /v1/kv/a --data-binary one
	local version
	version=$(header ETag)
	rest PUT '/v1/kv/a?ttl=1h' --data-binary two
	rest POST '/v1/kv/a?op=append' --data-binary +
	rest POST '/v1/kv/a?op=expire&ttl=2h'
	rest POST '/v1/kv/a?op=persist'
	rest POST '/v1/kv/n?op=incr&by=7'
	rest PUT /v1/kv/d/e/f --data-binary deep
	rest POST '/v1/kv/a?op=rename&to=b'
	rest DELETE /v1/kv/b
	rest DELETE '/v1/kv/d?recurse'
	rest PUT /v1/kv/m/
	rest DELETE /v1/kv/m/
	rest PUT '/v1/kv/t?ttl=300ms' --data-binary short
	wait_for 10 has_count all 17
	same 'set a
set a
append a
expire a
persist a
incr n
mkdir d/
mkdir d/e/
set d/e/f
rename_from a
rename_to b
del b
del d/
mkdir m/
del m/
set t
expired t' "$(short all)"
	nth() { messages all | sed -n "$1p" | jq -rc "$2"; }
	version=${version#\"}
	same "${version%-*}" "$(nth 1 .version)"
	same true "$(nth 1 .created)"
	same 3 "$(nth 1 .size)"
	same null "$(nth 1 .expires)"
	same null "$(nth 2 .created)"
	[[ $(nth 2 .expires) =~ ^20.*Z$ ]]
	same 4 "$(nth 3 .size)"
	[[ $(nth 4 .expires) =~ ^20.*Z$ ]]
	same null "$(nth 5 .expires)"
	same 7 "$(nth 6 .value)"
	same directory "$(nth 7 .type)"
	same '{"event":"del","key":"b","path":"b","type":"key"}' "$(nth 12 'del(.time)')"
	same directory "$(nth 13 .type)"
	# The key expired in time, not when a client looked.
	local expires expired
	expires=$(date -d "$(nth 16 .expires)" +%s%3N)
	expired=$(date -d "$(nth 17 .time)" +%s%3N)
	[ $((expired - expires)) -ge 0 ]
	[ $((expired - expires)) -lt $((2000 * PATIENCE)) ]
}

@test "the id of a message is the event's offset" {
	start_httpd
	watch all ''
	rest PUT /v1/kv/a --data-binary 1
	local first
	first=$(header X-Keydir-Offset)
	rest PUT /v1/kv/b/c --data-binary 1
	wait_for 10 has_count all 3
	local volume
	volume=$(header ETag | grep -oE '[-][0-9a-f]{8}')
	same "$first$volume
$((first + 1))$volume.0
$((first + 1))$volume" "$(sed -n 's/^id: //p' "$T/all")"
}

@test "a message has the value of its version, and never a newer one" {
	start_httpd
	head -c 100000 /dev/urandom >"$T/long"
	printf '\xff\xfe' >"$T/bin"
	rest PUT /v1/kv/k --data-binary old
	local offset
	offset=$(header X-Keydir-Offset)
	rest PUT /v1/kv/k -T "$T/long"
	rest PUT /v1/kv/b -T "$T/bin"
	watch w "values&from=$offset"
	wait_for 10 has_count w 3
	same null "$(messages w | sed -n 1p | jq -c .value)"
	same base64 "$(messages w | sed -n 2p | jq -r .encoding)"
	cmp "$T/long" <(messages w | sed -n 2p | jq -r .value | base64 -d)
	same //4= "$(messages w | sed -n 3p | jq -r .value)"
	watch plain "from=$offset"
	wait_for 10 has_count plain 3
	same 'null null null' "$(messages plain | jq -c .value | xargs)"
}

@test "a prefix means an entry and everything below it" {
	start_httpd
	watch dir prefix=users/
	watch one prefix=users/ann
	watch odd 'prefix=%FF%20x'
	local key
	for key in users/ann users/ann2 users/bob/x user users2/a 'ann' '%FF%20x/y'; do
		rest PUT "/v1/kv/$key" --data-binary x
	done
	rest DELETE '/v1/kv/users?recurse'
	rest PUT /v1/kv/users/ann/deep --data-binary x
	rest POST '/v1/kv/users?op=rename&to=people'
	rest POST '/v1/kv/people?op=rename&to=users'
	rest PUT /v1/kv/users/last --data-binary x
	rest PUT /v1/kv/users/ann/last --data-binary x
	wait_for 10 has_count one 7
	wait_for 10 has_count dir 11
	wait_for 10 has_count odd 1
	same 'set users/ann
del users/
mkdir users/ann/
set users/ann/deep
rename_from users/
rename_to users/
set users/ann/last' "$(short one)"
}

@test "bad requests are refused" {
	start_httpd
	local query
	for query in from=x from= from=-1 from=1.5 from=99999999999999999999 prefix=a//b prefix=.. prefix=%00 \
		prefix=%zz "prefix=$(printf 'x%.0s' {1..256})" wait=0 wait= wait=x values=maybe nonsense; do
		rest GET "/v1/watch?$query"
		same 400 "$status"
		same application/problem+json "$(header Content-Type)"
	done
	local id
	for id in x -1 1.x 1. .1 1.-1 99999999999999999999 1- 1-x 1-0123456 1-012345678 1-0123456X 1.1-01234567; do
		rest GET /v1/watch -H "Last-Event-ID: $id"
		same 400 "$status"
	done
	rest GET '/v1/watch?from=x' -H 'Last-Event-ID: 1'
	same 400 "$status"
	rest POST /v1/watch
	same 405 "$status"
	rest HEAD /v1/watch
	same 200 "$status"
}

@test "?wait= ends the stream after its time, with all events up to then" {
	start_httpd
	local n
	for n in {1..600}; do echo "PUT"; done | awk -v url="$URL" '{ printf "url=%s/v1/kv/w/k%d\nrequest=PUT\ndata-binary=v\noutput=/dev/null\n", url, NR }' |
		curl -sS --fail -K -
	# With events already there it returns them at once, however short the time.
	curl -sS --max-time $((20 * PATIENCE)) "$URL/v1/watch?prefix=w/&from=0&wait=1ms" >"$T/w"
	same "mkdir w/ $(printf 'set w/k%d ' {1..600})" "$(short w | tr '\n' ' ' | sed 's/ $//') "
	# Its last id is the place to resume.
	local last
	last=$(sed -n 's/^id: //p' "$T/w" | tail -n 1)
	rest GET "/v1/watch?prefix=w/&wait=1ms" -H "Last-Event-ID: $last"
	same 200 "$status"
	cp "$T/body" "$T/w"
	same '' "$(messages w)"
	# Events that happen while it waits.
	watch w 'prefix=w/&wait=2s'
	rest PUT /v1/kv/w/late --data-binary 1
	wait_for 20 not is_running "${WATCHERS[0]}"
	same 'set w/late' "$(short w)"
}

# Cut a stream after each message and resume with its last id: together the parts equal a
# stream that was never cut.
@test "resuming loses nothing and repeats nothing" {
	start_httpd
	local from
	rest PUT /v1/kv/first --data-binary x
	from=$(header X-Keydir-Offset)
	local i
	for i in 1 2 3; do
		rest PUT /v1/kv/d$i/e/f --data-binary $i # three changes each
		rest PUT /v1/kv/k$i --data-binary $i
		rest POST "/v1/kv/k$i?op=rename&to=r$i"
	done
	cat >"$T/resume.py" <<'EOF'
import json, sys
from http_raw import *

def stream(last, query):
    """Messages (id, data) behind `last`, as they come."""
    s = connect()
    s.sendall(request("GET", "/v1/watch?" + query, b"", *([f"Last-Event-ID: {last}"] if last else [])))
    f = s.makefile("rb")
    assert b" 200 " in f.readline()
    while f.readline().strip():
        pass
    ident, data = None, None
    while True:
        line = f.readline().rstrip(b"\r\n")
        if not line.strip(b"0123456789abcdef"):  # a chunk's length, or the end of one
            if data is not None and line == b"":
                yield ident, data
                data = None
            continue
        if line.startswith(b"id: "):
            ident = line[4:].decode()
        if line.startswith(b"data: "):
            data = json.loads(line[6:])

def take(n, last, query):
    got = []
    for message in stream(last, query):
        got.append(message)
        if len(got) == n:
            return got

start, total = sys.argv[1], int(sys.argv[2])
whole = take(total, None, f"from={start}")
assert [m[0] for m in whole] == sorted({m[0] for m in whole}, key=lambda i: [int(i.split("-")[0]), int((i + ".999").split(".")[1])])
for step in (1, 2, 5):
    parts, last = [], None
    while len(parts) < total:
        parts += take(min(step, total - len(parts)), last, f"from={start}")
        last = parts[-1][0]
    assert parts == whole, (step, parts, whole)
print("same")
EOF
	PORT=$PORT PATIENCE=$PATIENCE PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$BATS_TEST_DIRNAME" \
		run -0 timeout 60 python3 "$T/resume.py" "$((from + 1))" 18
	same same "$output"
}

@test "a listing and a watch from its offset leave no gap" {
	start_httpd
	(for i in {1..200}; do curl -sS -o /dev/null -X PUT --data-binary "$i" "$URL/v1/kv/k$i"; done) 3>&- &
	local writer=$!
	some_are_there() { rest GET /v1/kv/k20 && [ "$status" = 200 ]; }
	wait_for 10 some_are_there
	rest GET '/v1/kv/?limit=10000'
	jq -r '.entries[].name' "$T/body" >"$T/listed"
	watch rest "from=$(($(header X-Keydir-Offset) + 1))"
	wait "$writer"
	told_all() { [ "$( (cat "$T/listed"; messages rest | jq -r .key) | wc -l)" -ge 200 ]; }
	wait_for 10 told_all
	same "$(for i in {1..200}; do echo "k$i"; done | sort)" "$( (cat "$T/listed"; messages rest | jq -r .key) | sort)"
}

@test "a watcher resumes on another server when its own dies" {
	start_httpd
	watch before ''
	rest PUT /v1/kv/a --data-binary 1
	wait_for 10 has_count before 1
	kill_hard "$HTTPD_PID"
	start_httpd
	rest PUT /v1/kv/b --data-binary 2
	watch after '' -H "Last-Event-ID: $(sed -n 's/^id: //p' "$T/before" | tail -n 1)"
	wait_for 10 has_count after 1
	same 'set b' "$(short after)"
}

@test "SIGTERM ends streams and waiting requests in order" {
	start_httpd
	watch w ''
	local stream=$PID
	curl -sS -o "$T/poll" -w '%{http_code}' "$URL/v1/kv/none?wait=60s" >"$T/code" 3>&- &
	local poll=$!
	waits() { rest GET /metrics && grep -qx 'keydir_watchers 2' "$T/body"; }
	wait_for 10 waits
	local begin=$SECONDS
	stop "$HTTPD_PID"
	[ $((SECONDS - begin)) -lt $((15 * PATIENCE)) ]
	wait "$poll"
	same 404 "$(cat "$T/code")"
	# The stream ended as HTTP requires, and was not cut.
	wait "$stream"
}

@test "heartbeats advance the last id" {
	start_httpd --heartbeat 200ms
	watch quiet prefix=quiet
	rest PUT /v1/kv/loud --data-binary 1
	moved() { [[ $(sed -n 's/^id: //p' "$T/quiet" | tail -n 1) == "$(header X-Keydir-Offset)"-???????? ]]; }
	wait_for 10 moved
	same "" "$(messages quiet)"
	# Many changes, and no message.
	many() { [ "$(grep -c '^id: ' "$T/quiet")" -gt 5 ]; }
	wait_for 10 many
}

# Live streams copy text that was formatted once for all of them; a stream that starts
# further back formats its own.
@test "live messages equal those read later, for every prefix" {
	start_httpd
	head -c 100000 /dev/urandom >"$T/long"
	rest PUT /v1/kv/first --data-binary x
	local from
	from=$(($(header X-Keydir-Offset) + 1))
	local queries=('' '' prefix=d/ prefix=d/e prefix=d/f/g1 prefix=other values 'values&prefix=d/') i
	for i in "${!queries[@]}"; do watch "live$i" "${queries[i]}"; done
	rest PUT /v1/kv/d/e/f --data-binary deep # three changes
	rest PUT /v1/kv/d/long -T "$T/long" # too long to be kept
	seq 300 | sed -e '1!i next' -e "s|.*|url=$URL/v1/kv/d/f/g&\nrequest=PUT\ndata-binary=v&\noutput=/dev/null\nfail|" | curl -sS -K -
	jq -nc '[range(500) | {op: "set", key: "d/t\(.)", value: "v\(.)"}]' >"$T/ops"
	rest POST /v1/txn --data-binary @"$T/ops"
	same 200 "$status"
	rest POST '/v1/kv/d/f?op=rename&to=other/f'
	rest POST '/v1/kv/other/f?op=rename&to=d/f'
	rest DELETE '/v1/kv/d/e?recurse'
	jq -nc '["d/e/end", "d/f/g1", "other/end"] | map({op: "set", key: ., value: "end"})' >"$T/ops"
	rest POST /v1/txn --data-binary @"$T/ops"
	same 200 "$status"
	local last
	last=$(header X-Keydir-Offset)
	told() { grep -q '^: watching' "$T/$1" && grep -qxE "id: $last-[0-9a-f]{8}" "$T/$1"; }
	# (Only the live stream may have a value that changed again or was deleted.)
	events() { sed -E '1,/^: watching/d; /"key":"d\/(e\/f|f\/g1)"/s/,"value":"[^"]*"//' "$T/$1"; }
	for i in "${!queries[@]}"; do
		watch "later$i" "${queries[i]}&from=$from"
		wait_for 10 told "live$i"
		wait_for 10 told "later$i"
		cmp <(events "live$i") <(events "later$i")
	done
	same 815 "$(messages live0 | wc -l)"
	same v7 "$(messages live6 | jq -r 'select(.key == "d/f/g7" and .event == "set").value')"
	cmp "$T/long" <(messages live6 | jq -r 'select(.key == "d/long").value' | base64 -d)
}

# More events than the feed keeps (65,536).
@test "a quiet watcher keeps its place while the feed is overwritten; an old place is 410" {
	start_httpd
	rest PUT /v1/kv/quiet/a --data-binary 1
	local old
	old=$(header X-Keydir-Offset)
	watch quiet prefix=quiet
	watch slow ''
	stop_all "$PID"
	# Increments, many on a connection.
	seq 4 | xargs -P 4 -I{} curl -sS --fail -o /dev/null -X POST "$URL/v1/kv/n?op=incr#[1-17000]"
	rest PUT /v1/kv/quiet/b --data-binary 2
	wait_for 10 has_count quiet 1
	same 'set quiet/b' "$(short quiet)"
	rest GET "/v1/watch?from=$old"
	same 410 "$status"
	same urn:keydir:problem:gone "$(jq -r .type "$T/body")"
	rest GET /v1/watch -H "Last-Event-ID: $old"
	same 410 "$status"
	# A watcher that did not read is closed with 410, after the messages already on the
	# way.
	kill -CONT "$PID"
	told_off() { grep -q '^event: gone' "$T/slow"; }
	if ! wait_for 20 told_off; then
		# If the sockets held everything, nothing may be missing.
		same 68001 "$(messages slow | wc -l)"
	fi
}

@test "1,000 watchers each get every event, and need no thread each" {
	start_httpd
	PORT=$PORT PID=$HTTPD_PID PATIENCE=$PATIENCE PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$BATS_TEST_DIRNAME" \
		timeout $((120 * PATIENCE)) python3 - <<'EOF'
import os, selectors
from http_raw import *
threads = lambda: len(os.listdir(f"/proc/{os.environ['PID']}/task"))
before = threads()
socks = []
for i in range(1000):
    s = connect(60)
    # A third on everything, a third on a busy prefix, a third on one key each.
    prefix = ["", "prefix=busy/", f"prefix=own/{i}"][i % 3]
    s.sendall(request("GET", "/v1/watch?" + prefix))
    socks.append(s)
for s in socks:
    data = b""
    while b"watching" not in data:
        data += s.recv(4096)
assert threads() == before
begin = time.monotonic()
for n in range(20):
    assert ask("PUT", f"/v1/kv/busy/k{n}", b"x")[0] == 201
    assert time.monotonic() - begin < 60 * PATIENCE
for i in range(2, 1000, 3):
    assert ask("PUT", f"/v1/kv/own/{i}", b"x")[0] == 201
want = [20 + 333 + 2, 20 + 1, 1]  # the first key of each directory creates it
for i, s in enumerate(socks):
    need = want[i % 3]
    data = b""
    while data.count(b"data: {") < need:
        more = s.recv(1 << 20)
        assert more
        data += more
assert threads() == before
for s in socks:
    s.close()
EOF
	rest GET /v1/kv/busy/k1
	same 200 "$status"
}

# --- ?wait= ---------------------------------------------------------------------

@test "?wait= returns when the key changes" {
	start_httpd
	rest PUT /v1/kv/k --data-binary 1
	local etag
	etag=$(header ETag)
	poll() { # NAME PATH [CURL OPTION...]
		local name=$1 path=$2
		shift 2
		curl -sS -o "$T/$name" -D "$T/$name.headers" -w '%{http_code}' "$@" "$URL$path" >"$T/$name.code" 3>&- &
		POLL=$!
	}
	waiting() { rest GET /metrics && grep -qx "keydir_watchers $1" "$T/body"; }
	# A change of the value.
	poll a '/v1/kv/k?wait=30s' -H "If-None-Match: $etag"
	wait_for 10 waiting 1
	rest PUT /v1/kv/other --data-binary x
	rest PUT /v1/kv/k/below --data-binary x
	rest PUT /v1/kv/k --data-binary 2
	wait "$POLL"
	same 200 "$(cat "$T/a.code")"
	same 2 "$(cat "$T/a")"
	# At once if it differs already.
	rest GET '/v1/kv/k?wait=30s' -H "If-None-Match: $etag"
	same 200 "$status"
	rest GET '/v1/kv/k?wait=30s'
	same 200 "$status"
	# Its deletion.
	rest GET /v1/kv/k
	etag=$(header ETag)
	poll b '/v1/kv/k?wait=30s' -H "If-None-Match: $etag"
	wait_for 10 waiting 1
	rest DELETE /v1/kv/k
	wait "$POLL"
	same 404 "$(cat "$T/b.code")"
	# Its creation.
	poll c '/v1/kv/new/deep/key?wait=30s'
	wait_for 10 waiting 1
	rest PUT /v1/kv/new/x --data-binary x
	rest PUT /v1/kv/new/deep/key --data-binary here
	wait "$POLL"
	same here "$(cat "$T/c")"
	# Its expiry, and the removal of a directory above it.
	rest PUT '/v1/kv/e?ttl=500ms' --data-binary x
	poll d '/v1/kv/e?wait=30s' -H "If-None-Match: $(header ETag)"
	wait "$POLL"
	same 404 "$(cat "$T/d.code")"
	rest GET /v1/kv/new/deep/key
	poll e '/v1/kv/new/deep/key?wait=30s' -H "If-None-Match: $(header ETag)"
	wait_for 10 waiting 1
	rest DELETE '/v1/kv/new?recurse'
	wait "$POLL"
	same 404 "$(cat "$T/e.code")"
	wait_for 10 waiting 0
}

@test "?wait= ends after its time" {
	start_httpd
	rest PUT /v1/kv/k --data-binary 1
	local begin
	begin=$(date +%s%3N)
	rest GET '/v1/kv/k?wait=700ms' -H 'If-None-Match: *'
	same 304 "$status"
	[ $(($(date +%s%3N) - begin)) -ge 690 ]
	rest GET '/v1/kv/none?wait=300ms'
	same 404 "$status"
	rest HEAD '/v1/kv/k?wait=300ms' -H 'If-None-Match: *'
	same 304 "$status"
	local text
	for text in '' 0 x -1 301s 10m; do
		rest GET "/v1/kv/k?wait=$text"
		same 400 "$status"
	done
	# Clients that vanish while they wait.
	local i pids=()
	for i in {1..20}; do
		curl -sS -m 0.2 -o /dev/null "$URL/v1/kv/none?wait=1s" 2>/dev/null 3>&- &
		pids+=($!)
	done
	for i in "${pids[@]}"; do wait "$i" || true; done
	idle() { rest GET /metrics && grep -qx "keydir_watchers 0" "$T/body" && grep -qx 'keydir_http_requests_active 1' "$T/body"; }
	wait_for 10 idle
}
