# `make up` and `make down`, in a copy of the tree (with a blank in its path), with a port
# and a store of their own.

load helper

setup() {
	keydir_setup
	require_fuse
	TREE="$T/a tree"
	mkdir -p "$TREE"
	(cd "$KEYDIR_ROOT" && cp -a Makefile common fs httpd tests "$TREE/")
	# Files that are built already are not built again.
	OUT=build${SANITIZER:+/${SANITIZER//,/-}}
	mkdir -p "$TREE/$OUT"
	(cd "$KEYDIR_BUILD" && cp -a keydir-fs keydir-httpd obj flags ./*.a "$TREE/$OUT/")
	PORT=$(free_port)
	URL=http://127.0.0.1:$PORT
	export KEYDIR_LISTEN=127.0.0.1:$PORT KEYDIR_STORE="$T/a store"
	MNT=$TREE/mnt
	RUN=$TREE/run
}

teardown() {
	down >/dev/null 2>&1 || true
	cat "$RUN"/*.log >"$T/fs-and-httpd.log" 2>/dev/null || true
	keydir_teardown
}

# With bats' own descriptors it would keep bats waiting for the node.
in_tree() { (cd "$TREE" && env -u MAKEFLAGS -u MAKELEVEL "$@" 3>&- 4>&-); }
up() { in_tree make --no-print-directory up SANITIZER="${SANITIZER:-}"; }
down() { in_tree make --no-print-directory down; }

nothing_left() {
	not is_mounted "$MNT"
	same "" "$(processes)"
}

# This tree's programs that are running.
processes() {
	local dir
	for dir in /proc/[0-9]*; do
		case $(readlink "$dir/fd/1" 2>/dev/null) in
		"$RUN"/*) if is_running "${dir##*/}"; then cat "$dir/comm"; fi ;;
		esac
	done | sort
}

@test "up, the commands that it prints, up again, down" {
	run -0 up
	[[ $output == *"is up: ./mnt is the cache, and so is $URL"* ]]
	local told=$output
	same "keydir-fs
keydir-httpd" "$(processes)"

	# Run the printed lines in order.
	local lines
	lines=$(sed -n '/^Try:/,/^$/s/^  //p' <<<"$told")
	same 5 "$(wc -l <<<"$lines")"
	run -0 in_tree bash -euc "$lines"
	[[ $output =~ hello.*world.*user\.ttl=\"(60|5[0-9])\" ]] || { echo "$output" && false; }

	run -0 up
	[[ $output == *"is up already"* ]]

	run -0 down
	[[ $output == *"is down"*"stays in $KEYDIR_STORE"* ]]
	nothing_left
	not curl -s -o /dev/null "$URL/healthz"

	run -0 down
	same "Keydir is not up." "$output"
}

@test "the data outlives down and up" {
	up
	echo kept >"$MNT/key"
	down
	not test -e "$MNT/key"
	up
	same kept "$(cat "$MNT/key")"
}

@test "up restarts a killed program" {
	up
	echo before >"$MNT/key"
	local httpd
	httpd=$(cat "$RUN/httpd.pid")

	kill_hard "$(cat "$RUN/fs.pid")"
	run ls "$MNT"
	[[ $output == *"not connected"* ]]
	up
	same before "$(cat "$MNT/key")"
	same "$httpd" "$(cat "$RUN/httpd.pid")"

	kill_hard "$httpd"
	up
	same before "$(curl -sf "$URL/v1/kv/key")"
	same "keydir-fs
keydir-httpd" "$(processes)"
}

@test "down works after both were killed" {
	up
	kill_hard "$(cat "$RUN/fs.pid")"
	kill_hard "$(cat "$RUN/httpd.pid")"
	is_mounted "$MNT"
	down
	nothing_left
}

@test "down works without its pid files, and with the mount in use" {
	up
	rm "$RUN"/*.pid
	echo value >"$MNT/key"
	start user sh -c 'cd "$1" && exec 9<key && sleep 1000' sh "$MNT"
	wait_for 20 test -e "/proc/$PID/fd/9"
	down
	nothing_left
}

@test "two at once give one node, also if something must be built" {
	touch "$TREE/common/ttl.c"
	up >"$T/one" 2>&1 &
	local one=$!
	up >"$T/two" 2>&1
	wait "$one"
	cat "$T/one" "$T/two"
	grep -q "is up already" "$T/one" "$T/two"
	same "keydir-fs
keydir-httpd" "$(processes)"
}

@test "a port in use is reported" {
	start other python3 -m http.server "$PORT" --bind 127.0.0.1
	wait_for 10 curl -s -o /dev/null "$URL/"
	run up
	[ "$status" -ne 0 ]
	[[ $output == *"something else listens on 127.0.0.1:$PORT"*KEYDIR_LISTEN=* ]]
	nothing_left
}

@test "files at the mount point are not hidden" {
	mkdir "$MNT"
	echo mine >"$MNT/file"
	run up
	[ "$status" -ne 0 ]
	[[ $output == *"holds files that a mount would hide"* ]]
	same mine "$(cat "$MNT/file")"
	nothing_left
}

@test "a store that cannot be created is reported" {
	echo file >"$T/file"
	KEYDIR_STORE=$T/file/store
	run up
	[ "$status" -ne 0 ]
	[[ $output == *"keydir-fs did not start"* ]]
	[[ $output == *"$T/file"* ]]
	nothing_left
	allow_log "$T/file"
}

@test "a missing /dev/fuse is reported" {
	[ "$(id -u)" = 0 ] || skip_or_fail "needs root to hide /dev/fuse"
	mkdir "$T/dev"
	run in_tree unshare -m bash -c '
		mount -t tmpfs none "$1" || exit 99
		for name in null zero urandom; do cp -a /dev/$name "$1/"; done
		ln -s /proc/self/fd "$1/fd" && mkdir "$1/shm" && mount --rbind /dev/shm "$1/shm" && mount --rbind "$1" /dev &&
			make up' bash "$T/dev"
	[[ "$status" -ne 0 && "$status" -ne 99 ]]
	echo "$output"
	[[ $output == *"/dev/fuse is missing"* ]]
	nothing_left
}

@test "a setting that a program refuses is named, with the program's own status" {
	run -2 in_tree env KEYDIR_SIZE=abc make --no-print-directory up
	[[ $output == *"KEYDIR_SIZE"*"did not start (status 2)"* ]]
	nothing_left
}

@test "with a certificate, in a relative path: HTTPS, with commands that work" {
	require openssl
	openssl req -x509 -newkey rsa:2048 -nodes -keyout "$TREE/key.pem" -out "$TREE/cert.pem" \
		-days 2 -subj /CN=elsewhere 2>/dev/null
	export KEYDIR_TLS_CERT=cert.pem KEYDIR_TLS_KEY=key.pem
	run -0 up
	[[ $output == *"so is https://$KEYDIR_LISTEN"* ]]
	run -0 in_tree bash -euc "$(sed -n '/^Try:/,/^$/s/^  //p' <<<"$output")"
	[[ $output =~ user\.ttl=\"(60|5[0-9])\" ]]
	same "world" "$(curl -sk "https://$KEYDIR_LISTEN/v1/kv/greeting")"
	run -0 up
	[[ $output == *"is up already"* ]]
}

@test "relative paths in settings start at the top of the tree" {
	echo "me sha256:$(printf secret | sha256sum | cut -d' ' -f1) write /" >"$TREE/tokens"
	export KEYDIR_TOKENS=tokens KEYDIR_ACCESS_LOG=access.log
	run -0 up
	TOKEN=secret run -0 in_tree bash -euc "$(sed -n '/^Try:/,/^$/s/^  //p' <<<"$output")"
	[[ $output =~ user\.ttl=\"(60|5[0-9])\" ]]
	grep -q '/v1/kv/greeting' "$TREE/access.log"
}

@test "another tree's node on the same store is the same node" {
	start_httpd --store "$KEYDIR_STORE"
	local other=$URL
	URL=http://$KEYDIR_LISTEN
	up
	echo shared >"$MNT/key"
	same shared "$(curl -sf "$other/v1/kv/key")"
	down
	same shared "$(curl -sf "$other/v1/kv/key")"
}

@test "a store removed under its programs: they change nothing, and up starts them again" {
	up
	echo old >"$MNT/key"
	allow_log "was (removed|replaced) while"
	rm -rf "$KEYDIR_STORE"
	wait_for 10 not curl -sf -o /dev/null "$URL/readyz"
	wait_for 10 grep -q "error .*$KEYDIR_STORE/data.mdb was removed" "$RUN/fs.log"
	wait_for 10 grep -q "error .*$KEYDIR_STORE/data.mdb was removed" "$RUN/httpd.log"
	rest GET /readyz
	same 503 "$status"
	[[ $(body) == *"$KEYDIR_STORE/data.mdb was removed"*"start them again"* ]]
	rest PUT /v1/kv/key --data new
	same 503 "$status"
	[[ $(body) == *"nothing was changed"*"was removed"* ]]
	fails_with "Input/output error" bash -c 'echo new >"$1"' bash "$MNT/key"
	fails_with "Input/output error" mkdir "$MNT/dir"
	same old "$(curl -s "$URL/v1/kv/key")"

	# REST started alone creates a new store; the mount still has the removed one.
	local node=$URL
	start_httpd --store "$KEYDIR_STORE"
	curl -sf -o /dev/null -X PUT --data new "$URL/v1/kv/key"
	wait_for 10 grep -q "error .*$KEYDIR_STORE/data.mdb was replaced" "$RUN/fs.log"
	fails_with "Input/output error" bash -c 'echo mount >"$1"' bash "$MNT/key"
	run -0 up
	[[ $output == *"The store was removed"*"is up: ./mnt"* ]]
	same new "$(cat "$MNT/key")"
	echo newer >"$MNT/key"
	same newer "$(curl -sf "$URL/v1/kv/key")"
	same newer "$(curl -sf "$node/v1/kv/key")"
}

@test "up warns a user whose store systemd-logind removes at logout" {
	[ "$(id -u)" = 0 ] || skip_or_fail "needs root to be another user"
	require setpriv
	chmod 755 "$TREE"
	warning() {
		setpriv --reuid=12345 --regid=12345 --clear-groups \
			env LOGIND="$T" LINGER="$TREE" bash -c '. "$1/common/scripts/running.sh"; warn_of_logout "$2"' bash "$TREE" "$1" 2>&1
	}
	[[ $(warning /dev/shm/keydir-12345) == *"/dev/shm/keydir-12345 at your last logout"*enable-linger* ]]
	same "" "$(warning /var/tmp/keydir)"
	touch "$TREE/12345" # the user lingers
	same "" "$(warning /dev/shm/keydir-12345)"
}
