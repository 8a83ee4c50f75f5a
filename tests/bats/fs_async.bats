# -o async_close: close passes the change to the log and returns; without it, other
# operations need not wait. A stopped broker stands for the slowest possible log.

load cluster

# A limit for an immediate return; the broker does not respond in the meantime.
at_once() { timeout $((5 * PATIENCE)) "$@"; }

write() { at_once bash -c 'printf %s "$2" >"$1"' write "$1" "$2"; }

lost() { node_rest 1 GET /metrics && body | awk '$1 == "keydir_changes_lost_total" { print $2 }'; }

@test "close returns while the log hangs, this mount sees the change, and fsync and sync wait" {
	NODE_OPTIONS=(--write-timeout 100s)
	node_httpd 1
	node_fs 1 -o async_close
	local mnt=${NODE_MNT[1]} i
	mkdir "$mnt/dir"
	echo before >"$mnt/dir/old"
	sync "$mnt/dir/old"
	broker pause
	# In one process, to be done before the log is known to be away.
	at_once bash -c 'cd "$1"
		for i in {1..20}; do printf %s "value $i" >"new$i"; done
		printf %s "first" >old
		printf %s "second, longer" >old
		printf %s "rewritten" >new1' write "$mnt/dir"
	for i in {2..20}; do same "value $i" "$(at_once cat "$mnt/dir/new$i")"; done
	same "rewritten" "$(at_once cat "$mnt/dir/new1")"
	same "second, longer" "$(at_once cat "$mnt/dir/old")"
	same 14 "$(at_once stat -c %s "$mnt/dir/old")"
	same 9 "$(at_once stat -c %s "$mnt/dir/new1")"
	same 21 "$(at_once ls "$mnt/dir" | wc -l)"
	# No other process sees it before it is in the log.
	node_rest 1 GET /v1/kv/dir/new2
	same 404 "$status"

	sync "$mnt/dir/old" 3>&- 4>&- &
	local file=$!
	sync "$mnt/dir" 3>&- 4>&- &
	local dir=$!
	wait_for 20 grep -q request_wait_answer "/proc/$file/wchan"
	wait_for 20 grep -q request_wait_answer "/proc/$dir/wchan"
	broker resume
	wait "$file"
	wait "$dir"
	for i in {2..20}; do
		node_rest 1 GET "/v1/kv/dir/new$i"
		same "value $i" "$(body)"
	done
	node_rest 1 GET /v1/kv/dir/new1
	same rewritten "$(body)"
	node_rest 1 GET /v1/kv/dir/old
	same "second, longer" "$(body)"
	same 0 "$(lost)"
}

@test "appends do not wait either, and none is lost" {
	NODE_OPTIONS=(--write-timeout 100s)
	node_httpd 1
	node_fs 1 -o async_close
	local mnt=${NODE_MNT[1]}
	echo 0 >>"$mnt/log"
	sync "$mnt/log"
	broker pause
	at_once bash -c 'for i in {1..50}; do echo "$i" >>"$1"; done' append "$mnt/log"
	same "$(seq 0 50 | wc -c)" "$(at_once stat -c %s "$mnt/log")"
	broker resume
	sync "$mnt"
	node_rest 1 GET /v1/kv/log
	same "$(seq 0 50)" "$(body)"
}

@test "fallocate waits for appends that are on their way, and lengthens what they leave" {
	NODE_OPTIONS=(--write-timeout 100s)
	node_httpd 1
	node_fs 1 -o async_close
	local mnt=${NODE_MNT[1]}
	head -c 4096 /dev/zero >"$mnt/key"
	sync "$mnt/key"
	broker pause
	python3 - "$mnt/key" 3>&- 4>&- <<-'EOF' &
		import os, sys
		fd = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_TRUNC)
		os.write(fd, b"x" * 100)
		os.posix_fallocate(fd, 2, 100)
		os.close(fd)
	EOF
	local pid=$!
	wait_for 20 grep -q request_wait_answer "/proc/$pid/wchan"
	broker resume
	wait "$pid"
	sync "$mnt/key"
	node_rest 1 GET /v1/kv/key
	same "$(printf 'x%.0s' {1..100})" "$(body | tr -d '\0')"
	same 102 "$(body | wc -c)"
}

@test "a failure after close is reported by fsync and sync of a directory, and counted" {
	NODE_OPTIONS=(--write-timeout 2s)
	node_httpd 1
	node_fs 1 -o async_close
	local mnt=${NODE_MNT[1]}
	allow_log "a change was lost after its file was closed"
	echo old >"$mnt/key"
	sync "$mnt/key"
	broker pause
	write "$mnt/key" new
	fails_with "timed out" sync "$mnt/key"
	broker resume
	# Later the log is reachable again; then sync reports the failure once.
	sync_tells() { [[ $(sync "$mnt" 2>&1) == *"timed out"* ]]; }
	wait_for 20 sync_tells
	sync "$mnt"
	sync "$mnt/key"
	same 1 "$(lost)"
}

@test "without -o async_close a close that waits for the log does not block its directory" {
	NODE_OPTIONS=(--write-timeout 100s)
	node_fs 1
	local mnt=${NODE_MNT[1]} i
	mkdir "$mnt/dir"
	echo old >"$mnt/dir/old"
	broker pause
	local pids=()
	for i in 1 2; do
		bash -c 'echo "$1" >"$2"' write "value $i" "$mnt/dir/new$i" 3>&- 4>&- 5>&- &
		pids+=($!)
		wait_for 20 grep -q request_wait_answer "/proc/$!/wchan"
	done
	same "value 1" "$(at_once cat "$mnt/dir/new1")"
	same old "$(at_once cat "$mnt/dir/old")"
	not at_once test -e "$mnt/dir/none"
	same $'new1\nnew2\nold' "$(at_once ls "$mnt/dir")"
	# An operation that the log decides waits, and so do look-ups in its directory while
	# the kernel holds the directory's lock for it. Names in the kernel's cache need no
	# look-up.
	mkdir "$mnt/dir/sub" 3>&- 4>&- 5>&- &
	pids+=($!)
	wait_for 20 grep -q request_wait_answer "/proc/$!/wchan"
	same "value 2" "$(at_once cat "$mnt/dir/new2")"
	same old "$(at_once cat "$mnt/dir/old")"
	broker resume
	for i in "${pids[@]}"; do wait "$i"; done
	same $'new1\nnew2\nold\nsub' "$(ls "$mnt/dir")"
}

@test "close reports an error that is known at once" {
	NODE_OPTIONS=(--size 1M)
	node_httpd 1
	node_fs 1 -o async_close
	local mnt=${NODE_MNT[1]}
	fails_with "No space" bash -c "head -c 2000000 /dev/zero >'$mnt/key'"
	sync "$mnt"
	same 0 "$(lost)"
}

@test "SIGTERM waits for changes in flight" {
	node_httpd 1
	node_fs 1 -o async_close
	local mnt=${NODE_MNT[1]} i
	for i in {1..300}; do echo "$i" >"$mnt/key$i"; done
	stop "${NODE_FS[1]}"
	for i in {1..300}; do
		node_rest 1 GET "/v1/kv/key$i"
		same "$i" "$(body)"
	done
}
