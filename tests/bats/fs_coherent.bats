# The kernel's caches avoid requests and never show a value that others have changed.

load helper

setup() {
	keydir_setup
	start_fs
	start_httpd
}

teardown() {
	cd /
	[ -z "${FS_PID:-}" ] || kill -CONT "$FS_PID" 2>/dev/null || true
	keydir_teardown
}

put() { rest PUT "/v1/kv/$1" --data-binary "$2" "${@:3}"; }

# While the process is stopped only the kernel can answer.
kernel_alone() {
	stop_all "$FS_PID"
	local out code=0
	out=$(timeout 5 "$@") || code=$?
	kill -CONT "$FS_PID"
	printf '%s' "$out"
	return $code
}

@test "the kernel alone answers for names, attributes and missing names" {
	mkdir "$MNT/dir"
	echo value >"$MNT/dir/key"
	# The directory's times have changed as well. Once this is answered, the kernel has
	# been notified.
	put told v
	stat "$MNT/dir/key" >/dev/null
	not test -e "$MNT/dir/none"
	same 6 "$(kernel_alone stat -c %s "$MNT/dir/key")"
	fails_with "No such file" kernel_alone stat "$MNT/dir/none"
}

@test "a read-only mount serves hot keys from the kernel" {
	echo value >"$MNT/key"
	start_fs -m "$T/ro" -o ro
	same value "$(cat "$T/ro/key")"
	same value "$(cat "$T/ro/key")"
	same value "$(kernel_alone cat "$T/ro/key")"
	put key other
	same other "$(cat "$T/ro/key")"
}

@test "a value written elsewhere is read at once, longer, shorter and of the same length" {
	local value
	for value in a bb cccc bb dd "" eeeeeeeeeeee f g h; do
		put key "$value"
		same "$value" "$(cat "$MNT/key")"
		same "${#value}" "$(stat -c %s "$MNT/key")"
	done
}

@test "a name created elsewhere after a failed look-up is found, and gone after its removal" {
	local i
	mkdir "$MNT/dir"
	for i in {1..30}; do
		not test -e "$MNT/dir/key$i"
		put "dir/key$i" "$i"
		same "$i" "$(cat "$MNT/dir/key$i")"
		same "$i" "$(find "$MNT/dir" -name 'key*' | wc -l)"
	done
	for i in {1..30}; do
		rest DELETE "/v1/kv/dir/key$i"
		not test -e "$MNT/dir/key$i"
		same "$((30 - i))" "$(find "$MNT/dir" -name 'key*' | wc -l)"
	done
}

@test "a file open for writing, and mapped, follows writes made elsewhere" {
	put key "$(printf 'a%.0s' {1..5000})"
	python3 - "$MNT/key" "$URL/v1/kv/key" <<'PY'
import mmap, os, sys, urllib.request
path, url = sys.argv[1:]

def put(data):
    urllib.request.urlopen(urllib.request.Request(url, data=data, method="PUT")).close()

fd = os.open(path, os.O_RDWR)
m = mmap.mmap(fd, 5000, prot=mmap.PROT_READ)
assert m[4999:5000] == b"a"
put(b"b" * 5000)
assert m[0:1] == b"b" and m[4999:5000] == b"b"
assert os.pread(fd, 9000, 0) == b"b" * 5000
put(b"c" * 9000)
assert os.fstat(fd).st_size == 9000
assert os.pread(fd, 10000, 0) == b"c" * 9000
put(b"d" * 100)
assert os.pread(fd, 10000, 0) == b"d" * 100
assert os.fstat(fd).st_size == 100
assert m[0:1] == b"d"
PY
}

@test "a cached key expires with its TTL" {
	# On a slow machine the key may expire before it is read.
	read_in_time() { put 'key?ttl=1500ms' v && [ "$(cat "$MNT/key")" = v ]; }
	wait_for 20 read_in_time
	wait_for 20 not test -e "$MNT/key"
	fails_with "No such file" cat "$MNT/key"
	# A TTL set later shortens an entry that the kernel cached without a limit.
	put other v
	same v "$(cat "$MNT/other")"
	rest POST '/v1/kv/other?op=expire&ttl=1s'
	wait_for 20 not test -e "$MNT/other"
	same "" "$(ls "$MNT")"
}

@test "a directory renamed elsewhere takes its cached children along" {
	mkdir -p "$MNT/old/sub"
	echo v >"$MNT/old/sub/key"
	start_fs -m "$T/second"
	same v "$(cat "$T/second/old/sub/key")"
	mv "$MNT/old" "$MNT/new"
	wait_for 20 not test -e "$T/second/old"
	fails_with "No such file" cat "$T/second/old/sub/key"
	same v "$(cat "$T/second/new/sub/key")"
	rest DELETE "/v1/kv/new/?recurse"
	not test -e "$MNT/new/sub/key"
	not test -e "$MNT/new"
}

@test "a directory removed elsewhere is gone, even with names that only this kernel has" {
	local level
	# The kernel refuses the invalidation of the directory; a look-up asks the mount
	# again.
	for level in info debug; do
		stop "$FS_PID"
		start_fs --log-level "$level"
		mkdir -p "$MNT/dir/sub"
		exec 6>"$MNT/dir/sub/new"
		rest DELETE '/v1/kv/dir/?recurse'
		same 204 "$status"
		fails_with "No such file" stat "$MNT/dir/sub/new"
		fails_with "No such file" ls "$MNT/dir"
		same "" "$(ls "$MNT")"
		exec 6>&-
		[ "$level" = info ] || break
		not grep -v '^[0-9T:.-]*Z info keydir-fs: ' "$LOG"
	done
	grep ' debug keydir-fs: the kernel refused a notification .*Directory not empty' "$LOG"
}

@test "look-ups and listings in one directory do not wait for each other" {
	rest PUT /v1/kv/dir/one -d v
	rest PUT /v1/kv/dir/two -d v
	test -d "$MNT/dir"
	exec 6<"$MNT/dir"
	stop_all "$FS_PID"
	local pids=() pid
	stat "$MNT/dir/one" >"$T/out1" 3>&- 4>&- 5>&- &
	pids+=($!)
	stat "$MNT/dir/two" >"$T/out2" 3>&- 4>&- 5>&- &
	pids+=($!)
	ls /proc/self/fd/6/ >"$T/out3" 3>&- 4>&- 5>&- &
	pids+=($!)
	# All three have reached the mount; none waits for another in the kernel.
	for pid in "${pids[@]}"; do
		wait_for 10 grep -q request_wait_answer "/proc/$pid/wchan"
	done
	kill -CONT "$FS_PID"
	for pid in "${pids[@]}"; do wait "$pid"; done
	exec 6<&-
	same $'one\ntwo' "$(cat "$T/out3")"
}

@test "modes and attributes changed elsewhere are seen" {
	echo v >"$MNT/key"
	start_fs -m "$T/second"
	same 644 "$(stat -c %a "$T/second/key")"
	chmod 600 "$MNT/key"
	setfattr -n user.x -v y "$MNT/key"
	touch -d '2001-02-03 UTC' "$MNT/key"
	wait_for 20 bash -c "[ \$(stat -c %a '$T/second/key') = 600 ]"
	wait_for 20 bash -c "[ \$(stat -c %Y '$T/second/key') = 981158400 ]"
	same y "$(getfattr --absolute-names --only-values -n user.x "$T/second/key")"
}

@test "when two nodes create one name, both see the key of the first" {
	python3 - "$MNT" "$URL/v1/kv" <<'PY'
import os, sys, time, urllib.request
mnt, url = sys.argv[1:]

def rest(key, data=None):
    request = urllib.request.Request(url + "/" + key, data=data, method="PUT" if data else "GET")
    with urllib.request.urlopen(request) as answer:
        return answer.read()

for i in range(20):
    key = "key%d" % i
    fd = os.open(mnt + "/" + key, os.O_CREAT | os.O_RDWR)
    rest(key, b"theirs")
    if i % 2:
        os.write(fd, b"ours")
        os.fsync(fd)
        want = b"ours"
    else:
        os.fsync(fd)  # nothing was written, so the other node loses nothing
        want = b"theirs"
    with open(mnt + "/" + key, "rb") as f:
        assert f.read() == want, (key, i)
    assert rest(key) == want
    assert os.pread(fd, 10, 0) == want
    # The number that was assigned first still leads to the entry.
    os.pwrite(fd, b"X", 0)
    os.close(fd)
    want = b"X" + want[1:]
    assert rest(key) == want
    # To the kernel the two numbers are two files: it is notified as of a change by
    # another.
    deadline = time.monotonic() + 30
    while open(mnt + "/" + key, "rb").read() != want:
        assert time.monotonic() < deadline, key
        time.sleep(0.01)
    os.unlink(mnt + "/" + key)
    assert not os.path.exists(mnt + "/" + key)
PY
}

@test "writers of different ranges on two mounts lose nothing" {
	head -c 20000 /dev/zero >"$MNT/key"
	start_fs -m "$T/second"
	python3 - "$MNT/key" "$T/second/key" <<'PY'
import os, sys
a, b = (os.open(p, os.O_RDWR) for p in sys.argv[1:])
for i in range(50):
    os.pwrite(a, b"A", 200 * i)
    os.pwrite(b, b"B", 200 * i + 100)
    if i % 7 == 0:
        os.fsync(a)
        os.fsync(b)
os.close(a)
os.close(b)
want = b"".join(b"A" + bytes(99) + b"B" + bytes(99) for i in range(50)) + bytes(10000)
# The first mount merges its own range with the data that the second wrote later.
import time
deadline = time.monotonic() + 60
for path in sys.argv[1:]:
    while open(path, "rb").read() != want:
        assert time.monotonic() < deadline, path
PY
}

@test "a reader never sees a value older than one that it saw, while others write" {
	start_fs -m "$T/second"
	put key 0
	python3 - "$MNT/key" "$T/second/key" "$URL/v1/kv/key" <<'PY'
import http.client, sys, threading, time, urllib.parse
first, second, url = sys.argv[1:]
at = urllib.parse.urlparse(url)
stop = threading.Event()
acked = [0]
failures = []

def writer():
    connection = http.client.HTTPConnection(at.netloc)
    n = 0
    while not stop.is_set():
        n += 1
        # Values of one length: a read during such a change may be cut (fs/POSIX.md), as
        # cluster_coherence.bats measures.
        connection.request("PUT", at.path, body=b"%08d" % n)
        connection.getresponse().read()
        acked[0] = n

def reader(path, number):
    seen = 0
    while not stop.is_set():
        least = acked[0]
        with open(path, "rb") as f:
            value = int(f.read())
        reads[number] += 1
        # Acknowledged before the read began, so the mounts have been notified.
        if value < seen or value < least:
            failures.append((path, value, seen, least))
            return
        seen = value

paths = (first, first, second)
reads = [0] * len(paths)
threads = [threading.Thread(target=writer)]
threads += [threading.Thread(target=reader, args=(p, i)) for i, p in enumerate(paths)]
for t in threads:
    t.start()
time.sleep(4)  # of load, and longer on a slow machine
deadline = time.monotonic() + 60
while min(reads + acked) <= 20 and not failures and time.monotonic() < deadline:
    time.sleep(0.1)
stop.set()
for t in threads:
    t.join()
assert not failures, failures
assert min(reads + acked) > 20, (reads, acked)
PY
}

@test "names created and removed on both sides of one busy directory are consistent" {
	mkdir "$MNT/dir"
	python3 - "$MNT/dir" "$URL/v1/kv/dir" <<'PY'
import http.client, os, sys, threading, urllib.parse
mnt, url = sys.argv[1:]
at = urllib.parse.urlparse(url)
failures = []

def local(tag):
    for i in range(250):
        path = "%s/%s%d" % (mnt, tag, i)
        with open(path, "w") as f:
            f.write(tag)
        if i % 2:
            os.unlink(path)

def remote():
    connection = http.client.HTTPConnection(at.netloc)
    for i in range(250):
        name = "r%d" % i
        connection.request("PUT", at.path + "/" + name, body=b"r")
        connection.getresponse().read()
        if not os.path.exists(mnt + "/" + name):
            failures.append(("missing", name))
        if name not in os.listdir(mnt):
            failures.append(("not listed", name))
        if i % 2:
            connection.request("DELETE", at.path + "/" + name)
            connection.getresponse().read()
            if os.path.exists(mnt + "/" + name):
                failures.append(("still there", name))
            if name in os.listdir(mnt):
                failures.append(("still listed", name))

threads = [threading.Thread(target=local, args=(t,)) for t in "ab"]
threads.append(threading.Thread(target=remote))
for t in threads:
    t.start()
for t in threads:
    t.join()
assert not failures, failures[:5]
want = sorted("%s%d" % (t, i) for t in "abr" for i in range(0, 250, 2))
assert sorted(os.listdir(mnt)) == want
PY
}

@test "a name created here and over REST at once is one file, by descriptors and by name" {
	python3 - "$MNT" "$URL/v1/kv" <<'PY'
import os, sys, urllib.request
mnt, url = sys.argv[1:]

def put(key, value):
    urllib.request.urlopen(urllib.request.Request(url + "/" + key, data=value, method="PUT")).close()

for i in range(150):
    key = "key%d" % i
    path = mnt + "/" + key
    fd = os.open(path, os.O_CREAT | os.O_RDWR)
    put(key, b"theirs")
    for value in b"mine, first", b"mine", b"mine, once more":
        os.ftruncate(fd, 0)
        os.pwrite(fd, value, 0)
        os.fsync(fd)
        with open(path, "rb") as f:
            seen = f.read()
        assert seen == value, (i, value, seen)
        assert os.stat(path).st_size == len(value)
    with open(path, "wb") as f:
        f.write(b"by name")
    assert os.pread(fd, 100, 0) == b"by name"
    os.close(fd)
PY
}

@test "a value that changes all the time is read whole, in one read or in several" {
	put key first
	cat >"$T/whole.py" <<-'EOF'
		import http.client, os, sys, threading
		mnt, host = sys.argv[1:]
		values = [b"s" * 100, b"L" * 5000, b"m" * 1000, b"X" * 70000]
		stop = threading.Event()
		def write():
		    connection = http.client.HTTPConnection(host)
		    while not stop.is_set():
		        for value in values:
		            connection.request("PUT", "/v1/kv/key", value)
		            connection.getresponse().read()
		            written.set()
		written = threading.Event()
		writer = threading.Thread(target=write)
		writer.start()
		written.wait()
		cut = 0
		for i in range(3000):
		    fd = os.open(mnt + "/key", os.O_RDONLY)
		    size = 3000 if i % 3 == 0 else 131072
		    got = b"".join(iter(lambda: os.read(fd, size), b""))
		    os.close(fd)
		    cut += got not in [b"first"] + values
		stop.set()
		writer.join()
		print(cut)
	EOF
	same 0 "$(python3 "$T/whole.py" "$MNT" "${URL#http://}")"
}

@test "a new value can be mapped, and the mapping follows writes made here" {
	put key first
	python3 - "$MNT/key" <<-'EOF'
		import mmap, sys
		for access in mmap.ACCESS_READ, mmap.ACCESS_COPY:
		    with open(sys.argv[1], "rb") as file:
		        assert mmap.mmap(file.fileno(), 0, access=access)[:] == b"first"
	EOF
	exec 7<"$MNT/key"
	IFS= read -r -N 2 -u 7 start
	same 'fi' "$start"
	printf 'other' >"$MNT/key"
	same her "$(cat <&7)"
	printf ' and more' >>"$MNT/key"
	same ' and more' "$(cat <&7)"
	exec 7<&-
}

# Opening the file of an O_PATH descriptor makes the kernel open it without a look-up.
# That has the effect of a replacement between look-up and open, in each of the kernel's
# attempts.
@test "a key replaced between look-up and opening is opened as the new key" {
	cat >"$T/replaced.py" <<-'EOF'
		import errno, http.client, os, sys, time
		mnt, host, patience = sys.argv[1:]
		key = mnt + "/dir/key"
		connection = http.client.HTTPConnection(host)

		def rest(method, path, body=None):
		    connection.request(method, "/v1/kv/dir/" + path, body)
		    answer = connection.getresponse()
		    return answer.read() if answer.status < 300 else None

		def replace(value, name="key"):
		    assert rest("PUT", "new", value) is not None
		    assert rest("POST", f"new?op=rename&to=dir/{name}") is not None

		def replaced(flags, value, change=lambda: None):
		    """Opens KEY, replaced by VALUE since it was looked up."""
		    deadline = time.monotonic() + 20 * int(patience)
		    while True:
		        replace(b"old")
		        path = os.open(key, os.O_PATH)
		        number = os.fstat(path).st_ino
		        replace(value)
		        change()
		        try:
		            fd = os.open(f"/proc/self/fd/{path}", flags)
		            assert os.fstat(fd).st_ino == number
		            return fd
		        except OSError as error:
		            # A look-up is cached for a second; a slow machine may need more.
		            if error.errno != errno.ESTALE or time.monotonic() > deadline:
		                raise
		        finally:
		            os.close(path)

		def expect(fd, value, links=1):
		    stat = os.fstat(fd)
		    assert (stat.st_size, stat.st_nlink) == (len(value), links), stat
		    assert os.pread(fd, 100000, 0) == value

		# It is the new key while it is open ...
		fd = replaced(os.O_RDWR, b"a new value")
		expect(fd, b"a new value")
		for value in b"changed", b"longer" * 1000, b"x":
		    assert rest("PUT", "key", value) is not None
		    expect(fd, value)
		# ... and after it is replaced.
		replace(b"another")
		expect(fd, b"x", links=0)
		os.close(fd)
		# For a file that is only read, a changed value is another file
		# (fs_versions.bats).
		fd = replaced(os.O_RDONLY, b"a new value")
		expect(fd, b"a new value")
		assert rest("PUT", "key", b"changed") is not None
		expect(fd, b"a new value")
		assert open(key, "rb").read() == b"changed"
		replace(b"another")
		expect(fd, b"a new value", links=0)
		os.close(fd)

		# Writes go to the new key.
		fd = replaced(os.O_WRONLY | os.O_APPEND, b"one, ")
		os.write(fd, b"two")
		os.close(fd)
		assert rest("GET", "key") == b"one, two"
		assert open(key, "rb").read() == b"one, two"
		fd = replaced(os.O_RDWR, b"one, two, three")
		os.pwrite(fd, b"TWO", 5)
		os.ftruncate(fd, 8)
		os.fchmod(fd, 0o600)
		expect(fd, b"one, TWO")
		os.close(fd)
		assert rest("GET", "key") == b"one, TWO"
		assert open(key, "rb").read() == b"one, TWO"
		assert os.stat(key).st_mode & 0o777 == 0o600
		fd = replaced(os.O_WRONLY | os.O_TRUNC, b"gone")
		os.write(fd, b"instead")
		os.close(fd)
		assert rest("GET", "key") == b"instead"
		assert open(key, "rb").read() == b"instead"

		def refused(*changes):
		    replace(b"old")
		    os.stat(key)
		    path = os.open(key, os.O_PATH)
		    for change in changes:
		        change()
		    try:
		        os.open(f"/proc/self/fd/{path}", os.O_RDONLY)
		        return None
		    except OSError as error:
		        return error.errno
		    finally:
		        os.close(path)

		# No other file is opened in its place if the key is removed, has become a
		# directory, or was renamed before it was replaced.
		stale = errno.ESTALE
		assert refused(lambda: rest("DELETE", "key")) == stale
		assert refused(lambda: rest("DELETE", "key"), lambda: os.mkdir(key),
		               lambda: os.rmdir(key), lambda: os.mkdir(key)) == stale
		os.rmdir(key)
		assert refused(lambda: os.rename(key, mnt + "/dir/moved"),
		               lambda: rest("DELETE", "moved"), lambda: replace(b"other")) == stale
		assert refused(lambda: rest("POST", "key?op=rename&to=dir/moved"),
		               lambda: os.stat(mnt + "/dir/moved"), lambda: replace(b"v", "moved"),
		               lambda: replace(b"w")) == stale
	EOF
	mkdir "$MNT/dir"
	python3 "$T/replaced.py" "$MNT" "${URL#http://}" "$PATIENCE"
}

@test "a change before its invalidation is seen whole or not at all, and not for long" {
	[ "$(id -u)" = 0 ] || skip_or_fail "needs root to stop threads"
	cat >"$T/untold.py" <<-'EOF'
		import atexit, http.client, json, mmap, os, subprocess, sys, time
		mnt, host, pid, hold = sys.argv[1:]
		patience = int(os.environ.get("PATIENCE", "1"))
		names = ["small", "large", "flux", "closed"]
		sizes = {"small": [100, 3000], "large": [300000, 100000], "flux": [2000, 50], "closed": [50, 4000]}
		connection = http.client.HTTPConnection(host)

		def change(n):
		    """All values are of the letter of N, in one event."""
		    sets = [{"op": "set", "key": k, "value": letter(n) * sizes[k][n % 2]} for k in names]
		    connection.request("POST", "/v1/txn", json.dumps(sets), {"Content-Type": "application/json"})
		    answer = connection.getresponse()
		    assert answer.read() and answer.status == 200, answer.status

		def letter(n):
		    return chr(ord("a") + n % 26)

		def whole(key, n):
		    return letter(n).encode() * sizes[key][n % 2]

		def opened(key):
		    return os.open(mnt + "/" + key, os.O_RDONLY)

		def mapped(fd):
		    with mmap.mmap(fd, 0, prot=mmap.PROT_READ) as m:
		        return m[:]

		def opened_and_mapped(key):
		    fd = opened(key)
		    try:
		        return mapped(fd)
		    finally:
		        os.close(fd)

		def put(key, value):
		    connection.request("PUT", "/v1/kv/" + key, value)
		    connection.getresponse().read()

		def forget(fd):
		    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)

		def short(data):
		    return len(data), data[:1], data[-1:]

		def follows(fd, key, n, within):
		    end = time.monotonic() + within * patience
		    while True:
		        forget(fd)
		        data = os.pread(fd, 1 << 20, 0)
		        if data[:1] == whole(key, n)[:1]:
		            return data
		        if time.monotonic() > end:
		            sys.exit("%s stays old: %s" % (key, short(data)))
		        time.sleep(0.01)

		def hold_invalidator():
		    held = subprocess.Popen([hold, pid, "invalidator"], stdout=subprocess.PIPE)
		    atexit.register(held.kill)
		    assert held.stdout.readline() == b"1\n"
		    return held

		def round(n):
		    """Who holds the invalidator, and whether all was looked at in time: after a
		    second the newest is shown."""
		    put("flux", whole("flux", n))
		    flux = opened("flux")
		    forget(quiet["small"])
		    forget(quiet["large"])
		    os.pread(quiet["large"], 4096, 0)
		    os.stat(mnt + "/closed")
		    held = hold_invalidator()
		    change(n + 1)
		    begin = time.monotonic()
		    seen = [("small, mapped", mapped(quiet["small"]), whole("small", n)),
		            ("small, read", os.pread(quiet["small"], 9999, 0), whole("small", n)),
		            ("small, opened", opened_and_mapped("small"), whole("small", n)),
		            ("large, read", os.pread(quiet["large"], 1 << 20, 0), whole("large", n)),
		            ("flux, mapped", mapped(flux), whole("flux", n)),
		            ("flux, read", os.pread(flux, 9999, 0), whole("flux", n + 1)),
		            ("closed, opened", opened_and_mapped("closed"), whole("closed", n + 1))]
		    size = os.fstat(quiet["large"]).st_size
		    in_time = time.monotonic() < begin + 0.9
		    os.close(flux)
		    for what, data, wanted in seen if in_time else []:
		        if data != wanted:
		            sys.exit("%s: %s, and not %s" % (what, short(data), short(wanted)))
		    if in_time and size != len(whole("large", n)):
		        sys.exit("large has %d bytes" % size)
		    return held, in_time

		change(0)
		time.sleep(1.1)  # so that these go through the kernel's cache
		quiet = {k: opened(k) for k in ("small", "large")}
		opened_and_mapped("closed")
		deadline = time.monotonic() + 20 * patience
		n, in_time = 0, False
		while not in_time:
		    assert time.monotonic() < deadline, "this machine is too slow"
		    held, in_time = round(n)
		    n += 1
		    # Even if the invalidation never arrives.
		    follows(quiet["large"], "large", n, 10)
		    held.kill()
		    held.wait()
		    for key, fd in quiet.items():
		        end = time.monotonic() + 10 * patience
		        while follows(fd, key, n, 10) != whole(key, n):
		            assert time.monotonic() < end, key
		print("good")
	EOF
	same good "$(python3 "$T/untold.py" "$MNT" "${URL#http://}" "$FS_PID" "$KEYDIR_BUILD/tools/hold_readers" 2>&1)"
}
