# PyCache's interface: /api/cache/<key>/ and /api/health/, byte for byte.

load helper

exactly() { # WANT-STATUS WANT-BODY
	same "$1" "$status"
	same application/json "$(header Content-Type)"
	printf '%s\n' "$2" | cmp - "$T/body" || {
		cat "$T/body"
		return 1
	}
}

@test "a value is set, read and expires" {
	start_httpd
	local value
	for value in 42 -1.50 1e3 '"text"' '"é \n"' '[1]' '["a", {"b": null}]' '{}' '{"a": [1, 2.50, true], "b": {}}' \
		'12345678901234567' '"0"' \
		'123456789012345678901234567890' '-9223372036854775809' '"a\u0000b"'; do
		rest POST /api/cache/some-key/ --data-binary "$value" -H 'Content-Type: application/json'
		exactly 201 '{"message": "Cache key set success", "payload": {"key": "some-key", "value": '"$value"'}}'
		rest GET /api/cache/some-key/
		exactly 200 '{"message": "Cache key get success", "payload": {"key": "some-key", "value": '"$value"'}}'
		jq -e . "$T/body" >/dev/null
	done
	rest DELETE /api/cache/some-key/
	exactly 200 '{"message": "Cache key expired", "payload": {}}'
	rest GET /api/cache/some-key/
	exactly 200 '{"message": "Cache key get success", "payload": {}}'
	rest DELETE /api/cache/some-key/
	exactly 200 '{"message": "Cache key expired", "payload": {}}'
}

@test "bodies that are not a cache item are 400" {
	start_httpd
	rest POST /api/cache/k/ --data-binary 1
	local body
	for body in '' '""' '[]' null true false nope '{' '{"a":}' '1 2' "'x'" '[1,]' $'\xff' $'"\xff"' ' '; do
		rest POST /api/cache/k/ --data-binary "$body"
		same 400 "$status"
		jq -e . "$T/body" >/dev/null
		same 400 "$(jq .status "$T/body")"
		same '{}' "$(jq -c .payload "$T/body")"
	done
	rest GET /api/cache/k/
	exactly 200 '{"message": "Cache key get success", "payload": {"key": "k", "value": 1}}'
}

@test "the values are ordinary keys: JSON text, readable through every interface" {
	start_httpd
	rest POST /api/cache/k/ --data-binary $' \n{"a": 1}\n'
	exactly 201 '{"message": "Cache key set success", "payload": {"key": "k", "value": {"a": 1}}}'
	rest GET /v1/kv/k
	same '{"a": 1}' "$(body)"
	same application/json "$(header Content-Type)"
	# Values of other writers: JSON with blanks around it, text, an empty value.
	rest PUT /v1/kv/k --data-binary $'[1, 2]\n'
	rest GET /api/cache/k/
	exactly 200 '{"message": "Cache key get success", "payload": {"key": "k", "value": [1, 2]}}'
	rest PUT /v1/kv/k --data-binary $'plain "text"\n'
	rest GET /api/cache/k/
	exactly 200 '{"message": "Cache key get success", "payload": {"key": "k", "value": "plain \"text\""}}'
	rest PUT /v1/kv/k
	rest GET /api/cache/k/
	exactly 200 '{"message": "Cache key get success", "payload": {"key": "k", "value": ""}}'
	printf '\xff\x00' >"$T/bin"
	rest PUT /v1/kv/k --data-binary "@$T/bin"
	rest GET /api/cache/k/
	same 409 "$status"
	same '{}' "$(jq -c .payload "$T/body")"
	# A directory is not a cached value.
	rest PUT /v1/kv/d/x --data-binary 1
	rest GET /api/cache/d/
	exactly 200 '{"message": "Cache key get success", "payload": {}}'
	rest DELETE /api/cache/d/
	same 409 "$status"
	rest POST /api/cache/d/ --data-binary 1
	same 409 "$status"
}

@test "keys: escaped, in several levels, without the last slash" {
	start_httpd
	rest POST '/api/cache/a%20b%C3%A9%22/' --data-binary 1
	exactly 201 '{"message": "Cache key set success", "payload": {"key": "a bé\"", "value": 1}}'
	rest GET '/v1/kv/a%20b%C3%A9%22'
	same 1 "$(body)"
	rest POST /api/cache/a/b/c --data-binary 2
	same 201 "$status"
	rest GET /api/cache/a/b/c/
	exactly 200 '{"message": "Cache key get success", "payload": {"key": "a/b/c", "value": 2}}'
	rest GET /api/cache/
	same 404 "$status"
	rest GET '/api/cache/a%2Fb%2Fc/'
	exactly 200 '{"message": "Cache key get success", "payload": {"key": "a/b/c", "value": 2}}'
	rest PUT /api/cache/k/ --data-binary 1
	same 405 "$status"
	same "GET, HEAD, POST, DELETE, OPTIONS" "$(header Allow)"
}

@test "a query is ignored" {
	start_httpd
	local query
	for query in '?_=1' '?' '?consistent=x' '?ttl=1ms&ttl=2&recurse' '?a=%zz&&=' ; do
		rest POST "/api/cache/k/$query" --data-binary '"v"'
		exactly 201 '{"message": "Cache key set success", "payload": {"key": "k", "value": "v"}}'
		rest GET "/api/cache/k/$query"
		exactly 200 '{"message": "Cache key get success", "payload": {"key": "k", "value": "v"}}'
		rest GET "/api/health/$query"
		same 200 "$status"
		rest DELETE "/api/cache/k$query"
		exactly 200 '{"message": "Cache key expired", "payload": {}}'
	done
}

@test "every refusal has message and payload" {
	start_httpd --max-value 64k
	head -c 70000 /dev/zero | tr '\0' 7 >"$T/large"
	rest PUT /v1/kv/d/x --data-binary 1
	local row
	for row in '404 GET /api/' '404 GET /api/cache/' '404 GET /api/nothing/?_=1' '405 PUT /api/cache/k/' \
		'405 POST /api/health/' '400 POST /api/cache/k/' '400 GET /api/cache/a/../b/' '409 POST /api/cache/d/ -d 1' \
		"413 POST /api/cache/k/ --data-binary @$T/large" '415 POST /api/cache/k/ -d 1 -HContent-Encoding:gzip' \
		"414 GET /api/cache/$(printf 'k%.0s' {1..17000})/" '431 GET /api/cache/k/ -HX:'"$(printf 'x%.0s' {1..9000})"; do
		# shellcheck disable=SC2086 # several words
		set -- $row
		rest "${@:2}"
		same "$1" "$status"
		[[ "$(header Content-Type)" == application/*json ]]
		same "$1 string object {}" "$1 $(jq -r '"\(.message | type) \(.payload | type) \(.payload)"' "$T/body")"
	done
	# Other paths return a problem document.
	rest GET /v1/kv/none
	same null "$(jq .message "$T/body")"
}

@test "a node that cannot serve returns message and payload" {
	start_httpd
	rest GET /api/cache/k/ -H 'X-Keydir-Offset: 1000000'
	same 412 "$status"
	same '{}' "$(jq -c 'select(.message) | .payload' "$T/body")"
}

@test "OPTIONS is answered as by Flask" {
	start_httpd
	rest OPTIONS /api/cache/k/
	same 200 "$status"
	same 'DELETE GET HEAD OPTIONS POST' "$(header Allow | tr -d ',' | xargs -n 1 | sort | xargs)"
	same '' "$(body)"
	rest OPTIONS /api/health/
	same 200 "$status"
	same 'GET, HEAD, OPTIONS' "$(header Allow)"
}

@test "numbers and escapes of Python's json are accepted" {
	start_httpd
	local value
	for value in NaN Infinity -Infinity '[NaN, -Infinity]' '{"a": {"b": Infinity}}' '"\ud800"'; do
		rest POST /api/cache/k/ --data-binary "$value"
		exactly 201 '{"message": "Cache key set success", "payload": {"key": "k", "value": '"$value"'}}'
		rest GET /api/cache/k/
		exactly 200 '{"message": "Cache key get success", "payload": {"key": "k", "value": '"$value"'}}'
	done
	for value in nan -NaN +Infinity Infinit NaNa; do
		rest POST /api/cache/k/ --data-binary "$value"
		same 400 "$status"
	done
	# Only there.
	rest POST /v1/txn --data-binary '{"ops": [NaN]}'
	same 400 "$status"
}

@test "keys of more than 255 bytes are stored" {
	start_httpd
	local long other key
	long=$(printf 'k%.0s' {1..5000})
	other=${long}x
	for key in "${long:0:256}" "$long" "$other" "dir/$long" "$(printf 'é%.0s' {1..200})"; do
		rest POST "/api/cache/$key/" --data-binary "[${#key}]"
		exactly 201 '{"message": "Cache key set success", "payload": {"key": "'"$key"'", "value": ['"${#key}"']}}'
	done
	for key in "${long:0:256}" "$long" "$other" "dir/$long" "$(printf 'é%.0s' {1..200})"; do
		rest GET "/api/cache/$key"
		exactly 200 '{"message": "Cache key get success", "payload": {"key": "'"$key"'", "value": ['"${#key}"']}}'
		# A listing has them under their own name, with the path that leads to them.
		rest GET '/v1/kv/?recurse'
		path=$(jq -r --arg key "$key" '.entries[] | select(.name == $key) | .path' "$T/body")
		rest GET "/v1/kv/$path"
		same "[${#key}]" "$(body)"
	done
	rest DELETE "/api/cache/$long/"
	exactly 200 '{"message": "Cache key expired", "payload": {}}'
	rest GET "/api/cache/$long/"
	exactly 200 '{"message": "Cache key get success", "payload": {}}'
	rest GET "/api/cache/$other/"
	same "[${#other}]" "$(jq -c .payload.value "$T/body")"
	# The same refusals as for short ones, and one change for one Idempotency-Key.
	rest PUT "/v1/kv/$path/below" --data-binary 1
	same 409 "$status"
	rest PUT /v1/kv/file --data-binary 1
	rest POST "/api/cache/file/$long/" --data-binary 1
	same 409 "$status"
	for key in 1 1; do
		rest POST "/api/cache/$long/" --data-binary 1 -H 'Idempotency-Key: a'
		same 201 "$status"
	done
	# Other paths keep the limit of 255 bytes for a name.
	rest PUT "/v1/kv/${long:0:256}" --data-binary 1
	same 400 "$status"
}

# The Python that has Flask: Debian's, if another one comes first in PATH.
python_with_flask() {
	local python
	for python in python3 /usr/bin/python3; do
		"$python" -c 'import flask' 2>/dev/null && echo "$python" && return
	done
	return 1
}

@test "responses equal those of a Flask application with PyCache's interface" {
	local python
	python=$(python_with_flask) || skip_or_fail "needs Flask (python3-flask)"
	start oracle "$python" "$KEYDIR_ROOT/tests/pycache/oracle.py" "$T/port"
	wait_for 20 test -e "$T/port"
	start_httpd
	python3 "$KEYDIR_ROOT/tests/pycache/compare.py" "127.0.0.1:$(cat "$T/port")" "127.0.0.1:$PORT"
}

@test "health is reported" {
	start_httpd
	rest GET /api/health/
	exactly 200 '{"message": "It works!!!", "payload": {"message_broker": "ok"}}'
	rest GET /api/health
	same 200 "$status"
	rest POST /api/health/
	same 405 "$status"
}

@test "the values are files on the mount" {
	start_fs
	start_httpd
	rest POST /api/cache/k/ --data-binary '{"a": 1}'
	same '{"a": 1}' "$(cat "$MNT/k")"
	echo '"from a file"' >"$MNT/k"
	rest GET /api/cache/k/
	exactly 200 '{"message": "Cache key get success", "payload": {"key": "k", "value": "from a file"}}'
	echo 'just text' >"$MNT/k"
	rest GET /api/cache/k/
	exactly 200 '{"message": "Cache key get success", "payload": {"key": "k", "value": "just text"}}'
}
