# -o inotify: a watcher on the mount is notified of changes by others.

load helper

setup() {
	keydir_setup
	require inotifywait
	start_fs -o inotify
	start_httpd
	mkdir "$MNT/dir"
}

put() { rest PUT "/v1/kv/$1" --data-binary "$2" "${@:3}"; }

# Watch DIR from now on; $T/events has a line for each event.
watch() {
	: >"$T/events"
	start watch inotifywait -m -e create,modify,close_write,delete,attrib,moved_to,delete_self \
		--format '%e %f' -o "$T/events" "$1"
	wait_for 10 grep -q established "$LOG"
	WATCH_PID=$PID
}

end_watch() {
	kill "$WATCH_PID"
	forget "$WATCH_PID"
	wait "$WATCH_PID" || true
}

is_seen() { [ "$(<"$T/events")" = "$1" ]; }

# Check for exactly the lines of EXPECTED, then clear the list.
saw() {
	wait_for 10 is_seen "$1" || same "$1" "$(<"$T/events")" || return
	: >"$T/events"
}

lines() { printf '%s\n' "$@"; }

MADE=("CREATE key" "MODIFY key" "CLOSE_WRITE,CLOSE key")
VALUE=("MODIFY key" "CLOSE_WRITE,CLOSE key")

@test "a key created, changed and deleted over REST causes the events of a local change" {
	local how
	watch "$MNT/dir"
	for how in 1 2; do
		put dir/key one
		saw "$(lines "${MADE[@]}")"
		put dir/key two
		saw "$(lines "${VALUE[@]}")"
		rest POST '/v1/kv/dir/key?op=append' -d three
		saw "$(lines "${VALUE[@]}")"
		same twothree "$(<"$MNT/dir/key")"
		rest DELETE /v1/kv/dir/key
		saw "DELETE key"
		not test -e "$MNT/dir/key"
	done
}

@test "directories, TTLs, renaming and expiry cause events" {
	watch "$MNT/dir"
	put dir/sub/key v
	saw "CREATE,ISDIR sub"
	put dir/key v
	saw "$(lines "${MADE[@]}")"
	rest POST '/v1/kv/dir/key?op=expire&ttl=1h'
	saw "ATTRIB key"
	about 3600 "$(getfattr --only-values --absolute-names -n user.ttl "$MNT/dir/key")"
	rest POST '/v1/kv/dir/key?op=rename&to=dir/other'
	saw "$(lines "DELETE key" "CREATE other" "MODIFY other" "CLOSE_WRITE,CLOSE other")"
	rest POST '/v1/kv/dir/sub?op=rename&to=dir/place'
	saw "$(lines "DELETE,ISDIR sub" "CREATE,ISDIR place")"
	same v "$(<"$MNT/dir/place/key")"
	rest DELETE '/v1/kv/dir/place/?recurse'
	saw "DELETE,ISDIR place"
	rest POST '/v1/kv/dir/other?op=expire&ttl=100ms'
	wait_for 10 grep -qx 'DELETE other' "$T/events"
}

@test "changes of another mount cause events, for a symbolic link too" {
	start_fs -m "$T/other"
	watch "$MNT/dir"
	echo value >"$T/other/dir/key"
	saw "$(lines "${MADE[@]}")"
	echo more >>"$T/other/dir/key"
	saw "$(lines "${VALUE[@]}")"
	chmod 600 "$T/other/dir/key"
	saw "ATTRIB key"
	ln -s key "$T/other/dir/link"
	saw "CREATE link"
	same key "$(readlink "$MNT/dir/link")"
	rm "$T/other/dir/link"
	saw "DELETE link"
	mv "$T/other/dir/key" "$T/other/key"
	saw "DELETE key"
}

@test "a change by this mount causes one event" {
	watch "$MNT/dir"
	echo value >"$MNT/dir/key"
	dd if=/dev/zero of="$MNT/dir/key" bs=1 count=1 conv=notrunc status=none
	rm "$MNT/dir/key"
	put dir/end v
	wait_for 10 grep -qx 'CLOSE_WRITE,CLOSE end' "$T/events"
	same "$(lines "${MADE[@]}" "${VALUE[@]}" "DELETE key")" "$(grep ' key$' "$T/events")"
}

@test "a watched file has events for its changes and its end" {
	echo one >"$MNT/dir/key"
	watch "$MNT/dir/key"
	put dir/key two
	saw "$(lines "MODIFY " "CLOSE_WRITE,CLOSE ")"
	rest DELETE /v1/kv/dir/key
	wait_for 10 grep -q DELETE_SELF "$T/events"
}

@test "announcing changes nothing and adds nothing to the log" {
	local offset
	put dir/key one
	offset=$(header X-Keydir-Offset)
	watch "$MNT/dir"
	put dir/key "another value"
	put dir/second two
	wait_for 10 grep -qx 'CLOSE_WRITE,CLOSE second' "$T/events"
	rest DELETE /v1/kv/dir/second
	wait_for 10 grep -qx 'DELETE second' "$T/events"
	rest GET /v1/kv/dir/key
	same "$((offset + 3))" "$(header X-Keydir-Offset)"
	same "another value" "$(<"$MNT/dir/key")"
	same "13 644 1" "$(stat -c '%s %a %h' "$MNT/dir/key")"
	same key "$(ls "$MNT/dir")"
}

@test "unwatched changes are not announced, and a mount of a directory announces only its own" {
	start_fs -m "$T/sub" -o inotify,subdir=dir
	watch "$T/sub"
	put elsewhere v
	put dir/deep/key v
	saw "CREATE,ISDIR deep"
	put dir/key v
	saw "$(lines "${MADE[@]}")"
}

@test "under many changes and many watchers the mount shows the state that REST shows" {
	local i n writers=()
	start watch inotifywait -m -r -o "$T/events" "$MNT"
	wait_for 10 grep -q established "$LOG"
	WATCH_PID=$PID
	for n in 1 2 3; do
		(
			for i in {1..40}; do
				case $((RANDOM % 4)) in
				0) curl -s -o /dev/null -X DELETE "$URL/v1/kv/dir/k$((RANDOM % 5))" ;;
				1) echo "$n$i" >"$MNT/dir/k$((RANDOM % 5))" ;;
				*) curl -s -o /dev/null -X PUT -d "$n$i" "$URL/v1/kv/dir/k$((RANDOM % 5))" ;;
				esac
			done
		) 3>&- 4>&- 5>&- &
		writers+=($!)
	done
	wait "${writers[@]}"
	put dir/last v
	wait_for 10 grep -q 'CLOSE_WRITE.* last' "$T/events"
	end_watch
	rest GET '/v1/kv/dir/?values'
	same "$(body | jq -r '.entries[].name' | sort)" "$(ls "$MNT/dir")"
	for i in "$MNT"/dir/*; do
		rest GET "/v1/kv/dir/${i##*/}"
		same "$(body)" "$(<"$i")"
		same "$(header Content-Length) 1" "$(stat -c '%s %h' "$i")"
	done
}

@test "kill -9 leaves no announcing process, and the loss of one is only logged" {
	local pid
	pid=$(pgrep -f "^keydir-announce [0-9]* $MNT\$")
	kill -KILL "$pid"
	put dir/key v
	same v "$(<"$MNT/dir/key")"
	wait_for 10 grep -q 'warn.*announcing process pid=[0-9]* has ended' "$T/fs1.log"
	start_fs -m "$T/second" -o inotify
	pid=$(pgrep -f "^keydir-announce [0-9]* $T/second\$")
	kill_hard "$FS_PID"
	wait_for 10 not is_running "$pid"
	forget_mount "$T/second"
}

@test "it needs a writable mount that caches" {
	fails_with "-o inotify cannot be combined with ro" \
		"$KEYDIR_FS" -o ro,inotify --store "$STORE" "$T"
	fails_with "-o inotify cannot be combined with nocache" \
		"$KEYDIR_FS" -o inotify,nocache --store "$STORE" "$T"
}
