# A file that is open for reading keeps the version that it was opened with, in every way
# of reading, while other clients replace its value (fs/frozen.c).

load helper

setup() {
	keydir_setup
	start_fs --size 1G --max-value 32M
	MOUNTED=$FS_PID
	start_httpd --size 1G --max-value 32M
}

teardown() {
	cd /
	[ -z "${TAIL:-}" ] || kill "$TAIL" 2>/dev/null || true
	keydir_teardown
}

put() { rest PUT "/v1/kv/$1" --data-binary "$2"; }

# versions REPLACE ANSWER SIZE [WAY...]: run versions.py on the mount. REPLACE is a function:
# `REPLACE KEY` replaces KEY by KEY.new.
versions() {
	local replace=$1 answer=$2 line='' key end=0
	shift 2
	coproc "$KEYDIR_ROOT/tests/bats/versions.py" "$MNT" "$T/out" "$@" \
		2>"$T/versions.err" 3>&- 4>&- 5>&-
	local pid=$COPROC_PID out=${COPROC[0]} in=${COPROC[1]}
	read -r -u "$out" line || cat "$T/versions.err"
	for key in ${line#replace }; do
		"$replace" "$key"
	done
	# Changes of another mount arrive a moment later.
	for key in ${line#replace }; do
		wait_for 10 has_new_size "$key" $((${*:1:1} + 1000))
	done
	echo "$answer" >&"$in"
	line=
	read -r -u "$out" line || cat "$T/versions.err"
	same good "$line"
	wait "$pid" || end=$?
	same 0 "$end"
}

has_new_size() { [ "$(stat -c %s "$MNT/$1")" = "$2" ]; }

by_rest() {
	curl -sf "$URL/v1/kv/$1.new" -o "$T/new"
	rest PUT "/v1/kv/$1" --data-binary "@$T/new"
}

by_rest_rename() { rest POST "/v1/kv/$1.new?op=rename&to=$1"; }

by_mv() { mv "$MNT/$1.new" "$MNT/$1"; }

by_other_mount() { cat "$T/second/$1.new" >"$T/second/$1"; }

by_mv_on_other_mount() { mv "$T/second/$1.new" "$T/second/$1"; }

@test "replaced by REST: each way of reading gives one version, and the inode number stays" {
	versions by_rest "same number" 50000
}

@test "replaced by REST: 20 MiB" {
	local way
	# Kept versions are limited to 64 MiB.
	for way in read sendfile mmap; do
		versions by_rest "same number" 20971520 "$way"
	done
}

@test "replaced by renaming: each way of reading gives one version" {
	start_fs -m "$T/second" --size 1G --max-value 32M
	versions by_mv "" 50000
	versions by_rest_rename "" 50000
	versions by_mv_on_other_mount "" 50000
}

@test "replaced by another mount: each way of reading gives one version" {
	start_fs -m "$T/second" --size 1G --max-value 32M
	versions by_other_mount "same number" 50000
}

@test "a file open for writing shows the writes of others" {
	put key "$(printf 'a%.0s' {1..5000})"
	python3 - "$MNT/key" "$URL/v1/kv/key" <<-'PY'
		import os, sys, urllib.request
		path, url = sys.argv[1:]
		reader = os.open(path, os.O_RDONLY)
		writer = os.open(path, os.O_RDWR)
		for value in b"b" * 5000, b"c" * 9000, b"d" * 100:
		    urllib.request.urlopen(urllib.request.Request(url, value, method="PUT")).close()
		    for fd in reader, writer:
		        assert os.fstat(fd).st_size == len(value)
		        assert os.pread(fd, 10000, 0) == value
	PY
}

@test "an open file shows a changed part and growth at once" {
	start_fs -m "$T/second" --size 1G --max-value 32M
	put key "$(printf 'a%.0s' {1..5000})"
	python3 - "$MNT/key" "$T/second/key" "$URL/v1/kv/key" "$PATIENCE" <<-'PY'
		import os, sys, time, urllib.request
		path, second, url, patience = sys.argv[1:]
		fd = os.open(path, os.O_RDONLY)
		value = os.read(fd, 10000)
		assert value == b"a" * 5000

		def sees(wanted):
		    deadline = time.monotonic() + 10 * int(patience)
		    while os.pread(fd, 100000, 0) != wanted:
		        assert time.monotonic() < deadline, os.pread(fd, 10, 0)
		        time.sleep(0.01)

		# Replaced as a whole, but with more at its end: no reader can get a part of each.
		urllib.request.urlopen(urllib.request.Request(url, value + b"more", method="PUT")).close()
		assert os.fstat(fd).st_size == 5004
		assert os.pread(fd, 10000, 0) == value + b"more"
		urllib.request.urlopen(urllib.request.Request(url + "?op=append", b"!", method="POST")).close()
		assert os.pread(fd, 10000, 0) == value + b"more!"
		# A part of it, as databases write.
		other = os.open(second, os.O_RDWR)
		os.pwrite(other, b"XY", 100)
		os.close(other)
		value = b"a" * 100 + b"XY" + b"a" * 4898 + b"more!"
		sees(value)
		with open(second, "ab") as file:
		    file.write(b"end")
		sees(value + b"end")
	PY
}

# follows TAIL-OPTIONS: check that a running `tail` sees growth and replacement.
follows() {
	local line
	put log $'first\n'
	: >"$T/tail"
	stdbuf -oL tail "$@" -s 0.2 "$MNT/log" >"$T/tail" 2>"$T/tail.err" 3>&- &
	TAIL=$!
	wait_for 10 grep -qx first "$T/tail"
	for line in by-rest by-mount by-rest-again; do
		case $line in
		*rest*) rest POST "/v1/kv/log?op=append" --data-binary "$line"$'\n' ;;
		*) echo "$line" >>"$MNT/log" ;;
		esac
		wait_for 10 grep -qx "$line" "$T/tail"
	done
	# It has reached the end, so nothing keeps it from the new value.
	put log $'shorter\n'
	wait_for 20 grep -qx shorter "$T/tail"
	# From now on it follows each change, whichever inode number this mount writes by.
	put log $'new\n'
	wait_for 20 grep -qx new "$T/tail"
	for line in added-here added-by-rest; do
		case $line in
		*rest*) rest POST "/v1/kv/log?op=append" --data-binary "$line"$'\n' ;;
		*) echo "$line" >>"$MNT/log" ;;
		esac
		wait_for 20 grep -qx "$line" "$T/tail"
	done
	kill "$TAIL"
	wait "$TAIL" || true
	TAIL=
}

@test "tail -f and tail -F follow a key that grows, and one that is replaced" {
	follows -f
	follows -F
}

@test "a program that reads on at the end gets the new value, and later ones at once" {
	put key one
	python3 - "$MNT/key" "$URL/v1/kv/key" "$PATIENCE" <<-'PY'
		import os, sys, time, urllib.request
		path, url, patience = sys.argv[1:]

		def put(value):
		    urllib.request.urlopen(urllib.request.Request(url, value, method="PUT")).close()

		fd = os.open(path, os.O_RDONLY)
		assert os.read(fd, 100) == b"one" and os.read(fd, 100) == b""
		put(b"another")
		deadline = time.monotonic() + 20 * int(patience)
		got = b""
		while not got:  # as less +F does
		    assert time.monotonic() < deadline
		    time.sleep(0.05)
		    got = os.read(fd, 100)
		assert got == b"ther", got
		for value in b"third", b"the fourth":
		    put(value)
		    assert os.pread(fd, 100, 0) == value
		    assert os.fstat(fd).st_size == len(value)
	PY
}

@test "writes, renames and removals here after a replacement work as usual" {
	put key "$(printf 'a%.0s' {1..5000})"
	exec 7<"$MNT/key"
	head -c 10 <&7 >/dev/null
	put key remote
	same remote "$(cat "$MNT/key")"
	echo local >"$MNT/key"
	same local "$(cat "$MNT/key")"
	rest GET /v1/kv/key
	same local "$(body)"
	printf 'more' >>"$MNT/key"
	same $'local\nmore' "$(cat "$MNT/key")"
	mv "$MNT/key" "$MNT/moved"
	same $'local\nmore' "$(cat "$MNT/moved")"
	not test -e "$MNT/key"
	rm "$MNT/moved"
	not test -e "$MNT/moved"
	same "" "$(ls "$MNT")"
	same a "$(tail -c 1 <&7)"
	same 0 "$(stat -L -c %h /proc/self/fd/7)"
	exec 7<&-
}

@test "1,000 handles on 16 MiB that is replaced again and again need bounded memory" {
	python3 - "$MNT/key" "$URL/v1/kv/key" "$MOUNTED" <<-'PY'
		import os, resource, sys, urllib.request
		path, url, pid = sys.argv[1:]
		size = 16 << 20
		resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))

		def memory():
		    with open("/proc/%s/status" % pid) as file:
		        return [int(l.split()[1]) >> 10 for l in file if l.startswith("RssAnon")][0]

		def put(n):
		    value = bytes([n]) * size
		    urllib.request.urlopen(urllib.request.Request(url, value, method="PUT")).close()

		most, files = 0, []
		for n in range(12):
		    put(n)
		    for _ in range(84):
		        files.append((n, os.open(path, os.O_RDONLY)))
		        assert os.pread(files[-1][1], 4, 0) == bytes([n]) * 4, n
		    most = max(most, memory())
		kept = set()
		for n, fd in files:
		    start = os.pread(fd, 4, size - 4)
		    assert start in (bytes([n]) * 4, bytes([11]) * 4), (n, start)
		    kept.add(start[0])
		most = max(most, memory())
		assert len(kept) >= 4, kept
		# 64 MiB of old versions, the newest one, and the data read and written at that
		# moment.
		assert most < 200, most
		for _, fd in files:
		    os.close(fd)
		print("%d MiB at most, versions %s" % (most, sorted(kept)))
	PY
	same 16777216 "$(stat -c %s "$MNT/key")"
}
