# shellcheck shell=bash disable=SC2154,SC2317,SC2119,SC2120
# Kafka as the log, compared with librdkafka alone on the same broker in the same run.

# with_broker FUNCTION: call FUNCTION with a new broker that stores its data in memory;
# sets BROKER to its address.
with_broker() {
	local port program r=0
	for program in java mvn kcat; do
		if ! command -v "$program" >/dev/null; then
			echo "bench: $BENCH needs $program (make deps)" >&2
			return 1
		fi
	done
	until port=$(free_port) && ! (exec 9<>"/dev/tcp/127.0.0.1/$((port + 1))") 2>/dev/null; do :; done
	tests/kafka/broker.sh start "$DIR/broker" "$port" >>"$TMP/log" 2>&1 || return
	PIDS+=("$(cat "$DIR/broker/pid")")
	BROKER=127.0.0.1:$port
	"$@" || r=$?
	stop_all
	tests/kafka/broker.sh kill "$DIR/broker"
	return $r
}

make_topic() { # NAME: create a topic with the settings of a volume
	"$BUILD/tools/kafka_topic" "$BROKER" create "$1" 1 message.timestamp.type=LogAppendTime \
		retention.ms=-1
}

# node_rest NAME TOPIC [OPTION...]: start a REST server and wait until it is ready; sets PORT.
node_rest() {
	local name=$1 topic=$2
	shift 2
	PORT=$(free_port)
	begin "$BUILD/keydir-httpd" --store "$DIR/$name" --size 8G --log "kafka://$BROKER/$topic" \
		--listen "127.0.0.1:$PORT" "$@"
	wait_until 120 ready "http://127.0.0.1:$PORT"
}

# node_mount NAME TOPIC: mount at $DIR/mnt-NAME.
node_mount() {
	mkdir "$DIR/mnt-$1"
	begin "$BUILD/keydir-fs" -f --store "$DIR/$1" --size 8G --log "kafka://$BROKER/$2" "$DIR/mnt-$1"
	wait_until 20 is_mounted "$DIR/mnt-$1"
}

# both FILE COMMAND...: run COMMAND, which prints two percentiles, and print the first;
# `other FILE` prints the second one of the same run.
both() {
	local file=$DIR/$1
	shift
	"$@" >"$file" && cut -d ' ' -f 1 "$file"
}
other() { cut -d ' ' -f 2 "$DIR/$1"; }

# A node of one process, without other nodes.
bench_kafka_write() { with_broker kafka_write; }
kafka_write() {
	make_topic peer && node_rest node1 volume || return
	local CONNECTIONS=64
	put_keydir() { both put "$TOOLS/write_load" put "$PORT" "$PERIOD" 100; }
	put_keydir_p99() { other put; }
	put_node() {
		both node "$TOOLS/submit_load" "$DIR/alone" "kafka://$BROKER/volume2" "$PERIOD" 100
	}
	put_node_p99() { other node; }
	put_peer() { both peer "$TOOLS/kafka_peer" delay "$BROKER" peer "$PERIOD" 100; }
	put_peer_p99() { other peer; }
	rate_keydir() { put_rate "http://127.0.0.1:$PORT/v1/kv" 100; }
	rate_peer() { "$TOOLS/kafka_peer" rate "$BROKER" peer "$PERIOD" 100 "$CONNECTIONS"; }
	rounds put put_keydir put99 put_keydir_p99 librdkafka put_peer "librdkafka p99" put_peer_p99 \
		node put_node node99 put_node_p99 rate rate_keydir "librdkafka rate" rate_peer || return
	line "PUT 100 B on Kafka, one at a time, p50" us put librdkafka "<= 1.3"
	line "the same, p99" us put99 "librdkafka p99"
	line "the same in the node itself, without HTTP, p50" us node librdkafka
	line "the same, p99" us node99 "librdkafka p99"
	line "PUT 100 B on Kafka, $CONNECTIONS writers" /s rate "librdkafka rate"
}

# Two nodes, each with REST and a mount.
bench_kafka_replicas() { with_broker kafka_replicas; }
kafka_replicas() {
	local port1 port2
	make_topic peer && node_rest node1 volume || return
	port1=$PORT
	node_rest node2 volume || return
	port2=$PORT
	node_mount node1 volume && node_mount node2 volume || return
	file_keydir() { both file "$TOOLS/write_load" file "$DIR/mnt-node1" "$PERIOD" 100; }
	file_keydir_p99() { other file; }
	seen_rest() { both rest "$TOOLS/write_load" seen-rest "$port1" "$port2" "$PERIOD" 100; }
	seen_rest_p99() { other rest; }
	seen_mount() { both mount "$TOOLS/write_load" seen-mount "$port1" "$DIR/mnt-node2" "$PERIOD" 100; }
	seen_mount_p99() { other mount; }
	delay_peer() { both peer "$TOOLS/kafka_peer" delay "$BROKER" peer "$PERIOD" 100; }
	delay_peer_p99() { other peer; }
	rounds file file_keydir file99 file_keydir_p99 librdkafka delay_peer \
		"librdkafka p99" delay_peer_p99 rest seen_rest rest99 seen_rest_p99 \
		mount seen_mount mount99 seen_mount_p99 || return
	line "two nodes on Kafka: open, write 100 B, close, p50" us file librdkafka
	line "the same, p99" us file99 "librdkafka p99"
	line "PUT on one until a GET on the other shows it, p50" us rest librdkafka
	line "the same, p99" us rest99 "librdkafka p99"
	line "PUT on one until the mount of the other shows it, p50" us mount librdkafka
	line "the same, p99" us mount99 "librdkafka p99"
}

# A log of many small records, written by a node, and all ways to catch up with it.
bench_kafka_catch_up() { with_broker kafka_catch_up; }
kafka_catch_up() {
	local peer
	fill_log() { "$TOOLS/fill" "$DIR/node1" "$KEYS" 100 "kafka://$BROKER/volume"; }
	ROUNDS=1 rounds filled fill_log || return

	# Print the time from the start of the program until it is ready.
	ready_time() { # NAME [OPTION...]
		local begin=$EPOCHREALTIME
		node_rest "$1" volume "${@:2}" || return
		awk -v a="$begin" -v b="$EPOCHREALTIME" 'BEGIN { print b - a }'
	}
	restart() { ready_time node1 && end "$PID"; }
	# Check that the last key is there, and remove the store for the next round.
	new_node() { # [OPTION...]
		rm -rf "$DIR/new"
		ready_time new "$@" || return
		curl -sf -o /dev/null "http://127.0.0.1:$PORT/v1/kv/key:$((KEYS - 1))" || return
		end "$PID"
		rm -rf "$DIR/new"
	}
	by_snapshot() { new_node --peers "http://127.0.0.1:$peer"; }
	by_replay() {
		local s
		s=$(new_node) && echo "$s" >"$DIR/replay" && awk -v n="$KEYS" '{ print n / $1 }' "$DIR/replay"
	}
	by_replay_s() { cat "$DIR/replay"; }
	by_kcat() {
		local begin=$EPOCHREALTIME
		kcat -C -e -q -o beginning -b "$BROKER" -t volume >/dev/null || return
		awk -v a="$begin" -v b="$EPOCHREALTIME" -v n="$KEYS" 'BEGIN { print n / (b - a) }'
	}
	rounds restart restart || return
	node_rest node1 volume || return
	peer=$PORT
	rounds snapshot by_snapshot replay by_replay "replay, s" by_replay_s "kcat -C" by_kcat || return
	line "replay of a log of $(number "$KEYS") records of 100 B" records/s replay "kcat -C" ">= 0.5"
	plain "a new node with $(number "$KEYS") keys: by snapshot, until ready" s snapshot "<= 3"
	plain "the same by replay" s "replay, s"
	plain "restart with $(number "$KEYS") keys on Kafka, warm, until ready" s restart "<= 1"
	plain "those keys written by one node, 10,000 under way" /s filled
}
