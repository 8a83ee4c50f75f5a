#!/bin/bash
# The main process of a node's container: keydir-httpd and keydir-fs over one
# store. Ends both on SIGTERM, and ends itself, so that the container is started
# again, when one of them dies. Their options come from the environment
# (KEYDIR_STORE, KEYDIR_LOG, ...); KEYDIR_MOUNT is where the mount is, and
# arguments go to keydir-fs ("-o", "ro").
#
# The mount belongs to the owner of the directory that it is in: with
# docker-compose.yml that is the user who cloned the project, not root.
set -u

mnt=${KEYDIR_MOUNT:-/keydir/mnt}
export KEYDIR_LISTEN=${KEYDIR_LISTEN:-0.0.0.0:8080}

say() { printf 'keydir-node: %s\n' "$*" >&2; }

is_mounted() { awk -v dir="$1" '$5 == dir { found = 1 } END { exit !found }' /proc/self/mountinfo; }

# end STATUS: REST first: its clients see a clean refusal while the mount
# finishes.
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

# Not a flag for the wait below to see: a signal that comes before it would
# have to wait for it.
trap 'end 0' TERM INT

parent=$(dirname "$mnt")
mkdir -p "$parent"
# A killed container leaves a dead mount on the host's directory, which cannot
# even be looked at. keydir-fs takes it away before it mounts.
if mkdir "$mnt" 2>/dev/null; then
	chown --reference="$parent" "$mnt"
elif ! is_mounted "$mnt" && [ ! -d "$mnt" ]; then
	say "cannot make $mnt"
	exit 1
fi

keydir-httpd &
httpd=$!
keydir-fs -f -o "allow_other,$(stat -c 'uid=%u,gid=%g' "$parent")" "$@" "$mnt" &
fs=$!
# Returns when one has ended.
wait -n "$httpd" "$fs"
status=$?
kill -0 "$httpd" 2>/dev/null || say "keydir-httpd has ended with status $status"
kill -0 "$fs" 2>/dev/null || say "keydir-fs has ended with status $status"
[ $status != 0 ] || status=1
end $status
