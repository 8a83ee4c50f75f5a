# Stopping and unmounting lose no data that programs have written to files that are still
# open, in both modes and on a store on a disk.

load helper

setup() {
	keydir_setup
	require_fuse
	require python3
	mkdir "$T/local"
}

teardown() {
	exec 7>&-
	keydir_teardown
	[ -z "${DISK:-}" ] || rm -rf "$DISK"
}

# A program that writes in every possible way and closes nothing; a line to $T/go makes it
# write once more and end.
writer() {
	cat >"$T/writer.py" <<'PY'
import mmap, os, sys
os.chdir(sys.argv[1])
kept = []

def opened(name, flags):
    kept.append(os.open(name, flags, 0o644))
    return kept[-1]

def mapped(name, flags, size):
    fd = os.open(name, flags | os.O_RDWR, 0o644)
    os.ftruncate(fd, size)
    kept.append(mmap.mmap(fd, size))
    return fd, kept[-1]

for name in ("old", "cut", "map", "map closed"):
    with open(name, "wb") as f:
        f.write(bytes(range(256)) * 64)
os.write(opened("new", os.O_CREAT | os.O_WRONLY), b"new value")
os.write(opened("exclusive", os.O_CREAT | os.O_EXCL | os.O_RDWR), b"mine")
opened("empty", os.O_CREAT | os.O_WRONLY)
os.pwrite(opened("old", os.O_WRONLY), b"in the middle", 5000)
os.ftruncate(opened("cut", os.O_RDWR), 777)
os.write(opened("emptied", os.O_CREAT | os.O_WRONLY | os.O_TRUNC), b"short")
log = opened("log", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
for i in range(100):
    os.write(log, b"line %d\n" % i)
big = opened("big", os.O_CREAT | os.O_WRONLY)
for i in range(24):
    os.write(big, bytes([i]) * 100003)
os.write(opened("gone", os.O_CREAT | os.O_WRONLY), b"of no name")
os.unlink("gone")
fd, first = mapped("map", 0, 16384)
first[100:109] = b"by memory"
first[9000:9003] = b"far"
fd, second = mapped("map closed", 0, 16384)
second[4090:4100] = b"two pages."
os.close(fd)
fd, third = mapped("map new", os.O_CREAT, 70000)
third[69990:70000] = b"at the end"
print("written", flush=True)
if sys.stdin.readline():
    third[0:5] = b"later"
    os.write(log, b"a last line\n")
    os.write(kept[0], b", and more")
PY
	mkfifo "$T/go$1"
	start "writer$1" bash -c 'exec python3 "$0" "$1" <"$2"' "$T/writer.py" "$2" "$T/go$1"
	WRITER=$PID
	exec 7<>"$T/go$1"
	wait_for 20 grep -q written "$LOG"
}

# The files below $MNT/dir must equal those that the same program wrote to tmpfs.
all_is_there() {
	start_fs
	diff -r "$T/local" "$MNT/dir"
	not test -e "$MNT/dir/gone"
	[ -e "$MNT/dir/empty" ]
}

local_writer() {
	writer local "$T/local"
	[ "${1:-}" != goes-on ] || echo >&7
	[ "${1:-}" = goes-on ] || kill "$WRITER"
	wait_for 10 not is_running "$WRITER"
	forget "$WRITER"
}

stop_while_open() {
	local_writer
	start_fs "$@"
	mkdir "$MNT/dir"
	writer fs "$MNT/dir"
	stop "$FS_PID"
	all_is_there
	stop "$WRITER"
}

on_disk() {
	DISK=$(mktemp -d "$KEYDIR_BUILD/store.XXXXXX")
	[ "$(stat -f -c %T "$DISK")" != tmpfs ] || skip_or_fail "needs a build directory on a disk"
	STORE=$DISK/store
}

@test "SIGTERM while files are open, written and mapped loses nothing" {
	stop_while_open
}

@test "SIGTERM while files are open loses nothing, -o async_close" {
	stop_while_open -o async_close
}

@test "SIGTERM while files are open loses nothing, store on a disk" {
	on_disk
	stop_while_open
}

@test "SIGTERM while files are open loses nothing, store on a disk, -o async_close" {
	on_disk
	stop_while_open -o async_close
}

@test "a mount with open files is not unmounted, and continues" {
	start_fs
	mkdir "$MNT/dir"
	exec 6>"$MNT/dir/key"
	echo written >&6
	fails_with "busy" fusermount3 -u "$MNT"
	is_mounted "$MNT"
	echo more >&6
	exec 6>&-
	unmount
	start_fs
	same $'written\nmore' "$(cat "$MNT/dir/key")"
}

# lazily MOUNT-OPTION...: the mount point is detached at once, the process ends when all
# files are closed.
lazily() {
	local_writer goes-on
	start_fs "$@"
	mkdir "$MNT/dir"
	writer fs "$MNT/dir"
	fusermount3 -u -z "$MNT"
	not is_mounted "$MNT"
	is_running "$FS_PID"
	echo >&7
	wait_for 10 not is_running "$WRITER"
	forget "$WRITER"
	wait "$WRITER"
	wait_for 20 not is_running "$FS_PID"
	forget "$FS_PID"
	wait "$FS_PID"
	all_is_there
}

@test "umount -l while files are open: data written before and after it is stored" {
	lazily
}

@test "umount -l while files are open, -o async_close" {
	lazily -o async_close
}

@test "umount -l, then SIGTERM while files are still open, loses nothing" {
	local_writer
	start_fs
	mkdir "$MNT/dir"
	writer fs "$MNT/dir"
	fusermount3 -u -z "$MNT"
	stop "$FS_PID"
	all_is_there
	stop "$WRITER"
}

@test "umount -f cuts programs off and keeps their writes, except those only in mappings" {
	[ "$(id -u)" = 0 ] || skip_or_fail "needs root"
	local_writer
	start_fs
	mkdir "$MNT/dir"
	writer fs "$MNT/dir"
	fails_with "busy" umount -f "$MNT"
	wait_for 20 not is_running "$FS_PID"
	forget "$FS_PID"
	wait "$FS_PID"
	stop "$WRITER"
	# Repeat it, as for any file system that was busy at that moment.
	umount "$MNT"
	start_fs
	rm "$T"/local/map* "$MNT"/dir/map*
	diff -r "$T/local" "$MNT/dir"
}

# The guard, one of the mount's own processes, may send a request to the mount just then.
@test "SIGTERM directly after mounting: no process waits for a response that never comes" {
	local i
	for i in {1..20}; do
		start "fs$i" "$KEYDIR_FS" -f --store "$STORE" "$MNT"
		until grep -q ' mounted ' "$LOG"; do
			is_running "$PID"
		done
		stop "$PID"
	done
	run ! grep -h 'has not answered its guard' "$T"/fs*.log
}
