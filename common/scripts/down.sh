#!/bin/bash
# `make down`: stops the node that `make up` started and unmounts ./mnt, in whatever
# state they are: running, killed, hanging, or partly started. The data stays in the
# store, and the next `make up` uses it again.
set -uo pipefail
cd "$(dirname "$0")" || exit 1
# shellcheck source=common/scripts/running.sh
. ./running.sh

[ -d "$RUN" ] || is_mounted "$MNT" || {
	say "Keydir is not up."
	exit 0
}
lock

did=0
# REST stops first: its clients get a clean refusal while the mount completes its writes.
for program in keydir-httpd keydir-fs; do
	! foreign $program || fail "$program belongs to another user: sudo make down"
	mapfile -t pids < <(ours $program)
	if [ ${#pids[@]} -gt 0 ]; then
		did=1
		kill -TERM "${pids[@]}" 2>/dev/null
		# This ends a mount in use too: programs that have files open get an error.
		if ! wait_until 20 all_gone "${pids[@]}"; then
			say "$program does not stop; killing it"
			kill -KILL "${pids[@]}" 2>/dev/null
			wait_until 5 all_gone "${pids[@]}" || fail "$program (${pids[*]}) cannot be killed"
		fi
	fi
	rm -f "$RUN/${program#keydir-}.pid"
done
if is_mounted "$MNT"; then
	did=1
	unmount "$MNT" || fail "$MNT cannot be unmounted; try: sudo umount -l $MNT"
fi
rmdir "$MNT" 2>/dev/null

if [ $did = 1 ]; then
	say "Keydir is down. Its data stays in $(cat "$RUN/store" 2>/dev/null || echo "its store")."
else
	say "Keydir is not up."
fi
