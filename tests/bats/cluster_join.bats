# A new node of a volume with many keys joins by snapshot and by replay.
#
# JOIN_KEYS=1000000 runs longer than the suite can afford.

load cluster

KEYS=${JOIN_KEYS:-200000}

# A deadline for that many keys: seconds for 200,000, on a busy machine.
slowly() {
	local PATIENCE=$((PATIENCE * (2 + KEYS / 100000)))
	"$@"
}

# A topic as a node creates it, and plain records, as from any producer.
fill_topic() {
	node_httpd 9
	node_stop 9
	awk -v n="$KEYS" 'BEGIN { for (i = 1; i <= n; i++) printf "dir%d/key%d:value of key %d\n", i % 100, i, i }' |
		produce -K: -X queue.buffering.max.messages=500000 -X linger.ms=20
}

# has_all N: check that a node that reports ready has all keys.
has_all() { # N
	rest GET "/v1/kv/dir$((KEYS % 100))/key$KEYS"
	same 200 "$status"
	same "value of key $KEYS" "$(body)"
	[ "$(status_of "$1" .store.keys)" -ge "$KEYS" ]
}

@test "a new node joins by replay, another by snapshot, and all are equal row by row" {
	local i writer
	fill_topic
	slowly node_httpd 1
	has_all 1
	# Some of every kind of row that a store has.
	produce -K: -Z -H op=expire -H ttl=3600000 <<<"dir1/key1:"
	produce -K: -H op=setxattr -H name=user.colour <<<"dir2/key2:red"
	produce -K: -Z -H op=rename -H to=moved <<<"dir3:"
	produce -K: -Z -H op=del -H flags=recurse <<<"dir4:"
	# Other clients write during the join.
	for i in {1..300}; do
		echo "meanwhile/key$i:$i"
		sleep 0.01
	done | produce -K: 3>&- &
	writer=$!
	slowly node_httpd 2 --peers "${NODE_URL[1]}"
	grep -q "snapshot taken peer=${NODE_URL[1]}" "$T/httpd$STARTED.log"
	rest GET "/v1/kv/dir$((KEYS % 100))/key$KEYS"
	same 200 "$status"
	slowly node_httpd 3
	not grep -q snapshot "$T/httpd$STARTED.log"
	rest GET "/v1/kv/dir$((KEYS % 100))/key$KEYS"
	same 200 "$status"
	wait "$writer"
	slowly wait_for 20 settled 1 2 3 || {
		show_differences "$T/n1" "$T/n2" "$T/n3"
		return 1
	}
	rest GET /v1/kv/meanwhile/key300
	same 300 "$(body)"
	# A node that joined by snapshot continues like any other: after kill -9 as well, from
	# its offset.
	node_kill 2
	produce -K: <<<"after:1"
	slowly node_httpd 2 --peers "${NODE_URL[1]}"
	not grep -q snapshot "$T/httpd$STARTED.log"
	slowly wait_for 20 settled 1 2 3
}

@test "a node that is catching up is not ready, sends no snapshot, and reports its progress" {
	local i code seen=0 refused=0
	fill_topic
	PORT=$(free_port) URL=http://127.0.0.1:$PORT
	start httpd1 "$KEYDIR_HTTPD" --store "$T/n1" --log "$VOLUME" --listen "127.0.0.1:$PORT"
	NODE_URL[1]=$URL
	for i in {1..2000}; do
		# A key that it has not read yet is not reported missing.
		code=$(curl -s -o "$T/read" -w '%{http_code}' "$URL/v1/kv/dir$((KEYS % 100))/key$KEYS") || continue
		[ "$code" = 503 ] || [ "$code" = 200 ]
		[ "$code" = 200 ] || refused=$((refused + 1))
		curl -s -o "$T/body" -w '%{http_code}' "$URL/readyz" >"$T/code" || continue
		[ "$(cat "$T/code")" = 503 ] || break
		! grep -q 'catching up: applied' "$T/body" || seen=1
		if [ $seen = 1 ] && [ ! -e "$T/snapshot-code" ]; then
			curl -s -o "$T/snapshot-body" -w '%{http_code}' "$URL/v1/snapshot" >"$T/snapshot-code"
		fi
	done
	[[ $seen = 1 && $refused -gt 0 ]]
	grep -q 'still catching up' "$T/read" || [ "$code" = 200 ]
	# It may have become ready in between.
	[ "$(cat "$T/snapshot-code")" = 200 ] || grep -q 'sends no snapshot' "$T/snapshot-body"
	slowly wait_for 20 curl -sf -o /dev/null "$URL/readyz"
	has_all 1
}
