# The Kafka log with a real broker, without a node: outcomes of appends while the broker
# dies, topics that are created, checked and refused, logins, TLS, unreadable records.
# tests/unit/test_log_kafka_*.c has the errors that a broker does not return on demand.

# Each test sets its own:
# shellcheck disable=SC2030,SC2031

load helper

BROKER=$KEYDIR_ROOT/tests/kafka/broker.sh
PROBE=$KEYDIR_BUILD/tools/log_probe
TOPIC_TOOL=$KEYDIR_BUILD/tools/kafka_topic

# One broker for the file. Besides the plain listener it has one with a password and one
# with TLS; alice has all rights, bob none.
setup_file() {
	local command port i
	for command in java mvn kcat openssl; do
		command -v "$command" >/dev/null || export BROKER_MISSING="needs $command"
	done
	[ -z "${BROKER_MISSING:-}" ] || return 0
	export BROKER_DIR=$BATS_FILE_TMPDIR/broker PLAIN SASL TLS
	mkdir -p "$BROKER_DIR" "$PORTS_TAKEN"
	make_certificates
	for _ in {1..200}; do
		port=$((10000 + 4 * (RANDOM % 450)))
		for i in 0 1 2 3; do
			! (exec 9<>"/dev/tcp/127.0.0.1/$((port + i))") 2>/dev/null || continue 2
		done
		mkdir "$PORTS_TAKEN/$port" 2>/dev/null || continue
		break
	done
	PLAIN=127.0.0.1:$port SASL=127.0.0.1:$((port + 2)) TLS=127.0.0.1:$((port + 3))
	broker start >"$BATS_FILE_TMPDIR/broker.out" 2>&1 || {
		cat "$BATS_FILE_TMPDIR/broker.out"
		return 1
	}
}

teardown_file() {
	[ -z "${BROKER_MISSING:-}" ] || return 0
	broker stop
	rmdir "$PORTS_TAKEN/${PLAIN#*:}" 2>/dev/null || true
}

make_certificates() (
	cd "$BROKER_DIR" || return
	for name in ca other; do
		openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=$name" \
			-keyout $name.key -out $name.pem
	done
	openssl req -newkey rsa:2048 -nodes -subj /CN=127.0.0.1 -keyout broker.key -out broker.csr
	openssl x509 -req -in broker.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
		-extfile <(echo subjectAltName=IP:127.0.0.1) -out broker.pem
	cat broker.key broker.pem >broker.both
) 2>/dev/null

# broker start|stop|kill|pause|resume|running
broker() {
	local plain=${PLAIN#*:} login=org.apache.kafka.common.security.plain.PlainLoginModule
	if [ "$1" != start ]; then
		"$BROKER" "$1" "$BROKER_DIR"
		return $? # explicit, because in a trap the status would be the one before
	fi
	"$BROKER" start "$BROKER_DIR" "$plain" \
		"listeners=PLAINTEXT://$PLAIN,CONTROLLER://127.0.0.1:$((plain + 1)),SASL_PLAINTEXT://$SASL,SSL://$TLS" \
		"advertised.listeners=PLAINTEXT://$PLAIN,SASL_PLAINTEXT://$SASL,SSL://$TLS" \
		listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SSL:SSL \
		sasl.enabled.mechanisms=PLAIN \
		"listener.name.sasl_plaintext.plain.sasl.jaas.config=$login required user_alice=\"secret\" user_bob=\"secret\";" \
		ssl.keystore.type=PEM "ssl.keystore.location=$BROKER_DIR/broker.both" \
		authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer \
		'super.users=User:ANONYMOUS;User:alice'
}

setup() {
	[ -z "${BROKER_MISSING:-}" ] || skip_or_fail "$BROKER_MISSING"
	keydir_setup
	TOPIC=k$BATS_TEST_NUMBER-$$-$RANDOM
	URL=kafka://$PLAIN/$TOPIC
}

# The next test finds a broker even if this one failed.
teardown() {
	local bad=0
	[ -z "${BROKER_MISSING:-}" ] || return 0
	broker resume 2>/dev/null || true
	broker running || broker start || bad=1
	keydir_teardown || bad=1
	return $bad
}

# probe [OPTION...] VERB...: run on $URL; the output is in $T/out, the status in $status.
probe() {
	local options=()
	while [[ ${1:-} == -* ]]; do
		options+=("$1" "$2")
		shift 2
	done
	status=0
	timeout $((120 * PATIENCE)) "$PROBE" "${options[@]}" "$URL" "$@" >"$T/out" 2>"$T/err" || status=$?
	cat "$T/out"
}

ok() {
	probe "$@"
	[ "$status" != 0 ] || return 0
	echo "status $status: $*"
	tail -n 20 "$T/err"
	return 1
}

# refused ERRNO TEXT [OPTION...] VERB...
refused() {
	local errno=$1 text=$2
	shift 2
	probe "$@"
	same 1 "$status"
	[[ $(cat "$T/out") == "error $errno: "*"$text"* ]]
}

topic() {
	local verb=$1
	shift
	"$TOPIC_TOOL" "$PLAIN" "$verb" "$TOPIC" "$@"
}

@test "a missing topic is created, with the right settings" {
	ok check
	same "first 0 end 0" "$(cat "$T/out")"
	same 1 "$(kcat -L -b "$PLAIN" -t "$TOPIC" -J | jq '.topics[0].partitions | length')"
	# It accepts its own topic, without a warning.
	ok check
	same "first 0 end 0" "$(cat "$T/out")"
	ok load 10
	ok check
	same "first 0 end 10" "$(cat "$T/out")"
	ok end
	same 10 "$(cat "$T/out")"
}

@test "five processes that create the same topic at once all succeed" {
	local i pids=()
	for i in {1..5}; do
		"$PROBE" "$URL" check >"$T/out$i" 2>/dev/null &
		pids+=($!)
	done
	for i in "${pids[@]}"; do wait "$i"; done
	for i in {1..5}; do same "first 0 end 0" "$(cat "$T/out$i")"; done
}

@test "unfit topics are refused with the command that corrects them" {
	topic create 2
	refused EINVAL "has 2 partitions" check
	local good="message.timestamp.type=LogAppendTime max.message.bytes=9000000 retention.ms=-1"
	local row name=$TOPIC
	for row in cleanup.policy=compact cleanup.policy=compact,delete \
		message.timestamp.type=CreateTime max.message.bytes=1000000 \
		unclean.leader.election.enable=true; do
		TOPIC=$name-${row//[,=]/-} URL=kafka://$PLAIN/$TOPIC
		# shellcheck disable=SC2086 # words are meant
		topic create 1 $good "$row"
		refused EINVAL "it has $row; change it with Kafka's tools: kafka-configs.sh --bootstrap-server $PLAIN --alter --entity-type topics --entity-name $TOPIC --add-config ${row%%=*}=" check
	done
}

@test "a finite retention is a warning, and records that it cut are ENODATA" {
	topic create 1 message.timestamp.type=LogAppendTime max.message.bytes=9000000 \
		retention.ms=86400000
	ok check
	[[ $(sed -n 2p "$T/out") == *"deletes records by retention.ms=86400000"*"--add-config retention.ms=-1" ]]
	ok load 20
	topic cut 12
	ok check
	same "first 12 end 20" "$(head -n 1 "$T/out")"
	refused ENODATA "" get 5
	ok get 12
	probe follow 5 20
	same "position 5" "$(sed -n 1p "$T/out")"
	[[ $(sed -n 2p "$T/out") == "error ENODATA: the log does not have offset 5"* ]]
	ok follow 12 20
	same "12 number 12" "$(head -n 1 "$T/out")"
	# Past the end, as after a topic was created again.
	probe follow 25 30
	[[ $(sed -n 2p "$T/out") == "error ENODATA"* ]]
}

@test "no append is lost or repeated while the broker is killed, stopped or paused" {
	ok check
	local round pid
	"$PROBE" -w 60 "$URL" load 60000 >"$T/load" 2>&1 &
	pid=$!
	for round in kill stop pause; do
		wait_for 20 grows
		broker $round
		if [ $round = pause ]; then
			sleep 1
			broker resume
		else
			broker start
		fi
	done
	wait "$pid" || {
		tail "$T/load"
		return 1
	}
	# Restarts are shorter than the write timeout, so every append succeeded in the end.
	grep -x 'appended 60000 not-appended 0 unknown 0 too-large 0' "$T/load"
}

grows() {
	local now
	now=$("$PROBE" -t 2 "$URL" end 2>/dev/null) || return
	[ "$now" -ge $((${seen:-0} + 500)) ] && seen=$now
}

@test "an append fails, or its outcome is unknown, after a break longer than the write timeout" {
	ok check
	local pid
	"$PROBE" -w 2 "$URL" load 60000 >"$T/load" 2>&1 &
	pid=$!
	wait_for 20 grows
	broker pause
	sleep 5
	broker resume
	wait "$pid" || {
		tail "$T/load"
		return 1
	}
	# Records that were in flight when the broker stopped responding, and those queued
	# after them.
	not grep ' unknown 0 ' "$T/load"
	not grep ' not-appended 0 ' "$T/load"
	not grep '^appended 0 ' "$T/load"
}

@test "without a broker appends fail with EAGAIN in time, and recover without help" {
	ok check
	ok load 10
	broker kill
	refused EAGAIN "no answer from $PLAIN" -t 2 check
	refused EAGAIN "" -t 2 end
	refused EAGAIN "" -t 2 get 3
	"$PROBE" -t 60 "$URL" follow 0 10 >"$T/follow" 2>/dev/null &
	local pid=$!
	sleep 0.5
	broker start
	wait "$pid"
	same 11 "$(wc -l <"$T/follow")"
	same "position 10" "$(tail -n 1 "$T/follow")"
}

@test "transaction markers of a foreign producer do not hide the end" {
	ok check
	ok load 5
	ok transaction commit
	ok transaction abort
	ok end
	same 9 "$(cat "$T/out")"
	ok follow 4 9
	same "4 number 4" "$(sed -n 1p "$T/out")"
	same "5 foreign v" "$(sed -n 2p "$T/out")"
	same "position 9" "$(sed -n 3p "$T/out")"
	same 3 "$(wc -l <"$T/out")"
}

@test "a record that is damaged on the broker's disk is not skipped" {
	ok check
	ok load 30
	# Two more batches: one stays whole, the other will be damaged.
	ok append 1000
	ok append 1000
	broker stop
	local segment=$BROKER_DIR/data/$TOPIC-0/00000000000000000000.log at
	[ -s "$segment" ]
	# The last batch: the broker does not check it after an orderly shutdown.
	at=$(grep -abo xxxxxx "$segment" | tail -n 1 | cut -d: -f1)
	[ "$at" -gt 1000 ]
	printf 'XXXXXX' | dd of="$segment" bs=1 seek="$at" conv=notrunc status=none
	broker start
	probe -t 5 follow 0 32
	same 1 "$status"
	[[ $(tail -n 1 "$T/out") == "error EIO: "*CRC* ]]
	not grep XXXXXX "$T/out"
	# The reader got all records before it, and none after.
	local last
	last=$(sed -n 's/^position //p' "$T/out")
	same 31 "$last"
	same "$last" "$(grep -cE '^[0-9]+ ' "$T/out")"
}

@test "a record too large for Keydir, or for a topic that was changed, is refused" {
	topic create 1 message.timestamp.type=LogAppendTime max.message.bytes=300000
	ok append 250000
	probe append 400000
	same too-large "$(cat "$T/out")"
	probe append 3000000
	same too-large "$(cat "$T/out")"
	ok end
	same 1 "$(cat "$T/out")"
}

sasl() { echo "-X security.protocol=sasl_plaintext -X sasl.mechanism=PLAIN -X sasl.username=$1 -X sasl.password=$2"; }

@test "a password is checked: right, wrong, of a user without rights" {
	URL=kafka://$SASL/$TOPIC
	# shellcheck disable=SC2046 # words are meant
	{
		refused EACCES "Authentication failed" $(sasl alice wrong) check
		refused EACCES "" $(sasl nobody secret) check
		ok $(sasl alice secret) check
		ok $(sasl alice secret) load 10
		refused EACCES "opic authorization failed" $(sasl bob secret) check
		probe $(sasl bob secret) append 10
		same not-appended "$(cat "$T/out")"
		ok $(sasl alice secret) end
		same 10 "$(cat "$T/out")"
	}
	# Long before its deadline: waiting would not help.
	# shellcheck disable=SC2046
	probe -t 60 $(sasl alice wrong) check
	[ "$(sed -n 's/^took \([0-9]*\) ms/\1/p' "$T/err")" -lt $((5000 * PATIENCE)) ]
}

@test "TLS: a trusted certificate, an untrusted one, no TLS at all" {
	URL=kafka://$TLS/$TOPIC
	local tls=(-X security.protocol=ssl)
	ok "${tls[@]}" -X "ssl.ca.location=$BROKER_DIR/ca.pem" check
	ok "${tls[@]}" -X "ssl.ca.location=$BROKER_DIR/ca.pem" load 10
	refused EACCES "certificate" "${tls[@]}" -X "ssl.ca.location=$BROKER_DIR/other.pem" check
	refused EINVAL "ssl.ca.location" "${tls[@]}" -X ssl.ca.location=/no/such/file check
	# A login would not help: the broker just closes the connection.
	refused EAGAIN "no answer from" -t 3 check
}
