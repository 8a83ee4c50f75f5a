# Conditional requests: If-Match, If-None-Match, If-Modified-Since,
# If-Unmodified-Since, on reads and on writes.

load helper

put() { # PATH VALUE [CURL OPTION...]
	local path=$1 value=$2
	shift 2
	rest PUT "$path" --data-binary "$value" "$@"
}

@test "If-None-Match on GET returns 304 for the version that the client has" {
	start_httpd
	put /v1/kv/a 1
	local etag number
	etag=$(header ETag)
	number=${etag//\"/}
	[[ $etag =~ ^\"[0-9]+-[0-9a-f]{8}\"$ ]]
	local text
	for text in "$etag" "W/$etag" "\"7777\", $etag" '*' "${etag%-*}\""; do
		rest GET /v1/kv/a -H "If-None-Match: $text"
		same 304 "$status"
		same "" "$(body)"
		same "$etag" "$(header ETag)"
		[ -n "$(header Last-Modified)" ]
		rest HEAD /v1/kv/a -H "If-None-Match: $text"
		same 304 "$status"
	done
	for text in '"7777"' "$number" '"x"' "\"0$number\""; do
		rest GET /v1/kv/a -H "If-None-Match: $text"
		same 200 "$status"
		same 1 "$(body)"
	done
	put /v1/kv/a 2
	rest GET /v1/kv/a -H "If-None-Match: $etag"
	same 200 "$status"
	same 2 "$(body)"
	# It overrides a date and a range.
	rest GET /v1/kv/a -H "If-None-Match: $etag" -H 'If-Modified-Since: Fri, 31 Dec 9999 23:59:59 GMT'
	same 200 "$status"
	rest GET /v1/kv/a -H "If-None-Match: *" -r 0-0
	same 304 "$status"
	# 304 has no body, and the connection continues.
	run -0 curl -sS -H "If-None-Match: *" "$URL/v1/kv/a" "$URL/v1/kv/a" --next -sS "$URL/v1/kv/a"
	same 2 "$output"
}

@test "dates on GET decide between 200, 304 and 412" {
	start_httpd
	put /v1/kv/a 1
	rest GET /v1/kv/a
	local date
	date=$(header Last-Modified)
	rest GET /v1/kv/a -H "If-Modified-Since: $date"
	same 304 "$status"
	rest GET /v1/kv/a -H "If-Modified-Since: Fri, 31 Dec 9999 23:59:59 GMT"
	same 304 "$status"
	rest GET /v1/kv/a -H "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT"
	same 200 "$status"
	rest GET /v1/kv/a -H "If-Modified-Since: nonsense"
	same 200 "$status"
	rest GET /v1/kv/a -H "If-Unmodified-Since: $date"
	same 200 "$status"
	rest GET /v1/kv/a -H "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT"
	same 412 "$status"
}

@test "If-Match on GET returns 412 for another version" {
	start_httpd
	put /v1/kv/a 1
	local etag
	etag=$(header ETag)
	rest GET /v1/kv/a -H "If-Match: $etag"
	same 200 "$status"
	rest GET /v1/kv/a -H 'If-Match: *'
	same 200 "$status"
	rest GET /v1/kv/a -H "If-Match: W/$etag"
	same 412 "$status"
	rest GET /v1/kv/a -H 'If-Match: "7777"'
	same 412 "$status"
	rest GET /v1/kv/a -H 'If-Match: 7777'
	same 400 "$status"
	rest GET /v1/kv/none -H 'If-Match: *'
	same 412 "$status"
}

@test "PUT with If-None-Match: * only creates" {
	start_httpd
	put /v1/kv/a 1 -H 'If-None-Match: *'
	same 201 "$status"
	put /v1/kv/a 2 -H 'If-None-Match: *'
	same 412 "$status"
	rest GET /v1/kv/a
	same 1 "$(body)"
	rest DELETE /v1/kv/a
	put /v1/kv/a 3 -H 'If-None-Match: *'
	same 201 "$status"
}

@test "PUT with If-Match only replaces that version" {
	start_httpd
	put /v1/kv/a 1
	local etag
	etag=$(header ETag)
	put /v1/kv/a 2 -H "If-Match: $etag"
	same 200 "$status"
	local second
	second=$(header ETag)
	put /v1/kv/a 3 -H "If-Match: $etag"
	same 412 "$status"
	put /v1/kv/a 3 -H "If-Match: W/$second"
	same 412 "$status"
	put /v1/kv/a 3 -H "If-Match: \"7777\", $second"
	same 200 "$status"
	put /v1/kv/a 4 -H 'If-Match: "7777", "8888"'
	same 412 "$status"
	put /v1/kv/a 4 -H 'If-Match: *'
	same 200 "$status"
	rest GET /v1/kv/a
	same 4 "$(body)"
	local text
	for text in 7777 '"7777' 'W/7777' '' '"1" "2"'; do
		put /v1/kv/a 5 -H "If-Match;" -H "If-Match: ${text:- }"
		[ "$status" = 400 ]
	done
	put /v1/kv/none 1 -H 'If-Match: *'
	same 412 "$status"
	put /v1/kv/none 1 -H 'If-Match: "1"'
	same 412 "$status"
	put /v1/kv/none 1 -H 'If-Match: "1", "2"'
	same 412 "$status"
	rest GET /v1/kv/none
	same 404 "$status"
	# Both conditions at once: that the key exists and that it does not.
	put /v1/kv/a 5 -H 'If-Match: *' -H 'If-None-Match: *'
	same 412 "$status"
}

@test "PUT obeys conditions on dates and lists of tags" {
	start_httpd
	put /v1/kv/a 1
	local etag
	etag=$(header ETag)
	put /v1/kv/a 2 -H "If-None-Match: $etag"
	same 412 "$status"
	put /v1/kv/a 2 -H 'If-None-Match: "7777"'
	same 200 "$status"
	put /v1/kv/new 1 -H 'If-None-Match: "7777"'
	same 201 "$status"
	put /v1/kv/a 3 -H 'If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT'
	same 412 "$status"
	put /v1/kv/a 3 -H 'If-Unmodified-Since: Fri, 31 Dec 9999 23:59:59 GMT'
	same 200 "$status"
	put /v1/kv/a 4 -H 'If-Unmodified-Since: nonsense'
	same 200 "$status"
	put /v1/kv/newer 1 -H 'If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT'
	same 201 "$status"
}

@test "DELETE and POST obey conditions" {
	start_httpd
	put /v1/kv/a 1
	local etag
	etag=$(header ETag)
	rest DELETE /v1/kv/a -H 'If-Match: "7777"'
	same 412 "$status"
	rest POST '/v1/kv/a?op=incr' -H 'If-Match: "7777"'
	same 412 "$status"
	rest POST '/v1/kv/a?op=incr' -H "If-Match: $etag"
	same 200 "$status"
	rest POST '/v1/kv/a?op=append' -H 'If-None-Match: *' --data-binary x
	same 412 "$status"
	rest DELETE /v1/kv/a -H "If-Match: $etag"
	same 412 "$status"
	rest DELETE /v1/kv/a -H 'If-Match: *'
	same 204 "$status"
	rest DELETE /v1/kv/a -H 'If-Match: *'
	same 412 "$status"
	rest POST '/v1/kv/n?op=incr' -H 'If-None-Match: *'
	same 200 "$status"
	rest POST '/v1/kv/n?op=incr' -H 'If-None-Match: *'
	same 412 "$status"
}

# The lost update, with 8 clients: each reads, adds one, and writes if the value is
# unchanged.
@test "compare and set loses no update" {
	start_httpd
	put /v1/kv/n 0
	cat >"$T/add" <<'EOF'
set -eu
for i in 1 2 3 4 5 6 7 8 9 10; do
	while :; do
		curl -sS -D "$1.h" -o "$1.b" "$URL/v1/kv/n"
		etag=$(tr -d '\r' <"$1.h" | sed -n 's/^ETag: //p')
		code=$(curl -sS -o /dev/null -w '%{http_code}' -X PUT --data-binary $(($(cat "$1.b") + 1)) \
			-H "If-Match: $etag" "$URL/v1/kv/n")
		case $code in 200) break ;; 412) ;; *) echo "$code" >&2; exit 1 ;; esac
	done
done
EOF
	export URL
	local i pids=()
	for i in {1..8}; do
		bash "$T/add" "$T/w$i" 3>&- &
		pids+=($!)
	done
	for i in "${pids[@]}"; do wait "$i"; done
	rest GET /v1/kv/n
	same 80 "$(body)"
}

@test "of many clients that create one key, one wins" {
	start_httpd
	local round
	for round in 1 2 3 4 5; do
		same 1 "$(seq 16 | xargs -P 16 -I{} curl -sS -o /dev/null -w '%{http_code}\n' -X PUT -d {} \
			-H 'If-None-Match: *' "$URL/v1/kv/one$round" | grep -c '^201$')"
	done
}

# A reboot empties a store in memory: versions and offsets start again.
@test "tags and event ids of another volume match nothing, and no stream resumes from them" {
	start_httpd
	put /v1/kv/a before
	local etag offset
	etag=$(header ETag) offset=$(header X-Keydir-Offset)
	stop "$HTTPD_PID"
	rm -rf "$STORE"
	start_httpd
	put /v1/kv/a after
	same "$offset" "$(header X-Keydir-Offset)"
	local now
	now=$(header ETag)
	same "${etag%-*}" "${now%-*}"
	[ "$etag" != "$now" ]
	rest GET /v1/kv/a -H "If-None-Match: $etag"
	same "200 after" "$status $(body)"
	rest GET /v1/kv/a -H "If-Match: $etag"
	same 412 "$status"
	rest GET /v1/kv/a -H "If-Range: $etag" -H 'Range: bytes=0-1'
	same 200 "$status"
	put /v1/kv/a lost -H "If-Match: $etag"
	same 412 "$status"
	rest DELETE /v1/kv/a -H "If-Match: $etag"
	same 412 "$status"
	rest POST '/v1/kv/a?op=append' --data-binary lost -H "If-Match: $etag"
	same 412 "$status"
	txn() {
		jq -nc --arg tag "$1" '[{op: "set", key: "a", value: "txn", "if": $tag}]' >"$T/txn"
		rest POST /v1/txn --data-binary "@$T/txn"
	}
	txn "$etag"
	same 412 "$status"
	rest GET /v1/watch -H "Last-Event-ID: $offset-${etag: -9:8}"
	same 410 "$status"
	[[ $(jq -r .detail "$T/body") == *"another volume"* ]]
	rest GET "/v1/watch?from=$offset-${etag: -9:8}"
	same 410 "$status"
	rest GET '/v1/watch?wait=1ms' -H "Last-Event-ID: $((offset - 1))-${now: -9:8}"
	same 200 "$status"
	grep -q '"key":"a"' "$T/body"
	# The same ids of this volume, and ids without a volume, are valid.
	rest GET /v1/kv/a -H "If-None-Match: $now"
	same 304 "$status"
	rest GET '/v1/watch?wait=1ms' -H "Last-Event-ID: $((offset - 1))"
	same 200 "$status"
	txn "$now"
	same 200 "$status"
	# Every response that names a version has its ETag.
	now=$(jq -r '.results[0].etag' "$T/body")
	rest HEAD /v1/kv/a
	same "$now" "$(header ETag)"
	rest GET /v1/kv/
	same "$now" "$(jq -r '.entries[0].etag' "$T/body")"
	rest POST /v1/mget --data-binary '["a"]'
	same "$now" "$(jq -r '.entries[0].etag' "$T/body")"
	rest POST /v1/mget --data-binary '["a"]' -H 'Accept: multipart/mixed'
	grep -qF "ETag: $now" "$T/body"
	rest POST '/v1/kv/n?op=incr'
	now=$(header ETag)
	rest HEAD /v1/kv/n
	same "$now" "$(header ETag)"
	put /v1/kv/n 2 -H "If-Match: $now"
	same 200 "$status"
}
