#!/bin/bash
# `make up`: one node on the embedded log. ./mnt is mounted, REST listens on
# 127.0.0.1:8080, pid files and logs are in ./run. Programs that run are left alone;
# programs that died are started again. All KEYDIR_ variables of the programs apply,
# most notably KEYDIR_STORE and KEYDIR_LISTEN.
set -uo pipefail
cd "$(dirname "$0")" || exit 1
# shellcheck source=common/scripts/running.sh
. ./running.sh

BUILD=$(cd "$ROOT" && realpath -m "${1:-build}")
export KEYDIR_STORE=${KEYDIR_STORE:-$(default_store)}
export KEYDIR_LISTEN=${KEYDIR_LISTEN:-127.0.0.1:8080}
# Do not resolve links: a store that is a link must be refused.
KEYDIR_STORE=$(cd "$ROOT" && realpath -ms "$KEYDIR_STORE")
# With a certificate the node serves HTTPS only. The readiness check does not verify the
# certificate, which need not name this address.
URL=http${KEYDIR_TLS_CERT:+s}://$KEYDIR_LISTEN

answers() { curl -sfk --noproxy '*' --max-time 5 -o /dev/null "$URL/readyz" 2>/dev/null; }
why_not_ready() {
	curl -sk --noproxy '*' --max-time 5 "$URL/readyz" 2>/dev/null |
		sed -n 's/.*"detail": *"\([^"]*\)".*/ (\1)/p'
}
mount_works() { is_mounted "$MNT" && timeout 5 stat "$MNT/." >/dev/null 2>&1; }

# Stop the programs that this run has started if the rest cannot be started.
started=()
undo() {
	local status=$?
	[ $status != 0 ] && [ ${#started[@]} -gt 0 ] || return
	kill "${started[@]}" 2>/dev/null
	wait_until 10 all_gone "${started[@]}" || kill -KILL "${started[@]}" 2>/dev/null
	unmount "$MNT"
	rm -f "$RUN"/*.pid
}
trap undo EXIT

# launch NAME READY PROGRAM...: start PROGRAM with its log in run/NAME.log, and wait
# until READY succeeds.
launch() {
	local name=$1 ready=$2 pid
	shift 2
	local log=$RUN/$name.log program=$1
	: >"$log"
	# In its own session: Ctrl-C in this terminal must not stop it.
	(cd "$ROOT" && exec setsid "$@" >>"$log" 2>&1 </dev/null {LOCK}>&-) &
	pid=$!
	started+=("$pid")
	local end=$((SECONDS + 30))
	until "$ready"; do
		if ! is_running "$pid"; then
			wait "$pid"
			local status=$?
			sed 's/^/  /' "$log" >&2
			fail "${program##*/} did not start (status $status); its messages are above"
		fi
		if [ $SECONDS -gt $end ]; then
			tail -n 20 "$log" | sed 's/^/  /' >&2
			fail "${program##*/} was not ready after 30 s; the end of run/$name.log is above"
		fi
		sleep 0.02
	done
	echo "$pid" >"$RUN/$name.pid"
	disown "$pid"
}

start_fs() {
	if [ ! -e /dev/fuse ]; then
		fail "/dev/fuse is missing. Load the module (modprobe fuse); in a container," \
			"start it with --device /dev/fuse --cap-add SYS_ADMIN"
	fi
	(exec 9<>/dev/fuse) 2>/dev/null || fail "this user may not open /dev/fuse: $(ls -l /dev/fuse)"
	# A mount whose process died returns "Transport endpoint is not connected".
	if is_mounted "$MNT"; then
		unmount "$MNT" || fail "a dead mount on $MNT cannot be removed; try: sudo umount -l $MNT"
	fi
	mkdir -p "$MNT" || fail "cannot create $MNT"
	[ -z "$(ls -A "$MNT")" ] || fail "$MNT holds files that a mount would hide: move them away"
	launch fs mount_works "$BUILD/keydir-fs" -f "$MNT"
}

start_httpd() {
	local host=${KEYDIR_LISTEN%:*} port=${KEYDIR_LISTEN##*:}
	host=${host#[} host=${host%]}
	if (exec 9<>"/dev/tcp/$host/$port") 2>/dev/null; then
		fail "something else listens on $KEYDIR_LISTEN. Stop it, or choose another address:" \
			"KEYDIR_LISTEN=127.0.0.1:8090 make up"
	fi
	launch httpd answers "$BUILD/keydir-httpd"
}

# end_lost PID...: end those programs whose store was removed; it cannot be recovered.
end_lost() {
	local pid lost=()
	for pid; do
		if has_lost_store "$pid"; then lost+=("$pid"); fi
	done
	[ ${#lost[@]} -gt 0 ] || return 0
	say "The store was removed while programs used it; restarting them."
	kill "${lost[@]}" 2>/dev/null
	wait_until 10 all_gone "${lost[@]}" && return
	kill -KILL "${lost[@]}" 2>/dev/null
	wait_until 5 all_gone "${lost[@]}" || fail "processes ${lost[*]} cannot be killed"
}

lock
for program in keydir-fs keydir-httpd; do
	[ -x "$BUILD/$program" ] || fail "$BUILD/$program is missing: run make"
	! foreign $program || fail "another user has started this node; stop it with: sudo make down"
done

mapfile -t running < <(
	ours keydir-fs
	ours keydir-httpd
)
end_lost "${running[@]}"
mapfile -t fs < <(ours keydir-fs)
mapfile -t httpd < <(ours keydir-httpd)
what="is up"
if [ ${#fs[@]} = 1 ] && [ ${#httpd[@]} = 1 ] && mount_works && answers; then
	what="is up already"
else
	# The mount hangs or was removed.
	if [ ${#fs[@]} -gt 0 ] && ! mount_works; then
		kill -KILL "${fs[@]}"
		wait_until 5 all_gone "${fs[@]}" || fail "keydir-fs (${fs[*]}) cannot be killed"
		fs=()
	fi
	[ ${#fs[@]} -gt 0 ] || start_fs
	[ ${#httpd[@]} -gt 0 ] || start_httpd
	answers || fail "keydir-httpd runs, but $URL/readyz is not 200$(why_not_ready);" \
		"was it started with another KEYDIR_LISTEN? See run/httpd.log, or: make down"
fi

echo "$KEYDIR_STORE" >"$RUN/store"
warn_of_logout "$KEYDIR_STORE"
curl="curl${KEYDIR_TLS_CERT:+ -k}${KEYDIR_TOKENS:+ -H \"Authorization: Bearer \$TOKEN\"}"
cat <<END
Keydir $what: ./mnt is the cache, and so is $URL.
Its data is in $KEYDIR_STORE, its logs are run/fs.log and run/httpd.log.

Try:
  echo hello > mnt/greeting
  $curl $URL/v1/kv/greeting
  $curl -X PUT --data-binary world "$URL/v1/kv/greeting?ttl=60"
  cat mnt/greeting
  getfattr -n user.ttl mnt/greeting

To stop it: make down
END
