# Interfaces for operators: metrics, dashboard, alerts, access log, request ids, status
# and peers.

load helper

promtool_check() { promtool check metrics <"$T/body" 2>&1; }

@test "metrics follow Prometheus' conventions, idle and after all kinds of requests" {
	require promtool
	start_httpd
	rest GET /metrics
	same "" "$(promtool_check)"
	rest PUT '/v1/kv/d/a?ttl=1h' --data-binary 12345
	rest GET /v1/kv/d/a
	rest HEAD /v1/kv/none
	rest GET '/v1/kv/?recurse'
	rest POST '/v1/kv/d/a?op=append' --data-binary x
	rest DELETE /v1/kv/d/a
	rest POST /api/cache/k/ --data-binary 1
	rest PATCH /nowhere
	rest GET /metrics
	same "" "$(promtool_check)"
	local name
	for name in keydir_events_applied_total keydir_events_rejected_total keydir_log_errors_total keydir_lag_events \
		keydir_lag_seconds keydir_oldest_write_seconds keydir_log_time_ahead_seconds keydir_store_bytes keydir_used_bytes keydir_quota_bytes keydir_keys keydir_keys_expired_total keydir_changes_lost_total \
		keydir_keys_evicted_total keydir_http_connections keydir_http_denied_total process_cpu_seconds_total \
		process_resident_memory_bytes process_open_fds process_start_time_seconds 'keydir_build_info\{version="[0-9.]+"\}'; do
		grep -qE "^$name(\{[^}]*\})? [0-9.e+-]+$" "$T/body" || { echo "no $name" && false; }
	done
}

@test "the metrics have the counters of the node's mounts, and the process that applies" {
	require promtool
	local mount
	start_httpd
	start_fs
	mount="process=\"keydir-fs\",mount=\"$MNT\""
	echo 1 >"$MNT/key"
	wait_for 10 metric_is "keydir_events_submitted_total{$mount}" '[1-9][0-9]*'
	metric_is "keydir_process_silent_seconds{$mount}" '[0-9.]+'
	metric_is 'keydir_process_applies{process="keydir-httpd"}' '[01]'
	same "" "$(promtool_check)"
	stop "$FS_PID"
	rest GET /metrics
	not grep -qF "$mount" "$T/body"
}

metric_is() { # NAME REGEX
	rest GET /metrics
	grep -F "$1 " "$T/body" | grep -qE " $2\$"
}

@test "a mount writes its metrics to a file, and removes it at the end" {
	require promtool
	local file=$T/metrics/keydir.prom
	mkdir "$T/metrics"
	start_fs --metrics-file "$file"
	promtool check metrics <"$file"
	grep -qx 'keydir_ready 1' "$file"
	echo 1 >"$MNT/key"
	wait_for 30 grep -qE '^keydir_events_submitted_total [1-9]' "$file"
	same keydir.prom "$(ls "$T/metrics")"
	stop "$FS_PID"
	same "" "$(ls "$T/metrics")"
	fails_with "--metrics-file $T/none/x.prom: No such file" "$KEYDIR_FS" -f --store "$STORE" \
		--metrics-file "$T/none/x.prom" "$MNT"
}

@test "alert rules are valid, and each fires when it should and only then" {
	require promtool
	promtool check rules "$KEYDIR_ROOT/httpd/alerts.yml"
	promtool test rules "$KEYDIR_ROOT/tests/prometheus/alerts_test.yml"
	# That test covers every alert.
	local alert
	while read -r alert; do
		grep -q "alertname=\"$alert\"" "$KEYDIR_ROOT/tests/prometheus/alerts_test.yml" ||
			{ echo "no test of $alert" && false; }
	done < <(sed -n 's/^ *- alert: //p' "$KEYDIR_ROOT/httpd/alerts.yml")
}

# A real Prometheus scrapes a server with tokens; every query of the dashboard and of the
# alerts finds its metrics there.
@test "every query of the dashboard and the alerts finds its metrics" {
	require prometheus promtool
	local token metrics
	token=$(head -c 24 /dev/urandom | base64)
	echo "prometheus $("$KEYDIR_HTTPD" --hash-token <<<"$token") monitor /" >"$T/tokens"
	start_httpd --tokens "$T/tokens"
	cat >"$T/prometheus.yml" <<END
global: { scrape_interval: 1s }
rule_files: ["$KEYDIR_ROOT/httpd/alerts.yml"]
scrape_configs:
  - job_name: keydir
    authorization: { credentials: "$token" }
    static_configs: [{ targets: ["127.0.0.1:$PORT"] }]
END
	promtool check config "$T/prometheus.yml"
	metrics=$(free_port)
	start prometheus prometheus --config.file "$T/prometheus.yml" --storage.tsdb.path "$T/tsdb" \
		--web.listen-address "127.0.0.1:$metrics" --log.level=warn
	ask_prometheus() { curl -sS --fail "http://127.0.0.1:$metrics/api/v1/query" --data-urlencode "query=$1"; }
	found() { jq -e '.status == "success" and (.data.result | length > 0)' <<<"${1:-false}" >/dev/null; }
	scraped() {
		# Requests of the kinds in the queries continue in the meantime.
		rest GET /v1/kv/a
		found "$(ask_prometheus 'count_over_time(keydir_ready[1m]) >= 4' 2>/dev/null)"
	}
	rest GET /v1/kv/a
	wait_for 60 scraped
	# There may never be a 5xx; its query must be valid all the same.
	jq -r '.panels[].targets[]?.expr' "$KEYDIR_ROOT/httpd/grafana.json" >"$T/queries"
	[ "$(wc -l <"$T/queries")" -ge 30 ]
	local query answer bad=0
	while IFS= read -r query; do
		query=${query//\$__rate_interval/1m}
		query=${query//\$instance/.*}
		answer=$(ask_prometheus "$query") || { echo "refused: $query"; bad=1; continue; }
		if ! found "$answer"; then
			echo "nothing for: $query"
			bad=1
		fi
	done <"$T/queries"
	same 0 $bad
	# The rules are evaluated without error, and the node is healthy except for its
	# requests without a token.
	rules_done() {
		curl -sS "http://127.0.0.1:$metrics/api/v1/rules" >"$T/rules"
		jq -e '[.data.groups[].rules[].health] | length >= 15 and all(. == "ok")' "$T/rules" >/dev/null
	}
	wait_for 90 rules_done
	same "" "$(jq -r '.data.groups[].rules[] | select(.state == "firing") | .name' "$T/rules")"
	# The server has each metric that an alert names.
	rest GET /metrics -H "Authorization: Bearer $token"
	local name
	while read -r name; do
		grep -qE "^${name}(\{| )" "$T/body" || { echo "no metric $name" && false; }
	done < <(grep -oE '\b(keydir|process)_[a-z_]+' "$KEYDIR_ROOT/httpd/alerts.yml" | sort -u)
}

@test "the dashboard has the form that Grafana imports" {
	python3 - "$KEYDIR_ROOT/httpd/grafana.json" <<'EOF'
import json, sys
d = json.load(open(sys.argv[1], encoding="utf-8"))
assert d["uid"] and d["title"] == "Keydir" and d["schemaVersion"] >= 36
ids, cells = set(), set()
for p in d["panels"]:
    assert p["id"] not in ids
    ids.add(p["id"])
    g = p["gridPos"]
    assert g["x"] + g["w"] <= 24
    for x in range(g["x"], g["x"] + g["w"]):
        for y in range(g["y"], g["y"] + g["h"]):
            assert (x, y) not in cells, ("panels overlap", p["title"])
            cells.add((x, y))
    if p["type"] == "row":
        continue
    assert p["title"] and p["targets"]
    assert p["datasource"]["uid"] == "${datasource}"
    assert len({t["refId"] for t in p["targets"]}) == len(p["targets"])
    assert all("$instance" in t["expr"] for t in p["targets"])
assert {v["name"] for v in d["templating"]["list"]} == {"datasource", "instance"}
EOF
}

last_line() { tail -n 1 "$T/access.log"; }
logged() { [ "$(wc -l <"$T/access.log")" -ge "$1" ]; }

@test "access log: a line of JSON for each request" {
	start_httpd --access-log "$T/access.log"
	rest PUT '/v1/kv/a%22b/c?ttl=5' --data-binary hello -H 'X-Request-Id: from.nginx:1' -A 'agent "x"' -H 'X-Forwarded-For: 10.0.0.9'
	same from.nginx:1 "$(header X-Request-Id)"
	wait_for 20 grep -q from.nginx "$T/access.log"
	same '{"id":"from.nginx:1","address":"127.0.0.1","forwarded_for":"10.0.0.9","method":"PUT","path":"/v1/kv/a%22b/c","query":"ttl=5","route":"kv","status":201,"bytes_in":5,"bytes_out":0,"user_agent":"agent \"x\""}' \
		"$(last_line | jq -c 'del(.time, .seconds)')"
	[[ $(last_line | jq -r .time) =~ ^20[0-9-]+T[0-9:.]+Z$ ]]
	jq -e '.seconds > 0 and .seconds < 60' <(last_line)
	rest GET '/v1/kv/a%22b/c'
	same 5 "$(wait_for 20 logged 3 && last_line | jq .bytes_out)"
	rest HEAD '/v1/kv/a%22b/c'
	wait_for 20 logged 4
	same 'HEAD 200 0' "$(last_line | jq -r '"\(.method) \(.status) \(.bytes_out)"')"
	rest POST '/v1/kv/a%22b/c?op=rename&to=d%2Fe'
	wait_for 20 logged 5
	same 'op=rename&to=d%2Fe' "$(last_line | jq -r .query)"
	# A chosen id comes back with every response; an id that no log can hold is replaced
	# by a generated one, and generated ids differ.
	local first id
	rest GET /nowhere -H 'X-Request-Id: me'
	same me "$(header X-Request-Id)"
	rest GET /v1/kv/none -H 'X-Request-Id: no blanks'
	first=$(header X-Request-Id)
	for id in '' '"' $'tab\there' 'é' "$(printf 'x%.0s' {1..129})"; do
		rest GET /healthz -H "X-Request-Id: $id"
		[[ $(header X-Request-Id) =~ ^[0-9a-f]{16}-[0-9a-f]+$ ]]
		[ "$(header X-Request-Id)" != "$first" ]
	done
	rest GET /healthz -H "X-Request-Id: $(printf 'x%.0s' {1..128})"
	same "$(printf 'x%.0s' {1..128})" "$(header X-Request-Id)"
	jq -e . "$T/access.log" >/dev/null
}

@test "access log: for any request, a line is one short JSON object" {
	start_httpd --access-log "$T/access.log"
	py <<'EOF'
from http_raw import *
long = "\x01\x7f\"\\" * 600
for path, agent in ((f"/{'x' * 9000}", "a"), ("/v1/kv/\xff\xfe%0a\"\\", long), (f"/v1/kv/?{'q=%22&' * 1500}", "\xe9\xff\x80")):
    with connect() as s:
        s.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: {agent}\r\nX-Forwarded-For: {agent}\r\n\r\n".encode("latin-1"))
        print(Reader(s).answer()[0])
with connect() as s:  # closed before the response
    s.sendall(b"PUT /v1/kv/gone HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nx")
EOF
	gone() { jq -e 'select(.path == "/v1/kv/gone" and .status == 0)' "$T/access.log" >/dev/null; }
	wait_for 20 gone
	[ "$(awk '{ if (length > n) n = length } END { print n }' "$T/access.log")" -lt 4096 ]
	same "$(wc -l <"$T/access.log")" "$(jq -c 'select(.time and .id and .path)' "$T/access.log" | wc -l)"
}

@test "access log: it has a token's name and never the token, and refusals have one id in both logs" {
	local token
	token=$(head -c 24 /dev/urandom | base64)
	echo "someone $("$KEYDIR_HTTPD" --hash-token <<<"$token") read /a" >"$T/tokens"
	start_httpd --access-log "$T/access.log" --tokens "$T/tokens"
	rest GET /v1/kv/a -H "Authorization: Bearer $token"
	wait_for 20 grep -q '"path":"/v1/kv/a"' "$T/access.log"
	same someone "$(last_line | jq -r .token)"
	rest GET /v1/kv/b -H "Authorization: Bearer $token"
	same 403 "$status"
	grep -q " denied .* id=$(header X-Request-Id) " "$T"/httpd1.log
	wait_for 20 grep -q "\"id\":\"$(header X-Request-Id)\"" "$T/access.log"
	not grep -qF -- "$token" "$T/access.log"
}

@test "access log: moved away and opened again on SIGHUP, it loses no line" {
	start_httpd --access-log "$T/access.log"
	: >"$T/access.log"
	curl -sS -o /dev/null "$URL/healthz#[1-3000]" 3>&- &
	local load=$! i
	for i in 1 2 3 4 5; do
		mv "$T/access.log" "$T/access.log.$i"
		kill -HUP "$HTTPD_PID"
		wait_for 20 test -e "$T/access.log"
		sleep 0.05
	done
	wait $load
	all_there() { [ "$(cat "$T"/access.log* | grep -c curl)" = 3000 ]; }
	wait_for 20 all_there
	cat "$T"/access.log* | jq -e . >/dev/null
	# If a file cannot be opened, the old one is kept.
	mkdir "$T/dir"
	mv "$T/access.log" "$T/kept.log"
	mkdir "$T/access.log"
	kill -HUP "$HTTPD_PID"
	allow_log 'access log not reopened, the old file stays'
	wait_for 20 grep -q 'access log not reopened' "$T"/httpd1.log
	rest GET /healthz?last
	wait_for 20 grep -q '"query":"last"' "$T/kept.log"
	rmdir "$T/access.log"
}

@test "access log: a full disk loses lines but no requests, and a bad place is refused" {
	fails_with "--access-log $T/none/log: No such file" "$KEYDIR_HTTPD" --store "$STORE" --access-log "$T/none/log"
	start_httpd --access-log stdout
	rest GET /v1/kv/x
	wait_for 20 grep -q '"path":"/v1/kv/x"' "$T"/httpd1.log
	stop "$HTTPD_PID"
	start_httpd --access-log /dev/full
	rest GET /v1/kv/x
	same 404 "$status"
	wait_for 20 grep -q 'access log: lines are lost: No space left' "$T"/httpd2.log
	rest GET /metrics
	[ "$(sed -n 's/^keydir_access_log_lost_total //p' "$T/body")" -ge 2 ]
	same 1 "$(grep -c 'lines are lost' "$T"/httpd2.log)"
}

@test "status: the node's id, its role, and the state of its peers" {
	start_httpd
	local first=$URL token
	token=$(head -c 24 /dev/urandom | base64)
	echo "peer $("$KEYDIR_HTTPD" --hash-token <<<"$token") monitor /" >"$T/tokens"
	start_httpd --store "$T/second" --tokens "$T/tokens"
	local second=$URL
	rest PUT /v1/kv/a --data-binary 1
	same 401 "$status"
	KEYDIR_PEER_TOKEN=$token start_httpd --store "$T/third" \
		--peers "$first,$second/,http://127.0.0.1:1,$first/nowhere"
	asked() { rest GET /v1/status && [ "$(jq '[.peers[] | select(.error == "not asked yet")] | length' "$T/body")" = 0 ]; }
	wait_for 20 asked
	same "[\"$first\",\"$second/\",\"http://127.0.0.1:1\",\"$first/nowhere\"]" "$(jq -c '[.peers[].url]' "$T/body")"
	same '[true,true,false,false]' "$(jq -c '[.peers[].reachable]' "$T/body")"
	same '[true,true]' "$(jq -c '[.peers[:2][].ready]' "$T/body")"
	same '["applier","applier"]' "$(jq -c '[.peers[:2][].role]' "$T/body")"
	same '["","",true,true]' "$(jq -c '[.peers[:2][].why, .peers[:2][].log_up]' "$T/body")"
	same '[true,true]' "$(jq -c '[.peers[:2][] | (.offset >= 0 and .lag == 0 and .lag_ms == 0 and .uptime >= 0)]' "$T/body")"
	[[ $(jq -r '.peers[3].error' "$T/body") == *404* ]]
	same applier "$(jq -r .role "$T/body")"
	same "$(hostname)" "$(jq -r .node "$T/body")"
	same "$(hostname):$PORT" "$(jq -r .id "$T/body")"
	same "[\"$(hostname):${first##*:}\",\"$(hostname):${second##*:}\"]" "$(jq -c '[.peers[:2][].id]' "$T/body")"
	# Requests for data are counted, requests for the node's status are not.
	requests() { rest GET /v1/status && jq .http.requests "$T/body"; }
	local before
	before=$(requests)
	same "$before" "$(requests)"
	rest GET /v1/kv/none
	rest GET /
	counted() { [ "$(requests)" = $((before + 1)) ]; }
	wait_for 20 counted
	# The status shows a peer's progress, and its end.
	curl -sS -X PUT -d 1 "$first/v1/kv/a"
	moved() { rest GET /v1/status && [ "$(jq '.peers[0].offset' "$T/body")" -ge 1 ]; }
	wait_for 20 moved
	stop "$HTTPD_PID"
	# With a wrong token the message names the option.
	start_httpd --store "$T/fourth" --peers "$second" --peer-token wrong
	wait_for 20 asked
	[[ $(jq -r '.peers[0].error' "$T/body") == *401*--peer-token* ]]
}

@test "a peer that sends nonsense, or nothing, is not believed and delays no request" {
	cat >"$T/peer.py" <<'EOF'
import http.server, sys, threading, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        kind = self.path.split("/")[1]
        if kind == "hang":
            time.sleep(30)
        body = {"text": b"hello", "list": b"[1]", "big": b'{"offset":' + b" " * 100000 + b"1}",
                "types": b'{"offset":"5","ready":1,"role":{"a":1},"log":7,"uptime":3,"node":"' + b"n" * 300 + b'"}'}.get(kind, b"{}")
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
EOF
	local peer
	peer=$(free_port)
	start peer python3 "$T/peer.py" "$peer"
	wait_ready 10 "$PID" curl -s -o /dev/null "http://127.0.0.1:$peer/x"
	start_httpd --peers "http://127.0.0.1:$peer/hang,http://127.0.0.1:$peer/text,http://127.0.0.1:$peer/list,http://127.0.0.1:$peer/big,http://127.0.0.1:$peer/types"
	asked() { rest GET /v1/status && [ "$(jq '[.peers[] | select(.error == "not asked yet")] | length' "$T/body")" = 0 ]; }
	wait_for 20 asked
	same '[false,false,false,false,true]' "$(jq -c '[.peers[].reachable]' "$T/body")"
	same '["reachable","uptime","url"]' "$(jq -c '.peers[4] | keys' "$T/body")"
	local begin=$SECONDS
	stop "$HTTPD_PID"
	[ $((SECONDS - begin)) -le $((15 * PATIENCE)) ]
}
