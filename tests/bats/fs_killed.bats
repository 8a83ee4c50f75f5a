# The state that a killed mount leaves.

load helper

setup() {
	keydir_setup
	require_fuse
}

teardown() {
	# A connection that hangs keeps its process from ending.
	[ -n "${BATS_TEST_COMPLETED:-}" ] || umount -f "$MNT" 2>/dev/null || true
	keydir_teardown
}

HOLD=$KEYDIR_BUILD/tools/hold_readers

# Whether a thread of the mount waits for a lock inside the kernel.
is_stuck() {
	local task
	for task in /proc/"$FS_PID"/task/*; do
		grep -q '^State:.D' "$task/status" && return 0
	done
	return 1
}

# A process whose first thread has died looks dead as a whole.
has_ended() { [ "$(find "/proc/$1/task" -mindepth 1 -maxdepth 1 2>/dev/null | wc -l)" -le 1 ]; }

forget_all() {
	local pid
	for pid; do forget "$pid"; done
}

guard_pid() { pgrep -f "^keydir-guard $FS_PID "; }

# Process $1 waits for the mount, or has ended.
waits_or_ended() { ! is_running "$1" || grep -qs 'request_wait_answer\|fuse_' "/proc/$1/wchan"; }

is_stuck_or_ended() { is_stuck || ! is_running "$1"; }

# A request that no process reads any more holds the directory's lock, and the mount waits
# for that lock to invalidate a change made over REST.
get_stuck() {
	start_fs
	start_httpd
	mkdir "$MNT/dir"
	ls "$MNT/dir"
	HOLD_PIDS=()
	local try
	for try in {1..20}; do
		start hold "$HOLD" "$FS_PID"
		HOLD_PIDS+=("$PID")
		wait_for 10 grep -q '^[0-9]' "$LOG"
		mkdir "$MNT/dir/made$try" 2>"$T/mkdir.out" 3>&- 4>&- 5>&- &
		MKDIR_PID=$!
		wait_for 10 waits_or_ended "$MKDIR_PID"
		if is_running "$MKDIR_PID"; then
			rest PUT "/v1/kv/dir/key$try" -d v
			wait_for 10 is_stuck_or_ended "$MKDIR_PID"
			# Again, in case that a running thread served mkdir just then.
			rest PUT /v1/kv/dir/key -d v
			wait_for 10 is_stuck_or_ended "$MKDIR_PID"
			is_stuck && is_running "$MKDIR_PID" && return
		fi
		# A thread that was busy when the others were stopped has served the request,
		# perhaps only after mkdir was seen waiting. Stop that one, too.
		wait "$MKDIR_PID"
	done
	return 1
}

@test "kill -9 while the mount waits for a lock in the kernel: it ends, and no process hangs" {
	[ "$(id -u)" = 0 ] || skip_or_fail "needs root to stop threads"
	get_stuck
	local guard
	guard=$(guard_pid)
	kill -KILL "$FS_PID"
	wait_for 10 has_ended "$FS_PID"
	forget "$FS_PID"
	wait "$FS_PID" || true
	wait_for 10 not is_running "$guard"
	forget_all "${HOLD_PIDS[@]}"
	wait "$MKDIR_PID" && return 1
	grep -q "connection abort" "$T/mkdir.out"
	# The mount stays, so that no program writes below it by mistake.
	is_mounted "$MNT"
	fails_with "not connected" ls "$MNT"
	rest GET /v1/kv/dir/key
	same v "$(body)"
}

@test "kill -9 of mount and guard at once leaves a dead mount, or a hang that a new start clears" {
	[ "$(id -u)" = 0 ] || skip_or_fail "needs root to stop threads"
	start_fs
	local guard old
	guard=$(guard_pid)
	forget "$FS_PID"
	kill -KILL "$guard" "$FS_PID"
	wait_for 10 has_ended "$FS_PID"
	wait "$FS_PID" || true
	fails_with "not connected" timeout 10 ls "$MNT"
	umount "$MNT"

	get_stuck
	guard=$(guard_pid)
	old=$FS_PID
	forget "$old"
	forget_all "${HOLD_PIDS[@]}"
	kill -KILL "$guard" "$old"
	wait_for 10 not is_running "$guard"
	start_fs
	wait_for 10 has_ended "$old"
	wait "$old" || true
	wait "$MKDIR_PID" && return 1
	rest GET /v1/kv/dir/key
	same v "$(body)"
	same v "$(cat "$MNT/dir/key")"
}

@test "the guard ends with the mount, and survives signals meant for the mount" {
	start_fs
	local guard
	guard=$(guard_pid)
	kill -TERM "$guard"
	kill -INT "$guard"
	is_running "$guard"
	same / "$(readlink "/proc/$guard/cwd")"
	same 3 "$(find "/proc/$guard/fd" -type l | wc -l)"
	stop "$FS_PID"
	not is_running "$guard"
	# A mount whose guard has died works and stops as well.
	start_fs
	guard=$(guard_pid)
	kill -KILL "$guard"
	echo v >"$MNT/key"
	stop "$FS_PID"
}

@test "SIGTERM with files and directories open keeps everything written" {
	start_fs
	mkdir "$MNT/dir"
	echo old >"$MNT/key"
	exec 6<"$MNT/dir" 7>"$MNT/dir/new" 8>>"$MNT/key"
	exec 9<"$MNT/key"
	printf 'written' >&7
	echo appended >&8
	find "$MNT" >"$T/found"
	stop "$FS_PID"
	exec 6<&- 7>&- 8>&- 9<&-
	start_fs
	same written "$(cat "$MNT/dir/new")"
	same $'old\nappended' "$(cat "$MNT/key")"
}

@test "SIGTERM ends both programs while another process keeps the store's write transaction" {
	start_fs
	start_httpd --write-timeout 1s
	echo before >"$MNT/key"
	allow_log 'another process has kept|has been waiting|waits'
	start writer "$KEYDIR_BUILD/tools/hold_writer" "$STORE"
	local writer=$PID
	wait_for 10 grep -q held "$T/writer.log"
	curl -s -o "$T/put" -X PUT -d after "$URL/v1/kv/key" 3>&- 4>&- &
	(echo after >"$MNT/other" || true) 2>/dev/null 3>&- 4>&- &
	is_held_up() { [ "$(curl -s -o /dev/null -w '%{http_code}' "$URL/readyz")" = 503 ]; }
	wait_for 60 is_held_up
	forget "$FS_PID"
	forget "$HTTPD_PID"
	kill -TERM "$FS_PID" "$HTTPD_PID"
	wait_for 60 has_ended "$HTTPD_PID"
	wait_for 60 has_ended "$FS_PID"
	grep -q "error.*another process has kept the store's write transaction for 20 s" "$T"/httpd*.log
	not mountpoint -q "$MNT"
	# No acknowledged write is lost, and the store is valid.
	stop "$writer" || true
	start_httpd
	rest GET /v1/kv/key
	same "200 before" "$status $(body)"
}
