# --evict: a full cache evicts keys instead of refusing writes.

load helper

teardown() {
	cd /
	for pid in "${WATCHERS[@]}"; do kill "$pid" 2>/dev/null || true; done
	keydir_teardown
}
WATCHERS=()

store_status() {
	rest GET /v1/status
	body | jq -r "$1"
}

# put_many PREFIX FROM TO [QUERY]: PUT values of 1000 bytes, and print each status once.
put_many() {
	head -c 1000 /dev/zero >"$T/value"
	seq -f "url = \"$URL/v1/kv/$1%.0f${4:-}\"" "$2" "$3" | sed -e 's|$|\nupload-file = "'"$T/value"'"|' \
		-e 's|$|\noutput = /dev/null|' >"$T/curl"
	curl -sS -K "$T/curl" -w '%{http_code}\n' | sort -u | tr '\n' ' '
}

there() {
	rest GET "/v1/kv/$1"
	[ "$status" = 200 ]
}

@test "lru: a small cache takes any number of writes and keeps the keys that are read" {
	start_httpd --size 512K --evict lru
	same lru "$(store_status .store.evict)"
	rest PUT /v1/kv/hot/1 --data-binary one
	rest PUT /v1/kv/hot/2 --data-binary two
	local round
	for round in {1..10}; do
		same "201 " "$(put_many "r$round-" 1 200)"
		[ "$(store_status .store.used_bytes)" -le 524288 ]
		there hot/1
		same one "$(body)"
		rest POST /v1/mget --data-binary '["hot/2"]'
		body | grep -q '"value":"two"'
	done
	[ "$(store_status .events.evicted)" -ge 1500 ]
	there r10-200
	not there r1-1
	rest GET /metrics
	grep -q '^keydir_evicts 1$' "$T/body"
	grep -q '^keydir_writes_refused_total 0$' "$T/body"
	[ "$(sed -n 's/^keydir_keys_evicted_total //p' "$T/body")" -ge 1500 ]
}

@test "ttl: the key that expires soonest is evicted first, and a key without a TTL never" {
	start_httpd --size 256K --evict ttl
	same "201 " "$(put_many soon 1 40 '?ttl=1h')"
	same "201 " "$(put_many late 1 40 '?ttl=2h')"
	same "201 " "$(put_many never 1 170)"
	not there soon1
	there never1
	local n
	n=$(curl -s "$URL/v1/kv/?limit=1000" | grep -o '"late[0-9]*"' | wc -l)
	[ "$n" -ge 20 ]
	same "201 507 " "$(put_many more 1 120)"
	not there late1
	there never170
	there more1
	rest PUT /v1/kv/x --data-binary "@$T/value"
	same 507 "$status"
	rest DELETE /v1/kv/never1
	rest PUT /v1/kv/x --data-binary "@$T/value"
	same 201 "$status"
}

@test "none: a full cache refuses writes" {
	start_httpd --size 256K
	same none "$(store_status .store.evict)"
	same "201 507 " "$(put_many k 1 300 '?ttl=1h')"
	same 0 "$(store_status .events.evicted)"
}

@test "a value larger than the cache is refused and evicts nothing" {
	start_httpd --size 256K --evict lru
	same "201 " "$(put_many k 1 200)"
	head -c 300K /dev/zero >"$T/huge"
	rest PUT /v1/kv/huge --data-binary "@$T/huge"
	same 507 "$status"
	same 0 "$(store_status .events.evicted)"
	head -c 200K /dev/zero >"$T/large"
	rest PUT /v1/kv/large --data-binary "@$T/large"
	same 201 "$status"
	there large
}

@test "a watcher can distinguish evicted keys from deleted ones" {
	start_httpd --size 256K --evict lru
	: >"$T/watch"
	start watch curl -sSN -o "$T/watch" "$URL/v1/watch?prefix="
	forget "$PID"
	WATCHERS+=("$PID")
	wait_for 10 grep -q '^: watching' "$T/watch"
	rest PUT /v1/kv/mine --data-binary x
	rest DELETE /v1/kv/mine
	same "201 " "$(put_many k 1 400)"
	evicted_seen() { [ "$(grep -c '"event":"evicted"' "$T/watch")" -ge 150 ]; }
	wait_for 10 evicted_seen
	same 1 "$(grep -c '"event":"del"' "$T/watch")"
	grep '"event":"evicted"' "$T/watch" | grep -q '"path":"k1"'
}

@test "evicted keys disappear from a mount, except those that it has open" {
	require_fuse
	start_httpd --size 512K --evict lru
	start_fs --size 512K --evict lru
	echo first >"$MNT/gone"
	echo opened >"$MNT/opened"
	exec 8<"$MNT/opened"
	# The kernel knows both names.
	same first "$(cat "$MNT/gone")"
	ls -l "$MNT" >"$T/before"
	writes_evict_it() {
		put_many k 1 1500 >/dev/null
		[ ! -e "$MNT/gone" ]
	}
	wait_for 20 writes_evict_it
	not cat "$MNT/gone"
	same opened "$(cat <&8)"
	same opened "$(cat "$MNT/opened")"
	exec 8<&-
	same "$(store_status .store.keys)" "$(find "$MNT" -type f | wc -l)"
	# The mount evicts for its own writers, too; none of them gets ENOSPC.
	local i
	head -c 20000 /dev/zero >"$T/twenty"
	for i in {1..100}; do cp "$T/twenty" "$MNT/copy$i"; done
	cmp "$T/twenty" "$MNT/copy100"
	head -c 400K /dev/zero >"$MNT/large"
	for i in {1..50}; do head -c 10000 /dev/zero >>"$MNT/log"; done
	fails_with "No space left" bash -c "head -c 600K /dev/zero >'$MNT/huge'"
	[ "$(store_status .store.used_bytes)" -le 524288 ]
}

@test "lru: no key below a directory with user.evict=never is evicted" {
	require_fuse
	require git setfattr
	start_httpd --size 1M --evict lru
	start_fs --size 1M --evict lru
	mkdir "$MNT/keep"
	setfattr -n user.evict -v never "$MNT/keep"
	same never "$(getfattr --only-values -n user.evict "$MNT/keep" 2>/dev/null)"
	fails_with "Invalid argument" setfattr -n user.evict -v no "$MNT/keep"
	git -c init.defaultBranch=main init -q "$MNT/keep/repo"
	mkdir "$MNT/keep/repo/src"
	local i
	for i in {1..20}; do echo "$i" >"$MNT/keep/repo/src/$i"; done
	git -C "$MNT/keep/repo" add .
	git -C "$MNT/keep/repo" -c user.name=n -c user.email=e commit -qm all
	find "$MNT/keep" | sort >"$T/before"
	echo gone >"$MNT/gone"
	writes_evict_it() {
		put_many k 1 1500 >/dev/null
		[ ! -e "$MNT/gone" ]
	}
	wait_for 20 writes_evict_it
	put_many k 1 3000 >/dev/null
	find "$MNT/keep" | sort | cmp - "$T/before"
	git -C "$MNT/keep/repo" fsck --strict
	# Without the attribute the keys are evicted like all others.
	setfattr -x user.evict "$MNT/keep"
	kept_no_more() {
		put_many k 1 3000 >/dev/null
		[ ! -e "$MNT/keep/repo/src/1" ]
	}
	wait_for 30 kept_no_more
}

@test "an unknown policy is refused, and the message lists the known ones" {
	fails_with "none, ttl or lru" "$KEYDIR_HTTPD" --store "$STORE" --evict lfu
	require_fuse
	fails_with "none, ttl or lru" "$KEYDIR_FS" --store "$STORE" --evict "" "$MNT"
}
