# Helper of the cluster's bats files, on top of helper.bash: a real Kafka broker, started
# once for each file, and nodes that follow one of its topics.
#
# A bats file begins with
#
#     load cluster
#
# Each test gets a topic of its own ($TOPIC, not created yet; $VOLUME is its URL), besides
# the variables of helper.bash. Node N has the store $T/nN, the mount $T/mntN and a port
# that stays the same when it is restarted.
#
#   node_httpd N [OPTION...]   starts N's REST server, waits until it is ready;
#                              sets HTTPD_PID, URL, NODE_HTTPD[N], NODE_URL[N]
#   node_fs N [OPTION...]      starts N's mount; sets NODE_FS[N], NODE_MNT[N]
#   node_up N [OPTION...]      both
#   node_kill N [fs|httpd]     kill -9 of both or one; a dead mount is removed
#   node_rest N METHOD PATH [CURL OPTION...]   like rest, to node N
#   broker VERB                tests/kafka/broker.sh with this file's broker:
#                              start, stop, kill, pause, resume, running
#   produce [KCAT OPTION...]   kcat -P to $TOPIC
#   consume [KCAT OPTION...]   kcat -C from the start of $TOPIC to its end
#   log_end                    the offset after $TOPIC's newest record
#   lose_batches N [DIR]       remove the newest N batches of $TOPIC from the disk of the
#                              broker (in DIR), which must not run
#   dump DIR                   the sums of a store's tables
#   equal_stores DIR...        whether all of them have the same rows
#   settled N...               whether the nodes have applied the whole log and are equal
#   status_of N JQ-FILTER      of node N's /v1/status
#
# Options that all nodes of a test get: NODE_OPTIONS=(...).

load "${BASH_SOURCE[0]%/*}/helper"

BROKER=$KEYDIR_ROOT/tests/kafka/broker.sh
STORE_DUMP=$KEYDIR_BUILD/tools/store_dump
CLUSTER=$KEYDIR_ROOT/tests/cluster

setup_file() { cluster_setup_file; }
teardown_file() { cluster_teardown_file; }
setup() { cluster_setup; }
teardown() { cluster_teardown; }

# Runs in a process of its own: variables for the tests must be exported.
cluster_setup_file() {
	find_broker_commands || return 0
	export BROKER_DIR=$BATS_FILE_TMPDIR/broker BROKER_PORT
	BROKER_PORT=$(take_broker_port)
	broker_properties
	broker start >"$BATS_FILE_TMPDIR/broker.out" 2>&1 || {
		cat "$BATS_FILE_TMPDIR/broker.out"
		return 1
	}
}

# Check that the broker's commands are installed; else set BROKER_MISSING.
find_broker_commands() {
	local command
	for command in java mvn kcat jq python3; do
		command -v "$command" >/dev/null || {
			export BROKER_MISSING="needs $command"
			return 1
		}
	done
}

# Print the first of two adjacent free ports, below those of free_port. The directory of
# that name in PORTS_TAKEN reserves it until the caller removes it.
take_broker_port() {
	local port
	mkdir -p "$PORTS_TAKEN"
	for _ in {1..200}; do
		port=$((12000 + 2 * (RANDOM % 4000)))
		if port_is_free "$port" && port_is_free $((port + 1)) &&
			mkdir "$PORTS_TAKEN/$port" 2>/dev/null; then
			echo "$port"
			return
		fi
	done
	return 1
}

# A file that needs another broker redefines this: set and export BROKER_PROPERTIES, words
# for broker.sh.
broker_properties() { :; }

cluster_teardown_file() {
	[ -z "${BROKER_MISSING:-}" ] || return 0
	"$BROKER" stop "$BROKER_DIR"
	rmdir "$PORTS_TAKEN/$BROKER_PORT" 2>/dev/null || true
}

port_is_free() { ! (exec 9<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

cluster_setup() {
	[ -z "${BROKER_MISSING:-}" ] || skip_or_fail "$BROKER_MISSING"
	keydir_setup
	TOPIC=t$BATS_TEST_NUMBER-$$-$RANDOM
	VOLUME=kafka://127.0.0.1:$BROKER_PORT/$TOPIC
	NODE_OPTIONS=()
	NODE_PORT=()
	NODE_URL=()
	NODE_HTTPD=()
	NODE_FS=()
	NODE_MNT=()
}

# The next test finds a broker even if this one failed.
cluster_teardown() {
	local bad=0
	[ -z "${BROKER_MISSING:-}" ] || return 0
	broker resume 2>/dev/null || true
	broker running || broker start || bad=1
	keydir_teardown || bad=1
	return $bad
}

# --- nodes -------------------------------------------------------------------

node_httpd() {
	local n=$1
	shift
	[ -n "${NODE_PORT[n]:-}" ] || NODE_PORT[n]=$(free_port)
	PORT=${NODE_PORT[n]}
	NODE_URL[n]=http://127.0.0.1:$PORT
	start_httpd --store "$T/n$n" --log "$VOLUME" --listen "127.0.0.1:$PORT" \
		"${NODE_OPTIONS[@]}" "$@" || return
	NODE_HTTPD[n]=$HTTPD_PID
}

node_fs() {
	local n=$1
	shift
	NODE_MNT[n]=$T/mnt$n
	start_fs -m "${NODE_MNT[n]}" --store "$T/n$n" --log "$VOLUME" "${NODE_OPTIONS[@]}" "$@" || return
	NODE_FS[n]=$FS_PID
}

node_up() {
	node_httpd "$@" && node_fs "$@"
}

node_kill() {
	local n=$1 which=${2:-both}
	if [ "$which" != fs ] && [ -n "${NODE_HTTPD[n]:-}" ]; then
		kill_hard "${NODE_HTTPD[n]}"
		NODE_HTTPD[n]=
	fi
	if [ "$which" != httpd ] && [ -n "${NODE_FS[n]:-}" ]; then
		kill -KILL "${NODE_FS[n]}"
		wait_for 10 not is_running "${NODE_FS[n]}"
		# By force: a thread that invalidates kernel caches may wait in the kernel for a
		# request that gets no response (fs/notifier.c), and keeps the process from
		# ending.
		umount -f -l "${NODE_MNT[n]}"
		forget "${NODE_FS[n]}"
		wait "${NODE_FS[n]}" 2>/dev/null || true
		NODE_FS[n]=
	fi
}

# Stop in the order of a shutdown.
node_stop() {
	local n=$1
	[ -z "${NODE_HTTPD[n]:-}" ] || stop "${NODE_HTTPD[n]}" || return
	[ -z "${NODE_FS[n]:-}" ] || stop "${NODE_FS[n]}" || return
	NODE_HTTPD[n]='' NODE_FS[n]=''
}

node_rest() {
	URL=${NODE_URL[$1]}
	shift
	rest "$@"
}

status_of() {
	local n=$1
	shift
	curl -sS --max-time $((10 * PATIENCE)) "${NODE_URL[n]}/v1/status" | jq -r "$@"
}

# --- the broker --------------------------------------------------------------

broker() {
	local verb=$1 properties
	if [ "$verb" = start ]; then
		read -r -a properties <<<"${BROKER_PROPERTIES:-}"
		"$BROKER" start "$BROKER_DIR" "$BROKER_PORT" "${properties[@]}"
	else
		"$BROKER" "$verb" "$BROKER_DIR"
	fi
}

produce() { kcat -P -b "127.0.0.1:$BROKER_PORT" -t "$TOPIC" "$@"; }
consume() { kcat -C -q -e -o beginning -b "127.0.0.1:$BROKER_PORT" -t "$TOPIC" "$@"; }
log_end() {
	kcat -Q -b "127.0.0.1:$BROKER_PORT" -t "$TOPIC:0:-1" | sed -n 's/.*offset //p'
}

# Remove the newest records, as a crashing broker loses records that it had not synced.
# The log then ends with whole batches (length at byte 8 of each, after the base offset).
lose_batches() {
	local dir=${2:-$BROKER_DIR}/data/$TOPIC-0
	python3 - "$dir"/*.log "$1" <<'PYTHON' || return
import os, sys
data, at, ends = open(sys.argv[1], "rb").read(), 0, [0]
while at + 61 <= len(data) and data[at + 8:at + 12] != bytes(4):
    at += 12 + int.from_bytes(data[at + 8:at + 12], "big")
    ends.append(at)
os.truncate(sys.argv[1], ends[-1 - int(sys.argv[2])])
PYTHON
	rm -f "$dir"/*.{index,timeindex,snapshot}
}

# --- comparing stores --------------------------------------------------------

dump() { "$STORE_DUMP" -s "$1"; }

equal_stores() {
	local dir first=$1 expected
	expected=$(dump "$first") || return
	[ -n "$expected" ] || return
	for dir; do
		[ "$(dump "$dir")" = "$expected" ] || return
	done
}

# Print the differences for a person.
show_differences() {
	local dir first=$1
	for dir; do
		echo "$dir: $(dump "$dir" | tr '\n' ';')"
	done
	"$STORE_DUMP" "$first" >"$T/rows"
	for dir; do
		diff "$T/rows" <("$STORE_DUMP" "$dir") | head -n 20
	done
}

settled() {
	local n dirs=() end
	for n; do dirs+=("$T/n$n"); done
	end=$(log_end) || return
	for n; do
		[ "$(status_of "$n" .offset)" = $((end - 1)) ] || return
	done
	equal_stores "${dirs[@]}"
}
