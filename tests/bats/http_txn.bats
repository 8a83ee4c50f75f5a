# POST /v1/txn and POST /v1/mget.

load helper

txn() { # JSON [CURL OPTION...]
	local json=$1
	shift
	rest POST /v1/txn --data-binary "$json" -H 'Content-Type: application/json' "$@"
}
answer() { jq -rc "$1" "$T/body"; }
value_of() {
	rest GET "/v1/kv/$1"
	body
}

@test "a transaction does all of its operations in one event" {
	start_httpd
	rest PUT /v1/kv/old --data-binary 1
	rest PUT /v1/kv/gone --data-binary 1
	txn '[{"op":"set","key":"a","value":"grüße","ttl":"1h","type":"text/plain"},
		{"op":"set","path":"b%FF","value":"AP/+","encoding":"base64"},
		{"op":"append","key":"a","value":"!"}, {"op":"incr","key":"n","by":41}, {"op":"incr","key":"n"},
		{"op":"rename","key":"old","to":"dir/new"}, {"op":"del","key":"gone","if":"present"}, {"op":"mkdir","key":"m"},
		{"op":"expire","key":"n","ttl":60}, {"op":"persist","key":"a"}]'
	same 200 "$status"
	same 10 "$(answer '.results | length')"
	same "done" "$(answer '[.results[].outcome] | unique | .[]')"
	same 42 "$(answer '.results[4].number')"
	local offset
	offset=$(header X-Keydir-Offset)
	same "$offset" "$(answer '[.results[] | select(.version != 0).version] | unique | .[]')"
	same 'grüße!' "$(value_of a)"
	same text/plain "$(header Content-Type)"
	same "" "$(header X-Keydir-TTL)"
	same "$offset" "$(header X-Keydir-Offset)"
	rest GET /v1/kv/b%FF
	printf '\x00\xff\xfe' | cmp - "$T/body"
	same 42 "$(value_of n)"
	[[ "$(header X-Keydir-TTL)" -gt 30 && "$(header X-Keydir-TTL)" -le 60 ]]
	same 1 "$(value_of dir/new)"
	rest GET /v1/kv/gone
	same 404 "$status"
	rest GET /v1/kv/m/
	same 200 "$status"
}

@test "a failed operation undoes all, and is named" {
	start_httpd
	rest PUT /v1/kv/a --data-binary 1
	local version
	version=$(header ETag)
	version=${version#\"} version=${version%%-*}
	txn '[{"op":"set","key":"x","value":"1"},{"op":"set","key":"a","value":"2","if":"absent"},{"op":"set","key":"y","value":"1"}]'
	same 412 "$status"
	same application/problem+json "$(header Content-Type)"
	same 1 "$(answer .failed)"
	same 'exists already' "$(answer '.results[1].outcome')"
	rest GET /v1/kv/x
	same 404 "$status"
	txn '[{"op":"set","key":"a","value":"2","if":'$((version + 1000))'}]'
	same 412 "$status"
	txn '[{"op":"set","key":"x","value":"1"},{"op":"set","key":"a/b","value":"1"}]'
	same 409 "$status"
	same 1 "$(answer .failed)"
	txn '[{"op":"set","key":"w","value":"word"},{"op":"incr","key":"w"}]'
	same 409 "$status"
	rest GET /v1/kv/w
	same 404 "$status"
	# An operation sees the effects of earlier ones.
	txn '[{"op":"set","key":"a","value":"2","if":'"$version"'},{"op":"del","key":"a"},{"op":"set","key":"a","value":"3","if":"absent"}]'
	same 200 "$status"
	same 3 "$(value_of a)"
}

@test "an unreadable transaction is 400, and changes nothing" {
	start_httpd
	local json
	for json in '' '{}' '[]' '1' '[1]' '[{}]' '[{"op":"set"}]' '[{"op":"set","key":"a"}]' '[{"op":"set","key":"a","value":1}]' \
		'[{"op":"set","key":"a","value":"x","encoding":"hex"}]' '[{"op":"set","key":"a","value":"x=","encoding":"base64"}]' \
		'[{"op":"set","key":"a","value":"AB==","encoding":"base64"}]' '[{"op":"set","key":"a","value":"A===","encoding":"base64"}]' \
		'[{"op":"set","key":"","value":"x"}]' '[{"op":"set","key":"../a","value":"x"}]' '[{"op":"set","key":"a\u0000b","value":"x"}]' \
		'[{"op":"set","path":"a%2F..%2Fb","value":"x"}]' '[{"op":"set","path":"","value":"x"}]' '[{"op":"set","key":"a","path":"a","value":"x"}]' \
		'[{"op":"set","key":"a","value":"x","ttl":0}]' '[{"op":"set","key":"a","value":"x","ttl":"soon"}]' '[{"op":"set","key":"a","value":"x","ttl":1.5}]' \
		'[{"op":"set","key":"a","value":"x","if":"maybe"}]' '[{"op":"set","key":"a","value":"x","if":-1}]' '[{"op":"set","key":"a","value":"x","fi":"absent"}]' \
		'[{"op":"incr","key":"a","by":"1"}]' '[{"op":"incr","key":"a","value":"1"}]' '[{"op":"expire","key":"a"}]' '[{"op":"rename","key":"a"}]' \
		'[{"op":"del","key":"a","recurse":1}]' '[{"op":"txn","key":"a"}]' '[{"op":"set","op":"del","key":"a","value":"x"}]' \
		'[{"op":"set","key":"first","value":"x"},{"op":"set"}]'; do
		txn "$json"
		same 400 "$status"
		same urn:keydir:problem:bad-body "$(answer .type)"
	done
	txn "[$(printf '{"op":"incr","key":"n"},%.0s' {1..1024}){\"op\":\"incr\",\"key\":\"n\"}]"
	same 400 "$status"
	txn "[$(printf '{"op":"incr","key":"n"},%.0s' {1..1023}){\"op\":\"incr\",\"key\":\"n\"}]"
	same 200 "$status"
	rest GET '/v1/kv/?recurse'
	same '["n"]' "$(jq -c '[.entries[].name]' "$T/body")"
	same 1024 "$(value_of n)"
	rest GET /v1/txn
	same 405 "$status"
}

@test "a whole number may be written in any of JSON's forms" {
	start_httpd
	txn '[{"op":"incr","key":"n","by":5.0,"ttl":60.0},{"op":"incr","key":"n","by":1e1}]'
	same 15 "$(value_of n)"
	rest HEAD /v1/kv/n
	about 60 "$(header X-Keydir-TTL)"
	local version
	version=$(header ETag | tr -dc '"0-9-' | cut -d- -f1 | tr -d '"')
	txn "[{\"op\":\"set\",\"key\":\"n\",\"value\":\"x\",\"if\":$version.0}]"
	same x "$(value_of n)"
	local bad
	for bad in '"by":1.5' '"by":1e300' '"by":"5"' '"ttl":0.5' '"ttl":-1.0' '"if":-1.0' '"if":1.5'; do
		rest POST /v1/txn --data-binary "[{\"op\":\"incr\",\"key\":\"m\",$bad}]"
		same 400 "$status"
	done
}

@test "Idempotency-Key: done once, same response" {
	start_httpd
	txn '[{"op":"incr","key":"n"},{"op":"append","key":"log","value":"x"}]' -H 'Idempotency-Key: t'
	cp "$T/body" "$T/first"
	txn '[{"op":"incr","key":"n"},{"op":"append","key":"log","value":"x"}]' -H 'Idempotency-Key: t'
	cmp "$T/first" "$T/body"
	same 1 "$(value_of n)"
	same x "$(value_of log)"
}

# Transfers between two counters by many clients; a reader of both always sees the same
# sum.
@test "no reader sees half of a transaction" {
	start_httpd
	txn '[{"op":"set","key":"acc/a","value":"1000"},{"op":"set","key":"acc/b","value":"0"}]'
	cat >"$T/move" <<'EOF'
for i in 1 2 3 4 5 6 7 8 9 10; do
	curl -sS --fail -o /dev/null --data-binary '[{"op":"incr","key":"acc/a","by":-1},{"op":"incr","key":"acc/b","by":1}]' "$URL/v1/txn" || exit 1
done
EOF
	local i pids=()
	export URL
	for i in 1 2 3 4; do
		bash "$T/move" 3>&- &
		pids+=($!)
	done
	for i in {1..20}; do
		rest POST /v1/mget --data-binary '["acc/a","acc/b"]'
		same 1000 "$(answer '[.entries[].value | tonumber] | add')"
	done
	for i in "${pids[@]}"; do wait "$i"; done
	same 960 "$(value_of acc/a)"
	same 40 "$(value_of acc/b)"
}

@test "mget returns values as JSON" {
	start_httpd
	rest PUT '/v1/kv/a?ttl=1h' --data-binary 'text "x"' -H 'Content-Type: text/plain'
	printf '\xff\x00' >"$T/bin"
	rest PUT /v1/kv/d/b%FF --data-binary "@$T/bin"
	rest POST /v1/mget --data-binary '["a","none",{"path":"d/b%FF"},{"key":"d"},"a","a/below"]'
	same 200 "$status"
	same '["key","none","key","directory","key","none"]' "$(answer '[.entries[].type]')"
	same 'text "x"' "$(answer '.entries[0].value')"
	same text/plain "$(answer '.entries[0].content_type')"
	about 3600 "$(answer '.entries[0].ttl')"
	same /wA= "$(answer '.entries[2].value')"
	same base64 "$(answer '.entries[2].encoding')"
	same 'd/b%FF' "$(answer '.entries[2].path')"
	[[ $(header X-Keydir-Offset) =~ ^[0-9]+$ ]]
	rest POST '/v1/mget?consistent' --data-binary '["a"]'
	same 200 "$status"
	local json
	for json in '' '[]' '{}' '"a"' '[1]' '[""]' '["../x"]' '[{}]' '[{"key":"a","path":"a"}]' '[{"path":"%2F"}]' '[{"kye":"a"}]'; do
		rest POST /v1/mget --data-binary "$json"
		same 400 "$status"
	done
}

@test "mget returns raw values as multipart, in order" {
	start_httpd
	head -c 100000 /dev/urandom >"$T/long"
	rest PUT /v1/kv/long -T "$T/long"
	rest PUT /v1/kv/empty
	rest PUT /v1/kv/t%20x --data-binary text -H 'Content-Type: text/plain'
	rest POST /v1/mget --data-binary '["long","empty","none","t x"]' -H 'Accept: multipart/mixed'
	same 200 "$status"
	{
		printf 'Content-Type: %s\r\n\r\n' "$(header Content-Type)"
		cat "$T/body"
	} >"$T/message"
	run -0 python3 - "$T" <<'EOF'
import email, email.policy, sys
top = sys.argv[1]
raw = open(top + "/message", "rb").read()
message = email.message_from_bytes(raw, policy=email.policy.HTTP)
assert message.is_multipart()
parts = message.get_payload()
assert [p["Content-Location"] for p in parts] == ["/v1/kv/long", "/v1/kv/empty", "/v1/kv/none", "/v1/kv/t%20x"]
assert [p["X-Keydir-Status"] for p in parts] == ["200", "200", "404", "200"]
assert parts[3]["Content-Type"] == "text/plain"
assert parts[3].get_payload() == "text"
# Bytes are read by their length: no parser of mail may change them.
at = raw.index(b"Content-Length: 100000\r\n\r\n") + len(b"Content-Length: 100000\r\n\r\n")
assert raw[at:at + 100000] == open(top + "/long", "rb").read()
print("good")
EOF
	same good "$output"
}

@test "more than 64 MiB at once is 413" {
	start_httpd
	head -c 16777216 /dev/zero | tr '\0' x >"$T/big"
	rest PUT /v1/kv/big -T "$T/big"
	rest POST /v1/mget --data-binary '["big","big","big","big","big"]'
	same 413 "$status"
	rest POST /v1/mget --data-binary '["big","big","big"]'
	same 200 "$status"
}
