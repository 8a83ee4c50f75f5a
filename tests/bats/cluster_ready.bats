# A node reports that it cannot do its work, whichever of its processes applies the log.
# cluster_log.bats has the reasons to stop; this file checks which process reports them.

load cluster

put() { # N KEY VALUE
	node_rest "$1" PUT "/v1/kv/$2" --data-binary "$3"
	same 20 "${status%?}"
}

# says N TEXT: node N is not ready and shows TEXT in /readyz, /v1/status and the metrics.
says() { # N TEXT
	node_rest "$1" GET /readyz
	[ "$status" = 503 ] && [[ $(body) == *"$2"* ]] || return
	[[ $(status_of "$1" '"\(.ready) \(.why)"') == "false "*"$2"* ]] || return
	node_rest "$1" GET /metrics
	body | grep -qx 'keydir_ready 0'
}

is_ready() {
	node_rest "$1" GET /readyz
	[ "$status" = 200 ]
}

@test "when a mount stops applying, its node's REST server reports it" {
	allow_log 'needs a newer version'
	node_fs 1
	node_httpd 1 --write-timeout 1s
	same false "$(status_of 1 .log.applies)"
	put 1 before 1
	produce -K: -H op=frobnicate <<<'key:value'
	wait_for 20 says 1 'needs a newer version'
	node_rest 1 GET /v1/kv/before
	same "200 1" "$status $(body)"
	# The reason belongs to the applying process and ends with it; the next one finds its
	# own.
	grep -q 'the log cannot be used: the record at offset' "$T"/fs*.log
	not grep -q 'the log cannot be used' "$T"/httpd*.log
	node_kill 1 fs
	wait_for 20 grep -q 'the log cannot be used: the record at offset' "$T"/httpd*.log
	says 1 'needs a newer version'
}

@test "when a mount has no space to apply, its node's REST server reports it and refuses changes" {
	allow_log 'applying stopped'
	local disk=$T/n1
	mkdir "$disk"
	mount -t tmpfs -o size=24m,mode=755 none "$disk" 2>/dev/null || skip_or_fail "needs the right to mount a tmpfs"
	node_fs 1
	node_httpd 1 --write-timeout 1s
	put 1 before 1
	head -c 23m /dev/zero >"$disk/filler" || true
	cat /dev/zero >>"$disk/filler" 2>/dev/null || true
	head -c 4000000 /dev/urandom | produce -k big -X message.max.bytes=8000000
	wait_for 20 says 1 'No space left on device'
	not grep -q 'applying stopped' "$T"/httpd*.log
	node_rest 1 PUT /v1/kv/after --data-binary x
	same 503 "$status"
	rm "$disk/filler"
	wait_for 20 is_ready 1
	put 1 after x
}

@test "a stopped process that applies makes its node not ready until it continues or ends" {
	node_fs 1
	node_httpd 1 --write-timeout 1s
	put 1 before 1
	stop_all "${NODE_FS[1]}"
	wait_for 20 says 1 "keydir-fs (process ${NODE_FS[1]}), which applies the log for this node, has been stopped for"
	node_rest 1 PUT /v1/kv/x --data-binary x
	same 503 "$status"
	kill -CONT "${NODE_FS[1]}"
	wait_for 20 is_ready 1
	put 1 after x
	stop_all "${NODE_FS[1]}"
	wait_for 20 says 1 'has been stopped for'
	node_kill 1 fs
	wait_for 20 is_ready 1
	same true "$(status_of 1 .log.applies)"
	put 1 last x
	# A stopped process that does not apply affects no other.
	node_fs 1
	stop_all "${NODE_FS[1]}"
	put 1 more x
	is_ready 1
	kill -CONT "${NODE_FS[1]}"
}

@test "a response says so when a mount of its node may not show the change yet" {
	node_httpd 1
	node_fs 1
	put 1 key 1
	same "" "$(header X-Keydir-Mount)"
	stop_all "${NODE_FS[1]}"
	put 1 key 2
	same pending "$(header X-Keydir-Mount)"
	kill -CONT "${NODE_FS[1]}"
	wait_for 20 is_shown 1
	same 3 "$(cat "${NODE_MNT[1]}/key")"
}

is_shown() {
	put "$1" key 3
	same "" "$(header X-Keydir-Mount)" >/dev/null
}
