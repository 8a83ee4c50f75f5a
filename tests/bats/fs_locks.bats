# Locks between processes of one mount: the kernel keeps them, and a file keeps its lock
# while others replace or delete it or let it expire.

load helper

setup() {
	keydir_setup
	start_fs
}

@test "flock: exclusive, shared, and released by the death of its holder" {
	require flock
	: >"$MNT/lock"
	flock -x "$MNT/lock" sleep 60 3>&- 4>&- 5>&- &
	local holder=$!
	wait_for 20 not flock -n -x "$MNT/lock" true
	not flock -n -s "$MNT/lock" true
	# The child must die as well, because it has the descriptor.
	pkill -KILL -P "$holder"
	kill -KILL "$holder" 2>/dev/null || true
	wait "$holder" || true
	flock -w 10 -x "$MNT/lock" true
	flock -s "$MNT/lock" flock -n -s "$MNT/lock" true
	not flock -s "$MNT/lock" flock -n -x "$MNT/lock" true
}

@test "flock: many processes count together and lose nothing" {
	require flock
	echo 0 >"$MNT/count"
	local i pids=()
	for i in 1 2 3 4; do
		for _ in {1..25}; do
			flock -x "$MNT/lock" bash -c "n=\$(cat '$MNT/count'); echo \$((n + 1)) >'$MNT/count'"
		done 3>&- 4>&- 5>&- &
		pids+=($!)
	done
	for i in "${pids[@]}"; do wait "$i"; done
	same 100 "$(cat "$MNT/count")"
}

@test "fcntl: ranges, their holders, waiting, and release by close" {
	python3 - "$MNT/lock" <<'PY'
import errno, fcntl, os, struct, sys
path = sys.argv[1]
fd = os.open(path, os.O_RDWR | os.O_CREAT)
os.write(fd, b"x" * 100)
F = "hhqqi4x"

def lock(fd, kind, start, length, command=fcntl.F_SETLK):
    return struct.unpack(F, fcntl.fcntl(fd, command, struct.pack(F, kind, os.SEEK_SET, start, length, 0)))

def in_child(work):
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            code = work() or 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def refused(kind, start, length):
    def work():
        other = os.open(path, os.O_RDWR)
        try:
            lock(other, kind, start, length)
        except OSError as e:
            return e.errno
    return in_child(work)

lock(fd, fcntl.F_WRLCK, 10, 20)
lock(fd, fcntl.F_RDLCK, 50, 10)
assert refused(fcntl.F_WRLCK, 0, 10) == 0
assert refused(fcntl.F_WRLCK, 29, 1) == errno.EAGAIN
assert refused(fcntl.F_RDLCK, 50, 1) == 0
assert refused(fcntl.F_WRLCK, 50, 1) == errno.EAGAIN

def who():
    other = os.open(path, os.O_RDWR)
    kind, _, start, length, pid = lock(other, fcntl.F_WRLCK, 0, 0, fcntl.F_GETLK)
    return 0 if (kind, start, length, pid) == (fcntl.F_WRLCK, 10, 20, os.getppid()) else 1
assert in_child(who) == 0

# A second writer waits until the first releases its lock.
ready, go = os.pipe(), os.pipe()
pid = os.fork()
if pid == 0:
    other = os.open(path, os.O_RDWR)
    os.write(ready[1], b".")
    lock(other, fcntl.F_WRLCK, 10, 1, fcntl.F_SETLKW)
    os.write(go[1], b"got it")
    os._exit(0)
os.read(ready[0], 1)
lock(fd, fcntl.F_UNLCK, 10, 20)
assert os.read(go[0], 10) == b"got it"
os.waitpid(pid, 0)
# Closing any descriptor of the file releases the process's locks.
os.close(os.open(path, os.O_RDONLY))
assert refused(fcntl.F_WRLCK, 0, 100) == 0
PY
}

@test "open file description locks and lockf exclude each other" {
	python3 - "$MNT/lock" <<'PY'
import errno, fcntl, os, struct, sys
path = sys.argv[1]
F_OFD_SETLK = 37
F = "hhqqi4x"

def ofd(fd, kind):
    fcntl.fcntl(fd, F_OFD_SETLK, struct.pack(F, kind, os.SEEK_SET, 0, 0, 0))

a = os.open(path, os.O_RDWR | os.O_CREAT)
b = os.open(path, os.O_RDWR)
ofd(a, fcntl.F_WRLCK)
try:
    ofd(b, fcntl.F_WRLCK)
    sys.exit("two holders")
except OSError as e:
    assert e.errno == errno.EAGAIN
os.close(a)
ofd(b, fcntl.F_WRLCK)
os.close(b)
c = open(path, "r+")
fcntl.lockf(c, fcntl.LOCK_EX | fcntl.LOCK_NB)
fcntl.flock(c, fcntl.LOCK_EX | fcntl.LOCK_NB)
PY
}

@test "a lock outlives its name, its value and changes by others" {
	require flock
	start_httpd
	echo v >"$MNT/key"
	exec 7<>"$MNT/key"
	flock -n -x 7
	rest PUT /v1/kv/key -d other
	not flock -n -x "$MNT/key" true
	rest DELETE /v1/kv/key
	echo new >"$MNT/key"
	# Another file under the same name has another lock.
	flock -n -x "$MNT/key" true
	flock -n -u 7
	exec 7<&-
	stop "$HTTPD_PID"
}
