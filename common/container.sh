#!/bin/bash
# The main process of a node's container: keydir-httpd and keydir-fs over one
# store. Ends both on SIGTERM, and ends itself, so that the container is started
# again, when one of them dies. Their options come from the environment
# (KEYDIR_STORE, KEYDIR_LOG, ...); KEYDIR_MOUNT is where the mount is, and
# arguments go to keydir-fs ("-o", "ro").
set -u

mnt=${KEYDIR_MOUNT:-/keydir/mnt}
export KEYDIR_LISTEN=${KEYDIR_LISTEN:-0.0.0.0:8080}

say() { printf 'keydir-node: %s\n' "$*" >&2; }

is_mounted() { awk -v dir="$1" '$5 == dir { found = 1 } END { exit !found }' /proc/self/mountinfo; }

both_end() {
	trap '' TERM INT
	# REST first: its clients see a clean refusal while the mount finishes.
	kill -TERM "$httpd" 2>/dev/null && wait "$httpd"
	kill -TERM "$fs" 2>/dev/null && wait "$fs"
	if is_mounted "$mnt"; then
		umount -l "$mnt"
	fi
}

stopped=0
# A killed container leaves a dead mount on the host's directory, which cannot
# even be looked at. keydir-fs takes it away before it mounts.
mkdir -p "$mnt" 2>/dev/null || is_mounted "$mnt" || {
	say "cannot make $mnt"
	exit 1
}
trap 'stopped=1' TERM INT

keydir-httpd &
httpd=$!
keydir-fs -f -o allow_other "$@" "$mnt" &
fs=$!
# Returns when one has ended, or on a signal.
wait -n "$httpd" "$fs"
status=$?
if [ $stopped = 1 ]; then
	both_end
	exit 0
fi
kill -0 "$httpd" 2>/dev/null || say "keydir-httpd has ended"
kill -0 "$fs" 2>/dev/null || say "keydir-fs has ended"
both_end
[ $status != 0 ] || status=1
exit $status
