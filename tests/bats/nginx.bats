# nginx.conf in front of one node: client certificates as its comments describe, keys of
# all bytes, oversized requests.

load helper

# Start Nginx with the project's nginx.conf, changed by the sed script SCRIPT; set FRONT.
start_nginx() {
	local script=${1:-} nginx user='' n
	nginx=$(PATH=$PATH:/usr/sbin:/sbin command -v nginx) || skip_or_fail "needs nginx"
	[ "$(id -u)" != 0 ] || user='user root;'
	FRONT=$(free_port)
	mkdir -p "$T/nginx"
	sed -e "s/127\.0\.0\.1:5000/127.0.0.1:$FRONT/" -e "s/127\.0\.0\.1:800[123]/127.0.0.1:$PORT/" -e "$script" \
		"$KEYDIR_ROOT/nginx.conf" >"$T/nginx.conf"
	start nginx "$nginx" -p "$T/nginx" -c "$T/nginx.conf" -e stderr -g "daemon off; $user"
	wait_ready 10 "$PID" listens "$FRONT"
}
listens() { (exec 9<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# signed NAME SUBJECT CA: create a key and a certificate signed by CA, in $T.
signed() {
	openssl req -newkey rsa:2048 -nodes -keyout "$T/$1.key" -out "$T/$1.csr" -subj "/CN=$2" 2>/dev/null
	openssl x509 -req -in "$T/$1.csr" -CA "$T/$3.pem" -CAkey "$T/$3.key" -CAcreateserial -days 1 \
		-extfile <(echo subjectAltName=IP:127.0.0.1) -out "$T/$1.pem" 2>/dev/null
}
authority() {
	openssl req -x509 -newkey rsa:2048 -nodes -keyout "$T/$1.key" -out "$T/$1.pem" -days 1 -subj "/CN=$1" 2>/dev/null
}

@test "client certificates: only a client with a signed one gets in" {
	require openssl
	authority ours
	authority theirs
	signed server 127.0.0.1 ours
	signed client app ours
	signed stranger app theirs
	start_httpd
	# Uncomment the lines that its comments describe.
	local tls
	tls=$(free_port)
	start_nginx "s|# listen 5443 ssl http2;|listen 127.0.0.1:$tls ssl http2;|
		s|# ssl_certificate  .*|ssl_certificate $T/server.pem;|
		s|# ssl_certificate_key .*|ssl_certificate_key $T/server.key;|
		s|# ssl_protocols|ssl_protocols|
		s|# ssl_client_certificate .*|ssl_client_certificate $T/ours.pem;|
		s|# ssl_verify_client|ssl_verify_client|"
	grep -q '^[[:space:]]*ssl_verify_client' "$T/nginx.conf"
	URL=https://127.0.0.1:$tls
	rest PUT /v1/kv/k --cacert "$T/ours.pem" --cert "$T/client.pem" --key "$T/client.key" --data-binary v
	same 201 "$status"
	rest GET /v1/kv/k --cacert "$T/ours.pem" --cert "$T/client.pem" --key "$T/client.key"
	same 'v' "$(body)"
	rest GET /v1/kv/k --cacert "$T/ours.pem"
	same 400 "$status"
	rest GET /v1/kv/k --cacert "$T/ours.pem" --cert "$T/stranger.pem" --key "$T/stranger.key"
	same 400 "$status"
	not curl -sS -o /dev/null --cacert "$T/theirs.pem" "$URL/healthz"
}

@test "keys and values pass unchanged" {
	start_httpd
	start_nginx
	local direct=$URL key
	URL=http://127.0.0.1:$FRONT
	for key in a%20b %C3%BC ü a%3Fb a%23b a%25b 'a+b' 'a;b=c' %7E~ a:b '%01%FF' "$(printf '%%41%.0s' {1..200})/x"; do
		rest PUT "/v1/kv/$key" --data-binary "$key"
		same 20 "${status%?}"
		rest GET "/v1/kv/$key"
		same "$key" "$(body)"
		URL=$direct rest GET "/v1/kv/$key"
		same "$key" "$(body)"
	done
	# An encoded slash is a slash, and one that was encoded twice is not.
	rest PUT /v1/kv/deep%2Fin%2Fhere --data-binary x
	same 201 "$status"
	URL=$direct rest GET /v1/kv/deep/in/here
	same x "$(body)"
	rest PUT /v1/kv/deep%252Fin --data-binary y
	URL=$direct rest GET /v1/kv/
	same true "$(jq '[.entries[].name] | contains(["deep", "deep%2Fin"])' "$T/body")"
	for key in a//b a/../b a/./b a%2F%2Fb a%2F..%2Fb a/.. %00; do
		rest PUT "/v1/kv/$key" --data-binary x
		same 400 "$status"
		[ "$key" != %00 ] || continue # Nginx refuses it itself
		same urn:keydir:problem:bad-key "$(jq -r .type "$T/body")"
	done
	# The node's own response to an oversized request.
	head -c $((16 * 1024 * 1024 + 1)) /dev/zero >"$T/big"
	rest PUT /v1/kv/big -T "$T/big"
	same 413 "$status"
	same urn:keydir:problem:too-large "$(jq -r .type "$T/body")"
	truncate -s -1 "$T/big"
	rest PUT /v1/kv/big -T "$T/big"
	same 201 "$status"
	curl -sS "$URL/v1/kv/big" | cmp - "$T/big"
	rest GET /v1/snapshot
	same 404 "$status"
	# A request's id is passed on, and generated if it is missing.
	rest GET /v1/kv/none -H 'X-Request-Id: mine'
	same mine "$(header X-Request-Id)"
	rest GET /v1/kv/none
	[[ $(header X-Request-Id) =~ ^[0-9a-f]{32}$ ]]
}

@test "a long poll may last longer than other responses may take" {
	start_httpd
	start_nginx 's/proxy_read_timeout 40s/proxy_read_timeout 1s/'
	URL=http://127.0.0.1:$FRONT
	rest PUT '/v1/kv/a%20b+c' --data-binary v
	same 201 "$status"
	rest GET '/v1/kv/a%20b+c?wait=3s' -H "If-None-Match: $(header ETag)"
	same 304 "$status"
	rest GET '/v1/kv/none?wait=3s'
	same 404 "$status"
	# It ends when the key changes, whichever way the change was made.
	waits() { curl -sS "http://127.0.0.1:$PORT/metrics" | grep -qx 'keydir_watchers 1'; }
	(wait_for 20 waits && curl -sS -X PUT --data-binary w "$URL/v1/kv/none") 3>&- &
	rest GET '/v1/kv/none?wait=30s'
	same w "$(body)"
	wait $!
}

@test "Nginx's own errors are problem documents" {
	start_httpd
	start_nginx 's/proxy_read_timeout 40s/proxy_read_timeout 1s/; s/client_max_body_size 17m/client_max_body_size 1k/'
	URL=http://127.0.0.1:$FRONT
	told() { # STATUS PROBLEM METHOD PATH [CURL OPTION...]
		local wanted=$1 problem=$2
		shift 2
		rest "$@"
		same "$wanted" "$status"
		same application/problem+json "$(header Content-Type)"
		same "$wanted urn:keydir:problem:$problem" "$(jq -r '"\(.status) \(.type)"' "$T/body")"
		[ "$(jq '.detail | length' "$T/body")" -gt 20 ]
	}
	local long
	long=$(printf '%020000d' 0)
	told 400 bad-request GET /v1/kv/a -H "X: $long"
	told 414 target-too-long GET "/v1/kv/$long"
	head -c 2000 /dev/zero >"$T/big"
	told 413 too-large PUT /v1/kv/a --data-binary "@$T/big"
	# A response of the node passes unchanged.
	told 404 not-found GET /v1/kv/none
	stop_all "$HTTPD_PID"
	told 504 outcome-unknown PUT /v1/kv/a --data-binary x
	kill -CONT "$HTTPD_PID"
	kill_hard "$HTTPD_PID"
	told 502 no-node GET /v1/kv/a
	told 502 no-node POST '/v1/kv/a?op=incr'
	told 502 no-node GET /v1/watch
}

# Nginx tries changes on a node that makes them and loses its responses (HOW as in
# lost_answer.py), then on one that works.
start_losing() {
	LOSING=$(free_port)
	start losing python3 "$BATS_TEST_DIRNAME/lost_answer.py" "$LOSING" "$PORT" "$1"
	wait_ready 10 "$PID" listens "$LOSING"
	start_nginx "s/proxy_read_timeout 40s/proxy_read_timeout 1s/
		/upstream keydir_write/,/}/ s/127.0.0.1:$PORT max_fails=0;/127.0.0.1:$PORT backup;/
		/upstream keydir_write/,/}/ s/zone keydir_write.*/&\\n\\t\\tserver 127.0.0.1:$LOSING max_fails=0;/"
	URL=http://127.0.0.1:$FRONT
}

# A repetition must return the response of the first attempt.
repeats_are_the_same_change() {
	start_losing "$1"
	rest PUT /v1/kv/d/new --data-binary v1 -H 'If-None-Match: *'
	same 201 "$status"
	local tag
	tag=$(header ETag)
	rest GET /v1/kv/d/new
	same "v1 $tag" "$(body) $(header ETag)"
	# A newer value that was acknowledged to a client stays.
	rest PUT /v1/kv/d/new --data-binary v2 -H 'X-Then: v3'
	same 200 "$status"
	[ "$(header ETag)" != "$tag" ]
	rest GET /v1/kv/d/new
	same v3 "$(body)"
	# The first attempt decided the preconditions, including those that it did not meet.
	tag=$(header ETag)
	rest PUT /v1/kv/d/new --data-binary v4 -H "If-Match: \"1\", $tag"
	same 200 "$status"
	rest PUT /v1/kv/d/new --data-binary v5 -H "If-Match: $tag"
	same 412 "$status"
	rest PUT /v1/kv/d/new --data-binary v5 -H 'If-None-Match: *'
	same 412 "$status"
	rest DELETE /v1/kv/d/new
	same 204 "$status"
	rest DELETE /v1/kv/d/new
	same 404 "$status"
	rest PUT /v1/kv/d/other --data-binary 1
	same 201 "$status"
	rest DELETE '/v1/kv/d?recurse'
	same 204 "$status"
	rest GET /v1/kv/d/
	same 404 "$status"
}

@test "a change whose node dies before it answers is made once, and answered" {
	start_httpd
	repeats_are_the_same_change dies
	# The keys cannot be guessed, and a client's own key has precedence.
	not grep -vE '^nginx-[0-9a-f]{32}$' "$T/losing.log"
	same 9 "$(sort -u "$T/losing.log" | wc -l)"
	rest PUT /v1/kv/k --data-binary 1 -H 'Idempotency-Key: mine' -H 'X-Request-Id: r'
	same 201 "$status"
	rest PUT /v1/kv/k --data-binary 2 -H 'X-Request-Id: r'
	same 200 "$status"
	same mine "$(tail -n 2 "$T/losing.log" | head -n 1)"
	[[ $(tail -n 1 "$T/losing.log") == nginx-* ]]
	# A POST is sent once.
	rest POST '/v1/kv/n?op=incr'
	same 502 "$status"
	same none "$(tail -n 1 "$T/losing.log")"
	rest GET /v1/kv/n
	same 1 "$(body)"
}

@test "a change whose node hangs before it answers is made once, and answered" {
	start_httpd
	repeats_are_the_same_change hangs
}

@test "Nginx refuses a foreign host name and a malformed header" {
	start_httpd
	start_nginx
	URL=http://127.0.0.1:$FRONT
	rest PUT /v1/kv/a --data-binary 1
	local host
	for host in localhost node7:80 "localhost:$FRONT" app.localhost 10.1.2.3:80 '[::1]:5000'; do
		rest GET /v1/kv/a -H "Host: $host"
		same "200 1" "$status $(body)"
	done
	for host in attacker.example attacker.example:5000 10.1.2.3.attacker.example localhost.attacker; do
		rest GET /v1/kv/a -H "Host: $host"
		same "421 urn:keydir:problem:unknown-host nosniff" \
			"$status $(jq -r .type "$T/body") $(header X-Content-Type-Options)"
		rest PUT /v1/kv/a -H "Host: $host" --data-binary 2
		same 421 "$status"
	done
	rest POST '/v1/kv/a?op=append' -H 'Origin: http://attacker.example' --data-binary 2
	same 403 "$status"
	rest POST '/v1/kv/a?op=append' -H "Origin: $URL" --data-binary 2
	same 200 "$status"
	PORT=$FRONT py <<'EOF'
from http_raw import *
hidden = request("PUT", "/v1/kv/hidden", b"x")
length = b"%d" % len(hidden)
for header in (b"Transfer-Encoding : chunked", b"Transfer-Encoding:\r\n chunked", b"Content-Length : " + length,
               b"Content-Length:\r\n " + length, b"Content-Length: 0\r\nTransfer-Encoding: chunked",
               b"Content-Length: 0\r\nContent-Length: " + length, b"Transfer-Encoding: gzip, chunked",
               b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"):
    with connect() as s:
        s.sendall(b"POST /v1/kv/b?op=append HTTP/1.1\r\nHost: localhost\r\n%s\r\n\r\n" % header + hidden)
        r = Reader(s)
        assert r.answer()[0] in (400, 501), header
        assert r.closed(), header
assert ask("GET", "/v1/kv/hidden")[0] == 404
assert ask("GET", "/v1/kv/b")[0] == 404
EOF
}

@test "an HTTP cache serves an old value only if the writer allowed it" {
	start_httpd
	start_nginx "/^http {/a proxy_cache_path $T/cache keys_zone=c:1m; proxy_cache c; proxy_cache_revalidate on;"
	URL=http://127.0.0.1:$FRONT
	local i
	for i in 1 2 3; do
		rest PUT /v1/kv/plain -d "$i"
		rest GET /v1/kv/plain
		same "200 $i" "$status $(body)"
	done
	rest PUT /v1/kv/cached -d old -H 'Cache-Control: max-age=600'
	rest GET /v1/kv/cached
	same "200 old" "$status $(body)"
	rest PUT /v1/kv/cached -d new -H 'Cache-Control: max-age=600'
	rest GET /v1/kv/cached
	same "200 old" "$status $(body)"
	# Not to a reader that states how new the value must be.
	local offset
	for i in newer newest; do
		rest PUT /v1/kv/cached -d "$i" -H 'Cache-Control: max-age=600'
		offset=$(header X-Keydir-Offset)
		rest GET '/v1/kv/cached?consistent'
		same "200 $i" "$status $(body)"
		rest GET '/v1/kv/cached?wait=1ms'
		same "200 $i" "$status $(body)"
		rest GET /v1/kv/cached -H "X-Keydir-Offset: $offset"
		same "200 $i" "$status $(body)"
		rest GET /v1/kv/cached
		same "200 old" "$status $(body)"
	done
}
