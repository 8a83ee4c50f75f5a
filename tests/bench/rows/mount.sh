# shellcheck shell=bash disable=SC2154,SC2317,SC2119,SC2120
# The mount, compared with tmpfs and with a bare FUSE loop under the same calls.

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

timed() { # COMMAND...: print how many seconds it takes
	local begin=$EPOCHREALTIME
	"$@" >/dev/null || return
	awk -v a="$begin" -v b="$EPOCHREALTIME" 'BEGIN { print b - a }'
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
	# A file that has just changed is read without the kernel's cache (fs/handle.c).
	sleep 1.1
	# The time of a round trip depends on the cores on which the scheduler puts the two
	# processes; many short rounds average that out.
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
	ls_keydir() { timed ls -l "$DIR/keydir"; }
	ls_bare() { timed ls -l "$DIR/bare"; }
	ls_tmpfs() { timed ls -l "$DIR/tmpfs"; }
	# Warm.
	ls_keydir >/dev/null && ls_bare >/dev/null && ls_tmpfs >/dev/null || return
	rounds keydir ls_keydir tmpfs ls_tmpfs "bare FUSE loop" ls_bare || return
	line "ls -l of $(number "$FILES") keys, warm" s keydir tmpfs "<= 1"
	line "" s keydir "bare FUSE loop"
}

# Create and remove files: the cost of `cp -r` and `rm -r` with small files.
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

# Whole files, from a page to the largest value.
bench_sequential() {
	local bytes name ROUNDS=$(((ROUNDS + 1) / 2)) PERIOD=1
	mkdir "$DIR/tmpfs"
	mount_keydir "$DIR/keydir" || return
	store_keydir() { "$TOOLS/file_load" store "$DIR/keydir/big" "$bytes" "$PERIOD"; }
	store_tmpfs() { "$TOOLS/file_load" store "$DIR/tmpfs/big" "$bytes" "$PERIOD"; }
	fetch_keydir() { "$TOOLS/file_load" fetch "$DIR/keydir/big" "$PERIOD"; }
	fetch_tmpfs() { "$TOOLS/file_load" fetch "$DIR/tmpfs/big" "$PERIOD"; }
	for bytes in 4096 131072 1048576 16777216; do
		name="$((bytes / 1024)) KiB"
		rounds keydir store_keydir tmpfs store_tmpfs || return
		line "write a file of $name" MB/s keydir tmpfs
		# A file that has just changed is read without the kernel's cache (fs/handle.c).
		sleep 1.1
		rounds keydir fetch_keydir tmpfs fetch_tmpfs || return
		line "read it again" MB/s keydir tmpfs
	done
}

# A git working tree: the sources of this project.
bench_git() {
	local dir
	mkdir "$DIR/tmpfs"
	mount_keydir "$DIR/keydir" || return
	for dir in keydir tmpfs; do
		git init -q "$DIR/$dir/tree" && cp -r common fs httpd tests "$DIR/$dir/tree" &&
			git -C "$DIR/$dir/tree" add . || return
	done
	git_keydir() { timed git -C "$DIR/keydir/tree" status --short; }
	git_tmpfs() { timed git -C "$DIR/tmpfs/tree" status --short; }
	git_keydir >/dev/null && git_tmpfs >/dev/null || return
	rounds keydir git_keydir tmpfs git_tmpfs || return
	line "git status of $(number "$(git -C "$DIR/tmpfs/tree" ls-files | wc -l)") files" s keydir tmpfs
}

# Removing, and walking.
bench_remove() {
	local n=$((FILES / 5))
	mkdir "$DIR/tmpfs"
	mount_keydir "$DIR/keydir" && mount_bare "$DIR/bare" || return
	remove_in() {
		"$TOOLS/file_load" create "$DIR/$1" "$n" 100 >&2 && "$TOOLS/file_load" unlink "$DIR/$1" "$n"
	}
	remove_keydir() { remove_in keydir; }
	remove_bare() { remove_in bare; }
	rounds keydir remove_keydir "bare FUSE loop" remove_bare || return
	line "unlink" files/s keydir "bare FUSE loop"

	local dir
	for dir in keydir tmpfs; do
		"$TOOLS/file_load" create "$DIR/$dir" "$FILES" 100 >/dev/null || return
	done
	find_keydir() { timed find "$DIR/keydir" -type f -size +1M; }
	find_tmpfs() { timed find "$DIR/tmpfs" -type f -size +1M; }
	find_keydir >/dev/null && find_tmpfs >/dev/null || return
	rounds keydir find_keydir tmpfs find_tmpfs || return
	line "find -size in $(number "$FILES") keys, warm" s keydir tmpfs
}

# Scaling: with more keys in the directory, and with more processes.
bench_growth() {
	local n=2000 size ROUNDS=$(((ROUNDS + 1) / 2)) KEYDIR_URL
	mount_keydir "$DIR/keydir" && serve_keydir || return
	for size in 1000 $((KEYS / 10)) "$KEYS"; do
		seq -f 'g%.0f' "$size" | fill_by_txn || return
		create_among() {
			"$TOOLS/file_load" create "$DIR/keydir" "$n" 100 &&
				"$TOOLS/file_load" unlink "$DIR/keydir" "$n" >&2
		}
		rounds "$size keys" create_among || return
		plain "create beside $(number "$size") keys" files/s "$size keys"
		list_all() { timed ls -f "$DIR/keydir"; }
		rounds "$size names" list_all || return
		plain "ls -f of them" s "$size names"
	done
	mkdir "$DIR"/keydir/p{1..8}
	local procs
	for procs in 1 2 4 8; do
		many() {
			local i begin=$EPOCHREALTIME pids=()
			for ((i = 1; i <= procs; i++)); do
				"$TOOLS/file_load" create "$DIR/keydir/p$i" "$n" 100 >&2 &
				pids+=($!)
			done
			wait "${pids[@]}" || return
			awk -v a="$begin" -v b="$EPOCHREALTIME" -v n=$((n * procs)) 'BEGIN { print n / (b - a) }'
			for ((i = 1; i <= procs; i++)); do
				"$TOOLS/file_load" unlink "$DIR/keydir/p$i" "$n" >&2 || return
			done
		}
		rounds "$procs processes" many || return
		plain "create, $procs processes, a directory each" files/s "$procs processes"
	done
}
