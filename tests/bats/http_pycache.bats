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

@test "set, get, expire" {
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

@test "bodies that are no cache item are 400" {
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

@test "the values are ordinary keys: JSON text, readable everywhere" {
	start_httpd
	rest POST /api/cache/k/ --data-binary $' \n{"a": 1}\n'
	exactly 201 '{"message": "Cache key set success", "payload": {"key": "k", "value": {"a": 1}}}'
	rest GET /v1/kv/k
	same '{"a": 1}' "$(body)"
	same application/json "$(header Content-Type)"
	# What others wrote: JSON with blanks around it, text, an empty value.
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
	# A directory is no cached value.
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
	same "GET, HEAD, POST, DELETE" "$(header Allow)"
}

@test "health" {
	start_httpd
	rest GET /api/health/
	exactly 200 '{"message": "It works!!!", "payload": {"message_broker": "ok"}}'
	rest GET /api/health
	same 200 "$status"
	rest POST /api/health/
	same 405 "$status"
}

@test "the values of the mount" {
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
