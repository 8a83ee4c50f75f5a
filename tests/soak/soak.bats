# The soak: mixed load on three nodes, each with a mount and a REST server, while programs are
# killed and stopped, the broker is killed and paused, and node 3's link to it is cut. The
# responses to every writer are recorded, and compared with the log and a mount in the end.
# tests/soak/run starts it.

load ../bats/cluster
load ../bats/cluster_far

setup_file() {
	if [ "$(id -u)" != 0 ] || ! make_network; then
		echo "# no links are cut: that needs root and network namespaces" >&3
	fi
	cluster_setup_file
}

teardown_file() {
	cluster_teardown_file
	[ -z "${NETWORK:-}" ] || ip netns del "$NETWORK"
}

# begin N fs|httpd: start a program without waiting for it.
begin() {
	local n=$1 log=$VOLUME address=127.0.0.1 inside=()
	if [ "$n" = 3 ] && [ -n "${NETWORK:-}" ]; then
		log=kafka://$NET_PREFIX.1:9092/$TOPIC address=$NET_PREFIX.6
		inside=(nsenter --net="/run/netns/$NETWORK")
	fi
	[ -n "${NODE_PORT[n]:-}" ] || NODE_PORT[n]=$(free_port)
	NODE_URL[n]=http://$address:${NODE_PORT[n]}
	NODE_MNT[n]=$T/mnt$n
	mkdir -p "${NODE_MNT[n]}"
	if [ "$2" = fs ]; then
		start "fs$n" "${inside[@]}" "$KEYDIR_FS" -f --store "$T/n$n" --log "$log" "${NODE_MNT[n]}"
		NODE_FS[n]=$PID
	else
		start "httpd$n" "${inside[@]}" "$KEYDIR_HTTPD" --store "$T/n$n" --log "$log" --insecure \
			--listen "$address:${NODE_PORT[n]}"
		NODE_HTTPD[n]=$PID
	fi
}

pid_of() { [ "$2" = fs ] && echo "${NODE_FS[$1]}" || echo "${NODE_HTTPD[$1]}"; }

is_up() { curl -sf --max-time 2 -o /dev/null "${NODE_URL[$1]}/readyz" && is_mounted "${NODE_MNT[$1]}"; }

start_writer() { # NAME KIND PLACE
	"$CLUSTER/write_load.py" --name "$1" --seconds "$SOAK_S" "--$2" "$3" \
		--report "$T/$1.report" >"$T/$1.out" 2>&1 3>&- &
	WRITERS+=("$!")
}

# One fault, and its end, after which everything may go on.
fault() {
	local n=$((RANDOM % 3 + 1)) which=httpd seconds=$((RANDOM % 8 + 1)) pid
	((RANDOM % 2)) || which=fs
	case $((RANDOM % 8)) in
	0 | 1 | 2)
		echo "$SECONDS s: kill $which of node $n"
		node_kill "$n" "$which"
		begin "$n" "$which"
		;;
	3)
		echo "$SECONDS s: kill node $n, away for $seconds s"
		node_kill "$n"
		sleep "$seconds"
		begin "$n" fs
		begin "$n" httpd
		;;
	4 | 5)
		echo "$SECONDS s: stop $which of node $n for $seconds s"
		pid=$(pid_of "$n" "$which")
		kill -STOP "$pid"
		sleep "$seconds"
		kill -CONT "$pid"
		;;
	6)
		echo "$SECONDS s: pause the broker for $seconds s"
		broker pause
		sleep "$seconds"
		broker resume
		;;
	7)
		if [ -n "${NETWORK:-}" ] && ((RANDOM % 2)); then
			echo "$SECONDS s: cut the link of node 3 for $seconds s"
			cut_link
			sleep "$seconds"
			mend_link
		else
			echo "$SECONDS s: kill the broker"
			broker kill
			broker start
		fi
		;;
	esac
}

@test "after random kills, freezes and cuts all nodes are ready and equal, and no acknowledged write is lost" {
	local n end faults=0
	allow_log ' error keydir-(fs|httpd): '
	RANDOM=$SOAK_SEED
	for n in 1 2 3; do
		begin "$n" httpd
		wait_for 60 curl -sf -o /dev/null "${NODE_URL[n]}/readyz"
		begin "$n" fs
		wait_for 60 is_up "$n"
	done
	WRITERS=()
	for n in 1 2 3; do
		start_writer "mount$n" mount "${NODE_MNT[n]}"
		start_writer "rest$n" url "${NODE_URL[n]}"
	done
	SECONDS=0
	end=$SOAK_S
	while [ $SECONDS -lt "$end" ]; do
		sleep "$((RANDOM % 3)).$((RANDOM % 10))" # load without a fault
		fault
		faults=$((faults + 1))
	done
	echo "$faults faults"
	for n in "${WRITERS[@]}"; do
		wait "$n" || {
			cat "$T"/*.out
			return 1
		}
	done
	for n in 1 2 3; do wait_for 120 is_up "$n"; done
	wait_for 120 settled 1 2 3 || {
		show_differences "$T/n1" "$T/n2" "$T/n3"
		return 1
	}
	consume -f '%k %s %h\n' >"$T/log"
	"$CLUSTER/check_writes.py" --log "$T/log" --mount "${NODE_MNT[2]}" "$T"/*.report
	for n in 1 2 3; do node_stop "$n"; done
}
