# The consistency that common/DESIGN.md promises, under kills and a partition: clients
# record histories, and tests/linear (Go, with Porcupine) checks them.
#
# For the partition, node 3 has its own network, with one link to the broker and another
# to its clients, so that it still responds when the first is cut.

load cluster
load cluster_far

setup_file() {
	if [ "$(id -u)" != 0 ] || ! make_network; then
		export NO_NETWORK="needs root and network namespaces"
	fi
	command -v go >/dev/null || PATH=$PATH:/usr/local/go/bin
	if ! command -v go >/dev/null; then
		export NO_LINEAR="needs go"
	elif ! (cd "$KEYDIR_ROOT/tests/linear" && go build -o "$BATS_FILE_TMPDIR/linear" .) \
		>"$BATS_FILE_TMPDIR/go.out" 2>&1; then
		NO_LINEAR="tests/linear cannot be built: $(tail -n 1 "$BATS_FILE_TMPDIR/go.out")"
		export NO_LINEAR
	fi
	export PATH
	cluster_setup_file
}

teardown_file() {
	cluster_teardown_file
	[ -z "${NETWORK:-}" ] || ip netns del "$NETWORK"
}

setup() {
	cluster_setup
	[ -z "${NO_LINEAR:-}" ] || skip_or_fail "$NO_LINEAR"
}

# Node 3, in its network.
far_node() {
	[ -z "${NO_NETWORK:-}" ] || skip_or_fail "$NO_NETWORK"
	NODE_PORT[3]=$(free_port)
	NODE_URL[3]=http://$NET_PREFIX.6:${NODE_PORT[3]}
	start httpd-far ip netns exec "$NETWORK" "$KEYDIR_HTTPD" --store "$T/n3" \
		--log "kafka://$NET_PREFIX.1:9092/$TOPIC" --insecure \
		--listen "$NET_PREFIX.6:${NODE_PORT[3]}" "${NODE_OPTIONS[@]}"
	NODE_HTTPD[3]=$PID
	wait_ready 15 "$PID" curl -sf -o /dev/null "${NODE_URL[3]}/readyz"
}

start_linear() { # OPTION...
	local urls
	printf -v urls '%s,' "${NODE_URL[@]}"
	"$BATS_FILE_TMPDIR/linear" -nodes "${urls%,}" -seed 20260301 "$@" >"$T/linear.out" 2>&1 3>&- &
	LINEAR=$!
}

end_linear() { # STATUS
	local got=0
	wait "$LINEAR" || got=$?
	cat "$T/linear.out"
	[ "$got" = "$1" ]
}

# counted REGEX: how often an event happened in the run.
counted() { sed -n "s/^$1: //p" "$T/linear.out" | awk '{ n += $1 } END { print n + 0 }'; }

@test "the checker of histories finds faults in them" {
	(cd "$KEYDIR_ROOT/tests/linear" && go vet ./... && go test ./...)
}

@test "writes and ?consistent reads are linearizable while nodes and the broker are killed" {
	local n i
	allow_log 'the log cannot be used: (no answer|the broker)'
	NODE_OPTIONS=(--write-timeout 2s)
	for n in 1 2 3; do node_httpd "$n"; done
	start_linear -seconds 14 -least 1000
	for i in 1 2 1 3; do
		sleep 1.5 # load between the faults
		node_kill "$i"
		node_httpd "$i"
	done
	sleep 1
	broker kill
	broker start
	end_linear 0
	[ "$(counted operations)" -gt 300 ]
	# Every kind of operation both succeeded and failed.
	for i in "get ok" "get missing" "put ok" "append ok" "create ok" "create refused" \
		"swap ok" "swap refused" "delete ok" "delete missing" "plain read" "own write read"; do
		[ "$(counted "$i")" -gt 2 ]
	done
}

@test "writes and ?consistent reads are linearizable while a node is cut off from the log" {
	local n
	allow_log 'the log cannot be used: (no answer|the broker)'
	NODE_OPTIONS=(--write-timeout 2s)
	node_httpd 1
	node_httpd 2
	far_node
	start_linear -seconds 16 -least 400
	sleep 3
	cut_link
	sleep 5
	# The node serves its data, reports that it may be old, and affects no other node.
	node_rest 3 GET '/v1/kv/none'
	same 404 "$status"
	node_rest 3 GET '/v1/kv/none?consistent'
	same 503 "$status"
	node_rest 1 GET '/v1/kv/none?consistent'
	same 404 "$status"
	mend_link
	end_linear 0
	[ "$(counted operations)" -gt 200 ]
	# The cut was real: some writes ended with an unknown outcome or an error.
	[ $(($(counted '[a-z]* unknown') + $(counted 'nothing done'))) -gt 0 ]
	wait_for 20 settled 1 2 3
}

@test "plain reads of a node that is cut off are stale, and the checker finds it" {
	NODE_OPTIONS=(--write-timeout 1s)
	node_httpd 1
	node_httpd 2
	far_node
	start_linear -seconds 7 -stale
	sleep 2
	cut_link
	sleep 3
	mend_link
	end_linear 3
	grep -q '^BROKEN: not linearizable' "$T/linear.out"
	# Even then no read went back in time, and offset tokens were honoured.
	grep "^BROKEN: " "$T/linear.out" | not grep -v "not linearizable"
}
