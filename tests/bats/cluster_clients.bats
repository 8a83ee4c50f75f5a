# Clients of three nodes through Nginx: the examples in httpd/examples/, and a watch that
# continues while nodes die.

load cluster

# Start Nginx with the project's nginx.conf and the test's ports.
start_nginx() {
	local nginx user='' n dir=$T/nginx
	nginx=$(PATH=$PATH:/usr/sbin:/sbin command -v nginx) || skip_or_fail "needs nginx"
	[ "$(id -u)" != 0 ] || user='user root;'
	FRONT=$(free_port)
	mkdir "$dir"
	sed "s/127\.0\.0\.1:5000/127.0.0.1:$FRONT/" "$KEYDIR_ROOT/nginx.conf" >"$T/nginx.conf"
	for n in 1 2 3; do
		sed -i "s/127\.0\.0\.1:800$n/127.0.0.1:${NODE_PORT[n]}/" "$T/nginx.conf"
	done
	start nginx "$nginx" -p "$dir" -c "$T/nginx.conf" -e stderr -g "daemon off; $user"
	wait_ready 10 "$PID" curl -sf -o /dev/null "http://127.0.0.1:$FRONT/healthz"
}

three_nodes() {
	local n
	for n in 1 2 3; do node_httpd $n; done
	start_nginx
}

# example NAME COMMAND...: check that the example does each of its steps.
example() {
	local name=$1
	shift
	echo "--- $name"
	run timeout $((30 * PATIENCE)) "$@" "http://127.0.0.1:$FRONT"
	echo "$output"
	same 0 "$status"
	grep -qx hello <<<"$output"
	grep -qE '(expires in|TTL:) (8[0-9]|90)( s)?.?$' <<<"$output"
	grep -qx 'counted to 1' <<<"$output"
	# The event that its watch reported for its last write.
	grep -qE "examples/$name/counter( 1|.*\"value\":\"1\")" <<<"$output"
	node_rest 1 GET "/v1/kv/examples/$name/counter?consistent"
	same 1 "$(body)"
}

@test "the examples set, get, expire, compare and set, watch, and read their own writes" {
	local examples=$KEYDIR_ROOT/httpd/examples python
	three_nodes
	example curl sh "$examples/curl.sh"
	for python in python3 /usr/bin/python3; do
		"$python" -c 'import requests' 2>/dev/null && break
		python=''
	done
	[ -n "$python" ] || skip_or_fail "needs Python's requests"
	example requests env PYTHONDONTWRITEBYTECODE=1 "$python" "$examples/requests_client.py"
	require node
	example fetch node "$examples/fetch.mjs"
	command -v go >/dev/null || PATH=$PATH:/usr/local/go/bin
	require go
	(cd "$examples/go" && go vet ./... && go build -o "$T/client" .)
	example go "$T/client"
}

@test "a client that sends its newest offset reads its own writes on any node" {
	three_nodes
	PORT=$FRONT PYTHONPATH=$BATS_TEST_DIRNAME python3 - <<'EOT'
from http_raw import ask
seen, offset = set(), 0
for n in range(300):
    status, headers, _ = ask("PUT", "/v1/kv/own", str(n).encode())
    assert status in (200, 201), status
    offset = headers["x-keydir-offset"]
    status, headers, body = ask("GET", "/v1/kv/own", b"", f"X-Keydir-Offset: {offset}")
    assert (status, body) == (200, str(n).encode()), (status, body, n)
EOT
	# All three nodes served requests.
	local n
	for n in 1 2 3; do
		node_rest $n GET /metrics
		[ "$(awk '/^keydir_http_requests_total{route="kv",method="GET",status="2xx"}/ { print $2 }' "$T/body")" -gt 20 ]
	done
}

@test "a watch through Nginx misses and repeats nothing while nodes are killed" {
	three_nodes
	cat >"$T/watch.py" <<'EOT'
"""Watches w/ from offset 0 on until the key w/end, as EventSource does; prints
"ID VALUE" for each change, and to stderr each connection."""
import json, http.client, os, sys, time
port, last = int(os.environ["FRONT"]), None
end = time.monotonic() + 60 * float(os.environ["PATIENCE"])
while True:
    assert time.monotonic() < end
    try:
        conn = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        conn.request("GET", "/v1/watch?prefix=w/&from=0&values",
                     headers={"Last-Event-ID": last} if last else {})
        answer = conn.getresponse()
        assert answer.status in (200, 502, 503), answer.status
        if answer.status == 200:
            print("connected", last, file=sys.stderr, flush=True)
        message = {}
        while answer.status == 200:
            line = answer.readline().decode()
            if not line:
                break
            line = line.rstrip("\n")
            if line:
                name, _, value = line.partition(": ")
                message[name] = value
                continue
            if "data" in message:
                data = json.loads(message["data"])
                if data["type"] == "key":
                    print(message["id"], data["key"], data["value"], flush=True)
                    if data["key"] == "w/end":
                        sys.exit()
            last = message.get("id", last)
            message = {}
    except (OSError, http.client.HTTPException):
        pass
    time.sleep(0.05)
EOT
	FRONT=$FRONT start watch python3 "$T/watch.py"
	local watcher=$PID round victim=0 n i=0
	lines() { [ "$(grep -c ' w/k' "$T/watch.log")" -ge "$1" ]; }
	# serves N: whether the watcher's stream comes from node N.
	serves() {
		curl -sf "${NODE_URL[$1]}/metrics" | grep -qx 'keydir_watchers 1'
	}
	for round in 1 2 3; do
		victim=0
		find_victim() {
			for n in 1 2 3; do
				if serves $n; then victim=$n; fi
			done
			[ $victim != 0 ]
		}
		wait_for 20 find_victim
		# Kill the node in the middle of a run of writes made through another node.
		local other=$((victim % 3 + 1))
		for n in {1..60}; do
			i=$((i + 1))
			node_rest $other PUT "/v1/kv/w/k$((i % 7))" --data-binary "$i"
			same 20 "${status%?}"
			if [ "$n" = 30 ]; then node_kill $victim httpd; fi
		done
		wait_for 20 lines $i
		node_httpd $victim
	done
	node_rest 1 PUT /v1/kv/w/end --data-binary end
	wait_for 20 not is_running "$watcher"
	forget "$watcher"
	# The watcher gets every value once, in order, from whichever node.
	same "$(seq 180)" "$(awk '/ w\/k/ { print $3 }' "$T/watch.log")"
	[ "$(grep -c '^connected' "$T/watch.log")" -ge 4 ]
}
