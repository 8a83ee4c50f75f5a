# shellcheck shell=bash disable=SC2154,SC2317,SC2119,SC2120
# The mount beside tmpfs and beside a bare FUSE loop that does the same calls.

mount_keydir() { # DIR OPTION...
	local dir=$1
	shift
	mkdir -p "$dir"
	begin "$BUILD/keydir-fs" -f --store "$DIR/store" --size 4G "$@" "$dir"
	wait_until 20 is_mounted "$dir"
}

mount_bare() { # DIR
	mkdir -p "$1"
	begin "$TOOLS/bare_fuse" "$1"
	wait_until 20 is_mounted "$1"
}

bench_hot_read() {
	local value
	value=$(head -c 100 /dev/zero | tr '\0' v)
	mkdir "$DIR/tmpfs"
	mount_keydir "$DIR/keydir" && mount_bare "$DIR/bare" || return
	local dir
	for dir in keydir bare tmpfs; do
		printf %s "$value" >"$DIR/$dir/key" || return
	done
	mount_keydir "$DIR/read-only" -o ro || return
	hot_keydir() { "$TOOLS/file_load" hot "$DIR/keydir/key" "$PERIOD"; }
	hot_read_only() { "$TOOLS/file_load" hot "$DIR/read-only/key" "$PERIOD"; }
	hot_bare() { "$TOOLS/file_load" hot "$DIR/bare/key" "$PERIOD"; }
	hot_tmpfs() { "$TOOLS/file_load" hot "$DIR/tmpfs/key" "$PERIOD"; }
	# What has just changed is read past the kernel's cache (fs/fs_open.c).
	sleep 1.1
	# Where the scheduler puts the two ends of a round trip decides its time; many
	# short rounds see it in all its moods.
	local ROUNDS=$((ROUNDS * 3)) PERIOD=1
	rounds keydir hot_keydir "bare FUSE loop" hot_bare tmpfs hot_tmpfs read-only hot_read_only ||
		return
	line "open, fstat, read 100 B, close of a hot key" us keydir "bare FUSE loop" "<= 1.1"
	line "the same, read-only mount" us read-only tmpfs "<= 1.3"
}

bench_list() {
	mkdir "$DIR/tmpfs"
	mount_keydir "$DIR/keydir" && mount_bare "$DIR/bare" || return
	local dir
	for dir in keydir bare tmpfs; do
		"$TOOLS/file_load" create "$DIR/$dir" "$FILES" 100 >/dev/null || return
	done
	ls_time() {
		local begin=$EPOCHREALTIME
		ls -l "$1" >/dev/null || return
		awk -v a="$begin" -v b="$EPOCHREALTIME" 'BEGIN { print b - a }'
	}
	ls_keydir() { ls_time "$DIR/keydir"; }
	ls_bare() { ls_time "$DIR/bare"; }
	ls_tmpfs() { ls_time "$DIR/tmpfs"; }
	# Warm.
	ls_keydir >/dev/null && ls_bare >/dev/null && ls_tmpfs >/dev/null || return
	rounds keydir ls_keydir tmpfs ls_tmpfs "bare FUSE loop" ls_bare || return
	line "ls -l of $(number "$FILES") keys, warm" s keydir tmpfs "<= 1"
	line "" s keydir "bare FUSE loop"
}

# Files made and removed: what a `cp -r` and an `rm -r` of small files cost.
bench_create() {
	local n=$((FILES / 5))
	mkdir "$DIR/tmpfs"
	mount_keydir "$DIR/keydir" && mount_bare "$DIR/bare" || return
	create_in() {
		"$TOOLS/file_load" create "$DIR/$1" "$n" 100 && "$TOOLS/file_load" unlink "$DIR/$1" "$n" >&2
	}
	create_keydir() { create_in keydir; }
	create_bare() { create_in bare; }
	create_tmpfs() { create_in tmpfs; }
	rounds keydir create_keydir "bare FUSE loop" create_bare tmpfs create_tmpfs || return
	line "create, write 100 B, close of new files" files/s keydir "bare FUSE loop"
	line "" files/s keydir tmpfs
}
