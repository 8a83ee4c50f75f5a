# GET, HEAD, PUT and DELETE of keys over REST: values of all kinds, unusual keys, response
# headers, ranges.

load helper

put() { # PATH VALUE [CURL OPTION...]
	local path=$1 value=$2
	shift 2
	rest PUT "$path" --data-binary "$value" "$@"
}

# The last response is a problem document of this status and kind.
problem() {
	same "$1" "$status"
	same application/problem+json "$(header Content-Type)"
	same "urn:keydir:problem:$2" "$(jq -r .type "$T/body")"
	same "$1" "$(jq -r .status "$T/body")"
	[ -n "$(jq -r '.title // empty' "$T/body")" ]
	[ -n "$(jq -r '.detail // empty' "$T/body")" ]
	[[ $(header X-Keydir-Offset) =~ ^[0-9]+$ ]]
}

@test "a key is created, read, replaced and deleted" {
	start_httpd
	put /v1/kv/a one
	same 201 "$status"
	same /v1/kv/a "$(header Location)"
	local first
	first=$(header ETag)
	[[ $first =~ ^\"[0-9]+-[0-9a-f]{8}\"$ ]]

	rest GET /v1/kv/a
	same 200 "$status"
	same one "$(body)"
	same "$first" "$(header ETag)"
	same application/octet-stream "$(header Content-Type)"
	same no-cache "$(header Cache-Control)"
	same "" "$(header X-Keydir-TTL)"
	same 3 "$(header Content-Length)"

	put /v1/kv/a two
	same 200 "$status"
	same "" "$(header Location)"
	[ "$(header ETag)" != "$first" ]
	rest GET /v1/kv/a
	same two "$(body)"

	rest DELETE /v1/kv/a
	same 204 "$status"
	rest GET /v1/kv/a
	problem 404 not-found
	rest DELETE /v1/kv/a
	problem 404 not-found
}

@test "HEAD has the headers of GET, without the value" {
	start_httpd
	put /v1/kv/a "hello world"
	rest GET /v1/kv/a
	local name got=()
	for name in ETag Last-Modified Content-Type Cache-Control Content-Length X-Keydir-Offset; do
		got+=("$(header $name)")
	done
	rest HEAD /v1/kv/a
	same 200 "$status"
	local i=0
	for name in ETag Last-Modified Content-Type Cache-Control Content-Length X-Keydir-Offset; do
		same "${got[i]}" "$(header $name)"
		i=$((i + 1))
	done
	same bytes "$(header Accept-Ranges)"
	rest HEAD /v1/kv/none
	same 404 "$status"
	# The connection is still in step after responses without a body.
	run -0 curl -sS --head "$URL/v1/kv/a" --next -sS "$URL/v1/kv/a" --next -sS --head "$URL/v1/kv/none" \
		--next -sS "$URL/v1/kv/a"
	same 2 "$(grep -c 'hello world' <<<"$output")"
}

@test "a write's offset is its version, and later reads are at least as new" {
	start_httpd
	put /v1/kv/a 1
	local version offset
	version=$(header ETag)
	offset=$(header X-Keydir-Offset)
	same "\"$offset" "${version%-*}"
	put /v1/kv/b 2
	[ "$(header X-Keydir-Offset)" -gt "$offset" ]
	rest GET /v1/kv/a
	same "$version" "$(header ETag)"
	[ "$(header X-Keydir-Offset)" -gt "$offset" ]
	rest GET /v1/kv/none
	[ "$(header X-Keydir-Offset)" -gt "$offset" ]
	rest GET /nowhere
	[ "$(header X-Keydir-Offset)" -gt "$offset" ]
}

@test "an empty value is a value" {
	start_httpd
	put /v1/kv/empty ""
	same 201 "$status"
	rest GET /v1/kv/empty
	same 200 "$status"
	same 0 "$(header Content-Length)"
	same 0 "$(stat -c %s "$T/body")"
	rest GET /v1/kv/empty -r 0-0
	problem 416 range-not-satisfiable
	# Without any body, and chunked, as well.
	rest PUT /v1/kv/none
	same 201 "$status"
	rest GET /v1/kv/none
	same 200 "$status"
	rest PUT /v1/kv/chunked -H 'Transfer-Encoding: chunked' --data-binary @/dev/null
	same 201 "$status"
	rest GET /v1/kv/chunked
	same 200 "$status"
}

@test "values come back byte for byte, at every size where storage changes" {
	start_httpd
	local size
	for size in 1 2 511 512 513 4095 4096 65503 65504 65505 131072 1000003; do
		head -c $size /dev/urandom >"$T/value"
		rest PUT /v1/kv/v -T "$T/value"
		rest GET /v1/kv/v
		same $size "$(header Content-Length)"
		cmp "$T/value" "$T/body"
		rest PUT /v1/kv/v -T "$T/value" -H 'Transfer-Encoding: chunked' -H 'Content-Length:'
		same 200 "$status"
		rest GET /v1/kv/v
		cmp "$T/value" "$T/body"
	done
	# All 256 bytes.
	python3 -c 'import sys; sys.stdout.buffer.write(bytes(range(256)) * 3)' >"$T/value"
	rest PUT /v1/kv/v -T "$T/value"
	rest GET /v1/kv/v
	cmp "$T/value" "$T/body"
}

@test "the largest value is accepted, one byte more is refused" {
	start_httpd --max-value 1M
	head -c 1048577 /dev/urandom >"$T/over"
	head -c 1048576 "$T/over" >"$T/most"
	rest PUT /v1/kv/v -T "$T/most"
	same 201 "$status"
	rest GET /v1/kv/v
	cmp "$T/most" "$T/body"
	local how
	for how in "-H Expect:" "-H Expect:100-continue" "-H Transfer-Encoding:chunked"; do
		# shellcheck disable=SC2086 # words
		rest PUT /v1/kv/v -T "$T/over" $how
		problem 413 too-large
		[[ $(jq -r .detail "$T/body") == *1048576* ]]
	done
	# The connection continues where the body was read.
	run -0 curl -sS -o /dev/null -o /dev/null -w '%{http_code} %{num_connects}\n' -H Expect: \
		-T "$T/over" "$URL/v1/kv/v" --next -sS -w '%{http_code} %{num_connects}\n' -o /dev/null "$URL/v1/kv/v"
	same "413 1
200 0" "$output"
	# An append counts the existing value.
	rest POST '/v1/kv/v?op=append' --data-binary x
	problem 413 too-large
	rest GET /v1/kv/v
	cmp "$T/most" "$T/body"
}

@test "over the quota writes are 507, and reads and deletes continue" {
	start_httpd --size 1M
	head -c 300000 /dev/urandom >"$T/value"
	local i
	for i in 1 2 3; do
		rest PUT /v1/kv/k$i -T "$T/value"
		same 201 "$status"
	done
	rest PUT /v1/kv/k4 -T "$T/value"
	problem 507 full
	rest GET /v1/kv/k4
	same 404 "$status"
	rest GET /v1/kv/k1
	same 200 "$status"
	cmp "$T/value" "$T/body"
	rest DELETE /v1/kv/k1
	same 204 "$status"
	rest PUT /v1/kv/k4 -T "$T/value"
	same 201 "$status"
}

@test "keys of any bytes: spaces, UTF-8, bytes above 127, escapes" {
	start_httpd
	local key
	local keys=('a%20b' 'caf%C3%A9' '%FF%FE' '%E2%82%AC/%F0%9F%98%80' 'a%25b' '%252F' 'a+b' 'a:b' 'a;b,c'
		'%01%02%1F%7F' '%0A' '.hidden' '...' 'a..b' '~' '%22%27%5C' '%3Ca%3E' 'a=b&c' '!*()' '%5B%5D%7B%7D'
		'a%3Fb%23c' '-' '_/_/_')
	for key in "${keys[@]}"; do
		put "/v1/kv/odd/$key" "value of $key"
		same 201 "$status"
	done
	for key in "${keys[@]}"; do
		rest GET "/v1/kv/odd/$key"
		same 200 "$status"
		same "value of $key" "$(body)"
	done
	# Bytes that need no escape mean the same with one.
	rest GET '/v1/kv/odd/%2e%68%69%64%64%65%6e'
	same "value of .hidden" "$(body)"
	# Every path of a listing leads back to its key.
	rest GET '/v1/kv/odd/?recurse'
	same 200 "$status"
	same ${#keys[@]} "$(jq '.entries | length' "$T/body")"
	local path
	jq -r '.entries[].path' "$T/body" >"$T/paths"
	while read -r path; do
		rest GET "/v1/kv/odd/$path"
		same 200 "$status"
	done <"$T/paths"
	# Raw bytes above 127 in the path are accepted.
	rest GET "/v1/kv/odd/café"
	same "value of caf%C3%A9" "$(body)"
}

@test "names and paths are accepted up to their limits" {
	start_httpd
	local name path
	name=$(printf 'n%.0s' {1..255})
	put "/v1/kv/$name" longest
	same 201 "$status"
	rest GET "/v1/kv/$name"
	same longest "$(body)"
	put "/v1/kv/${name}n" "too long"
	problem 400 bad-key
	# 255 escaped bytes are 765 characters
	put "/v1/kv/$(printf '%%FF%.0s' {1..255})" escaped
	same 201 "$status"
	put "/v1/kv/$(printf '%%FF%.0s' {1..256})" escaped
	problem 400 bad-key
	rest DELETE "/v1/kv/$name"
	# 16 names of 255 with 15 slashes are 4095 bytes
	path=$(printf "$name/%.0s" {1..15})
	put "/v1/kv/$path$name" "4095 bytes"
	same 201 "$status"
	put "/v1/kv/$path${name:1}/x" "4096 bytes"
	same 201 "$status"
	rest GET "/v1/kv/$path${name:1}/x"
	same "4096 bytes" "$(body)"
	put "/v1/kv/$path$name/x" "4097 bytes"
	problem 400 bad-key
	# All of it escaped, too.
	rest GET "/v1/kv/${path//n/%6E}${name//n/%6e}"
	same "4095 bytes" "$(body)"
}

@test "Last-Modified is never later than Date, and If-Modified-Since with it sees a change" {
	require_fuse
	start_httpd
	start_fs
	put /v1/kv/future one
	touch -d '2099-01-01 00:00:00 UTC' "$MNT/future"
	rest GET /v1/kv/future
	local modified
	modified=$(header Last-Modified)
	[ "$(date -d "$modified" +%s)" -le "$(date -d "$(header Date)" +%s)" ]
	rest GET /v1/kv/future -H "If-Modified-Since: $modified"
	same 200 "$status"
	touch -d '2001-02-03 04:05:06 UTC' "$MNT/future"
	rest HEAD /v1/kv/future
	same 'Sat, 03 Feb 2001 04:05:06 GMT' "$(header Last-Modified)"
}

@test "paths that are not keys are refused" {
	start_httpd
	local path method
	for path in 'a%2F%2fb' 'a%2F..%2fb' '..%2Fa' '%2Fa' '%2F' 'a%00b' '%00' '.' '..' 'a/..' 'a/../b' './a' '%2e%2E' 'a/%2e' '/' '//' 'a//b' \
		'/a' 'a//' '%' 'a%4' '%zz' '%%41'; do
		for method in GET PUT DELETE; do
			rest $method "/v1/kv/$path"
			problem 400 bad-key
		done
		rest POST "/v1/kv/$path?op=incr"
		problem 400 bad-key
		rest HEAD "/v1/kv/$path"
		same 400 "$status"
	done
	rest GET '/v1/kv/?recurse'
	same 0 "$(jq '.entries | length' "$T/body")"
}

@test "an encoded slash is a slash, and a doubly encoded one is three characters of a name" {
	start_httpd
	put /v1/kv/a%2Fb%2fc deep
	same 201 "$status"
	same /v1/kv/a/b/c "$(header Location)"
	for path in a/b/c a%2Fb/c a/b%2fc; do
		rest GET "/v1/kv/$path"
		same "200 deep" "$status $(body)"
	done
	rest GET /v1/kv/a%2Fb%2F
	same '200 ["c"]' "$status $(jq -c '[.entries[].path]' "$T/body")"
	put /v1/kv/a%252Fb double
	same 201 "$status"
	rest GET '/v1/kv/'
	same '["a","a%2Fb"]' "$(jq -c '[.entries[].name]' "$T/body")"
	rest POST /v1/mget --data-binary '[{"path":"a%2Fb%2Fc"},{"path":"a%252Fb"}]'
	same '["deep","double"]' "$(jq -c '[.entries[].value]' "$T/body")"
	rest DELETE '/v1/kv/a%2Fb?recurse'
	same 204 "$status"
	rest GET /v1/kv/a%252Fb
	same double "$(body)"
}

@test "nothing exists below a key, and nothing can be put there" {
	start_httpd
	put /v1/kv/a 1
	rest GET /v1/kv/a/b
	problem 404 not-a-directory
	rest GET /v1/kv/a/
	problem 404 not-a-directory
	put /v1/kv/a/b 2
	problem 409 not-a-directory
	put /v1/kv/a/b/c/d 2
	problem 409 not-a-directory
	rest PUT /v1/kv/a/b/
	problem 409 not-a-directory
	rest DELETE /v1/kv/a/b
	problem 404 not-found
	rest DELETE /v1/kv/a/
	problem 404 not-a-directory
	rest DELETE /v1/kv/a/b/
	problem 404 not-a-directory
	rest GET /v1/kv/a
	same 1 "$(body)"
}

@test "directories are created by a slash or by a key below, and never read or written as a key" {
	start_httpd
	rest PUT /v1/kv/d/
	same 201 "$status"
	same /v1/kv/d/ "$(header Location)"
	rest PUT /v1/kv/d/
	same 200 "$status"
	rest PUT /v1/kv/d/ -H 'If-None-Match: *'
	problem 412 precondition-failed
	rest PUT /v1/kv/d/ --data-binary value
	problem 400 bad-body
	rest PUT '/v1/kv/e/?ttl=60'
	problem 400 bad-parameter
	rest GET /v1/kv/d
	problem 404 is-directory
	same /v1/kv/d/ "$(jq -r .listing "$T/body")"
	put /v1/kv/d value
	problem 409 is-directory
	rest POST '/v1/kv/d?op=append' --data-binary x
	problem 409 is-directory
	rest POST '/v1/kv/d?op=incr'
	problem 409 is-directory
	put /v1/kv/x/y/z deep
	same 201 "$status"
	rest GET /v1/kv/x/y/
	same z "$(jq -r '.entries[].name' "$T/body")"

	rest DELETE /v1/kv/d
	problem 409 is-directory
	rest DELETE /v1/kv/d/
	same 204 "$status"
	rest DELETE /v1/kv/d/
	problem 404 not-found
	rest DELETE /v1/kv/x/
	problem 409 not-empty
	rest DELETE '/v1/kv/x/?recurse=false'
	problem 409 not-empty
	rest DELETE '/v1/kv/x?recurse'
	same 204 "$status"
	rest GET /v1/kv/x/y/z
	same 404 "$status"
	rest DELETE '/v1/kv/x/?recurse'
	problem 404 not-found
}

@test "parameters of directories are refused for keys, and the reverse" {
	start_httpd
	put /v1/kv/d/k 1
	local query
	for query in recurse values limit=5 cursor=; do
		rest GET "/v1/kv/d/k?$query"
		problem 400 bad-parameter
		rest HEAD "/v1/kv/d?$query"
		same 400 "$status"
	done
	rest GET '/v1/kv/d/?wait=1s'
	problem 400 bad-parameter
	# A flag has no value other than yes or no.
	for query in recurse=maybe values=yes consistent=5 recurse=TRUE; do
		rest GET "/v1/kv/d/?$query"
		problem 400 bad-parameter
	done
	for query in recurse recurse= recurse=1 recurse=true; do
		rest GET "/v1/kv/?$query"
		same d/k "$(jq -r '.entries[].path' "$T/body")"
	done
	for query in recurse=0 recurse=false; do
		rest GET "/v1/kv/?$query"
		same d/ "$(jq -r '.entries[].path' "$T/body")"
	done
}

@test "the root cannot be removed or replaced" {
	start_httpd
	put /v1/kv/a 1
	local path
	for path in /v1/kv/ /v1/kv; do
		rest PUT $path
		problem 405 method-not-allowed
		rest DELETE $path
		problem 405 method-not-allowed
		rest DELETE "$path?recurse"
		problem 405 method-not-allowed
		[[ $(jq -r .detail "$T/body") == *"Name a key below it." ]]
		rest POST "$path?op=incr"
		problem 405 method-not-allowed
		rest GET $path
		same 200 "$status"
		same a "$(jq -r '.entries[].name' "$T/body")"
	done
}

@test "ranges return parts of a value" {
	start_httpd
	put /v1/kv/r 0123456789
	local etag
	etag=$(header ETag)
	local row range want
	for row in 0-0=0 0-4=01234 5-=56789 9-9=9 9-99=9 -3=789 -99=0123456789; do
		range=${row%=*}
		want=${row#*=}
		rest GET /v1/kv/r -H "Range: bytes=$range"
		same 206 "$status"
		same "$want" "$(body)"
		same ${#want} "$(header Content-Length)"
		same "$etag" "$(header ETag)"
	done
	same "bytes 0-9/10" "$(header Content-Range)"
	rest GET /v1/kv/r -H 'Range: bytes=2-4'
	same "bytes 2-4/10" "$(header Content-Range)"
	for range in 10- 10-12 -0; do
		rest GET /v1/kv/r -H "Range: bytes=$range"
		problem 416 range-not-satisfiable
		same "bytes */10" "$(header Content-Range)"
	done
	for range in bytes=4-2 bytes=0-1,3-4 lines=1-2 bytes=x bytes; do
		rest GET /v1/kv/r -H "Range: $range"
		same 200 "$status"
		same 0123456789 "$(body)"
	done
	# A range of a long value, which is stored in chunks.
	head -c 300000 /dev/urandom >"$T/value"
	rest PUT /v1/kv/long -T "$T/value"
	rest GET /v1/kv/long -r 65000-200000
	same 206 "$status"
	cmp <(tail -c +65001 "$T/value" | head -c 135001) "$T/body"
	# HEAD ignores ranges.
	rest HEAD /v1/kv/r -H 'Range: bytes=0-1'
	same 200 "$status"
}

@test "If-Range returns a range only of the version that the client has" {
	start_httpd
	put /v1/kv/r 0123456789
	local etag date
	etag=$(header ETag)
	rest GET /v1/kv/r
	date=$(header Last-Modified)
	rest GET /v1/kv/r -r 0-1 -H "If-Range: $etag"
	same 206 "$status"
	rest GET /v1/kv/r -r 0-1 -H "If-Range: $date"
	same 206 "$status"
	local text
	for text in '"999"' "W/$etag" 'Sun, 06 Nov 1994 08:49:37 GMT' nonsense; do
		rest GET /v1/kv/r -r 0-1 -H "If-Range: $text"
		same 200 "$status"
		same 0123456789 "$(body)"
	done
}

@test "content types are stored with the value and replaced with it" {
	start_httpd
	put /v1/kv/t '{"a":1}' -H 'Content-Type: application/json'
	rest GET /v1/kv/t
	same application/json "$(header Content-Type)"
	# A stored page cannot run in this server's origin.
	same nosniff "$(header X-Content-Type-Options)"
	same sandbox "$(header Content-Security-Policy)"
	put /v1/kv/t plain -H 'Content-Type: text/plain; charset=utf-8'
	rest GET /v1/kv/t
	same "text/plain; charset=utf-8" "$(header Content-Type)"
	# A new value without a type has none.
	put /v1/kv/t bytes -H 'Content-Type:'
	rest GET /v1/kv/t
	same application/octet-stream "$(header Content-Type)"
	# curl's default type is not stored.
	put /v1/kv/t bytes -H 'Content-Type: application/x-www-form-urlencoded'
	rest GET /v1/kv/t
	same application/octet-stream "$(header Content-Type)"
	put /v1/kv/t long -H "Content-Type: a/$(printf 'x%.0s' {1..254})"
	problem 400 bad-request
	put /v1/kv/t long -H "Content-Type: a/$(printf 'x%.0s' {1..253})"
	same 200 "$status"
	put /v1/kv/t packed -H 'Content-Encoding: gzip'
	problem 415 content-encoding
}

@test "HTTP caches may keep a value only if its writer says so, and no longer than its TTL" {
	start_fs
	start_httpd
	put /v1/kv/c one -H 'Cache-Control: max-age=60'
	same 201 "$status"
	same "$URL/v1/kv/c" "$URL$(header Location)"
	local etag
	etag=$(header ETag)
	rest GET /v1/kv/c
	same "max-age=60 $etag one" "$(header Cache-Control) $(header ETag) $(body)"
	rest GET /v1/kv/c -H "If-None-Match: $etag"
	same "304 max-age=60" "$status $(header Cache-Control)"
	same max-age=60 "$(getfattr --only-values -n user.cache_control "$MNT/c" 2>/dev/null)"
	# With a TTL, a type, and a failing condition.
	put '/v1/kv/c?ttl=30s' '{}' -H 'Cache-Control: max-age=60' -H 'Content-Type: application/json'
	same 200 "$status"
	rest HEAD /v1/kv/c
	[[ "$(header Cache-Control)" =~ ^max-age=(29|30)$ ]]
	same application/json "$(header Content-Type)"
	put /v1/kv/c two -H 'Cache-Control: max-age=60' -H 'If-None-Match: *'
	problem 412 precondition-failed
	# One event, and the repetition returns its result.
	put /v1/kv/i one -H 'Cache-Control: max-age=9' -H 'Idempotency-Key: k1'
	same 201 "$status"
	etag=$(header ETag)
	put /v1/kv/i one -H 'Cache-Control: max-age=9' -H 'Idempotency-Key: k1'
	same "201 $etag" "$status $(header ETag)"
	# The next value has none, and neither have values whose directives have no effect.
	put /v1/kv/c three
	rest GET /v1/kv/c
	same no-cache "$(header Cache-Control)"
	local word
	for word in max-age=0 no-store max-age=-1 max-age=1x max-age=31536001 'public, max-age=5'; do
		put /v1/kv/c "$word" -H "Cache-Control: $word"
		same 200 "$status"
		rest GET /v1/kv/c
		same "no-cache $word" "$(header Cache-Control) $(body)"
	done
	# Through the mount.
	setfattr -n user.cache_control -v max-age=5 "$MNT/c"
	rest GET /v1/kv/c
	same max-age=5 "$(header Cache-Control)"
	fails_with "Invalid argument" setfattr -n user.cache_control -v forever "$MNT/c"
	setfattr -x user.cache_control "$MNT/c"
	rest GET /v1/kv/c
	same no-cache "$(header Cache-Control)"
}

@test "values written over REST are files, and files are values" {
	start_fs
	start_httpd
	put /v1/kv/dir/a "from REST"
	same "from REST" "$(cat "$MNT/dir/a")"
	local i
	for i in {1..50}; do
		put /v1/kv/dir/a "round $i"
		same "round $i" "$(cat "$MNT/dir/a")"
		echo "file $i" >"$MNT/dir/b"
		rest GET /v1/kv/dir/b
		same "file $i" "$(body)"
	done
	rest DELETE /v1/kv/dir/a
	[ ! -e "$MNT/dir/a" ]
	setfattr -n user.content_type -v text/css "$MNT/dir/b"
	rest GET /v1/kv/dir/b
	same text/css "$(header Content-Type)"
	# A type that no header can carry is refused where it is set.
	! setfattr -n user.content_type -v $'text/css\r\nX-Evil: 1' "$MNT/dir/b" || return 1
	rest GET /v1/kv/dir/b
	same 200 "$status"
	same text/css "$(header Content-Type)"
	same "" "$(header X-Evil)"
}
