# POST ?op= and TTLs over REST, and Idempotency-Key.

load helper

post() { # PATH [CURL OPTION...]
	rest POST "$@"
}
answer() { jq -r "$1" "$T/body"; }

@test "append adds bytes to a value" {
	start_httpd
	post '/v1/kv/log?op=append' --data-binary one
	same 200 "$status"
	same application/json "$(header Content-Type)"
	same true "$(answer .created)"
	same 3 "$(answer .size)"
	post '/v1/kv/log?op=append' --data-binary ' two'
	same false "$(answer .created)"
	same 7 "$(answer .size)"
	same "$(header X-Keydir-Offset)" "$(answer .version)"
	rest GET /v1/kv/log
	same "one two" "$(body)"
	post '/v1/kv/log?op=append'
	same 200 "$status"
	same 7 "$(answer .size)"
	# Past the size that is stored inline, and with any bytes.
	head -c 100000 /dev/urandom >"$T/more"
	post '/v1/kv/log?op=append' --data-binary "@$T/more"
	same 100007 "$(answer .size)"
	rest GET /v1/kv/log
	cmp "$T/body" <(printf 'one two' && cat "$T/more")
}

@test "lines appended by many clients stay whole" {
	start_httpd
	seq 400 | xargs -P 8 -I{} curl -sS -o /dev/null --fail -X POST --data-binary $'line {}\n' "$URL/v1/kv/log?op=append"
	rest GET /v1/kv/log
	same "$(seq 400 | sed 's/^/line /' | sort)" "$(sort "$T/body")"
}

@test "incr adds to a whole number" {
	start_httpd
	post '/v1/kv/n?op=incr'
	same 200 "$status"
	same 1 "$(answer .value)"
	same true "$(answer .created)"
	post '/v1/kv/n?op=incr&by=41'
	same 42 "$(answer .value)"
	post '/v1/kv/n?op=incr&by=-50'
	same -8 "$(answer .value)"
	post '/v1/kv/n?op=incr&by=0'
	same -8 "$(answer .value)"
	rest GET /v1/kv/n
	same -8 "$(body)"
	rest PUT /v1/kv/n --data-binary 9223372036854775806
	post '/v1/kv/n?op=incr'
	grep -q '"value":9223372036854775807[,}]' "$T/body"
	post '/v1/kv/n?op=incr'
	same 409 "$status"
	rest GET /v1/kv/n
	same 9223372036854775807 "$(body)"
	rest PUT /v1/kv/n --data-binary word
	post '/v1/kv/n?op=incr'
	same 409 "$status"
	same urn:keydir:problem:not-a-number "$(answer .type)"
	local by
	for by in '' x 1.5 9223372036854775808 1x %20 0x10 --1; do
		post "/v1/kv/m?op=incr&by=$by"
		same 400 "$status"
	done
	post '/v1/kv/m?op=incr&by=-9223372036854775808'
	grep -q '"value":-9223372036854775808[,}]' "$T/body"
}

@test "1000 increments of 8 clients are 1000" {
	start_httpd
	# The fragment is not sent; it makes curl repeat the request 125 times on one
	# connection.
	seq 8 | xargs -P 8 -I{} curl -sS --fail -o /dev/null -X POST "$URL/v1/kv/n?op=incr#[1-125]"
	rest GET /v1/kv/n
	same 1000 "$(body)"
}

@test "expire, persist, and TTLs of PUT" {
	start_httpd
	rest PUT '/v1/kv/a?ttl=90' --data-binary 1
	same 201 "$status"
	rest GET /v1/kv/a
	about 90 "$(header X-Keydir-TTL)"
	post '/v1/kv/a?op=persist'
	same 200 "$status"
	same null "$(answer .ttl)"
	rest GET /v1/kv/a
	same "" "$(header X-Keydir-TTL)"
	post '/v1/kv/a?op=expire&ttl=2h'
	about 7200 "$(answer .ttl)"
	rest GET /v1/kv/a
	about 7200 "$(header X-Keydir-TTL)"
	# A PUT replaces the resource and its TTL; ttl=keep keeps it.
	rest PUT '/v1/kv/a?ttl=keep' --data-binary 2
	same 200 "$status"
	rest GET /v1/kv/a
	same 2 "$(body)"
	[ "$(header X-Keydir-TTL)" -gt 7100 ]
	rest PUT /v1/kv/a --data-binary 3
	rest GET /v1/kv/a
	same "" "$(header X-Keydir-TTL)"
	rest PUT '/v1/kv/new?ttl=keep' --data-binary 1
	same 201 "$status"
	# Other operations with a TTL.
	post '/v1/kv/count?op=incr&ttl=1h'
	about 3600 "$(answer .ttl)"
	post '/v1/kv/tail?op=append&ttl=1h' --data-binary x
	about 3600 "$(answer .ttl)"
	rest GET /v1/kv/tail
	about 3600 "$(header X-Keydir-TTL)"

	local ttl
	for ttl in '' 0 -1 1.5 60x keeps s 1w %00; do
		rest PUT "/v1/kv/b?ttl=$ttl" --data-binary 1
		same 400 "$status"
		post "/v1/kv/a?op=expire&ttl=$ttl"
		same 400 "$status"
	done
	rest PUT '/v1/kv/b?ttl=40000d' --data-binary 1
	same 400 "$status"
	[[ $(answer .detail) == *"100 years"* ]]
	post '/v1/kv/a?op=expire'
	same 400 "$status"
	post '/v1/kv/a?op=expire&ttl=keep'
	same 400 "$status"
	post '/v1/kv/none?op=expire&ttl=5'
	same 404 "$status"
	post '/v1/kv/none?op=persist'
	same 404 "$status"
	rest GET /v1/kv/b
	same 404 "$status"
}

@test "HTTP caches must ask again for every value, even for one with a TTL" {
	start_httpd
	rest PUT '/v1/kv/a?ttl=1h' --data-binary 123
	local etag
	etag=$(header ETag)
	rest GET /v1/kv/a
	same "200 no-cache" "$status $(header Cache-Control)"
	rest HEAD /v1/kv/a
	same "200 no-cache" "$status $(header Cache-Control)"
	rest GET /v1/kv/a -r 0-1
	same "206 no-cache" "$status $(header Cache-Control)"
	rest GET /v1/kv/a -H "If-None-Match: $etag"
	same "304 no-cache" "$status $(header Cache-Control)"
}

gone() {
	rest GET "$1" && [ "$status" = 404 ]
}

@test "a key disappears when its TTL ends, and can be created again" {
	start_httpd
	# On a slow machine the key may expire before it is read.
	read_in_time() {
		rest PUT '/v1/kv/a?ttl=700ms' --data-binary 1
		rest GET /v1/kv/a
		[[ "$status $(header X-Keydir-TTL)" == "200 1" ]]
	}
	wait_for 20 read_in_time
	wait_for 20 gone /v1/kv/a
	rest GET /v1/kv/
	same 0 "$(jq '.entries | length' "$T/body")"
	rest PUT /v1/kv/a --data-binary 2 -H 'If-None-Match: *'
	same 201 "$status"
	rest GET /v1/kv/a
	same "" "$(header X-Keydir-TTL)"
	# Not before its time.
	rest PUT '/v1/kv/b?ttl=1h' --data-binary 1
	rest GET /v1/kv/b
	same 200 "$status"
	# An expired counter starts again.
	post '/v1/kv/n?op=incr&by=5&ttl=300ms'
	wait_for 20 gone /v1/kv/n
	post '/v1/kv/n?op=incr'
	same 1 "$(answer .value)"
	# A purged key no longer counts.
	wait_for 10 nothing_expires
}
nothing_expires() {
	rest GET /v1/status && [ "$(answer '.events.expired')" -ge 2 ]
}

@test "rename moves keys and directories" {
	start_httpd
	rest PUT '/v1/kv/a?ttl=1h' --data-binary value -H 'Content-Type: text/plain'
	post '/v1/kv/a?op=rename&to=new/place/b'
	same 200 "$status"
	rest GET /v1/kv/a
	same 404 "$status"
	rest GET /v1/kv/new/place/b
	same value "$(body)"
	same text/plain "$(header Content-Type)"
	[ "$(header X-Keydir-TTL)" -gt 3500 ]
	# The target is decoded once, as in a form.
	post '/v1/kv/new/place/b?op=rename&to=x%2Fy+z%2B%25%FF'
	same 200 "$status"
	rest GET '/v1/kv/x/y%20z+%25%FF'
	same value "$(body)"
	# With and without replacing another key.
	rest PUT /v1/kv/p --data-binary P
	rest PUT /v1/kv/q --data-binary Q
	post '/v1/kv/p?op=rename&to=q&noreplace'
	same 409 "$status"
	post '/v1/kv/p?op=rename&to=q'
	same 200 "$status"
	rest GET /v1/kv/q
	same P "$(body)"
	# Whole directories.
	rest PUT /v1/kv/d/e/f --data-binary deep
	post '/v1/kv/d/?op=rename&to=moved/'
	same 200 "$status"
	rest GET /v1/kv/moved/e/f
	same deep "$(body)"
	post '/v1/kv/moved?op=rename&to=moved/e/x'
	same 409 "$status"
	rest PUT /v1/kv/one/k --data-binary 1
	rest PUT /v1/kv/two/k --data-binary 2
	post '/v1/kv/one?op=rename&to=two&exchange'
	same 200 "$status"
	rest GET /v1/kv/one/k
	same 2 "$(body)"
	post '/v1/kv/none?op=rename&to=z'
	same 404 "$status"
	local to
	for to in '' / .. a/../b a//b '%00' '%' "$(printf 'n%.0s' {1..256})"; do
		post "/v1/kv/q?op=rename&to=$to"
		same 400 "$status"
	done
	post '/v1/kv/q?op=rename'
	same 400 "$status"
}

@test "unknown operations are refused" {
	start_httpd
	rest PUT /v1/kv/a --data-binary 1
	local query
	for query in '' '?op' '?op=' '?op=set' '?op=INCR' '?by=1' '?op=incr&to=b' '?op=append&by=1' '?op=persist&ttl=5' \
		'?op=incr&bye=1' '?op=rename&to=b&noreplace&by=3'; do
		post "/v1/kv/a$query"
		same 400 "$status"
		same application/problem+json "$(header Content-Type)"
	done
	post '/v1/kv/a?op=incr' --data-binary body
	same 400 "$status"
	rest GET /v1/kv/a
	same 1 "$(body)"
}

@test "Idempotency-Key: a repeated request has the first response and no effect" {
	start_httpd
	post '/v1/kv/n?op=incr&by=5' -H 'Idempotency-Key: order-1'
	cp "$T/body" "$T/first"
	local offset
	offset=$(header X-Keydir-Offset)
	post '/v1/kv/n?op=incr&by=5' -H 'Idempotency-Key: order-2'
	local i
	for i in 1 2 3; do
		post '/v1/kv/n?op=incr&by=5' -H 'Idempotency-Key: order-1'
		same 200 "$status"
		cmp "$T/first" "$T/body"
		[ "$(header X-Keydir-Offset)" -ge "$offset" ]
	done
	rest GET /v1/kv/n
	same 10 "$(body)"
	# Twenty at once.
	seq 20 | xargs -P 20 -I{} curl -sS -o /dev/null --fail -X POST -H 'Idempotency-Key: burst' \
		--data-binary 'once;' "$URL/v1/kv/log?op=append"
	rest GET /v1/kv/log
	same 'once;' "$(body)"
	# A failure is repeated too: the response names the key that existed then.
	rest PUT /v1/kv/f --data-binary 1
	rest PUT /v1/kv/f --data-binary 2 -H 'If-None-Match: *' -H 'Idempotency-Key: f'
	same 412 "$status"
	rest DELETE /v1/kv/f
	rest PUT /v1/kv/f --data-binary 2 -H 'If-None-Match: *' -H 'Idempotency-Key: f'
	same 412 "$status"
	# PUT and DELETE as well.
	rest PUT /v1/kv/g --data-binary 1 -H 'Idempotency-Key: g'
	same 201 "$status"
	rest PUT /v1/kv/g --data-binary 1 -H 'Idempotency-Key: g'
	same 201 "$status"
	rest DELETE /v1/kv/g -H 'Idempotency-Key: h'
	same 204 "$status"
	rest DELETE /v1/kv/g -H 'Idempotency-Key: h'
	same 204 "$status"
	# The limits of its length.
	post '/v1/kv/n?op=incr' -H "Idempotency-Key: $(printf 'k%.0s' {1..255})"
	same 200 "$status"
	post '/v1/kv/n?op=incr' -H "Idempotency-Key: $(printf 'k%.0s' {1..256})"
	same 400 "$status"
	post '/v1/kv/n?op=incr' -H "Idempotency-Key;"
	same 400 "$status"
}

@test "an Idempotency-Key that was used for another change is refused" {
	start_httpd
	rest PUT /v1/kv/a --data-binary 1 -H 'Idempotency-Key: one'
	same 201 "$status"
	local method path body
	while read -r method path body; do
		rest "$method" "$path" -H 'Idempotency-Key: one' ${body:+--data-binary "$body"}
		same 422 "$status"
		same urn:keydir:problem:idempotency-key-reused "$(jq -r .type "$T/body")"
	done <<'END'
PUT /v1/kv/b
DELETE /v1/kv/a
POST /v1/kv/a?op=incr
PUT /v1/kv/a/
DELETE /api/cache/a/
POST /api/cache/b/ 1
POST /v1/txn [{"op":"del","key":"a"}]
END
	rest GET /v1/kv/a
	same '200 1' "$status $(body)"
	rest GET /v1/kv/b
	same 404 "$status"
	# A repetition counts as the same change even if the key has changed since.
	rest DELETE /v1/kv/a
	rest PUT /v1/kv/a --data-binary 1 -H 'Idempotency-Key: one'
	same 201 "$status"
	post '/v1/kv/d/?op=rename&to=e' -H 'Idempotency-Key: two'
	same 404 "$status"
	rest PUT /v1/kv/d/x --data-binary 1
	post '/v1/kv/d/?op=rename&to=e' -H 'Idempotency-Key: three'
	same 200 "$status"
	post '/v1/kv/d/?op=rename&to=e' -H 'Idempotency-Key: three'
	same 200 "$status"
}

@test "a directory is refused by every operation except rename" {
	start_httpd
	rest PUT /v1/kv/d/x --data-binary 1
	local op
	for op in append incr 'expire&ttl=5' persist; do
		for path in /v1/kv/d/ /v1/kv/new/; do
			post "$path?op=$op"
			same 409 "$status"
			same urn:keydir:problem:is-directory "$(jq -r .type "$T/body")"
		done
	done
	rest GET /v1/kv/?recurse
	same d/x "$(jq -r '.entries[].path' "$T/body")"
	post '/v1/kv/d/?op=rename&to=e/'
	same 200 "$status"
	rest GET /v1/kv/?recurse
	same e/x "$(jq -r '.entries[].path' "$T/body")"
}

@test "a repeated response survives a restart" {
	start_httpd
	post '/v1/kv/n?op=incr&by=5' -H 'Idempotency-Key: order-1'
	cp "$T/body" "$T/first"
	kill_hard "$HTTPD_PID"
	start_httpd
	post '/v1/kv/n?op=incr&by=5' -H 'Idempotency-Key: order-1'
	cmp "$T/first" "$T/body"
	rest GET /v1/kv/n
	same 5 "$(body)"
}

@test "X-Keydir-Offset on a request and ?consistent wait for that offset" {
	start_httpd
	rest PUT /v1/kv/a --data-binary 1
	local offset
	offset=$(header X-Keydir-Offset)
	rest GET /v1/kv/a -H "X-Keydir-Offset: $offset"
	same 200 "$status"
	rest GET '/v1/kv/a?consistent'
	same 200 "$status"
	rest GET '/v1/kv/?consistent'
	same 200 "$status"
	local text
	rest GET /v1/kv/a -H "X-Keydir-Offset;" # empty
	same 400 "$status"
	for text in x -1 1.5 1x 18446744073709551616; do
		rest GET /v1/kv/a -H "X-Keydir-Offset: $text"
		same 400 "$status"
	done
	# An offset that is never reached: 412 after a bounded wait, while others are served.
	local begin=$SECONDS pid
	curl -sS -o "$T/late" -w '%{http_code}' -H "X-Keydir-Offset: $((offset + 1000))" "$URL/v1/kv/a" >"$T/code" 3>&- &
	pid=$!
	rest GET /v1/kv/a
	same 200 "$status"
	wait $pid
	same 412 "$(cat "$T/code")"
	same urn:keydir:problem:not-there-yet "$(jq -r .type "$T/late")"
	[ $((SECONDS - begin)) -le $((12 * PATIENCE)) ]
	# An offset that is reached while the request waits.
	curl -sS -o "$T/late" -w '%{http_code}' -H "X-Keydir-Offset: $((offset + 3))" "$URL/v1/kv/a" >"$T/code" 3>&- &
	pid=$!
	local i
	for i in 1 2 3; do rest PUT /v1/kv/a --data-binary "new $i"; done
	wait $pid
	same 200 "$(cat "$T/code")"
	same "new 3" "$(cat "$T/late")"
}

@test "an Idempotency-Key remembers failed preconditions, and those met on this node" {
	start_httpd
	rest PUT /v1/kv/a --data-binary 1
	local tag
	tag=$(header ETag)
	rest PUT /v1/kv/a --data-binary 2 -H "If-Match: \"0\", $tag" -H 'Idempotency-Key: one'
	same 200 "$status"
	local second
	second=$(header ETag)
	rest PUT /v1/kv/a --data-binary 2 -H "If-Match: \"0\", $tag" -H 'Idempotency-Key: one'
	same "200 $second" "$status $(header ETag)"
	rest PUT /v1/kv/a --data-binary 3 -H "If-Match: \"0\", $tag" -H 'Idempotency-Key: two'
	same 412 "$status"
	rest PUT /v1/kv/a --data-binary 3 -H "If-Match: \"0\", $tag" -H 'Idempotency-Key: two'
	same 412 "$status"
	# Keys that expire in the same event do not make it another change.
	rest PUT '/v1/kv/short?ttl=1ms' --data-binary 1
	is_gone() { rest GET /v1/kv/short && [ "$status" = 404 ]; }
	wait_for 10 is_gone
	rest DELETE /v1/kv/none -H 'Idempotency-Key: three'
	same 404 "$status"
	rest DELETE /v1/kv/none -H 'Idempotency-Key: three'
	same 404 "$status"
	rest GET /v1/kv/a
	same 2 "$(body)"
}

@test "a change that filled the cache can be repeated with its Idempotency-Key" {
	start_httpd --size 1M
	head -c 700000 /dev/zero >"$T/big"
	post '/v1/kv/a?op=append' --data-binary "@$T/big" -H 'Idempotency-Key: one'
	same 200 "$status"
	post '/v1/kv/a?op=append' --data-binary "@$T/big" -H 'Idempotency-Key: one'
	same 200 "$status"
	post '/v1/kv/a?op=append' --data-binary "@$T/big" -H 'Idempotency-Key: two'
	same 507 "$status"
	rest HEAD /v1/kv/a
	same 700000 "$(header Content-Length)"
}
