# --evict over a Kafka log: whichever node evicts, all nodes lose the same keys.

load cluster

SIZE=1048576

# put_many NODE PREFIX N BYTES: send PUTs to a node, and print each status that came once.
put_many() {
	local url=${NODE_URL[$1]}/v1/kv file=$T/value-$1-$2
	head -c "$4" /dev/zero >"$file"
	seq -f "url = \"$url/$2%.0f\"" 1 "$3" |
		sed "s|\$|\nupload-file = \"$file\"\noutput = /dev/null|" >"$file.curl"
	curl -sS --parallel --parallel-max 8 -K "$file.curl" -w '%{http_code}\n' | sort -u | tr '\n' ' '
}

@test "two nodes that evict at once refuse no write, keep most keys, and end equal" {
	local n pids=() i
	NODE_OPTIONS=(--size "$SIZE" --evict lru)
	node_up 1
	node_up 2
	for n in 1 2; do
		put_many "$n" "n$n-" 1200 1000 >"$T/codes$n" &
		pids+=("$!")
		(for i in {1..60}; do head -c 5000 /dev/zero >"${NODE_MNT[n]}/f$n-$i" || exit 1; done) &
		pids+=("$!")
	done
	for n in "${pids[@]}"; do wait "$n"; done
	same "201 " "$(cat "$T/codes1")"
	same "201 " "$(cat "$T/codes2")"
	wait_for 30 settled 1 2
	[ "$(status_of 1 .events.evicted)" -gt 1400 ]
	same "$(status_of 1 .events.evicted)" "$(status_of 2 .events.evicted)"
	# Each node foresees only its own writes, so the quota holds approximately.
	local used
	used=$(status_of 1 .store.used_bytes)
	[ "$used" -le $((SIZE + SIZE / 10)) ]
	[ "$used" -ge $((SIZE * 3 / 4)) ]
	# The log names the evicted keys and the reason.
	consume -f '%h\n' >"$T/headers"
	same "" "$(grep -w evict "$T/headers" | grep -vE '^op=(del|rmdir),.*if=version=[0-9]+')"
	[ "$(grep -cw evict "$T/headers")" -ge 1400 ]
	# When one node continues to write, it evicts for itself, whatever the other node
	# does.
	head -c 600K /dev/urandom >"$T/large"
	node_rest 2 PUT /v1/kv/large --data-binary "@$T/large"
	same 201 "$status"
	head -c 1100K /dev/zero >"$T/huge"
	local before
	before=$(status_of 2 .events.evicted)
	node_rest 2 PUT /v1/kv/huge --data-binary "@$T/huge"
	same 507 "$status"
	same "$before" "$(status_of 2 .events.evicted)"
	wait_for 30 settled 1 2
	cmp "$T/large" "${NODE_MNT[1]}/large"
}

@test "writes that wait for space are logged in order, including appends" {
	NODE_OPTIONS=(--size 256K --evict lru)
	node_up 1
	local i
	: >"$T/lines"
	# The log file is open, so it must stay; every other key may be evicted.
	exec 8>>"${NODE_MNT[1]}/log"
	for i in {1..200}; do
		echo "$i" >&8
		echo "$i" >>"$T/lines"
		[ $((i % 4)) != 0 ] || head -c 30000 /dev/zero >"${NODE_MNT[1]}/f$i"
	done
	exec 8>&-
	cmp "$T/lines" "${NODE_MNT[1]}/log"
	rest GET /metrics
	[ "$(sed -n 's/^keydir_writes_held_total //p' "$T/body")" != "" ]
	wait_for 30 settled 1
}

@test "the policy ttl refuses writes if no key has a TTL, and an unreachable log is reported" {
	NODE_OPTIONS=(--size 256K --evict ttl --write-timeout 2s)
	allow_log 'the log cannot be used'
	node_httpd 1
	same "201 507 " "$(put_many 1 k 300 1000)"
	same 0 "$(status_of 1 .events.evicted)"
	node_rest 1 DELETE /v1/kv/k1
	node_rest 1 PUT '/v1/kv/t?ttl=1h' --data-binary "@$T/value-1-k"
	same 201 "$status"
	node_rest 1 PUT /v1/kv/k1 --data-binary "@$T/value-1-k"
	same 201 "$status"
	evicted_one() { [ "$(status_of 1 .events.evicted)" = 1 ]; }
	wait_for 10 evicted_one
	node_rest 1 DELETE /v1/kv/k2
	node_rest 1 PUT '/v1/kv/t?ttl=1h' --data-binary "@$T/value-1-k"
	broker pause
	node_rest 1 PUT /v1/kv/k2 --data-binary "@$T/value-1-k"
	same "" "$(grep -vE '^(503|504)$' <<<"$status")"
	broker resume
}
