# Each system call, in each case, has the same result on a mount and on tmpfs, except for
# the differences listed in fs/POSIX.md.

load helper

teardown() {
	cd /
	keydir_teardown
}

setup() {
	keydir_setup
	[ "$(id -u)" = 0 ] || skip_or_fail "needs root, to be somebody else"
	require python3
	start_fs -o allow_other
	mkdir "$T/local" "$MNT/here"
	: >"$T/local/probe"
	setfattr -n user.probe -v x "$T/local/probe" ||
		skip_or_fail "needs a kernel whose tmpfs has user attributes (6.6)"
	rm "$T/local/probe"
}

@test "call by call, success and each error are as on tmpfs, except for POSIX.md's rows" {
	python3 -B "$KEYDIR_ROOT/tests/conform/run.py" "$KEYDIR_ROOT/fs/POSIX.md" "$T/local" "$MNT/here"
}

@test "an unlisted difference is reported, and so is a row without a difference" {
	printf '\n## Differences, call by call\n' >"$T/none.md"
	run python3 -B "$KEYDIR_ROOT/tests/conform/run.py" "$T/none.md" "$T/local" "$MNT/here" special_files
	same 1 "$status"
	[[ $output == *"special_files: mkfifo"*"mount: EPERM"* ]]
	rm -rf "$T"/local/* "$MNT"/here/*
	sed '/^| `special_files/s/bind/other/' "$KEYDIR_ROOT/fs/POSIX.md" >"$T/other.md"
	run python3 -B "$KEYDIR_ROOT/tests/conform/run.py" "$T/other.md" "$T/local" "$MNT/here" special_files
	same 1 "$status"
	[[ $output == *"no step needs the row: special_files: other"* ]]
	[[ $output == *"special_files: bind"* ]]
}
