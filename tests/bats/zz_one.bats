# The Kafka log as a node's user and its operator see it: who applies, what
# happens without a broker, plain records, and logs that a node must not use.

load cluster

TOPIC_TOOL=$KEYDIR_BUILD/tools/kafka_topic

topic() {
	local verb=$1
	shift
	"$TOPIC_TOOL" "127.0.0.1:$BROKER_PORT" "$verb" "$TOPIC" "$@"
}

now_ms() { date +%s%3N; }

# within MS COMMAND...: it succeeds, and takes no longer.
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





log_is_down() { [ "$(status_of "$1" .log.up)" = false ]; }


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





not_ready() {
	node_rest "$1" GET /readyz
	[ "$status" = 503 ]
}
why_is() { [[ $(status_of "$1" .why) == *"$2"* ]]; }

refused() { # TEXT [OPTION...]
	local text=$1 program
	shift
	for program in "$KEYDIR_HTTPD --listen 127.0.0.1:0" "$KEYDIR_FS -f"; do
		local mnt=()
		[[ $program == *httpd* ]] || mnt=("$MNT")
		# shellcheck disable=SC2086 # words are meant
		fails_with "$text" timeout 20 $program --store "$T/n1" --log "$VOLUME" "$@" "${mnt[@]}"
		not is_mounted "$MNT"
	done
}






transaction() { timeout $((30 * PATIENCE)) "$KEYDIR_BUILD/tools/log_probe" "$VOLUME" transaction "$1"; }








@test "a topic with a smaller limit lowers that of values, and one that Keydir made is raised" {
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
	# What Keydir made with other settings.
	TOPIC=$TOPIC-own VOLUME=$VOLUME-own
	node_httpd 2 --max-value 2M
	same 2097152 "$(status_of 2 .store.max_value_bytes)"
	node_httpd 3 --max-value 20M
	same 20971520 "$(status_of 3 .store.max_value_bytes)"
	truncate -s 20971520 "$T/large"
	node_rest 3 PUT /v1/kv/k --data-binary "@$T/large"
	same 201 "$status"
}

@test "what cannot work is refused at the start: values over 96 MiB, a retention without peers" {
	refused 'give at most 96M' --max-value 100M
	topic create 1 message.timestamp.type=LogAppendTime max.message.bytes=17825792 retention.ms=86400000
	refused 'forgets by retention.ms=86400000'
	refused 'with --peers'
	allow_log 'forgets by'
	# With a peer that is not there yet, as the first node has it.
	node_httpd 1 --peers "http://127.0.0.1:$(free_port)"
	put 1 k 1
	stop "${NODE_HTTPD[1]}"
	node_httpd 1
	get_is 1 k 1
}
