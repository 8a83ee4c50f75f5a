#!/bin/bash
# The main process of a node's container: keydir-httpd and keydir-fs over one
# store. It ends both on SIGTERM. If one of them dies, it ends itself, so that the
# container is restarted. Their options come from the environment (KEYDIR_STORE,
# KEYDIR_LOG, ...); KEYDIR_MOUNT is the mount point, and arguments are passed to
# keydir-fs ("-o", "ro").
#
# The mount belongs to the owner of its parent directory: with docker-compose.yml
# that is the user who cloned the project, not root.
set -u

mnt=${KEYDIR_MOUNT:-/keydir/mnt}
export KEYDIR_LISTEN=${KEYDIR_LISTEN:-0.0.0.0:8080}

say() { printf 'keydir-node: %s\n' "$*" >&2; }

is_mounted() { awk -v dir="$1" '$5 == dir { found = 1 } END { exit !found }' /proc/self/mountinfo; }

# end STATUS: stop both programs and exit. REST stops first: its clients get a clean
# refusal while the mount completes its writes.
end() {
	local pid
	trap '' TERM INT
	for pid in $(jobs -p); do
		kill -TERM "$pid" 2>/dev/null && wait "$pid"
	done
	if is_mounted "$mnt"; then
		umount -l "$mnt"
	fi
	rmdir "$mnt" 2>/dev/null
	exit "$1"
}

# The trap ends the script itself: if it only set a flag, a signal before the wait
# below would not interrupt that.
trap 'end 0' TERM INT

parent=$(dirname "$mnt")
mkdir -p "$parent"
# A killed container leaves a dead mount on the host's directory, which not even
# stat(1) can read. keydir-fs removes it before it mounts.
if mkdir "$mnt" 2>/dev/null; then
	chown --reference="$parent" "$mnt"
elif ! is_mounted "$mnt" && [ ! -d "$mnt" ]; then
	say "cannot create $mnt"
	exit 1
fi

keydir-httpd &
httpd=$!
keydir-fs -f -o "allow_other,$(stat -c 'uid=%u,gid=%g' "$parent")" "$@" "$mnt" &
fs=$!
# Wait until one of them ends.
wait -n "$httpd" "$fs"
status=$?
kill -0 "$httpd" 2>/dev/null || say "keydir-httpd has ended with status $status"
kill -0 "$fs" 2>/dev/null || say "keydir-fs has ended with status $status"
[ $status != 0 ] || status=1
end $status
