#!/bin/bash
# A real Kafka broker in KRaft mode: one process that is broker and controller.
# Several run side by side, each with its own directory and port. For a cluster of
# several brokers, give each a node.id of its own, and process.roles, listeners and
# controller.quorum.voters that fit (cluster_brokers.bats).
set -eu

usage() {
	cat >&2 <<'USAGE'
usage: broker.sh fetch                          get the jars into build/kafka (once)
       broker.sh start DIR PORT [name=value...] start, or start again with the data that DIR has
       broker.sh stop DIR                       end it in order
       broker.sh kill DIR                       kill -9
       broker.sh pause DIR                      stop its process (it answers nothing, connections stay)
       broker.sh resume DIR                     the opposite
       broker.sh running DIR                    exit status 0 if it runs
PORT and PORT + 1 must be free; name=value are lines for server.properties.
KAFKA_JVM replaces the options of the Java machine; KAFKA_BUILD, where the jars are.
USAGE
	exit 2
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=${KAFKA_BUILD:-$(cd "$here/../.." && pwd)/build/kafka}
jars=$build/jars
template=$build/formatted
archive=$build/classes.jsa
# A fast start matters here, not the rate after minutes: use only the first compiler,
# the serial collector, and classes mapped from an archive.
read -r -a jvm <<<"${KAFKA_JVM:--Xms64m -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto}"
jvm+=(-Dorg.slf4j.simpleLogger.defaultLogLevel=warn
	-Dorg.slf4j.simpleLogger.showDateTime=true
	'-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS'
	-Dlog4j2.loggerContextFactory=org.apache.logging.log4j.simple.SimpleLoggerContextFactory)
deadline_s=60

die() {
	printf 'broker.sh: %s\n' "$1" >&2
	exit 1
}

# write_properties DIR PORT [name=value...]
write_properties() {
	local dir=$1 port=$2
	shift 2
	cat <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$((port + 1))
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$((port + 1))
advertised.listeners=PLAINTEXT://127.0.0.1:$port
log.dirs=$dir/data
# Topics are created by their users, with the right settings.
auto.create.topics.enable=false
num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
message.max.bytes=67108864
# A killed broker may register again when its old session has ended.
broker.heartbeat.interval.ms=300
broker.session.timeout.ms=1500
num.network.threads=2
num.io.threads=4
background.threads=2
log.cleaner.dedupe.buffer.size=8388608
PROPERTIES
	[ $# -eq 0 ] || printf '%s\n' "$@"
}

# Find two adjacent free ports.
free_port() {
	local port
	while :; do
		port=$((20000 + RANDOM % 10000))
		if ! (exec 8<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null &&
			! (exec 8<>"/dev/tcp/127.0.0.1/$((port + 1))") 2>/dev/null; then
			echo "$port"
			return
		fi
	done
}

fetch() {
	[ ! -e "$build/done" ] || return 0
	command -v mvn >/dev/null || die 'mvn is missing: make deps'
	mkdir -p "$build"
	exec 9>"$build/lock"
	flock 9
	if [ -e "$build/done" ]; then
		exec 9>&-
		return 0
	fi
	rm -rf "$jars" "$template" "$archive" "$build/first"
	mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies \
		-DoutputDirectory="$jars" >"$build/mvn.log" 2>&1 ||
		{ cat "$build/mvn.log" >&2; die 'Maven could not fetch the broker'; }
	# Formatting needs a Java machine each time; copying its result does not.
	mkdir -p "$template"
	write_properties "$template" 1 >"$build/format.properties"
	java "${jvm[@]}" -cp "$jars/*" kafka.tools.StorageTool \
		format -t KeydirTestCluster00001 -c "$build/format.properties" \
		>"$build/format.log" 2>&1 ||
		{ cat "$build/format.log" >&2; die 'the broker could not format its storage'; }
	# One run writes the archive of the classes that a start needs.
	mkdir -p "$build/first"
	run "$build/first" "$(free_port)" -XX:ArchiveClassesAtExit="$archive"
	end "$build/first" TERM
	rm -rf "$build/first"
	touch "$build/done"
	exec 9>&-
}

# Print the process of DIR if it runs, and never another one that got its number.
pid_of() {
	local pid
	pid=$(cat "$1/pid" 2>/dev/null) || return 1
	[ -n "$pid" ] && grep -qaF "$1/server.properties" "/proc/$pid/cmdline" 2>/dev/null || return 1
	echo "$pid"
}

# Ask for the API versions, the smallest request of the protocol.
answers() {
	local port=$1 reply
	exec 8<>"/dev/tcp/127.0.0.1/$port" || return 1
	printf '\0\0\0\012\0\022\0\0\0\0\0\001\377\377' >&8
	reply=$(timeout 2 head -c 8 <&8 | od -An -tx1 -j4)
	exec 8>&-
	[ "$reply" = ' 00 00 00 01' ]
}

# format DIR [name=value...]: create data for the given node.id; without a directory.id,
# the broker creates a new one.
format() {
	local dir=$1 word
	shift
	cp -r "$template/data" "$dir/data"
	for word; do
		case $word in node.id=*)
			sed -i -e "s/^node\.id=.*/$word/" -e '/^directory\.id=/d' "$dir/data/meta.properties"
			;;
		esac
	done
}

# run DIR PORT JVM_OPTION [name=value...]: start the broker and wait for a response.
run() {
	local dir=$1 port=$2 option=$3 pid until
	shift 3
	[ -e "$dir/data/meta.properties" ] || format "$dir" "$@"
	write_properties "$dir" "$port" "$@" >"$dir/server.properties"
	setsid java "${jvm[@]}" "$option" -cp "$jars/*" kafka.Kafka "$dir/server.properties" \
		>>"$dir/broker.log" 2>&1 </dev/null 3>&- 9>&- &
	pid=$!
	echo "$pid" >"$dir/pid"
	until=$((SECONDS + deadline_s))
	until answers "$port" 2>/dev/null; do
		if ! kill -0 "$pid" 2>/dev/null; then
			tail -n 20 "$dir/broker.log" >&2
			rm -f "$dir/pid"
			die "the broker did not start; see $dir/broker.log"
		fi
		if [ "$SECONDS" -ge "$until" ]; then
			kill -9 "$pid"
			rm -f "$dir/pid"
			tail -n 20 "$dir/broker.log" >&2
			die "the broker did not answer within $deadline_s s"
		fi
		sleep 0.02
	done
}

start() {
	[ $# -ge 2 ] || usage
	local dir port=$2 pid
	mkdir -p "$1"
	dir=$(cd "$1" && pwd)
	shift 2
	fetch
	if pid=$(pid_of "$dir"); then
		die "a broker runs already in $dir (process $pid)"
	fi
	! answers "$port" 2>/dev/null || die "another broker answers on port $port"
	run "$dir" "$port" -XX:SharedArchiveFile="$archive" "$@"
}

# end DIR SIGNAL: send the signal and wait until the process has ended.
end() {
	local dir pid until
	[ -d "$1" ] || return 0
	dir=$(cd "$1" && pwd)
	if pid=$(pid_of "$dir"); then
		kill "-$2" "$pid" 2>/dev/null || true
		kill -CONT "$pid" 2>/dev/null || true
		until=$((SECONDS + 20))
		while pid_of "$dir" >/dev/null; do
			[ "$SECONDS" -lt "$until" ] || kill -9 "$pid" 2>/dev/null || true
			sleep 0.02
		done
	fi
	rm -f "$dir/pid"
}

# send_signal DIR SIGNAL: send SIGNAL to the broker in DIR.
send_signal() {
	local dir pid
	dir=$(cd "$1" && pwd)
	pid=$(pid_of "$dir") || die "no broker runs in $dir"
	kill "-$2" "$pid"
}

# all_stopped PID: does no thread of PID run? A thread can run on for a moment after
# SIGSTOP was sent.
all_stopped() { ! grep -qs '^State:[[:space:]]*[^tT[:space:]]' /proc/"$1"/task/*/status; }

# pause DIR: stop the broker in DIR, and wait until each of its threads has stopped.
pause() {
	local pid until=$((SECONDS + deadline_s))
	send_signal "$1" STOP
	pid=$(pid_of "$(cd "$1" && pwd)")
	until all_stopped "$pid"; do
		[ "$SECONDS" -lt "$until" ] || die "the broker did not stop within $deadline_s s"
		sleep 0.01
	done
}

[ $# -ge 1 ] || usage
verb=$1
shift
case $verb in
fetch) fetch ;;
start) start "$@" ;;
stop) end "${1:?}" TERM ;;
kill) end "${1:?}" KILL ;;
pause) pause "${1:?}" ;;
resume) send_signal "${1:?}" CONT ;;
running) [ -d "${1:?}" ] && pid_of "$(cd "$1" && pwd)" >/dev/null ;;
*) usage ;;
esac
