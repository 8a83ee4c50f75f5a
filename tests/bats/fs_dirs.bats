# A listing has each name that exists throughout exactly once, however large the directory
# is and whatever else happens in it.

load helper

FILL=$KEYDIR_BUILD/bench/fill
NAMES=200000

@test "stable names are listed once, though the kernel's cached listing is dropped in the middle" {
	start_fs
	start_httpd
	mkdir "$MNT/dir"
	python3 - "$MNT/dir" "$URL/v1/kv/dir" <<'PY'
import ctypes, http.client, os, sys, urllib.parse
path, url = sys.argv[1:]
N = 1500
for i in range(N):
    open("%s/stays%d" % (path, i), "w").close()
    open("%s/goes%d" % (path, i), "w").close()
libc = ctypes.CDLL(None, use_errno=True)
at = urllib.parse.urlparse(url)
rest = http.client.HTTPConnection(at.netloc)

def getdents(fd):
    buf = ctypes.create_string_buffer(4096)
    n = libc.syscall(217 if os.uname().machine == "x86_64" else 61, fd, buf, len(buf))
    assert n >= 0, ctypes.get_errno()
    names, at = [], 0
    while at < n:
        length = int.from_bytes(buf[at + 16:at + 18], sys.byteorder)
        names.append(buf[at + 19:at + length].split(b"\0")[0].decode())
        at += length
    return names

def request(method, name, body=None):
    rest.request(method, at.path + "/" + name, body=body)
    answer = rest.getresponse()
    answer.read()
    assert answer.status in (201, 204), (method, name, answer.status)

def check(change):
    os.listdir(path)
    os.listdir(path)  # the kernel has cached it now
    fd = os.open(path, os.O_RDONLY)
    seen = [name for _ in range(5) for name in getdents(fd)]
    assert 0 < len(seen) < N
    change()
    more = True
    while more:
        more = getdents(fd)
        seen += more
    os.close(fd)
    stays = [name for name in seen if name.startswith("stays")]
    assert len(set(stays)) == N, "%d are missing" % (N - len(set(stays)))
    assert len(stays) == N, "%d come twice" % (len(stays) - N)

check(lambda: [request("DELETE", "goes%d" % i) for i in range(N)])
check(lambda: [request("PUT", "comes%d" % i, b"v") for i in range(N)])
PY
}

@test "telldir and seekdir work after names were removed and added" {
	start_fs
	mkdir "$MNT/dir"
	(cd "$MNT/dir" && seq -f 'name%.0f' 2000 | xargs touch)
	python3 - "$MNT/dir" <<'PY'
import ctypes, os, random, sys
path = sys.argv[1]
libc = ctypes.CDLL(None, use_errno=True)

class Dirent(ctypes.Structure):
    _fields_ = [("ino", ctypes.c_ulong), ("off", ctypes.c_long), ("len", ctypes.c_ushort),
                ("type", ctypes.c_ubyte), ("name", ctypes.c_char * 256)]
libc.opendir.restype = ctypes.c_void_p
libc.readdir.restype = ctypes.POINTER(Dirent)
libc.telldir.restype = ctypes.c_long
for f in (libc.readdir, libc.telldir, libc.rewinddir, libc.closedir):
    f.argtypes = [ctypes.c_void_p]
libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]

def walk(d):
    names = []
    while True:
        place = libc.telldir(d)
        entry = libc.readdir(d)
        if not entry:
            return names
        names.append((place, entry.contents.name.decode()))

d = libc.opendir(path.encode())
first = walk(d)
assert len(first) == 2002 and len({place for place, _ in first}) == 2002
random.seed(7)
for place, name in random.sample(first, 200):
    libc.seekdir(d, place)
    assert libc.readdir(d).contents.name.decode() == name
# The positions are valid for another opendir, too.
gone = {name for _, name in random.sample(first[2:], 500)}
for name in gone:
    os.unlink(path + "/" + name)
    open(path + "/new" + name, "w").close()
other = libc.opendir(path.encode())
for i in random.sample(range(len(first)), 50):
    libc.seekdir(other, first[i][0])
    left = [name for _, name in walk(other)]
    want = {name for _, name in first[i:]} - gone
    assert want <= set(left) and len(left) == len(set(left))
libc.rewinddir(d)
assert {name for _, name in walk(d)} == set(os.listdir(path)) | {".", ".."}
libc.closedir(d)
libc.closedir(other)
PY
}

@test "200,000 names: all tools see each of them, while others come and go" {
	"$FILL" "$STORE" $NAMES 10 >/dev/null
	start_fs --size 1G
	start_httpd --size 1G
	same $((NAMES + 2)) "$(timeout $((60 * PATIENCE)) ls -f "$MNT" | sort -u | wc -l)"
	same $((NAMES + 1)) "$(timeout $((60 * PATIENCE)) find "$MNT" | wc -l)"
	(
		for ((i = 0; i < 1000000; i++)); do
			[ ! -e "$T/enough" ] || break
			echo v >"$MNT/passing$i"
			curl -s -f -o /dev/null -X PUT -d v "$URL/v1/kv/crossing$i"
			rm "$MNT/passing$i"
			curl -s -f -o /dev/null -X DELETE "$URL/v1/kv/crossing$i"
		done
	) 3>&- 4>&- 5>&- &
	local busy=$! round
	for round in 1 2 3; do
		find "$MNT" -name 'key:*' >"$T/names"
		same $NAMES "$(wc -l <"$T/names")"
		same $NAMES "$(sort -u "$T/names" | wc -l)"
	done
	touch "$T/enough"
	wait "$busy"
	(cd "$MNT" && seq -f 'key:%.0f' 0 2000 | xargs rm)
	same $((NAMES - 2001)) "$(find "$MNT" -name 'key:*' | wc -l)"
}

# Each request is a read of the device.
requests() { awk '$1 == "syscr:" { print $2 }' "/proc/$FS_PID/io"; }

# -s asks for what -l shows of a file, except attributes: ls -l of coreutils 9.7 lists those of
# each file, which no kernel caches.
@test "ls that shows sizes does not send a request for each file" {
	start_fs
	mkdir "$MNT/dir"
	(cd "$MNT/dir" && seq -f 'name%.0f' 1000 | xargs touch)
	ls -s "$MNT/dir" >"$T/first"
	local before
	before=$(requests)
	ls -s "$MNT/dir" >"$T/second"
	[ $(($(requests) - before)) -lt 100 ]
	cmp "$T/first" "$T/second"
	fails_with "not supported" getfattr --absolute-names -n security.selinux "$MNT/dir/name1"
}

# Programs that read all names first and then stat them are common: du, cp -r, git.
@test "du and ls -s of new names need no request for each; find reads names only" {
	"$FILL" "$STORE" 9000 10 >/dev/null
	start_fs
	local before
	before=$(requests)
	du -a "$MNT" >"$T/du"
	same 9001 "$(wc -l <"$T/du")"
	[ $(($(requests) - before)) -lt 200 ]
	# After the first 10,000 names, listings include attributes for a reader that uses
	# them.
	stop "$FS_PID"
	"$FILL" "$STORE" 30000 10 >/dev/null
	start_fs
	before=$(requests)
	ls -s "$MNT" >"$T/list"
	same 30001 "$(wc -l <"$T/list")"
	[ $(($(requests) - before)) -lt 1000 ]
	stop "$FS_PID"
	start_fs
	same 30001 "$(find "$MNT" | wc -l)"
	before=$(requests)
	find "$MNT" -size 0 >"$T/found"
	[ $(($(requests) - before)) -ge 10000 ]
}
