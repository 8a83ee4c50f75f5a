# Quota, size of a value, names and paths.

load helper

setup() { keydir_setup; }

teardown() {
	cd /
	keydir_teardown
}

@test "statfs shows the quota and the free space" {
	start_fs --size 64M
	same 67108864 "$(($(stat -f -c '%b * %S' "$MNT")))"
	same 255 "$(stat -f -c %l "$MNT")"
	local before after
	before=$(stat -f -c %f "$MNT")
	head -c 8M /dev/urandom >"$MNT/key"
	after=$(stat -f -c %f "$MNT")
	[[ $((before - after)) -ge 2048 && $((before - after)) -le 2060 ]]
	rm "$MNT/key"
	same "$before" "$(stat -f -c %f "$MNT")"
	[ "$(df --output=iavail "$MNT" | tail -n 1)" -gt 100000 ]
}

@test "a size that makes no sense is named at the start, with a sensible one" {
	start_httpd --size 10
	grep -q 'warn .*--size 10 is less than 1M.*--size 256M' "$LOG"
	stop "$HTTPD_PID"
	start_httpd --size 900T
	grep -qE 'warn .*--size 989560464998400 \(943718400M\) is more than .* --size [0-9]+M would fit' "$LOG"
	stop "$HTTPD_PID"
	start_httpd --size 1M
	not grep -q -- --size "$LOG"
	stop "$HTTPD_PID"
	# The size of a container's /dev/shm.
	mkdir "$T/shm"
	mount -t tmpfs -o size=64m,mode=755 tmpfs "$T/shm" || skip_or_fail "needs the right to mount a tmpfs" || return 1
	start_httpd --store "$T/shm/store"
	grep -qF "(256M) is more than the file system of $T/shm/store has (64M)" "$LOG"
	stop "$HTTPD_PID"
	umount "$T/shm"
}

@test "of two programs with other limits, those of the first are in force, and the second warns" {
	start_httpd --size 64M --max-value 1M
	start_fs --size 8M --max-value 4M
	grep -qE "warn .*--size 8388608 and --max-value 4194304 bytes are not in force: keydir-httpd \\(process $HTTPD_PID\\) .*67108864 and 1048576" "$LOG"
	same 67108864 "$(($(stat -f -c '%b * %S' "$MNT")))"
	head -c 1M /dev/zero >"$MNT/fits"
	fails_with "File too large" dd if=/dev/zero of="$MNT/large" bs=1M count=2
	for i in {1..12}; do cp "$MNT/fits" "$MNT/$i"; done
	# A read-only mount shows the limits and does not warn, and neither does a program
	# with the same limits.
	mkdir "$T/ro"
	start_fs -m "$T/ro" -o ro --size 8M
	same 67108864 "$(($(stat -f -c '%b * %S' "$T/ro")))"
	not grep -q " warn " "$LOG"
	mkdir "$T/same"
	start_fs -m "$T/same" --size 64M --max-value 1M
	not grep -q " warn " "$LOG"
	# A restarted program finds the limits of the running ones.
	stop "$HTTPD_PID"
	start_httpd --size 8M
	grep -qE "warn .*--size 8388608 .*: keydir-fs \\(process [0-9]+\\)" "$LOG"
	rest PUT /v1/kv/13 --data-binary @"$MNT/fits"
	same 201 "$status"
	rest GET /v1/status
	same 67108864 "$(jq .store.size_bytes "$T/body")"
}

@test "over the quota writes fail with ENOSPC, and reading and removing continue" {
	start_fs --size 4M
	head -c 3M /dev/urandom >"$MNT/big"
	fails_with "No space left" cp "$MNT/big" "$MNT/second"
	fails_with "No space left" dd if=/dev/zero of="$MNT/big" bs=1M seek=3 count=2 conv=notrunc
	same 3145728 "$(stat -c %s "$MNT/big")"
	# An append may fail only when it is applied.
	fails_with "No space left" bash -c "head -c 2M /dev/zero >>'$MNT/big'"
	rm "$MNT/big"
	rm -f "$MNT/second"
	head -c 3M /dev/zero >"$MNT/again"
	cmp -n 3145728 "$MNT/again" /dev/zero
}

@test "a file system smaller than the quota: df, ENOSPC and 507 name it, rm frees space" {
	mkdir "$T/small"
	mount -t tmpfs -o size=32m tmpfs "$T/small" || skip_or_fail "needs the right to mount a tmpfs" || return 1
	STORE=$T/small/store
	allow_log 'No space left'
	start_fs --size 1G
	start_httpd --size 1G
	local n=0
	mkdir "$MNT/d"
	while head -c 1M /dev/zero >"$MNT/d/$n" && [ $n -lt 40 ]; do
		n=$((n + 1))
	done 2>"$T/err"
	grep -q "No space left" "$T/err"
	[[ $n -gt 20 && $n -lt 32 ]]
	[ "$(df --output=avail -k "$MNT" | tail -n 1)" -lt 2048 ]
	[ "$(df --output=size -k "$MNT" | tail -n 1)" -lt 40000 ]
	head -c 2M /dev/zero >"$T/value"
	rest PUT /v1/kv/more -T "$T/value"
	same 507 "$status"
	grep -q "The file system of the store ($STORE) is full" "$T/body"
	# All at once, and the same number again.
	rest DELETE '/v1/kv/d/?recurse'
	same 204 "$status"
	[ "$(df --output=avail -k "$MNT" | tail -n 1)" -gt 20000 ]
	for n in {1..20}; do
		rest PUT "/v1/kv/again$n" --data-binary @<(head -c 1M /dev/zero)
		same 201 "$status"
	done
}

@test "distant bytes that need more than one event are all there after close" {
	start_fs --size 2G --max-value 1G --write-timeout 60s
	python3 - "$MNT/sparse" <<-'END'
	import os, sys
	fd = os.open(sys.argv[1], os.O_CREAT | os.O_RDWR)
	for i in range(900):
	    assert os.pwrite(fd, b"x", i * 1000000 + 7) == 1
	os.close(fd)
	fd = os.open(sys.argv[1], os.O_RDONLY)
	assert os.fstat(fd).st_size == 899000008
	for i in range(900):
	    assert os.pread(fd, 3, i * 1000000 + 6)[:2] == b"\0x", i
	END
}

@test "many small keys reach the quota as well" {
	start_fs --size 256K
	local n=0
	while echo "$n" >"$MNT/key$n" && [ $n -lt 5000 ]; do
		n=$((n + 1))
	done 2>"$T/err"
	grep -q "No space left" "$T/err"
	[[ $n -gt 500 && $n -lt 2500 ]]
	same "$((n - 1))" "$(cat "$MNT/key$((n - 1))")"
	rm "$MNT/key0"
	echo fits >"$MNT/key0"
}

@test "over the limit of one value writes fail with EFBIG" {
	start_fs --max-value 1M
	head -c 1M /dev/zero >"$MNT/key"
	fails_with "File too large" bash -c "echo more >>'$MNT/key'"
	fails_with "File too large" truncate -s 1048577 "$MNT/key"
	fails_with "File too large" dd if=/dev/zero of="$MNT/other" bs=1M count=2
	same 1048576 "$(stat -c %s "$MNT/key")"
	truncate -s 1048575 "$MNT/key"
	printf x >>"$MNT/key"
	same 1048576 "$(stat -c %s "$MNT/key")"
}

@test "a value that could not be written whole is not stored: the old one stays" {
	start_fs --max-value 1M
	start_httpd --max-value 1M
	head -c 3M /dev/urandom >"$T/large"
	for how in cp dd cat sparse; do
		echo old >"$MNT/key"
		case $how in
		cp) fails_with "File too large" cp "$T/large" "$MNT/key" ;;
		dd) fails_with "File too large" dd if="$T/large" of="$MNT/key" bs=100000 status=none ;;
		cat) fails_with "File too large" bash -c "cat '$T/large' >'$MNT/key'" ;;
		sparse) fails_with "File too large" dd if="$T/large" of="$MNT/key" bs=1M seek=2 conv=notrunc ;;
		esac
		same old "$(cat "$MNT/key")"
		same 4 "$(stat -c %s "$MNT/key")"
		rest GET /v1/kv/key
		same old "$(body)"
	done
	# A new key is not created, unless it already was at open.
	fails_with "File too large" bash -c "cat '$T/large' >'$MNT/new'"
	[ ! -e "$MNT/new" ]
	rest GET /v1/kv/new
	same 404 "$status"
	fails_with "File too large" cp "$T/large" "$MNT/exclusive"
	same 0 "$(stat -c %s "$MNT/exclusive")"
	echo again >"$MNT/new"
	same again "$(cat "$MNT/new")"
	# A process that shares the descriptor does not write into the old value.
	fails_with "File too large" bash -c "(cat '$T/large'; echo more) >'$MNT/key'"
	same old "$(cat "$MNT/key")"
}

@test "without space for the whole value, the old one stays" {
	start_fs --size 2M
	echo old >"$MNT/key"
	head -c 3M /dev/urandom >"$T/large"
	fails_with "No space left" cp "$T/large" "$MNT/key"
	same old "$(cat "$MNT/key")"
	fails_with "No space left" bash -c "cat '$T/large' >'$MNT/new'"
	[ ! -e "$MNT/new" ]
	head -c 1M "$T/large" >"$MNT/key"
	cmp -n 1048576 "$T/large" "$MNT/key"
}

@test "a program that continues after a failed write stores the state that it repaired" {
	start_fs --max-value 1M
	python3 - "$MNT/key" <<-'END'
		import errno, os, sys

		key, most = sys.argv[1], 1 << 20

		def fails(error, call, *args):
		    try:
		        call(*args)
		    except OSError as e:
		        assert e.errno == error, e
		        return
		    raise AssertionError(f"{call.__name__} does not fail")

		def value():
		    with open(key, "rb") as f:
		        return f.read()

		def begin():
		    with open(key, "wb") as f:
		        f.write(b"old")
		    return os.open(key, os.O_RDWR)

		# If it ignores the error, close reports it.
		fd = begin()
		fails(errno.EFBIG, os.pwrite, fd, b"x", most)
		os.pwrite(fd, b"new", 0)
		fails(errno.EFBIG, os.close, fd)
		assert value() == b"old"

		# A short write counts as a failed one.
		fd = begin()
		assert os.pwrite(fd, b"y" * 100, most - 50) == 50
		fails(errno.EFBIG, os.close, fd)
		assert value() == b"old"

		# It truncates the incomplete part.
		fd = begin()
		fails(errno.EFBIG, os.pwrite, fd, b"x", most)
		os.pwrite(fd, b"new value", 0)
		os.ftruncate(fd, 9)
		os.close(fd)
		assert value() == b"new value"

		# It starts again, in the same descriptor, after fsync has reported the error.
		fd = begin()
		fails(errno.EFBIG, os.pwrite, fd, b"x", most)
		fails(errno.EFBIG, os.fsync, fd)
		fails(errno.EFBIG, os.pwrite, fd, b"more", 3)
		assert value() == b"old"
		os.ftruncate(fd, 0)
		os.pwrite(fd, b"again", 0)
		os.close(fd)
		assert value() == b"again"

		# Another process opens the file and is not affected.
		fd = begin()
		fails(errno.EFBIG, os.pwrite, fd, b"x", most)
		fails(errno.EFBIG, os.fsync, fd)
		with open(key, "r+b") as f:
		    f.write(b"OLD")
		os.close(fd)
		assert value() == b"OLD"

		# A failed fallocate leaves nothing incomplete.
		fd = begin()
		fails(errno.EFBIG, os.posix_fallocate, fd, 0, most + 1)
		fails(errno.EFBIG, os.ftruncate, fd, most + 1)
		os.pwrite(fd, b"new", 0)
		os.close(fd)
		assert value() == b"new"
	END
}

@test "16 MiB are written and read back" {
	start_fs
	head -c 16M /dev/urandom >"$T/random"
	cp "$T/random" "$MNT/key"
	cmp "$T/random" "$MNT/key"
	printf x | dd of="$MNT/key" bs=1 seek=9000000 conv=notrunc status=none
	printf x | dd of="$T/random" bs=1 seek=9000000 conv=notrunc status=none
	stop "$FS_PID"
	start_fs
	cmp "$T/random" "$MNT/key"
}

@test "names and paths" {
	start_fs
	cd "$MNT"
	local name=n
	name=$(printf 'n%.0s' {1..255})
	echo v >"$name"
	same v "$(cat "$name")"
	fails_with "File name too long" touch "${name}n"
	fails_with "File name too long" mkdir "${name}n"
	fails_with "File name too long" mv "$name" "${name}n"
	fails_with "File name too long" stat "${name}n"
	# A key has at most 4,096 bytes: 16 names of 255 and their slashes need one byte less.
	for _ in {1..16}; do
		mkdir "$name.d" 2>/dev/null || mkdir "${name:2}.d"
		cd "${name:2}.d" 2>/dev/null || cd "$name.d"
	done
	fails_with "File name too long" touch x
	cd "$MNT"
	printf odd >$'new\nline \x01\xff \\ "quote"'
	same odd "$(cat $'new\nline \x01\xff \\ "quote"')"
}

@test "O_EXCL: of many processes one wins each name" {
	start_fs
	mkdir "$MNT/race"
	local w pids=()
	for w in 1 2 3 4; do
		python3 - "$MNT/race" $w >"$T/wins$w" <<-'PY' &
			import os, sys
			won = 0
			for i in range(300):
			    try:
			        fd = os.open(f"{sys.argv[1]}/{i}", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
			        os.write(fd, sys.argv[2].encode())
			        os.close(fd)
			        won += 1
			    except FileExistsError:
			        pass
			print(won)
		PY
		pids+=($!)
	done
	wait "${pids[@]}"
	same 300 "$(awk '{ n += $1 } END { print n }' "$T"/wins?)"
	same 300 "$(find "$MNT/race" -type f -size 1c | wc -l)"
}

@test "hard links, pipes and devices are refused" {
	start_fs
	cd "$MNT"
	echo v >key
	fails_with "Operation not permitted" ln key hard
	fails_with "Operation not permitted" mkfifo pipe
	same key "$(ls -A)"
}

@test "renaming obeys its flags" {
	start_fs
	cd "$MNT"
	python3 - <<'PY'
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)

def renameat2(old, new, flags):
    if libc.renameat2(-100, old.encode(), -100, new.encode(), flags) == 0:
        return 0
    return ctypes.get_errno()

def put(name, value):
    with open(name, "w") as f:
        f.write(value)

def get(name):
    with open(name) as f:
        return f.read()

put("a", "A")
put("b", "B")
assert renameat2("a", "b", 1) == errno.EEXIST
assert renameat2("a", "c", 1) == 0 and get("c") == "A"
assert renameat2("c", "b", 2) == 0 and (get("c"), get("b")) == ("B", "A")
assert renameat2("c", "none", 2) == errno.ENOENT
os.mkdir("dir")
put("dir/in", "I")
assert renameat2("dir", "b", 2) == 0 and get("b/in") == "I" and get("dir") == "A"
assert renameat2("b", "b/below", 0) == errno.EINVAL
assert renameat2("c", "c", 1) == errno.EEXIST
assert renameat2("c", "c", 0) == 0
assert renameat2("b", "dir", 0) == errno.ENOTDIR
assert renameat2("dir", "b", 0) == errno.EISDIR
os.mkdir("full")
put("full/x", "x")
os.mkdir("empty")
assert renameat2("empty", "full", 0) == errno.ENOTEMPTY
assert renameat2("full", "empty", 0) == 0 and get("empty/x") == "x"
# An open file that is not flushed is found under its new name.
f = open("unflushed", "w")
f.write("later")
f.flush()
assert renameat2("unflushed", "renamed", 0) == 0
f.write("!")
f.close()
assert get("renamed") == "later!" and not os.path.exists("unflushed")
PY
}
