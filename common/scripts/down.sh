#!/bin/bash
# `make down`: stops the node that `make up` started and unmounts ./mnt, whatever
# state they are in: running, killed, hanging, or half started. The data stays in
# the store, so the next `make up` goes on with it.
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
# REST first: its clients see a clean refusal while the mount finishes its writes.
for program in keydir-httpd keydir-fs; do
	! foreign $program || fail "$program belongs to another user: sudo make down"
	mapfile -t pids < <(ours $program)
	if [ ${#pids[@]} -gt 0 ]; then
		did=1
		kill -TERM "${pids[@]}" 2>/dev/null
		# A file system in use ends too: what still has it open gets an error.
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
