# A Kafka cluster of three brokers: the leader dies, a broker loses acknowledged records
# or its whole disk. The controller is a process of its own, so any broker may stop.

load cluster

export KAFKA_JVM="-Xms32m -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto"

setup_file() {
	local n
	find_broker_commands || return 0
	# The first port is the controller's.
	export BROKER_PORTS
	BROKER_PORTS="$(take_broker_port) $(take_broker_port) $(take_broker_port) $(take_broker_port)"
	"$BROKER" fetch
	for n in 0 1 2 3; do
		broker_of "$n" start >"$BATS_FILE_TMPDIR/start.$n" 2>&1 3>&- &
	done
	wait
	for n in 0 1 2 3; do
		broker_of "$n" running || {
			cat "$BATS_FILE_TMPDIR/start.$n"
			return 1
		}
	done
}

teardown_file() {
	local n port
	[ -z "${BROKER_MISSING:-}" ] || return 0
	for n in 1 2 3 0; do "$BROKER" kill "$BATS_FILE_TMPDIR/broker$n"; done
	for port in $BROKER_PORTS; do rmdir "$PORTS_TAKEN/$port"; done
}

setup() {
	cluster_setup
	local ports
	read -r -a ports <<<"$BROKER_PORTS"
	BROKERS=127.0.0.1:${ports[1]},127.0.0.1:${ports[2]},127.0.0.1:${ports[3]}
	VOLUME=kafka://$BROKERS/$TOPIC
	wait_for 60 all_brokers_answer
}

teardown() {
	local n bad=0
	[ -z "${BROKER_MISSING:-}" ] || return 0
	for n in 1 2 3; do
		broker_of "$n" running || broker_of "$n" start || bad=1
	done
	keydir_teardown || bad=1
	return $bad
}

# broker_of N VERB: run broker.sh for broker N, or for the controller if N is 0.
broker_of() {
	local n=$1 verb=$2 ports role
	shift 2
	read -r -a ports <<<"$BROKER_PORTS"
	if [ "$verb" != start ]; then
		# bats calls teardown in a trap, where a bare return would return an older status.
		"$BROKER" "$verb" "$BATS_FILE_TMPDIR/broker$n"
		return $?
	fi
	role=(process.roles=broker "listeners=PLAINTEXT://127.0.0.1:${ports[n]}")
	[ "$n" != 0 ] ||
		role=(process.roles=controller "listeners=CONTROLLER://127.0.0.1:${ports[0]}" advertised.listeners=)
	"$BROKER" start "$BATS_FILE_TMPDIR/broker$n" "${ports[n]}" "node.id=$n" \
		"controller.quorum.voters=0@127.0.0.1:${ports[0]}" "${role[@]}"
}

all_brokers_answer() {
	kcat -L -J -b "$BROKERS" 2>/dev/null | jq -e '.brokers | length == 3' >/dev/null
}

produce() { kcat -P -b "$BROKERS" -t "$TOPIC" "$@"; }
consume() { kcat -C -q -e -o beginning -b "$BROKERS" -t "$TOPIC" "$@"; }
log_end() { kcat -Q -b "$BROKERS" -t "$TOPIC:0:-1" | sed -n 's/.*offset //p'; }

# Set the settings that Keydir gives its topics, except for those in the arguments.
set_topic() {
	"$KEYDIR_BUILD/tools/kafka_topic" "$BROKERS" set "$TOPIC" cleanup.policy=delete \
		message.timestamp.type=LogAppendTime retention.ms=-1 retention.bytes=-1 \
		max.message.bytes=17825792 "$@"
}

# partition FIELD: a field of the topic's only partition, such as its leader or its
# replicas in sync.
partition() {
	kcat -L -J -b "$BROKERS" -t "$TOPIC" 2>/dev/null |
		jq -r ".topics[0].partitions[0] | $1"
}
leader() { partition .leader; }
in_sync() { partition '.isrs | length'; }
are_in_sync() { [ "$(in_sync)" = "$1" ]; }
leads() { [ "$(leader)" = "$1" ]; }
another_leads() { [[ $(leader) =~ ^[1-3]$ ]] && not leads "$1"; }

put() { # N KEY VALUE
	node_rest "$1" PUT "/v1/kv/$2" --data-binary "$3"
	same 20 "${status%?}"
}
try_put() { put "$@" >/dev/null; }
get_is() { # N KEY VALUE
	node_rest "$1" GET "/v1/kv/$2"
	same "200 $3" "$status $(body)"
}
is_ready() { curl -sf -o /dev/null "${NODE_URL[$1]}/readyz"; }
why_is() { [[ $(status_of "$1" .why) == *"$2"* ]]; }

@test "a topic created by Keydir has three replicas, and a write waits for two of them" {
	NODE_OPTIONS=(--write-timeout 2s)
	node_httpd 1
	put 1 k 1
	same 3 "$(partition '.replicas | length')"
	# No warning is logged, so min.insync.replicas is right as well.
	not grep -E 'replica|min.insync' "$T"/httpd*.log
	wait_for 30 are_in_sync 3
	# With one of three brokers left, no write is acknowledged.
	local first n
	first=$(leader)
	for n in 1 2 3; do
		[ "$n" = "$first" ] || broker_of "$n" kill
	done
	wait_for 30 are_in_sync 1
	node_rest 1 PUT /v1/kv/k --data-binary 2
	[ "${status%?}" = 50 ]
	get_is 1 k 1
}

@test "when the leader dies under load, no acknowledged write is lost and nodes stay equal" {
	allow_log 'the log cannot be used: (no answer|the broker)'
	local n first writers=()
	node_up 1
	node_httpd 2
	wait_for 30 are_in_sync 3
	for n in 1 2; do
		"$CLUSTER/write_load.py" --name "w$n" --seconds 8 --url "${NODE_URL[n]}" \
			--report "$T/w$n.report" >"$T/w$n.out" 2>&1 3>&- &
		writers+=($!)
	done
	wait_for 20 grep -q acked "$T/w1.report"
	wait_for 20 grep -q acked "$T/w2.report"
	first=$(leader)
	broker_of "$first" kill
	wait_for 30 another_leads "$first"
	for n in "${writers[@]}"; do
		wait "$n" || {
			cat "$T"/w?.out
			return 1
		}
	done
	for n in 1 2; do
		wait_for 30 is_ready "$n"
		wait_for 30 try_put "$n" "after$n" x
	done
	wait_for 30 settled 1 2 || {
		show_differences "$T/n1" "$T/n2"
		return 1
	}
	consume -f '%k %s %h\n' | grep -v '^after' >"$T/log"
	rm "${NODE_MNT[1]}"/after?
	"$CLUSTER/check_writes.py" --log "$T/log" --mount "${NODE_MNT[1]}" "$T"/w?.report
	# The broker returns and follows; the nodes continue.
	broker_of "$first" start
	wait_for 60 are_in_sync 3
	put 1 last 1
	wait_for 30 settled 1 2
}

@test "every node notices an unclean election that lost acknowledged records" {
	allow_log 'the log cannot be used'
	local first n i second=
	for n in 1 2; do node_httpd "$n"; done
	wait_for 30 are_in_sync 3
	for i in {1..5}; do put 1 "both/$i" "$i"; done
	# Records that only the leader has, and acknowledges alone.
	set_topic min.insync.replicas=1 unclean.leader.election.enable=false
	first=$(leader)
	for n in 1 2 3; do
		[ "$n" = "$first" ] || {
			broker_of "$n" kill
			second=$n
		}
	done
	wait_for 30 are_in_sync 1
	for i in {1..10}; do put 1 "lost/$i" "$i"; done
	wait_for 20 settled 1 2
	# The new leader's log must be longer than the nodes have applied before they see it.
	for n in 1 2; do stop_all "${NODE_HTTPD[n]}"; done
	set_topic min.insync.replicas=1 unclean.leader.election.enable=true
	broker_of "$first" kill
	broker_of "$second" start
	wait_for 60 leads "$second"
	for i in {1..30}; do echo "other/$i:$i"; done | produce -K:
	set_topic min.insync.replicas=1 unclean.leader.election.enable=false
	for n in 1 2; do kill -CONT "${NODE_HTTPD[n]}"; done
	for n in 1 2; do
		wait_for 60 why_is "$n" 'other records than those that the store'
		not is_ready "$n"
		get_is "$n" lost/10 10
		node_rest "$n" GET /v1/kv/other/1
		same 404 "$status"
	done
	# The old leader drops its own records; that changes nothing for the nodes.
	broker_of "$first" start
	wait_for 60 are_in_sync 2
	why_is 1 'other records than those that the store'
	# Follow the remedy that the error message names.
	node_kill 1
	mv "$T/n1" "$T/n1.old"
	node_httpd 1
	get_is 1 both/5 5
	get_is 1 other/30 30
	node_rest 1 GET /v1/kv/lost/1
	same 404 "$status"
}

@test "a follower that lost its disk recovers, and the nodes notice nothing" {
	local first n follower=
	for n in 1 2; do node_httpd "$n"; done
	wait_for 30 are_in_sync 3
	put 1 before 1
	first=$(leader)
	for n in 1 2 3; do [ "$n" = "$first" ] || follower=$n; done
	broker_of "$follower" kill
	rm -r "$BATS_FILE_TMPDIR/broker$follower/data"
	wait_for 30 are_in_sync 2
	put 2 meanwhile 2
	broker_of "$follower" start
	wait_for 60 are_in_sync 3
	for n in 1 2; do is_ready "$n"; done
	put 1 after 3
	wait_for 20 settled 1 2
	for n in 1 2; do
		not grep 'cannot be used' "$T/httpd$n.log"
		get_is "$n" before 1
		get_is "$n" meanwhile 2
	done
}
