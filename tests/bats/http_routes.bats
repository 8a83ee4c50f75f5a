# Every route with every method, wrong paths, parameters and requests; the routes for
# operators.

load helper

@test "every route accepts its methods, and lists them when it refuses another" {
	start_httpd
	rest PUT /v1/kv/dir/k --data-binary 1
	local path allow method row
	for row in '/v1/kv/k=GET, HEAD, PUT, DELETE, POST' '/v1/kv/dir/=GET, HEAD, PUT, DELETE, POST' \
		'/v1/kv/=GET, HEAD' '/openapi.json=GET, HEAD' '/v1/status=GET, HEAD' '/healthz=GET, HEAD' \
		'/readyz=GET, HEAD' '/metrics=GET, HEAD' '/=GET, HEAD' '/console/main.js=GET, HEAD' '/api/cache/k/=GET, HEAD, POST, DELETE, OPTIONS' '/api/health/=GET, HEAD, OPTIONS'; do
		path=${row%%=*}
		allow=${row#*=}
		for method in GET HEAD PUT DELETE POST PATCH TRACE CONNECTION PROPFIND get; do
			rest $method "$path" 2>/dev/null
			if [[ ", $allow," == *", $method,"* ]]; then
				[[ "$status" != 405 && "$status" -lt 500 ]]
			else
				same 405 "$status"
				same "$allow" "$(header Allow)"
				same urn:keydir:problem:method-not-allowed "$(jq -r .type "$T/body")"
			fi
			[[ $(header X-Keydir-Offset) =~ ^[0-9]+$ ]]
		done
		case $path in
		/api/*) continue ;; # as Flask responds: http_pycache.bats
		esac
		rest OPTIONS "$path"
		same 204 "$status"
		same "$allow" "$(header Allow)"
	done
}

@test "HEAD has the headers of GET, on every route" {
	start_httpd
	rest PUT '/v1/kv/d/k?ttl=1h' --data-binary value -H 'Content-Type: text/plain'
	local path
	names() { tr -d '\r' <"$T/headers" | sed -nE 's/^([A-Za-z-]+): .*/\1/p' | grep -vE '^(Accept-Ranges|Content-Length|Transfer-Encoding|Connection)$' | sort; }
	for path in / /console/main.js /openapi.json /v1/kv/ /v1/kv/d/ /v1/kv/d/k /v1/kv/d /v1/kv/none /v1/status /healthz /readyz /metrics \
		'/v1/watch?wait=1ms' '/v1/watch?from=x' /v1/snapshot /api/cache/d/k/ /api/health/ /nowhere; do
		rest GET "$path"
		local got=$status type length
		type=$(header Content-Type)
		length=$(header Content-Length)
		names >"$T/names"
		rest HEAD "$path"
		same "$path $got $type" "$path $status $(header Content-Type)"
		names | diff "$T/names" -
		# Numbers that grow between the two requests are not compared.
		case $path in
		/metrics | /v1/status) continue ;;
		/v1/watch?wait* | /v1/snapshot) # a stream has no length, and HEAD does not invent one
			same '' "$(header Content-Length)"
			continue
			;;
		esac
		same "$length" "$(header Content-Length)"
	done
}

@test "a response to HEAD has no body, and the next response follows it" {
	start_httpd
	rest PUT /v1/kv/d/k --data-binary value
	py <<'EOF'
from http_raw import *
for path in ["/", "/openapi.json", "/v1/kv/", "/v1/kv/d/", "/v1/kv/d/k", "/v1/kv/none", "/v1/status", "/healthz", "/metrics",
             "/v1/watch?wait=1ms", "/v1/watch?from=x", "/v1/snapshot", "/api/cache/d/k/", "/nowhere"]:
    with connect() as sock:
        sock.sendall(request("HEAD", path) + request("GET", "/healthz", b"", "Connection: close"))
        data = b""
        while more := sock.recv(65536):
            data += more
    head, rest = data.split(b"\r\n\r\n", 1)
    closes = b"\r\nconnection: close" in head.lower()
    assert rest == b"" if closes else rest.startswith(b"HTTP/1.1 200 "), (path, data)
EOF
}

@test "unknown paths are 404 for every method" {
	start_httpd
	local path method
	for path in /v1 /v1/ /v1/kvx /v2/kv/a /v1/status/ /v1/statusx /healthz/x /metrics/ /api/ /api/cachex/k/ \
		/api/health/x /V1/kv/a //v1/kv/a /%761/kv/a /favicon.ico; do
		for method in GET PUT DELETE POST; do
			rest $method "$path"
			same 404 "$status"
			same urn:keydir:problem:no-such-path "$(jq -r .type "$T/body")"
		done
	done
}

@test "parameters that a request does not have are refused, not ignored" {
	start_httpd
	rest PUT '/v1/kv/k?tll=60' --data-binary 1
	same 400 "$status"
	[[ $(jq -r .detail "$T/body") == *"It may have: ttl."* ]]
	rest GET '/v1/kv/k'
	same 404 "$status"
	local request
	for request in 'GET /v1/kv/k?ttl=5' 'GET /v1/kv/?prefix=a' 'DELETE /v1/kv/k?force' 'GET /v1/status?x' \
		'PUT /v1/kv/k?ttl=5&TTL=6' 'GET /v1/kv/k?=1'; do
		# shellcheck disable=SC2086 # method and path
		rest $request
		same 400 "$status"
		same urn:keydir:problem:bad-parameter "$(jq -r .type "$T/body")"
	done
	# A fragment and an empty query count as nothing; probes may have any.
	rest PUT '/v1/kv/k?' --data-binary 1
	same 201 "$status"
	rest GET '/healthz?probe=1'
	same 200 "$status"
}

@test "problem documents name the path and stay valid for any request" {
	start_httpd
	rest GET '/v1/kv/a%22b%5C/%FFc'
	same 404 "$status"
	same '/v1/kv/a%22b%5C/%FFc' "$(jq -r .instance "$T/body")"
	rest GET "/nowhere/é\"x"
	same 404 "$status"
	same '/nowhere/%c3%a9"x' "$(jq -r .instance "$T/body" | tr A-F a-f)"
	rest GET "/$(printf 'x%.0s' {1..5000})"
	same 404 "$status"
	same 5001 "$(jq -r '.instance | length' "$T/body")"
}

@test "health, readiness, status and metrics are served" {
	start_httpd
	rest GET /healthz
	same 200 "$status"
	same ok "$(body)"
	rest GET /readyz
	same 200 "$status"
	same ready "$(body)"
	rest PUT /v1/kv/d/a --data-binary 12345
	rest GET /v1/status
	same 200 "$status"
	same true "$(jq .ready "$T/body")"
	same 1 "$(jq .store.keys "$T/body")"
	same 1 "$(jq .store.directories "$T/body")"
	same 268435456 "$(jq .store.size_bytes "$T/body")"
	[ "$(jq .store.used_bytes "$T/body")" -gt 5 ]
	same local "$(jq -r .log.url "$T/body")"
	same true "$(jq .log.up "$T/body")"
	same "$(header X-Keydir-Offset)" "$(jq .offset "$T/body")"
	[ -n "$(jq -r .volume "$T/body")" ]
	[[ $(jq -r .started "$T/body") =~ ^20.*Z$ ]]

	rest GET /v1/kv/d/a
	rest GET /v1/kv/none
	rest GET /v1/kv/d/
	rest GET /metrics
	same 200 "$status"
	[[ $(header Content-Type) == text/plain* ]]
	has() { grep -qxE -- "$1" "$T/body" || { echo "no $1"; return 1; }; }
	has 'keydir_ready 1'
	has 'keydir_keys 1'
	has 'keydir_http_requests_total\{route="kv",method="PUT",status="2xx"\} 1'
	has 'keydir_http_requests_total\{route="kv",method="GET",status="2xx"\} 1'
	has 'keydir_http_requests_total\{route="kv",method="GET",status="4xx"\} 1'
	has 'keydir_http_requests_total\{route="list",method="GET",status="2xx"\} 1'
	has 'keydir_http_request_duration_seconds_count\{route="kv"\} 3'
	has 'keydir_http_request_duration_seconds_bucket\{route="kv",le="\+Inf"\} 3'
	has 'keydir_http_requests_active 1'
	# The form that Prometheus reads: HELP and TYPE once, before the samples; no sample
	# twice; every value a number.
	python3 - "$T/body" <<'EOF'
import re, sys
typed, seen, current = {}, set(), None
for line in open(sys.argv[1], encoding='utf-8'):
    line = line.rstrip('\n')
    if line.startswith('# TYPE '):
        _, _, name, kind = line.split(' ')
        assert name not in typed, name
        typed[name] = kind
        current = name
    elif line.startswith('# HELP '):
        assert len(line.split(' ', 3)) == 4, line
    else:
        m = re.fullmatch(r'([a-z_]+)(\{[^}]*\})? (\S+)', line)
        assert m, line
        float(m[3])
        assert m[1] + (m[2] or '') not in seen, line
        seen.add(m[1] + (m[2] or ''))
        base = re.sub(r'_(bucket|sum|count)$', '', m[1]) if typed.get(current) == 'histogram' else m[1]
        assert base == current, (line, current)
        assert not m[1].endswith('_total') or typed[current] == 'counter', line
assert len(seen) > 20
EOF
}

@test "options: help, version, faults, the environment" {
	run -0 "$KEYDIR_HTTPD" --help
	[[ $output == *--listen* && $output == *KEYDIR_LISTEN* && $output == *--store* ]]
	run -0 "$KEYDIR_HTTPD" --version
	[[ $output =~ ^keydir-httpd\ [0-9]+\.[0-9]+ ]]
	refused() { # TEXT OPTION...
		local text=$1
		shift
		run -2 timeout 10 "$KEYDIR_HTTPD" --store "$STORE" "$@"
		[[ $output == *"$text"* ]] || { echo "$output"; return 1; }
		[ ! -e "$STORE" ]
	}
	refused --listen --listen 8080
	refused --listen --listen 127.0.0.1:
	refused --listen --listen 127.0.0.1:x
	refused --listen --listen 127.0.0.1:65536
	refused --listen --listen :8080
	refused brackets --listen ::1:8080
	refused --insecure --listen 0.0.0.0:8080
	refused --insecure --listen '[::]:8080'
	refused --threads --threads 1000
	refused --connections --connections 0
	refused --idle-timeout --idle-timeout 1ms
	refused --log-level --log-level loud
	refused --nonsense --nonsense
	refused 'takes only options' operand
	refused --max-value --max-value 0
	refused --write-timeout --write-timeout 25d
	# A port in use is reported, and no process stays.
	start_httpd
	run -1 timeout 10 "$KEYDIR_HTTPD" --store "$T/other" --listen "127.0.0.1:$PORT"
	[[ $output == *"127.0.0.1:$PORT: Address already in use"* ]]
	# From the environment: IPv6, one thread; a port that the kernel chose is logged.
	KEYDIR_LISTEN='[::1]:0' KEYDIR_THREADS=1 start second "$KEYDIR_HTTPD" --store "$T/second"
	local second
	wait_for 10 grep -q 'serving listen=' "$T/second.log"
	second=$(sed -n 's/.*listen=\[::1\]:\([0-9]*\) .*/\1/p' "$T/second.log")
	run -0 curl -sS -g "http://[::1]:$second/healthz"
	same ok "$output"
}
