# The Kafka log as a node's user and its operator see it: which process applies, operation
# without a broker, plain records, and logs that a node must refuse.

load cluster

TOPIC_TOOL=$KEYDIR_BUILD/tools/kafka_topic

topic() {
	local verb=$1
	shift
	"$TOPIC_TOOL" "127.0.0.1:$BROKER_PORT" "$verb" "$TOPIC" "$@"
}

now_ms() { date +%s%3N; }

# within MS COMMAND...: check that it succeeds and takes no longer.
within() {
	local limit=$(($1 * PATIENCE)) begin took
	shift
	begin=$(now_ms)
	"$@" || return
	took=$(($(now_ms) - begin))
	[ $took -le $limit ] || {
		echo "took $took ms, not $limit: $*"
		return 1
	}
}

put() { # N KEY VALUE
	node_rest "$1" PUT "/v1/kv/$2" --data-binary "$3"
	same 20 "${status%?}"
}

get_is() { # N KEY VALUE
	node_rest "$1" GET "/v1/kv/$2"
	same "200 $3" "$status $(body)"
}

eventually_is() { wait_for 10 get_is "$@" >/dev/null || get_is "$@"; }

applies() { [ "$(status_of "$1" .log.applies)" = true ]; }

write_mount() { echo "$3" >"${NODE_MNT[$1]}/$2"; }


@test "when the applying process dies, another one of its node applies at once" {
	node_httpd 1
	node_fs 1
	applies 1
	put 1 a 1
	node_kill 1 httpd
	# Long before the write timeout of 10 s.
	within 5000 write_mount 1 b 2
	# Now the mount's process applies, and the next server only reads.
	node_httpd 1
	not applies 1
	get_is 1 b 2
	put 1 c 3
	node_kill 1 fs
	within 5000 put 1 d 4
	applies 1
	node_fs 1
	same 1 "$(cat "${NODE_MNT[1]}/a")"
	same 2 "$(cat "${NODE_MNT[1]}/b")"
	same 3 "$(cat "${NODE_MNT[1]}/c")"
	same 4 "$(cat "${NODE_MNT[1]}/d")"
}

@test "when both processes are killed at once, the node continues where its store was" {
	local i
	node_up 1
	for i in {1..30}; do put 1 "k$i" "$i"; done
	node_kill 1
	node_httpd 1
	# After a warm start applied records are not read again.
	node_rest 1 GET /metrics
	[ "$(body | awk '$1 == "keydir_events_applied_total" { print $2 }')" -lt 5 ]
	for i in {1..30}; do get_is 1 "k$i" "$i"; done
	put 1 k31 31
}

@test "without a broker reads continue, and writes fail after the write timeout with 503 and EIO" {
	allow_log 'error keydir-(fs|httpd): the log cannot be used: no answer'
	NODE_OPTIONS=(--write-timeout 1s)
	node_up 1
	put 1 there 1
	broker kill
	get_is 1 there 1
	same 1 "$(cat "${NODE_MNT[1]}/there")"
	# Before that, the outcome of a record sent into a dying connection is unknown.
	wait_for 20 log_is_down 1
	within 8000 node_rest 1 PUT /v1/kv/k --data-binary x
	same 503 "$status"
	same application/problem+json "$(header Content-Type)"
	[ -n "$(header Retry-After)" ]
	within 8000 fails_with 'Input/output error' bash -c "/bin/echo x >'${NODE_MNT[1]}/k'"
	within 8000 fails_with 'Input/output error' mkdir "${NODE_MNT[1]}/dir"
	# A read that needs the end of the log fails now.
	within 20000 node_rest 1 GET '/v1/kv/there?consistent'
	same 503 "$status"
	within 20000 fails_with 'Input/output error' sync "${NODE_MNT[1]}"
	get_is 1 there 1
	wait_for 20 log_is_down 1
	# The node serves reads but no writes, and reports that.
	node_rest 1 GET /readyz
	same 503 "$status"
	[[ $(body) == *"The log does not answer: writes fail, reads continue"* ]]
	node_rest 1 GET '/readyz?reads'
	same 200 "$status"
	# A node that starts now has its data, but cannot know how old it is.
	stop "${NODE_HTTPD[1]}"
	start late "$KEYDIR_HTTPD" --store "$T/n1" --log "$VOLUME" \
		--listen "127.0.0.1:${NODE_PORT[1]}" "${NODE_OPTIONS[@]}"
	wait_for 10 curl -sf -o /dev/null "${NODE_URL[1]}/healthz"
	node_rest 1 GET /readyz
	same 503 "$status"
	[[ $(body) == *"no broker"* ]]
	node_rest 1 GET '/readyz?reads'
	same 503 "$status"
	get_is 1 there 1
	# A node without data cannot serve any.
	node_port=$(free_port)
	start empty "$KEYDIR_HTTPD" --store "$T/n9" --log "$VOLUME" --listen "127.0.0.1:$node_port" \
		"${NODE_OPTIONS[@]}"
	NODE_URL[9]=http://127.0.0.1:$node_port
	wait_for 10 curl -sf -o /dev/null "${NODE_URL[9]}/healthz"
	node_rest 9 GET /v1/kv/there
	same 503 "$status"
	[ -n "$(header Retry-After)" ]
	# When the broker is back, everything continues without help.
	broker start
	wait_for 15 get_is 9 there 1
	wait_for 15 curl -sf -o /dev/null "${NODE_URL[1]}/readyz"
	wait_for 15 write_mount 1 again 2
	put 1 k y
	same y "$(cat "${NODE_MNT[1]}/k")"
	same 2 "$(cat "${NODE_MNT[1]}/again")"
	# Failed writes are not in the log.
	same 1 "$(consume -f '%k\n' | grep -cx k)"
	not grep -qx dir <(consume -f '%k\n')
}

log_is_down() { [ "$(status_of "$1" .log.up)" = false ]; }

@test "a write whose outcome is unknown returns 504 and ETIMEDOUT, and may still happen" {
	NODE_OPTIONS=(--write-timeout 1s)
	node_up 1
	put 1 warm 1
	write_mount 1 warmer 1
	# The broker accepts data and sends no response.
	broker pause
	within 8000 node_rest 1 PUT /v1/kv/k --data-binary v
	same 504 "$status"
	[[ $(body) == *"may still happen"* ]]
	# Not the shell's own echo, which ignores the result of close.
	within 8000 fails_with 'timed out' bash -c "/bin/echo w >'${NODE_MNT[1]}/m'"
	get_is 1 warm 1
	broker resume
	wait_for 15 put 1 next 1 >/dev/null
	# Each write is in the log once or not at all, and the node agrees with the log.
	local key
	for key in k m; do
		wait_for 20 as_often_as_logged 1 $key
	done
	node_rest 1 GET /metrics
	[ "$(body | awk '$1 == "keydir_writes_unknown_total" { print $2 }')" -ge 1 ]
}

# A key is in the log as often as its node has it: once or not at all.
as_often_as_logged() {
	local logged
	logged=$(consume -f '%k\n' | grep -cx "$2") || true
	node_rest "$1" GET "/v1/kv/$2"
	case $logged-$status in
	0-404) not test -e "${NODE_MNT[$1]}/$2" ;;
	1-200) cmp -s "$T/body" "${NODE_MNT[$1]}/$2" ;;
	*) false ;;
	esac || {
		echo "key $2: $logged times in the log, GET says $status $(body), the mount:"
		ls -l "${NODE_MNT[$1]}"
		false
	}
}

@test "plain records of any producer are files, and null deletes" {
	node_up 1
	echo 'greeting:hello' | produce -K:
	printf 'a/b/c:deep\nempty:\n' | produce -K:
	eventually_is 1 greeting hello
	same hello "$(cat "${NODE_MNT[1]}/greeting")"
	eventually_is 1 a/b/c deep
	eventually_is 1 empty ""
	[ -d "${NODE_MNT[1]}/a/b" ]
	echo 'greeting:world' | produce -K:
	eventually_is 1 greeting world
	same world "$(cat "${NODE_MNT[1]}/greeting")"
	# Unknown headers of another producer's tools are ignored.
	echo 'traced:1' | produce -K: -H traceparent=00-1-2-3 -H ttl=5
	eventually_is 1 traced 1
	echo 'greeting:' | produce -K: -Z
	echo 'never/was:' | produce -K: -Z
	wait_for 10 not test -e "${NODE_MNT[1]}/greeting"
	node_rest 1 GET /v1/kv/greeting
	same 404 "$status"
	# With headers: every field of EVENTS.md.
	echo 'hits:' | produce -K: -Z -H op=incr -H by=5
	echo 'hits:' | produce -K: -Z -H op=incr -H by=5
	eventually_is 1 hits 10
	echo 'traced:' | produce -K: -Z -H op=rename -H to=moved/it
	eventually_is 1 moved/it 1
	same 0 "$(status_of 1 .events.rejected)"
	# kcat can read Keydir's records.
	node_rest 1 PUT '/v1/kv/from/rest?ttl=90s' --data-binary text
	same "from/rest text" "$(consume -f '%k %s %h\n' | grep ttl=90000 | cut -d' ' -f1,2)"
}

@test "every node rejects and counts malformed records, and they change nothing" {
	allow_log 'record rejected'
	node_httpd 1
	node_httpd 2
	put 1 key 1
	printf '%s\n' 'a//b|x' '/a|x' 'a/|x' '../a|x' 'a/./b|x' '|x' | produce '-K|'
	echo 'key|' | produce '-K|' -Z -H op=expire
	echo 'key|2' | produce '-K|' -H op=set -H ttl=soon
	echo 'key|2' | produce '-K|' -H op=set -H if=maybe
	echo "$(printf 'n%.0s' {1..256})|x" | produce '-K|'
	# A well-formed but impossible operation has no effect and is not counted as rejected.
	echo 'key/below|x' | produce '-K|'
	put 1 last 1
	eventually_is 2 last 1
	same 10 "$(status_of 1 .events.rejected)"
	same 10 "$(status_of 2 .events.rejected)"
	same 2 "$(status_of 1 .store.keys)"
	get_is 1 key 1
	node_rest 1 GET /metrics
	same 10 "$(body | awk '$1 == "keydir_events_rejected_total" { print $2 }')"
	[ "$(grep -c 'record rejected' "$T"/httpd1.log)" = 10 ]
	wait_for 10 settled 1 2
}

@test "an unknown operation stops the node, which reports the reason" {
	allow_log 'needs a newer version'
	NODE_OPTIONS=(--write-timeout 1s)
	node_up 1
	node_httpd 2
	put 1 before 1
	eventually_is 2 before 1
	# Records before it are applied, even in the same batch.
	local at n
	node_kill 2
	for n in {1..500}; do echo "many/key$n:$n"; done | produce -K:
	echo 'key:value' | produce -K: -H op=frobnicate
	for n in {1..50}; do echo "behind/key$n:$n"; done | produce -K:
	at=$(($(log_end) - 51))
	start second "$KEYDIR_HTTPD" --store "$T/n2" --log "$VOLUME" \
		--listen "127.0.0.1:${NODE_PORT[2]}"
	wait_for 10 curl -sf -o /dev/null "${NODE_URL[2]}/healthz"
	for n in 1 2; do
		wait_for 10 why_is "$n" 'newer version'
		not_ready "$n"
		[[ $(body) == *"offset $at (op frobnicate, format version 1)"* ]]
		[[ $(body) == *"Update this node"* ]]
		same $((at - 1)) "$(status_of "$n" .offset)"
		get_is "$n" many/key500 500
		get_is "$n" before 1
	done
	same 1 "$(cat "${NODE_MNT[1]}/before")"
	# A write could not be applied here, so it is refused and does not reach the log.
	node_rest 1 PUT /v1/kv/after --data-binary x
	same 503 "$status"
	[[ $(body) == *"nothing was changed"* ]]
	fails_with 'Input/output error' bash -c "/bin/echo x >'${NODE_MNT[1]}/after'"
	same $((at + 51)) "$(log_end)"
	# A restart does not skip the record either.
	node_kill 1
	start again "$KEYDIR_HTTPD" --store "$T/n1" --log "$VOLUME" \
		--listen "127.0.0.1:${NODE_PORT[1]}"
	wait_for 10 curl -sf -o /dev/null "${NODE_URL[1]}/healthz"
	wait_for 10 why_is 1 'newer version'
	not_ready 1
	same $((at - 1)) "$(status_of 1 .offset)"
}

skipped() { status_of "$1" '.events | "\(.skipped) \(.skipped_newest)"'; }

@test "--skip-record lets all nodes continue past a record that no version knows" {
	allow_log 'needs a newer version'
	allow_log 'record rejected|--skip-record|all nodes skip'
	local n at end
	node_up 1
	node_httpd 2
	put 1 before 1
	for n in frobnicate defenestrate; do
		echo "key:$n" | produce -K: -H op=$n
		echo "after/$n:1" | produce -K:
	done
	end=$(log_end)
	at=$((end - 4))
	for n in 1 2; do
		wait_for 10 why_is "$n" "offset $at (op frobnicate"
		[[ $(status_of "$n" .why) == *"--skip-record $at"* ]]
	done
	# A wrong offset: of a known record, of the next unknown one, past the end.
	for n in $((at - 1)) $((at + 2)) 1000000; do
		stop "${NODE_HTTPD[2]}"
		start wrong "$KEYDIR_HTTPD" --store "$T/n2" --log "$VOLUME" \
			--listen "127.0.0.1:${NODE_PORT[2]}" --skip-record "$n"
		NODE_HTTPD[2]=$PID
		wait_for 20 grep -q -- "--skip-record $n is refused" "$T/wrong.log"
		wait_for 10 why_is 2 "offset $at (op frobnicate"
	done
	same "$end" "$(log_end)"
	# The right offset, given to a program while another process of its node applies.
	stop "${NODE_HTTPD[1]}"
	start right "$KEYDIR_HTTPD" --store "$T/n1" --log "$VOLUME" \
		--listen "127.0.0.1:${NODE_PORT[1]}" --skip-record "$at"
	NODE_HTTPD[1]=$PID
	for n in 1 2; do
		wait_for 20 why_is "$n" "offset $((at + 2)) (op defenestrate"
		eventually_is "$n" after/frobnicate 1
		same "1 $at" "$(skipped "$n")"
	done
	same $((end + 1)) "$(log_end)"
	# And to the process that applies.
	stop "${NODE_HTTPD[2]}"
	node_httpd 2 --skip-record $((at + 2))
	for n in 1 2; do
		wait_for 20 get_is "$n" after/defenestrate 1
		wait_for 10 curl -sf -o /dev/null "${NODE_URL[n]}/readyz"
	done
	same $((end + 2)) "$(log_end)"
	# The option is given again, and for a record that all have applied.
	produce -K: -Z -H op=skip -H at="$at" <<<':'
	produce -K: -Z -H op=skip -H at=1 <<<':'
	put 1 last 1
	# A node that reads the log from its start skips it as well, and a snapshot records
	# it.
	node_httpd 3
	node_httpd 4 --peers "${NODE_URL[1]}"
	wait_for 20 settled 1 2 3 4
	for n in 1 2 3 4; do
		same "2 $((at + 2))" "$(skipped "$n")"
		same 3 "$(status_of "$n" .events.rejected)"
		get_is "$n" before 1
		node_rest "$n" GET /v1/kv/key
		same 404 "$status"
	done
	# A restart with the option does nothing.
	end=$(log_end)
	stop "${NODE_HTTPD[2]}"
	node_httpd 2 --skip-record $((at + 2))
	wait_for 10 grep -q -- "--skip-record $((at + 2)) is refused" "$T"/httpd*.log
	same "$end" "$(log_end)"
}

@test "every node rejects an unknown header, unless the record names a newer version" {
	local n
	allow_log 'needs a newer version'
	for n in 1 2; do node_httpd "$n"; done
	put 1 key before
	produce -K: -H op=set -H colour=red <<<'key:misspelt'
	produce -K: -Z -H op=del -H flags=often <<<'key:'
	produce -K: -H op=set -H x-colour=red <<<'own:1'
	eventually_is 2 own 1
	for n in 1 2; do
		get_is "$n" key before
		same 2 "$(status_of "$n" .events.rejected)"
		grep -q 'record rejected offset=[0-9]* op=set why="a header is unknown' "$T/httpd$n.log"
	done
	wait_for 20 settled 1 2
	produce -K: -H op=set -H colour=red -H v=2 <<<'key:new'
	for n in 1 2; do
		wait_for 10 why_is "$n" '(op set, format version 2) needs a newer version'
		get_is "$n" key before
	done
}

not_ready() {
	node_rest "$1" GET /readyz
	[ "$status" = 503 ]
}
why_is() { [[ $(status_of "$1" .why) == *"$2"* ]]; }

refused() { # TEXT [OPTION...]
	local text=$1 program
	shift
	for program in "$KEYDIR_HTTPD --listen 127.0.0.1:0" "$KEYDIR_FS -f"; do
		local place=()
		[[ $program == *httpd* ]] || place=("$MNT")
		# shellcheck disable=SC2086 # words are meant
		fails_with "$text" timeout 20 $program --store "$T/n1" --log "$VOLUME" "$@" "${place[@]}"
		not is_mounted "$MNT"
	done
}

@test "unfit topics are refused, and the message names the change to make" {
	local good=(cleanup.policy=delete message.timestamp.type=LogAppendTime
		max.message.bytes=67108864 retention.ms=-1)
	topic create 3 "${good[@]}"
	refused "partition"
	TOPIC=$TOPIC-compacted VOLUME=$VOLUME-compacted
	topic create 1 "${good[@]}" cleanup.policy=compact
	refused "cleanup.policy=compact"
	refused "--add-config cleanup.policy=delete"
	TOPIC=$TOPIC-time VOLUME=$VOLUME-time
	topic create 1 "${good[@]}" message.timestamp.type=CreateTime
	refused "--add-config message.timestamp.type=LogAppendTime"
	TOPIC=$TOPIC-small VOLUME=$VOLUME-small
	topic create 1 "${good[@]}" max.message.bytes=1000000
	refused "max.message.bytes=1000000"
	# All faults are reported at once, with the whole command.
	TOPIC=$TOPIC-all VOLUME=$VOLUME-all
	topic create 1 cleanup.policy=compact message.timestamp.type=CreateTime max.message.bytes=1000000
	refused "cleanup.policy=delete,"
	refused "max.message.bytes=17825792"
	refused "message.timestamp.type=LogAppendTime"
	# After that change it works.
	TOPIC=$TOPIC-good VOLUME=$VOLUME-good
	topic create 1 "${good[@]}"
	node_httpd 1
	put 1 k v
}

@test "a node that needs records cut from the log is refused" {
	node_httpd 1
	local i
	for i in {1..20}; do put 1 "k$i" "$i"; done
	stop "${NODE_HTTPD[1]}"
	cp -a "$T/n1" "$T/n2"
	node_httpd 1
	for i in {21..40}; do put 1 "k$i" "$i"; done
	stop "${NODE_HTTPD[1]}"
	topic cut 30
	# A node that has applied the lost part continues.
	node_httpd 1
	get_is 1 k1 1
	put 1 k41 41
	# A node that has not is refused, and so is a new node without a peer ...
	local port
	port=$(free_port)
	fails_with "no longer has offset" timeout 20 "$KEYDIR_HTTPD" --store "$T/n2" \
		--log "$VOLUME" --listen "127.0.0.1:$port"
	fails_with "--peers" timeout 20 "$KEYDIR_HTTPD" --store "$T/n3" --log "$VOLUME" \
		--listen "127.0.0.1:$port"
	# ... but with a peer it joins, as the message said.
	node_httpd 4 --peers "${NODE_URL[1]}"
	get_is 4 k1 1
	get_is 4 k41 41
	settled 1 4
}

@test "a store belongs to one log" {
	local first=$VOLUME port
	port=$(free_port)
	node_httpd 1
	put 1 k v
	stop "${NODE_HTTPD[1]}"
	# Another volume, longer than the store's.
	TOPIC=$TOPIC-other VOLUME=$VOLUME-other
	node_httpd 2
	put 2 k 1
	put 2 k 2
	put 2 k 3
	stop "${NODE_HTTPD[2]}"
	refused "another volume"
	# A new topic of the same name.
	VOLUME=$first
	TOPIC=${first##*/}
	topic delete
	wait_for 10 topic create 1 message.timestamp.type=LogAppendTime max.message.bytes=67108864
	refused "recreated"
	seq 10 | produce
	refused "another volume"
	# The embedded log and Kafka do not mix.
	refused "follows a Kafka log" --log local
	STORE=$T/local
	start_httpd
	rest PUT /v1/kv/k --data-binary v
	stop "$HTTPD_PID"
	fails_with "embedded log" timeout 20 "$KEYDIR_HTTPD" --store "$STORE" --log "$VOLUME" \
		--listen "127.0.0.1:$port"
	# None of this has damaged the stores.
	start_httpd
	rest GET /v1/kv/k
	same "200 v" "$status $(body)"
}

@test "X-Keydir-Offset: at least as new, or 412 after a bounded wait" {
	node_httpd 1
	node_httpd 2
	local i offset
	for i in {1..30}; do
		put 1 k "$i"
		offset=$(header X-Keydir-Offset)
		node_rest 2 GET /v1/kv/k -H "X-Keydir-Offset: $offset"
		same "200 $i" "$status $(body)"
		[ "$(header X-Keydir-Offset)" -ge "$offset" ]
	done
	within 20000 node_rest 2 GET /v1/kv/k -H "X-Keydir-Offset: $((offset + 1000))"
	same 412 "$status"
	[ "$(header X-Keydir-Offset)" = "$offset" ]
	# The request waits for a record on its way.
	(sleep 0.5 && curl -sf -X PUT -d late "${NODE_URL[1]}/v1/kv/k") &
	node_rest 2 GET /v1/kv/k -H "X-Keydir-Offset: $((offset + 1))"
	wait $!
	same "200 late" "$status $(body)"
}

@test "?consistent and sync see every write acknowledged on any node" {
	node_httpd 1
	node_up 2
	local i
	for i in {1..30}; do
		put 1 k "$i"
		node_rest 2 GET '/v1/kv/k?consistent'
		same "200 $i" "$status $(body)"
		put 1 file "$i"
		sync "${NODE_MNT[2]}"
		same "$i" "$(cat "${NODE_MNT[2]}/file")"
	done
}

transaction() { timeout $((30 * PATIENCE)) "$KEYDIR_BUILD/tools/log_probe" "$VOLUME" transaction "$1"; }

@test "after a transaction's marker ?consistent and sync return, and a node gets ready" {
	local how
	node_up 1
	put 1 k 1
	for how in commit abort; do
		transaction $how
		wait_for 10 settled 1
		node_rest 1 GET '/v1/kv/k?consistent'
		same "200 1" "$status $(body)"
		timeout $((10 * PATIENCE)) sync "${NODE_MNT[1]}"
		node_kill 1
		node_up 1
		put 1 k 1
	done
	# No node shows the records of an aborted transaction.
	transaction abort
	node_httpd 2
	wait_for 20 settled 1 2
	get_is 2 foreign v
	same 1 "$(consume -f '%k\n' | grep -cx foreign)"
}

@test "an open transaction of another producer is reported, and ends the wait when it ends" {
	allow_log 'an open transaction'
	NODE_OPTIONS=(--write-timeout 1s)
	node_httpd 1
	put 1 before 1
	local at pid
	at=$(log_end)
	mkfifo "$T/hold"
	transaction hold <"$T/hold" >"$T/open" &
	pid=$!
	exec 8>"$T/hold"
	wait_for 10 grep -q open "$T/open"
	node_rest 1 PUT /v1/kv/held --data-binary 1
	same 504 "$status"
	wait_for 15 why_is 1 "an open transaction of a foreign producer at offset $at"
	not_ready 1
	get_is 1 before 1
	exec 8>&-
	wait $pid
	wait_for 15 curl -sf -o /dev/null "${NODE_URL[1]}/readyz"
	get_is 1 held 1
	wait_for 10 settled 1
}

@test "running and new nodes notice a log that lost its newest records and got others" {
	allow_log 'the log cannot be used: (topic .* has other records|no answer|the store .* has applied)'
	local i n
	for n in 1 2; do node_httpd $n; done
	for i in {1..20}; do put 1 "a/$i" "$i"; done
	wait_for 20 settled 1 2
	node_kill 2
	broker kill
	lose_batches 5
	# No node may read before the log is longer than the part it has applied.
	stop_all "${NODE_HTTPD[1]}"
	broker start
	for i in {1..30}; do echo "b/$i:$i"; done | produce -K:
	kill -CONT "${NODE_HTTPD[1]}"
	wait_for 20 why_is 1 'other records than those that the store'
	[[ $(status_of 1 .why) == *"up to offset "*" both are the same"* ]]
	not_ready 1
	# It serves its old data, without any record of the other log.
	get_is 1 a/20 20
	node_rest 1 GET /v1/kv/b/1
	same 404 "$status"
	fails_with 'other records than those that the store' timeout 20 "$KEYDIR_HTTPD" \
		--store "$T/n2" --log "$VOLUME" --listen "127.0.0.1:$(free_port)"
	# Follow the remedy that the message names.
	node_kill 1
	mv "$T/n1" "$T/n1.old"
	node_httpd 1
	get_is 1 b/30 30
	node_rest 1 GET /v1/kv/a/20
	same 404 "$status"
}

@test "a running node notices that its topic was created again, and does not create it itself" {
	allow_log 'the log cannot be used: (there is no topic|the store .* belongs to another volume|the store .* has applied)'
	node_httpd 1
	local i
	for i in {1..20}; do put 1 "a/$i" "$i"; done
	topic delete
	wait_for 30 why_is 1 'there is no topic'
	not_ready 1
	topic create 1 message.timestamp.type=LogAppendTime max.message.bytes=17825792 retention.ms=-1
	for i in {1..200}; do echo "b/$i:$i"; done | produce -K:
	wait_for 30 why_is 1 'belongs to another volume'
	get_is 1 a/20 20
	node_rest 1 GET /v1/kv/b/200
	same 404 "$status"
}

@test "while the log is unreachable a shell's write fails and stores nothing; later it works" {
	allow_log 'error keydir-(fs|httpd): the log cannot be used: no answer'
	NODE_OPTIONS=(--write-timeout 1s)
	node_fs 1
	local mnt=${NODE_MNT[1]} shell how
	echo -n before >"$mnt/there"
	broker kill
	# The mount has to notice it first.
	wait_for 20 not bash -c "echo x >'$mnt/probe'" 2>/dev/null
	for shell in bash dash; do
		command -v $shell >/dev/null || continue
		for how in '>' '>>'; do
			fails_with '' $shell -c "echo x $how'$mnt/new'"
			fails_with '' $shell -c "echo x $how'$mnt/there'"
		done
	done
	fails_with 'Input/output error' python3 -c 'import sys; open(sys.argv[1], "w").write("x")' "$mnt/new"
	# A file that is already open, and opens for reading or for writing only.
	fails_with 'Input/output error' python3 - "$mnt/there" <<-'PY'
		import os, sys
		fd = os.open(sys.argv[1], os.O_RDWR)
		assert os.read(fd, 9) == b"before"
		os.write(fd, b"x")
	PY
	same before "$(cat "$mnt/there")"
	same there "$(ls "$mnt")"
	broker start
	wait_for 30 bash -c "echo back >'$mnt/there'" 2>/dev/null
	same back "$(cat "$mnt/there")"
	sync "$mnt/there"
	echo more >>"$mnt/there"
	sync "$mnt/there"
}

@test "writes are stored if the log was unreachable for less than the write timeout" {
	allow_log 'error keydir-(fs|httpd): the log cannot be used: no answer'
	NODE_OPTIONS=(--write-timeout 100s)
	node_httpd 1
	node_fs 1
	local mnt=${NODE_MNT[1]} n writers=()
	for n in 1 2 3; do echo -n old >"$mnt/key$n"; done
	broker kill
	wait_for 10 log_is_down 1
	for n in 1 2 3; do
		bash -c "echo -n new >'$mnt/key$n'" 3>&- 4>&- &
		writers+=($!)
		wait_for 10 grep -q request_wait_answer "/proc/${writers[n - 1]}/wchan"
	done
	broker start
	for n in 1 2 3; do
		wait "${writers[n - 1]}"
		get_is 1 "key$n" new
	done
}

@test "a new node without its log: the mount says so, and returns EIO until it has read it" {
	local mnt=$T/mnt9
	node_httpd 1
	put 1 dir/there 1
	stop "${NODE_HTTPD[1]}"
	allow_log 'error keydir-fs: the log cannot be used: no answer'
	broker kill
	mkdir "$mnt"
	fails_with "before the node is ready" "$KEYDIR_FS" --store "$T/n8" --log "$VOLUME" \
		--write-timeout 1s -o subdir=dir "$mnt"
	timeout 60 "$KEYDIR_FS" --store "$T/n9" --log "$VOLUME" --write-timeout 1s --log-file "$T/fs9.log" \
		"$mnt" >"$T/said" 2>&1 3>&- 4>&- 5>&-
	grep "not answered yet; until then reads fail with EIO\|mounted before the node is ready" "$T/said"
	stat "$mnt" >/dev/null
	fails_with 'Input/output error' ls "$mnt"
	fails_with 'Input/output error' cat "$mnt/dir/there"
	fails_with 'Input/output error' bash -c "echo x >'$mnt/new'"
	broker start
	wait_for 30 ls "$mnt" >/dev/null 2>&1
	same 1 "$(cat "$mnt/dir/there")"
	echo x >"$mnt/new"
	same x "$(cat "$mnt/new")"
	umount "$mnt"
}

ticks() { consume -f '%h\n' | grep -cw op=tick; }

has_expired() { [ "$(status_of "$1" .events.expired)" = "$2" ]; }

@test "idle expiry takes about one tick for all processes of all nodes" {
	local n i
	for n in 1 2 3; do node_up "$n"; done
	for i in {1..12}; do
		node_rest 1 PUT "/v1/kv/k$i?ttl=$((2000 + i * 500))ms" --data-binary x
		same 201 "$status"
	done
	for n in 1 2 3; do wait_for 30 has_expired "$n" 12; done
	# One event for each key, and more where the process whose turn it was came late. If
	# all six wrote one for each key, it would be 72.
	[ "$(ticks)" -le 36 ]
	# Whichever process had its turn, the others continue without it.
	node_kill 1
	node_kill 2 httpd
	node_rest 3 PUT '/v1/kv/k?ttl=100ms' --data-binary x
	wait_for 30 has_expired 3 13
	node_kill 2
	node_kill 3 httpd
	node_httpd 3
	node_rest 3 PUT '/v1/kv/k?ttl=100ms' --data-binary x
	wait_for 30 has_expired 3 14
	# More keys than one event removes: the rest is removed as well.
	seq -f 'many%g:x' 1000 | produce -K: -H op=set -H ttl=1
	wait_for 30 has_expired 3 1014
}

@test "a topic with a smaller limit lowers that of values, and Keydir's own topic is raised" {
	allow_log 'values are limited to'
	topic create 1 message.timestamp.type=LogAppendTime max.message.bytes=2097152 retention.ms=-1
	node_up 1
	same 1835008 "$(status_of 1 .store.max_value_bytes)"
	head -c 1835009 /dev/zero >"$T/large"
	node_rest 1 PUT /v1/kv/k --data-binary "@$T/large"
	same 413 "$status"
	fails_with 'File too large' cp "$T/large" "${NODE_MNT[1]}/k"
	truncate -s 1835008 "$T/large"
	node_rest 1 PUT /v1/kv/k --data-binary "@$T/large"
	same 20 "${status%?}"
	cp "$T/large" "${NODE_MNT[1]}/l"
	grep -q 'values are limited to 1835008 bytes, less than --max-value 16777216' "$T/httpd1.log"
	# A topic that Keydir created with other settings.
	TOPIC=$TOPIC-own VOLUME=$VOLUME-own
	node_httpd 2 --max-value 2M
	same 2097152 "$(status_of 2 .store.max_value_bytes)"
	node_httpd 3 --max-value 20M
	same 20971520 "$(status_of 3 .store.max_value_bytes)"
	truncate -s 20971520 "$T/large"
	node_rest 3 PUT /v1/kv/k --data-binary "@$T/large"
	same 201 "$status"
}

@test "impossible settings are refused at the start: values over 96 MiB, retention without peers" {
	refused 'give at most 96M' --max-value 100M
	topic create 1 message.timestamp.type=LogAppendTime max.message.bytes=17825792 retention.ms=86400000
	refused 'deletes records by retention.ms=86400000'
	refused 'use --peers to name nodes'
	allow_log 'deletes records by'
	# With a peer that does not run yet, as on the first node.
	node_httpd 1 --peers "http://127.0.0.1:$(free_port)"
	put 1 k 1
	stop "${NODE_HTTPD[1]}"
	node_httpd 1
	get_is 1 k 1
}
