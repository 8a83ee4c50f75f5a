# Tokens, TLS, foreign pages, and clients that use more than their share.

load helper

PY_LIMIT_S=180

# Create a token and print it; grant NAME adds it to the file, with rights given as RIGHT
# PREFIX pairs.
grant() { # NAME TOKEN RIGHT PREFIX [RIGHT PREFIX...]
	local name=$1 hash
	hash=$(printf '%s\n' "$2" | "$KEYDIR_HTTPD" --hash-token)
	shift 2
	while [ $# -gt 0 ]; do
		echo "$name $hash $1 $2" >>"$T/tokens"
		shift 2
	done
}
new_token() { head -c 24 /dev/urandom | base64; }

# as TOKEN METHOD PATH [CURL OPTION...]
as() {
	local token=$1
	shift
	rest "$@" -H "Authorization: Bearer $token"
}

# The tokens that most tests use.
cast() {
	local name
	for name in ADMIN ALL WRITER READER MONITOR NOBODY; do printf -v $name %s "$(new_token)"; done
	echo '# who may do what' >"$T/tokens"
	grant admin "$ADMIN" admin /
	grant all "$ALL" read /
	grant writer "$WRITER" write /app/ read shared
	grant reader "$READER" read app/one read 'with%20blank'
	grant monitor "$MONITOR" monitor /
}

@test "without tokens only loopback is listened on, unless an option says otherwise" {
	local address
	for address in 0.0.0.0:0 '[::]:0'; do
		fails_with "--tokens" "$KEYDIR_HTTPD" --store "$STORE" --listen "$address"
	done
	cast
	PORT=$(free_port)
	start_httpd --listen "0.0.0.0:$PORT" --tokens "$T/tokens"
	rest GET /v1/kv/a
	same 401 "$status"
	grep -q 'tokens cross the network unencrypted' "$T"/httpd1.log
	stop "$HTTPD_PID"
	PORT=$(free_port)
	start_httpd --listen "0.0.0.0:$PORT" --insecure
	rest GET /v1/kv/a
	same 404 "$status"
}

@test "--hash-token prints the SHA-256 of a possible token" {
	local token
	token=$(new_token)
	same "sha256:$(printf %s "$token" | sha256sum | cut -d' ' -f1)" "$("$KEYDIR_HTTPD" --hash-token <<<"$token")"
	same "sha256:$(printf %s "$token" | sha256sum | cut -d' ' -f1)" "$(printf %s "$token" | "$KEYDIR_HTTPD" --hash-token)"
	for token in '' short fifteen-letters 'sixteen letters!!' $'line-of-sixteen+\nline-of-sixteen+' "$(printf 'x%.0s' {1..513})"; do
		fails_with "should be random" "$KEYDIR_HTTPD" --hash-token <<<"$token"
	done
	"$KEYDIR_HTTPD" --hash-token <<<"$(printf 'x%.0s' {1..512})"
}

@test "a faulty file of tokens is refused, with the line of the fault" {
	local hash line other
	hash=$(new_token | "$KEYDIR_HTTPD" --hash-token)
	other=$(new_token | "$KEYDIR_HTTPD" --hash-token)
	fails_with "No such file" "$KEYDIR_HTTPD" --store "$STORE" --tokens "$T/none"
	while read -r line; do
		printf '# one\n\ngood %s read /\n%b\n' "$hash" "$line" >"$T/tokens"
		fails_with "$T/tokens:4: " "$KEYDIR_HTTPD" --store "$STORE" --listen 127.0.0.1:0 --tokens "$T/tokens"
	done <<END
name
name $other
name $other read
name $other read / more
name $other read with blank
name $other own /
name $other Read /
name ${other%?} read /
name ${other}0 read /
name md5:$(printf '0%.0s' {1..64}) read /
name $(printf 'g%.0s' {1..64}) read /
good $other read /
other $hash read /
name $other read a//b
name $other read ../b
name $other read a%2F..%2Fb
name $other read a%00b
name $other read a%zz
name $other monitor a
$(printf 'n%.0s' {1..65}) $other read /
n\\x01 $other read /
name $other read /\\0
END
	# Accepted: upper-case digits, no "sha256:", blanks, DOS line ends.
	printf ' \t good  %s\tread   /a/ \r\n#\n  # x\n' "$(tr a-f A-F <<<"${hash#sha256:}")" >"$T/tokens"
	start_httpd --tokens "$T/tokens"
}

@test "an empty file of tokens grants no access" {
	: >"$T/tokens"
	start_httpd --tokens "$T/tokens"
	rest GET /v1/kv/a
	same 401 "$status"
	rest GET /healthz
	same 200 "$status"
}

@test "each route and method requires its right" {
	cast
	start_httpd --tokens "$T/tokens"
	as "$ADMIN" PUT /v1/kv/app/one --data-binary 1
	as "$ADMIN" PUT /v1/kv/other --data-binary 1
	# Columns: no token, an unknown one, monitor, read on app/one, write on app, read on
	# all, admin. "+" is any status except 401 and 403.
	local row want got i who method path
	local tokens=("" "$NOBODY" "$MONITOR" "$READER" "$WRITER" "$ALL" "$ADMIN")
	while read -r method path want; do
		got=''
		for i in "${!tokens[@]}"; do
			if [ -n "${tokens[i]}" ]; then as "${tokens[i]}" "$method" "$path"; else rest "$method" "$path"; fi
			case $status in
			401)
				[[ $(header WWW-Authenticate) == 'Bearer realm="keydir"'* ]]
				[[ $i = 0 || $(header WWW-Authenticate) == *'error="invalid_token"' ]]
				got+=" 401" ;;
			403)
				[[ $(header WWW-Authenticate) == *'error="insufficient_scope"' ]]
				got+=" 403" ;;
			[2-4]??) got+=" +" ;;
			*) echo "$method $path: $status" && false ;;
			esac
			if [ "$status" = 401 ] || [ "$status" = 403 ]; then
				same application/problem+json "$(header Content-Type)"
				[ "$method" = HEAD ] || same "$status" "$(jq .status "$T/body")"
			fi
		done
		same "$method $path $want" "$method $path$got"
	done <<'END'
GET /healthz + + + + + + +
HEAD /readyz + + + + + + +
GET /api/health/ + + + + + + +
OPTIONS /v1/kv/app/one + + + + + + +
GET /nowhere + + + + + + +
PATCH /v1/kv/other + + + + + + +
GET /v1/status 401 401 + 403 403 + +
HEAD /metrics 401 401 + 403 403 + +
GET /v1/snapshot 401 401 403 403 403 403 +
HEAD /v1/snapshot 401 401 403 403 403 403 +
GET /v1/kv/app/one 401 401 403 + + + +
HEAD /v1/kv/app/one 401 401 403 + + + +
GET /v1/kv/app/one/below 401 401 403 + + + +
GET /v1/kv/app/onemore 401 401 403 403 + + +
GET /v1/kv/app/on 401 401 403 403 + + +
GET /v1/kv/app/ 401 401 403 403 + + +
GET /v1/kv/app/?recurse 401 401 403 403 + + +
GET /v1/kv/app 401 401 403 403 + + +
GET /v1/kv/apple 401 401 403 403 403 + +
GET /v1/kv/ap%70/%6Fne 401 401 403 + + + +
GET /v1/kv/with%20blank 401 401 403 + 403 + +
GET /v1/kv/other 401 401 403 403 403 + +
GET /v1/kv/missing 401 401 403 403 403 + +
GET /v1/kv/ 401 401 403 403 403 + +
GET /v1/kv/?recurse 401 401 403 403 403 + +
GET /v1/kv/shared/x 401 401 403 403 + + +
PUT /v1/kv/shared/x 401 401 403 403 403 403 +
PUT /v1/kv/app/two 401 401 403 403 + 403 +
PUT /v1/kv/app/one/ 401 401 403 403 + 403 +
DELETE /v1/kv/app/two 401 401 403 403 + 403 +
DELETE /v1/kv/other 401 401 403 403 403 403 +
DELETE /v1/kv/ + + + + + + +
GET /openapi.json + + + + + + +
DELETE /v1/kv/?recurse + + + + + + +
POST /v1/kv/app/n?op=incr 401 401 403 403 + 403 +
POST /v1/kv/other?op=incr 401 401 403 403 403 403 +
POST /v1/kv/app/n?op=rename&to=app/m 401 401 403 403 + 403 +
POST /v1/kv/app/n?op=rename&to=shared/m 401 401 403 403 403 403 +
POST /v1/kv/app/n?op=rename&to=m 401 401 403 403 403 403 +
POST /v1/kv/app/n?op=rename&to=%61pp/m 401 401 403 403 + 403 +
POST /v1/kv/other?op=rename&to=app/m 401 401 403 403 403 403 +
GET /api/cache/app/one/ 401 401 403 + + + +
GET /api/cache/other/ 401 401 403 403 403 + +
POST /api/cache/app/x/ 401 401 403 403 + 403 +
POST /api/cache/other/ 401 401 403 403 403 403 +
DELETE /api/cache/app/x/ 401 401 403 403 + 403 +
DELETE /api/cache/other/ 401 401 403 403 403 403 +
END
}

@test "an encoded slash cannot escape a prefix" {
	cast
	start_httpd --tokens "$T/tokens"
	as "$ADMIN" PUT /v1/kv/app/one/k --data-binary 1
	as "$ADMIN" PUT /v1/kv/app/two/k --data-binary 2
	as "$ADMIN" PUT /v1/kv/app%252Fone --data-binary 3
	local path
	for path in app%2Fone%2Fk app%2fone/k app/one%2Fk; do
		as "$READER" GET "/v1/kv/$path"
		same "200 1" "$status $(body)"
	done
	for path in app%2Ftwo%2Fk app/two%2Fk app%252Fone app%2Fone2 app%2F; do
		as "$READER" GET "/v1/kv/$path"
		same 403 "$status"
		as "$READER" PUT "/v1/kv/$path" --data-binary x
		same 403 "$status"
	done
	for path in app%2Fone%2F..%2Ftwo%2Fk app/one%2F../two/k app%2Fone%2F%2e%2E%2Ftwo%2Fk; do
		as "$READER" GET "/v1/kv/$path"
		same 400 "$status"
	done
}

@test "a refusal does not reveal whether a key exists, and changes nothing" {
	cast
	start_httpd --tokens "$T/tokens"
	as "$ADMIN" PUT /v1/kv/secret/there --data-binary 1
	local path first
	for path in /v1/kv/secret/there /v1/kv/secret/gone; do
		as "$WRITER" GET "$path"
		same 403 "$status"
		body | jq -c 'del(.instance)' >"$T/${path##*/}"
		header Content-Length >>"$T/${path##*/}.n"
	done
	cmp "$T/there" "$T/gone"
	as "$WRITER" DELETE /v1/kv/secret/there
	same 403 "$status"
	as "$WRITER" POST '/v1/kv/app/x?op=append' --data-binary 1
	same 200 "$status"
	as "$WRITER" POST '/v1/kv/app/x?op=rename&to=secret/there'
	same 403 "$status"
	as "$ADMIN" GET /v1/kv/secret/there
	same 1 "$(body)"
	# A refused body is not waited for.
	head -c 8000000 /dev/zero >"$T/big"
	as "$READER" PUT /v1/kv/app/big -T "$T/big"
	same 403 "$status"
	# Other schemes and malformed headers do not carry a token.
	local auth
	for auth in "Basic $(printf 'x:%s' "$ADMIN" | base64)" "Bearer" "Bearer " "$ADMIN" "bearer$ADMIN" "Bearer ${ADMIN%?}" \
		"Bearer $ADMIN " "Bearer ${ADMIN}x" "Bearer $(printf 'x%.0s' {1..5000})"; do
		rest GET /v1/kv/secret/there -H "Authorization: $auth"
		if [ "$auth" = "Bearer $ADMIN " ]; then # blanks around a value are not part of it
			same 200 "$status"
		else
			same 401 "$status"
		fi
	done
	rest GET /v1/kv/secret/there -H "Authorization: bEaReR   $ADMIN"
	same 200 "$status"
}

@test "each refusal is one line in the log, which a client cannot forge and which has no token" {
	cast
	start_httpd --tokens "$T/tokens"
	local before after
	before=$(grep -c ' denied ' "$T"/httpd1.log || true)
	rest GET /v1/kv/secret -H 'X-Forwarded-For: 10.1.2.3, 10.9.9.9'
	as "$NOBODY" PUT /v1/kv/secret --data-binary 1
	as "$READER" GET /v1/kv/with%20token=admin%0Adenied%20x -H $'X-Forwarded-For: x token=admin status=200'
	as "$READER" POST '/v1/kv/app/one?op=incr'
	after=$(grep -c ' denied ' "$T"/httpd1.log)
	same 4 $((after - before))
	local line
	line=$(grep ' denied ' "$T"/httpd1.log | sed -n 1p)
	[[ $line == *' status=401 reason=unauthenticated token=- address=127.0.0.1 forwarded=10.1.2.3,10.9.9.9 method=GET needs=read key=/secret path=/v1/kv/secret'* ]]
	line=$(grep ' denied ' "$T"/httpd1.log | sed -n 3p)
	[[ $line == *' status=403 reason=forbidden token=reader address=127.0.0.1 forwarded=xtoken?adminstatus?200 '* ]]
	[[ $line == *' key=/with%20token%3Dadmin%0Adenied%20x path=/v1/kv/with%20token=admin%0Adenied%20x id='* ]]
	local token
	for token in "$ADMIN" "$READER" "$NOBODY"; do
		not grep -qF -- "$token" "$T"/httpd1.log
	done
	as "$MONITOR" GET /metrics
	grep -qx 'keydir_http_denied_total{reason="unauthenticated"} 2' "$T/body"
	grep -qx 'keydir_http_denied_total{reason="forbidden"} 2' "$T/body"
}

@test "SIGHUP reads the tokens again; a broken file changes nothing and is an error in the log" {
	cast
	start_httpd --tokens "$T/tokens"
	as "$NOBODY" GET /v1/kv/a
	same 401 "$status"
	cp "$T/tokens" "$T/first"
	grant nobody "$NOBODY" read /
	kill -HUP "$HTTPD_PID"
	answers() { as "$1" GET /v1/kv/a && [ "$status" = "$2" ]; }
	wait_for 20 answers "$NOBODY" 404
	echo 'garbage' >>"$T/tokens"
	kill -HUP "$HTTPD_PID"
	allow_log 'tokens not read, the old ones stay: .*/tokens:[0-9]+: '
	wait_for 20 grep -q 'tokens not read' "$T"/httpd1.log
	answers "$NOBODY" 404
	answers "$ADMIN" 404
	cp "$T/first" "$T/tokens"
	kill -HUP "$HTTPD_PID"
	wait_for 20 answers "$NOBODY" 401
	answers "$ADMIN" 404
	rm "$T/tokens"
	kill -HUP "$HTTPD_PID"
	wait_for 20 grep -q 'No such file' "$T"/httpd1.log
	allow_log 'tokens not read, the old ones stay: .*No such file'
	answers "$ADMIN" 404
	# Reading again and again under load loses no request.
	cp "$T/first" "$T/tokens"
	(for _ in {1..200}; do kill -HUP "$HTTPD_PID" && sleep 0.005; done) 3>&- &
	local reloads=$!
	curl -sS --fail-early -o /dev/null -w '%{http_code}\n' -H "Authorization: Bearer $ALL" "$URL/v1/kv/?limit=1#[1-2000]" |
		sort | uniq -c >"$T/codes"
	wait $reloads
	same "2000 200" "$(xargs <"$T/codes")"
}

@test "a mount of the node needs no key and no token" {
	cast
	start_fs
	start_httpd --tokens "$T/tokens"
	echo hello >"$MNT/greeting"
	rest GET /v1/kv/greeting
	same 401 "$status"
	as "$ALL" GET /v1/kv/greeting
	same hello "$(body)"
}

certificate() { # NAME: $T/NAME.pem and $T/NAME.key
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=$1" \
		-addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout "$T/$1.key" -out "$T/$1.pem" 2>/dev/null
}

# Like start_httpd, which checks readiness over plain HTTP.
start_tls() {
	PORT=$(free_port)
	URL=https://127.0.0.1:$PORT
	start httpdtls "$KEYDIR_HTTPD" --store "$STORE" --listen "127.0.0.1:$PORT" "$@"
	HTTPD_PID=$PID
	wait_ready 15 "$HTTPD_PID" curl -skf -o /dev/null "$URL/readyz"
}

@test "TLS: HTTPS with our certificate, nothing older than 1.2, no plain HTTP" {
	require openssl
	certificate one
	start_tls --tls-cert "$T/one.pem" --tls-key "$T/one.key"
	head -c 3000000 /dev/urandom >"$T/big"
	rest PUT /v1/kv/big --cacert "$T/one.pem" -T "$T/big"
	same 201 "$status"
	rest GET /v1/kv/big --cacert "$T/one.pem"
	cmp "$T/big" "$T/body"
	fails_with "SSL certificate problem" curl -sS "$URL/healthz"
	rest GET /healthz --cacert "$T/one.pem" --tlsv1.2 --tls-max 1.2
	same 200 "$status"
	rest GET /healthz --cacert "$T/one.pem" --tlsv1.3
	same 200 "$status"
	offer() { openssl s_client -connect "127.0.0.1:$PORT" "$1" -cipher "${2:-ALL}:@SECLEVEL=0" </dev/null 2>&1; }
	[[ $(offer -tls1_2) == *"Cipher is ECDHE"* ]]
	[[ $(offer -tls1_1) == *"Cipher is (NONE)"* ]]
	[[ $(offer -tls1) == *"Cipher is (NONE)"* ]]
	[[ $(offer -tls1_2 ECDHE-ECDSA-AES256-SHA:ECDHE-ECDSA-AES128-SHA) == *"Cipher is (NONE)"* ]]
	not curl -sS --max-time 5 "http://127.0.0.1:$PORT/healthz"
	# A request past libmicrohttpd's own limits is answered through TLS, too.
	rest GET /healthz --cacert "$T/one.pem" -H "X: $(printf '%040000d' 0)"
	same 431 "$status"
	[[ $(body) == *'"status":431'* ]] || [[ $(header Content-Type) == text/html ]]
	# Many writes that wait for their outcome, through TLS.
	seq 200 | xargs -P 8 -I{} curl -sS --cacert "$T/one.pem" -o /dev/null --fail -X POST "$URL/v1/kv/n?op=incr"
	rest GET /v1/kv/n --cacert "$T/one.pem"
	same 200 "$(body)"
}

@test "TLS: an RSA key allows neither key exchange without forward secrecy nor CBC" {
	require openssl
	openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=rsa -keyout "$T/rsa.key" -out "$T/rsa.pem" 2>/dev/null
	start_tls --tls-cert "$T/rsa.pem" --tls-key "$T/rsa.key"
	offer() { openssl s_client -connect "127.0.0.1:$PORT" -tls1_2 -cipher "$1:@SECLEVEL=0" </dev/null 2>&1; }
	[[ $(offer ECDHE-RSA-AES256-GCM-SHA384) == *"Cipher is ECDHE-RSA-AES256-GCM-SHA384"* ]]
	local ciphers
	for ciphers in kRSA ECDHE-RSA-AES256-SHA ECDHE-RSA-AES128-SHA256 DHE-RSA-AES256-SHA256 CAMELLIA; do
		[[ $(offer $ciphers) == *"Cipher is (NONE)"* ]]
	done
}

@test "TLS: a renewed certificate is loaded while requests continue, and a wrong one is refused" {
	require openssl
	certificate one
	certificate two
	cp "$T/one.pem" "$T/now.pem"
	cp "$T/one.key" "$T/now.key"
	start_tls --tls-cert "$T/now.pem" --tls-key "$T/now.key"
	shown() { openssl s_client -connect "127.0.0.1:$PORT" </dev/null 2>/dev/null | openssl x509 -noout -subject | tr -d ' '; }
	same "subject=CN=one" "$(shown)"
	# A key of another certificate.
	cp "$T/two.key" "$T/now.key"
	kill -HUP "$HTTPD_PID"
	allow_log 'certificate not read, the old one stays'
	wait_for 20 grep -q 'certificate not read' "$T"/httpdtls.log
	same "subject=CN=one" "$(shown)"
	cp "$T/two.pem" "$T/now.pem"
	kill -HUP "$HTTPD_PID"
	is_two() { [ "$(shown)" = "subject=CN=two" ]; }
	wait_for 20 is_two
	rest GET /healthz --cacert "$T/two.pem"
	same 200 "$status"
	(for _ in {1..50}; do kill -HUP "$HTTPD_PID" && sleep 0.01; done) 3>&- &
	local reloads=$!
	seq 100 | xargs -P 4 -I{} curl -sS --cacert "$T/two.pem" -o /dev/null --fail "$URL/healthz"
	wait $reloads
}

@test "TLS: faulty options and files are refused" {
	require openssl
	certificate one
	certificate two
	local run=("$KEYDIR_HTTPD" --store "$STORE" --listen 127.0.0.1:0)
	fails_with "must be set together" "${run[@]}" --tls-cert "$T/one.pem"
	fails_with "must be set together" "${run[@]}" --tls-key "$T/one.key"
	fails_with "--tls-cert $T/none" "${run[@]}" --tls-cert "$T/none" --tls-key "$T/one.key"
	fails_with "--tls-key $T/none" "${run[@]}" --tls-cert "$T/one.pem" --tls-key "$T/none"
	fails_with "--tls-cert $T/one.key" "${run[@]}" --tls-cert "$T/one.key" --tls-key "$T/one.key"
	fails_with "--tls-key $T/one.pem" "${run[@]}" --tls-cert "$T/one.pem" --tls-key "$T/one.pem"
	fails_with "match" "${run[@]}" --tls-cert "$T/one.pem" --tls-key "$T/two.key"
}

@test "CORS is off unless enabled, and then for the named origins only" {
	start_httpd
	rest PUT /v1/kv/a --data-binary 1
	rest GET /v1/kv/a -H 'Origin: https://app.example'
	same "" "$(grep -i '^access-control' "$T/headers" || true)"
	rest OPTIONS /v1/kv/a -H 'Origin: https://app.example' -H 'Access-Control-Request-Method: PUT'
	same "" "$(grep -i '^access-control' "$T/headers" || true)"
	stop "$HTTPD_PID"
	local bad
	for bad in '' https:// app.example 'https://app.example/' 'https://app.example,' 'https://a b' '*,https://a' 'https://*.example'; do
		[ -n "$bad" ] || continue
		fails_with "--cors-origin" "$KEYDIR_HTTPD" --store "$STORE" --cors-origin "$bad"
	done
	start_httpd --cors-origin https://app.example,http://localhost:3000
	local origin
	for origin in https://app.example http://localhost:3000; do
		rest GET /v1/kv/a -H "Origin: $origin"
		same "$origin" "$(header Access-Control-Allow-Origin)"
		same Origin "$(header Vary)"
		[[ $(header Access-Control-Expose-Headers) == *X-Keydir-Offset* ]]
		rest OPTIONS /v1/kv/a -H "Origin: $origin" -H 'Access-Control-Request-Method: PUT'
		same 204 "$status"
		same "GET, HEAD, PUT, DELETE, POST" "$(header Access-Control-Allow-Methods)"
		[[ $(header Access-Control-Allow-Headers) == *Authorization*If-Match* ]]
		rest GET /v1/kv/none -H "Origin: $origin"
		same 404 "$status"
		same "$origin" "$(header Access-Control-Allow-Origin)"
	done
	for origin in https://evil.example https://app.example.evil http://app.example https://app.example:444 null; do
		rest GET /v1/kv/a -H "Origin: $origin"
		same 200 "$status"
		same "" "$(grep -i '^access-control' "$T/headers" || true)"
		same Origin "$(header Vary)"
	done
	stop "$HTTPD_PID"
	start_httpd --cors-origin '*'
	rest GET /v1/kv/a -H 'Origin: https://any.example'
	same '*' "$(header Access-Control-Allow-Origin)"
	same "" "$(header Access-Control-Allow-Credentials)"
}

@test "a change that a browser sends for a foreign page is refused" {
	start_httpd --cors-origin https://app.example
	local site
	for site in cross-site same-site; do
		rest POST '/v1/kv/n?op=incr' -H "Sec-Fetch-Site: $site" -H 'Origin: https://evil.example'
		same 403 "$status"
		rest POST /api/cache/n/ -H "Sec-Fetch-Site: $site" --data-binary 1
		same 403 "$status"
		rest GET /v1/kv/n -H "Sec-Fetch-Site: $site"
		same 404 "$status"
		rest POST '/v1/kv/ok?op=incr' -H "Sec-Fetch-Site: $site" -H 'Origin: https://app.example'
		same 200 "$status"
	done
	for site in same-origin none; do
		rest POST '/v1/kv/n?op=incr' -H "Sec-Fetch-Site: $site"
		same 200 "$status"
	done
	grep -q ' denied status=403 reason=cross_site ' "$T"/httpd1.log
}

@test "slow clients are cut off: headers, bodies and responses a byte at a time" {
	start_httpd --request-timeout 2s --idle-timeout 60s
	py <<'EOF'
from http_raw import *
import threading
big = b"x" * (4 << 20)
assert ask("PUT", "/v1/kv/big", big)[0] == 201

def closed_after(s, feed):
    """Seconds until the server closes, while feed() sends now and then."""
    begin = time.monotonic()
    s.settimeout(0.2)
    while time.monotonic() - begin < 30 * PATIENCE:
        try:
            feed(s)
            if not s.recv(1):
                return time.monotonic() - begin
        except (ConnectionResetError, BrokenPipeError):
            return time.monotonic() - begin
        except TimeoutError:
            pass
    return None

def byte(text):
    it = iter(text)
    return lambda s: s.sendall(bytes([next(it)]))

put = b"PUT /v1/kv/a HTTP/1.1\r\nHost: localhost\r\n"
cases = {  # the part sent at once, and the part sent byte by byte
    "silence": (b"", b""),
    "request line": (b"", b"GET /v1/kv/" + b"a" * 1000),
    "headers": (b"GET / HTTP/1.1\r\nHost: ", b"a" * 1000),
    "body": (put + b"Content-Length: 1000\r\n\r\n", b"b" * 999),
    "chunks": (put + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nb\r\n" * 200),
}
took = {}
def run(name, head, rest):
    s = connect()
    s.sendall(head)
    took[name] = closed_after(s, byte(rest) if rest else lambda s: None)
over = threading.Event()
def reader():  # reads 1 KiB a second of 4 MiB
    s = connect()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.sendall(request("GET", "/v1/kv/big"))
    while not over.wait(0.1) and s.recv(100):
        pass
def closed_slow():
    return int(ask("GET", "/metrics")[2].decode().split('closed_total{reason="slow"} ')[1].split("\n")[0])
ts = [threading.Thread(target=run, args=(name, *c)) for name, c in cases.items()]
lazy = threading.Thread(target=reader)
for t in ts + [lazy]:
    t.start()
# In the meantime others are served, ...
for i in range(100):
    assert ask("GET", "/healthz")[0] == 200
    time.sleep(0.01)
# ... including a slow one that makes progress: 1.5 MiB in four seconds.
with connect() as s:
    body = b"y" * (3 << 19)
    s.sendall(request("PUT", "/v1/kv/steady", body)[:-len(body)])
    for at in range(0, len(body), len(body) // 40 + 1):
        s.sendall(body[at:at + len(body) // 40 + 1])
        time.sleep(0.1)
    assert Reader(s).answer()[0] == 201
# ... and a request that waits for an offset may wait its full time.
begin = time.monotonic()
assert ask("GET", "/v1/kv/big", b"", "X-Keydir-Offset: 1000000")[0] == 412
assert time.monotonic() - begin > 4
for t in ts:
    t.join()
print(took)
for name, seconds in took.items():
    assert seconds is not None and 1 < seconds < 12 * PATIENCE, (name, seconds)
wait_for(lambda: closed_slow() >= 6)
over.set()
lazy.join()
assert closed_slow() == 6
EOF
}

@test "oversized requests are refused, and leave nothing allocated" {
	start_httpd
	py <<'EOF'
from http_raw import *
host = b" HTTP/1.1\r\nHost: localhost\r\n"
texts = {  # the expected response: a status, or only the end of the connection
    b"GET /healthz" + host + b"X: y\r\n" * 1000 + b"\r\n": {431},
    b"GET /healthz" + host + b"X: " + b"y" * 40000 + b"\r\n\r\n": {431},
    b"GET /" + b"a" * 40000 + host + b"\r\n": {414},
    b"GET /healthz" + host + b"Cookie: " + b"a=b; " * 1000 + b"\r\n\r\n": {431},
    b"GET /healthz?" + b"a=b&" * 1000 + host + b"\r\n": {400},
    b"GET /v1/kv/a?" + b"%41&" * 5000 + host + b"\r\n": {414},
    b"PUT /v1/kv/a" + host + b"Content-Length: x\r\n\r\n": {400},
    b"PUT /v1/kv/a" + host + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n": {400},
}
for text, wanted in texts.items():
    for _ in range(5):
        with connect(5) as s:
            try:
                s.sendall(text)
                got = Reader(s).answer()[0]
            except (EOFError, ConnectionResetError, BrokenPipeError):
                got = None
            assert got in wanted, (text[:60], got)
wait_for(lambda: active() == 0, 5)
EOF
}

@test "a keep-alive connection may pause between requests longer than a request may take" {
	start_httpd --request-timeout 1s --idle-timeout 30s
	py <<'EOF'
from http_raw import *
with connect() as s:
    r = Reader(s)
    for _ in range(3):
        s.sendall(request("GET", "/healthz"))
        assert r.answer()[0] == 200
        time.sleep(3)
EOF
}

@test "10,000 connections of one client leave others served" {
	[ "$(ulimit -Hn)" = unlimited ] || [ "$(ulimit -Hn)" -ge 12000 ] || ulimit -n 12000 ||
		skip_or_fail "needs 12,000 open files (ulimit -Hn is $(ulimit -Hn))"
	ulimit -n "$(ulimit -Hn)"
	start_httpd --connections 10000 --threads 2
	if grep -q 'allows fewer connections' "$T"/httpd1.log; then
		skip_or_fail "needs 10,256 open files for the server"
	fi
	py <<'EOF'
from http_raw import *
assert ask("PUT", "/v1/kv/a", b"1")[0] == 201
used = connect()  # another client's connection, kept alive and used now and then
r = Reader(used)
def others():
    used.sendall(request("GET", "/v1/kv/a"))
    assert r.answer()[2] == b"1"
    begin = time.monotonic()
    assert ask("GET", "/v1/kv/a")[2] == b"1"
    assert ask("PUT", "/v1/kv/b", b"2")[0] in (200, 201)
    return time.monotonic() - begin
held = []
worst = 0
def one(i):
    s = socket.create_connection(("127.0.0.1", PORT), timeout=20 * PATIENCE)
    if i % 3 == 1:
        s.sendall(b"GET /v1/kv/a HTTP/1.1\r\nHo")
    if i % 3 == 2:
        s.sendall(b"G")
    return s
# As many as allowed, and a third more, so that the server must close some.
for i in range(13000):
    held.append(one(i))
    if len(held) > 10500:  # the test's own table of files is limited
        for s in held[:1000]:
            s.close()
        del held[:1000]
    if i % 250 == 0:
        worst = max(worst, others())
text = ask("GET", "/metrics")[2].decode()
n = int(text.split("\nkeydir_http_connections ")[1].split("\n")[0])
room = int(text.split('closed_total{reason="room"} ')[1].split("\n")[0])
print("connections", n, "closed", room, "worst", round(worst, 3))
assert n <= 10000
assert room > 0
assert worst < 5 * PATIENCE, worst
EOF
	grep -q 'closing idle connections to make room' "$T"/httpd1.log
}

@test "one address cannot take all connections of a server on the network" {
	cast
	PORT=$(free_port)
	start_httpd --listen "0.0.0.0:$PORT" --tokens "$T/tokens" --connections 100 --threads 2
	py <<'EOF'
from http_raw import *
def connect_from(address):
    s = socket.socket()
    s.settimeout(5 * PATIENCE)
    s.bind((address, 0))
    s.connect(("127.0.0.1", PORT))
    return s
def served(s):
    try:
        s.sendall(request("GET", "/healthz"))
        return Reader(s).answer()[0] == 200
    except (EOFError, ConnectionResetError, BrokenPipeError, TimeoutError):
        return False
held = [connect_from("127.0.0.2") for _ in range(60)]
good = sum(served(s) for s in held)
assert 20 <= good <= 25, good
assert served(connect_from("127.0.0.3"))
assert served(connect_from("127.0.0.1"))
EOF
}

@test "an Idempotency-Key belongs to its token: no other token gets its outcome" {
	cast
	local other
	other=$(new_token)
	grant other "$other" write /app/
	start_httpd --tokens "$T/tokens"
	as "$WRITER" PUT /v1/kv/app/a --data-binary 1 -H 'If-None-Match: *' -H 'Idempotency-Key: one'
	same 201 "$status"
	as "$other" PUT /v1/kv/app/a --data-binary 2 -H 'If-None-Match: *' -H 'Idempotency-Key: one'
	same 412 "$status"
	as "$other" DELETE /v1/kv/app/none -H 'Idempotency-Key: two'
	same 404 "$status"
	as "$WRITER" PUT /v1/kv/app/b --data-binary 1 -H 'Idempotency-Key: two'
	same 201 "$status"
	as "$WRITER" PUT /v1/kv/app/a --data-binary 1 -H 'If-None-Match: *' -H 'Idempotency-Key: one'
	same 201 "$status"
	# The log has the token's name and the key, 255 bytes at most.
	as "$WRITER" PUT /v1/kv/app/c --data-binary 1 -H "Idempotency-Key: $(printf 'k%.0s' {1..248})"
	same 201 "$status"
	as "$WRITER" PUT /v1/kv/app/c --data-binary 1 -H "Idempotency-Key: $(printf 'k%.0s' {1..249})"
	same 400 "$status"
	[[ $(jq -r .detail "$T/body") == *"1 to 248 bytes"* ]]
}

@test "without tokens a request must use a name of this server, or is refused" {
	start_httpd --allow-host cache.example,node_1 --peers http://peer.example:8080,https://other.example
	PORT=$PORT NAME=$(hostname) py <<'EOF'
import os
from http_raw import *
def code(method, host, *headers):
    with connect() as s:
        s.sendall("\r\n".join([f"{method} /v1/kv/a HTTP/1.1", f"Host: {host}", "Content-Length: 0", *headers]).encode() + b"\r\n\r\n")
        r = Reader(s)
        status, _, body = r.answer()
        assert status != 421 or b"--allow-host" in body, body
        return status
good = ["localhost", "LOCALHOST", "localhost.", "app.localhost", "127.0.0.1", "10.1.2.3", "[::1]", "[fe80::1]",
        "cache.example", "Cache.Example.", "node_1", "peer.example", "other.example", "node7", "cache-1", os.environ["NAME"]]
bad = ["attacker.example", "cache.example.attacker", "xcache.example", "attacker/x", "localhost.attacker",
       "127.0.0.1.attacker", "[::1", "[attacker]", "", "1.2.3", "peer.example@attacker", "attacker/127.0.0.1"]
for port in ("", f":{PORT}", ":1"):
    for host in good:
        assert code("PUT", host + port) in (200, 201), host
        assert code("GET", host + port) == 200, host
    for host in bad:
        for method in ("GET", "PUT", "DELETE"):
            assert code(method, host + port) == 421, (method, host)
assert ask("GET", "/v1/kv/a")[0] == 200
# A change with a foreign Origin, from a browser that does not send Sec-Fetch-Site.
for origin, status in ((f"http://localhost:{PORT}", 200), (f"https://localhost:{PORT}", 200), ("http://localhost:1", 403),
                       ("http://attacker.example", 403), ("null", 403), (f"http://localhost:{PORT}.attacker", 403)):
    for method in ("PUT", "DELETE"):
        wanted = status if method == "PUT" or status != 200 else 204
        assert code(method, f"localhost:{PORT}", f"Origin: {origin}") == wanted, (method, origin)
    code("PUT", "localhost")
    assert code("GET", f"localhost:{PORT}", f"Origin: {origin}") == 200, origin
# Without a Host header, as HTTP/1.0 allows.
with connect() as s:
    s.sendall(b"GET /v1/kv/a HTTP/1.0\r\n\r\n")
    assert Reader(s).answer()[0] == 200
EOF
	rest GET /metrics
	[ "$(sed -n 's/^keydir_http_denied_total{reason="unknown_host"} //p' "$T/body")" -ge 100 ]
	stop "$HTTPD_PID"
	# With tokens a foreign page gets nothing; "*" allows all.
	cast
	start_httpd --tokens "$T/tokens"
	as "$ALL" GET /v1/kv/a -H 'Host: attacker.example'
	same 200 "$status"
	stop "$HTTPD_PID"
	start_httpd --allow-host '*'
	rest GET /v1/kv/a -H 'Host: attacker.example'
	same 200 "$status"
	local list
	for list in '' 'a,' ',a' http://a a:80 'a b'; do
		fails_with "--allow-host" "$KEYDIR_HTTPD" --store "$STORE" --listen 127.0.0.1:0 --allow-host "$list"
	done
}

@test "a browser does not reinterpret responses, nor give them to other sites, errors included" {
	start_httpd
	rest PUT /v1/kv/a -H 'Content-Type: text/html' --data-binary '<script>'
	local path
	for path in /v1/kv/a /v1/kv/ /v1/kv/none '/v1/kv/a?x' /none /metrics /healthz / /openapi.json /api/health/ /v1/status; do
		rest GET "$path"
		same "nosniff same-origin" "$(header X-Content-Type-Options) $(header Cross-Origin-Resource-Policy)"
	done
	rest POST /v1/txn -H 'X: y' --data-binary '['
	same "400 nosniff same-origin" "$status $(header X-Content-Type-Options) $(header Cross-Origin-Resource-Policy)"
	# Refusals of libmicrohttpd.
	rest GET /healthz -H "X: $(printf '%040000d' 0)"
	same 431 "$status"
	[ -z "$(header Server)" ] || return 0
	same "nosniff same-origin" "$(header X-Content-Type-Options) $(header Cross-Origin-Resource-Policy)"
}
