# No acknowledged write is lost and none is done twice, whichever process dies.

load cluster

# Seconds of load; set LOAD_S=60 for more.
LOAD_S=${LOAD_S:-25}

# Start the project's nginx.conf with this test's ports and an access log.
start_nginx() {
	local dir=$T/nginx n nginx sed=() user=
	nginx=$(PATH=$PATH:/usr/sbin:/sbin command -v nginx) || skip_or_fail "needs nginx"
	mkdir "$dir"
	chmod 777 "$dir"
	for n in 1 2 3; do
		sed+=(-e "s/127\.0\.0\.1:800$n /127.0.0.1:${NODE_PORT[n]} /")
	done
	FRONT_PORT=$(free_port)
	sed "${sed[@]}" -e "s/listen 127\.0\.0\.1:5000/listen 127.0.0.1:$FRONT_PORT/" \
		-e 's/access_log off;/access_log access.log keydir;/' "$KEYDIR_ROOT/nginx.conf" >"$dir/nginx.conf"
	not grep -qE '127\.0\.0\.1:(800|5000)' "$dir/nginx.conf"
	[ "$(id -u)" != 0 ] || user="user root;"
	start nginx "$nginx" -p "$dir" -c nginx.conf -e stderr -g "daemon off; $user"
	FRONT=http://127.0.0.1:$FRONT_PORT
	wait_ready 10 "$PID" curl -sf -o /dev/null "$FRONT/healthz"
}

start_writer() { # NAME KIND PLACE
	"$CLUSTER/write_load.py" --name "$1" --seconds "$LOAD_S" --until "$T/enough" "--$2" "$3" \
		--report "$T/$1.report" >"$T/$1.out" 2>&1 3>&- &
	WRITERS+=("$!")
}

# acked KIND REPORT...: how many writes of KIND were acknowledged.
acked() {
	local kind=$1
	shift
	cat "$@" | grep -c "^acked $kind "
}

# Each writer on a mount has done enough.
enough_on_mounts() {
	local n
	for n in 1 2 3; do
		[ "$(acked set "$T/mount$n.report")" -gt 50 ] || return
		[ "$(acked append "$T/mount$n.report")" -gt 10 ] || return
	done
}

@test "every 2xx and every successful close is there, and in the log once" {
	local n end rounds=0 broker=0 half
	allow_log 'the log cannot be used: (no answer|the broker)'
	for n in 1 2 3; do node_up "$n"; done
	start_nginx
	WRITERS=()
	for n in 1 2 3; do
		start_writer "mount$n" mount "${NODE_MNT[n]}"
		start_writer "rest$n" url "$FRONT"
	done
	end=$((SECONDS + LOAD_S))
	half=$((SECONDS + LOAD_S / 2))
	# Kill the nodes in turn, and the broker in the middle of the run.
	while [ $SECONDS -lt $((end - 5)) ] || [ $rounds -lt 3 ] || [ $broker = 0 ]; do
		# A slow machine takes longer; the writers go on until $T/enough exists.
		[ $SECONDS -lt $((end + 120 * PATIENCE)) ]
		sleep 1 # load on all nodes
		if [ $broker = 0 ] && [ $SECONDS -ge $half ] && [ "$(acked set "$T"/rest?.report)" -gt 100 ]; then
			# Up to here every PUT through Nginx succeeded, whichever node died.
			cat "$T"/rest?.report >"$T/first-half"
			broker=1
			broker kill
			broker start
			continue
		fi
		n=$((rounds % 3 + 1))
		node_kill "$n"
		node_up "$n"
		rounds=$((rounds + 1))
	done
	wait_for 60 enough_on_mounts
	touch "$T/enough"
	for n in "${WRITERS[@]}"; do
		wait "$n" || {
			cat "$T"/*.out
			return 1
		}
	done
	echo "$rounds nodes killed"
	not grep -E '^(failed|unknown) set ' "$T/first-half"
	[ "$(acked set "$T/first-half")" -gt 100 ]

	wait_for 30 settled 1 2 3 || {
		show_differences "$T/n1" "$T/n2" "$T/n3"
		return 1
	}
	consume -f '%k %s %h\n' >"$T/log"
	"$CLUSTER/check_writes.py" --log "$T/log" --mount "${NODE_MNT[2]}" \
		--access "$T/nginx/access.log" "$T"/*.report
	# Nginx repeated some requests on another node.
	grep -q '"method":"PUT".*"node":"[^"]*, ' "$T/nginx/access.log"
}

@test "a write that is missing, or there twice, is found" {
	local check=("$CLUSTER/check_writes.py" --log "$T/log" --mount "$T/tree" "$T/report")
	mkdir "$T/tree"
	printf w.1 >"$T/tree/w.1"
	printf 'w.5;' >"$T/tree/w"
	printf '%s\n' 'acked set w.1 w.1' 'acked append w w.5' >"$T/report"
	printf '%s\n' 'w.1 w.1 op=set,id=1' 'w w.5; op=append,id=2' >"$T/log"
	"${check[@]}"
	cp "$T/log" "$T/good"
	sed 1d "$T/good" >"$T/log"
	fails_with "acknowledged, not in the log" "${check[@]}"
	cat "$T/good" "$T/good" >"$T/log"
	fails_with "2 times in the log" "${check[@]}"
	cp "$T/good" "$T/log"
	rm "$T/tree/w.1"
	fails_with "in the store 0" "${check[@]}"
	printf w.1 >"$T/tree/w.1"
	printf 'w.5;w.5;' >"$T/tree/w"
	fails_with "in the store 2" "${check[@]}"
	printf 'w.5;' >"$T/tree/w"
	echo 'w.9 w.9 op=set' >>"$T/log"
	fails_with "nobody wrote it" "${check[@]}"
}
