# TTLs and other extended attributes, times, modes, owners.

load helper

setup() {
	keydir_setup
	start_fs
	cd "$MNT" || return
}

teardown() {
	cd /
	keydir_teardown
}

attr() { getfattr --absolute-names --only-values -n "$1" "$2"; }

# Set a short TTL and read it; on a slow machine the key may expire before.
ttl_is_shown_as() { # KEY TTL SECONDS
	echo v >"$1" && setfattr -n user.ttl -v "$2" "$1" && [ "$(attr user.ttl "$1")" = "$3" ]
}

@test "a TTL counts down, can be renewed, and ends the key" {
	echo v >key
	fails_with "No such attribute" getfattr -n user.ttl key
	setfattr -n user.ttl -v 600 key
	about 600 "$(attr user.ttl key)"
	setfattr -n user.ttl -v 2h key
	about 7200 "$(attr user.ttl key)"
	wait_for 20 ttl_is_shown_as key 300ms 1
	wait_for 20 not test -e key
	fails_with "No such file" cat key
	same "" "$(ls -A)"
	echo back >key
	same back "$(cat key)"
	fails_with "No such attribute" getfattr -n user.ttl key
}

@test "every unit of a TTL is accepted, and malformed ones are refused" {
	echo v >key
	while read -r text seconds; do
		setfattr -n user.ttl -v "$text" key
		about "$seconds" "$(attr user.ttl key)"
	done <<-END
		90s 90
		5m 300
		2h 7200
		1d 86400
		77 77
	END
	wait_for 20 ttl_is_shown_as short 1500ms 2
	for text in 0 -1 soon 1.5 5x "" "5 s"; do
		fails_with "Invalid argument" setfattr -n user.ttl -v "$text" key
	done
	fails_with "out of range" setfattr -n user.ttl -v 999999d key
	about 77 "$(attr user.ttl key)"
}

@test "removing the TTL makes the key permanent" {
	# On a slow machine the key may expire before its TTL is removed.
	remove_in_time() { echo v >key && setfattr -n user.ttl -v 400ms key && setfattr -x user.ttl key; }
	wait_for 20 remove_in_time
	fails_with "No such attribute" getfattr -n user.ttl key
	fails_with "No such attribute" setfattr -x user.ttl key
	sleep 0.6
	same v "$(cat key)"
}

@test "user.expires is the time of expiry and can be set" {
	echo v >key
	setfattr -n user.expires -v 2099-12-31T23:59:59Z key
	same 2099-12-31T23:59:59.000Z "$(attr user.expires key)"
	setfattr -n user.ttl -v 1h key
	local seconds
	seconds=$(($(date -d "$(attr user.expires key)" +%s) - $(date +%s)))
	about 3601 "$seconds"
	fails_with "Invalid argument" setfattr -n user.expires -v tomorrow key
	setfattr -n user.expires -v 2001-01-01T00:00:00Z key
	wait_for 20 not test -e key
}

@test "overwriting, appending and editing keep the TTL and the attributes" {
	echo v >key
	setfattr -n user.ttl -v 1h key
	setfattr -n user.tag -v t key
	local expires
	expires=$(attr user.expires key)
	echo w >key
	echo x >>key
	printf Z | dd of=key bs=1 seek=1 conv=notrunc status=none
	truncate -s 2 key
	same "$expires" "$(attr user.expires key)"
	same t "$(attr user.tag key)"
	mv key moved
	same "$expires" "$(attr user.expires moved)"
}

@test "new keys below a directory get its user.default_ttl" {
	mkdir -p dir/sub
	setfattr -n user.default_ttl -v 5m dir
	same 300 "$(attr user.default_ttl dir)"
	echo v >dir/key
	echo v >dir/sub/key
	echo v >>dir/appended
	about 300 "$(attr user.ttl dir/key)"
	about 300 "$(attr user.ttl dir/sub/key)"
	about 300 "$(attr user.ttl dir/appended)"
	setfattr -n user.default_ttl -v 1500ms dir
	same 1500ms "$(attr user.default_ttl dir)"
	setfattr -x user.default_ttl dir
	fails_with "No such attribute" getfattr -n user.default_ttl dir
	echo v >dir/later
	fails_with "No such attribute" getfattr -n user.ttl dir/later
	fails_with "Not a directory" setfattr -n user.default_ttl -v 5m dir/key
	fails_with "Is a directory" setfattr -n user.ttl -v 5m dir
	fails_with "Invalid argument" setfattr -n user.default_ttl -v never dir
}

@test "an expired key is neither listed nor found, and its name is free" {
	mkdir dir
	echo v >dir/key
	setfattr -n user.ttl -v 1ms dir/key
	wait_for 20 not test -e dir/key
	same "" "$(ls -A dir)"
	rmdir dir
	mkdir dir
	echo v >dir/key
	setfattr -n user.ttl -v 1ms dir/key
	wait_for 20 not test -e dir/key
	mkdir dir/key
}

@test "a key that expires while it is open stays readable" {
	seq 1 10000 >key
	exec 7<key
	setfattr -n user.ttl -v 1ms key
	wait_for 20 not test -e key
	same "$(seq 1 10000 | cksum)" "$(cksum <&7)"
	exec 7<&-
}

@test "user.version grows with every change and cannot be set" {
	echo v >key
	local before after
	before=$(attr user.version key)
	echo w >key
	after=$(attr user.version key)
	[ "$after" -gt "$before" ]
	fails_with "Operation not permitted" setfattr -n user.version -v 1 key
	fails_with "Operation not permitted" setfattr -x user.version key
}

@test "any other user attribute is stored" {
	echo v >key
	setfattr -n user.a -v 1 key
	setfattr -n user.b -v '' key
	setfattr -n user.content_type -v text/plain key
	same $'user.a\nuser.b\nuser.content_type' "$(getfattr key | grep ^user | sort)"
	same 1 "$(attr user.a key)"
	same "" "$(attr user.b key)"
	same text/plain "$(attr user.content_type key)"
	setfattr -x user.a key
	fails_with "No such attribute" getfattr -n user.a key
	fails_with "No such attribute" setfattr -x user.a key
	setfattr -n user.b -v "$(head -c 3000 /dev/zero | tr '\0' x)" key
	same 3000 "$(attr user.b key | wc -c)"
	fails_with "Operation not supported" setfattr -n trusted.a -v 1 key
	mkdir dir
	setfattr -n user.a -v dir dir
	same dir "$(attr user.a dir)"
	setfattr -n user.root -v yes "$MNT"
	same yes "$(attr user.root "$MNT")"
}

@test "the list has the TTL if there is one, and never version and expires" {
	echo v >key
	same "" "$(getfattr key)"
	setfattr -n user.ttl -v 1h key
	same user.ttl "$(getfattr key | grep ^user)"
	cp -a key copy
	about 3600 "$(attr user.ttl copy)"
}

@test "setxattr obeys its flags and the limits of sizes" {
	echo v >key
	python3 - <<'PY'
import errno, os

def fails(code, call, *args):
    try:
        call(*args)
    except OSError as e:
        assert e.errno == code, (errno.errorcode[e.errno], args)
        return
    assert False, args

fails(errno.ENODATA, os.setxattr, "key", "user.x", b"1", os.XATTR_REPLACE)
os.setxattr("key", "user.x", b"1", os.XATTR_CREATE)
fails(errno.EEXIST, os.setxattr, "key", "user.x", b"2", os.XATTR_CREATE)
os.setxattr("key", "user.x", b"2", os.XATTR_REPLACE)
assert os.getxattr("key", "user.x") == b"2"
fails(errno.ENODATA, os.setxattr, "key", "user.ttl", b"5", os.XATTR_REPLACE)
os.setxattr("key", "user.ttl", b"5m", os.XATTR_CREATE)
fails(errno.EEXIST, os.setxattr, "key", "user.ttl", b"5", os.XATTR_CREATE)
os.setxattr("key", "user.big", b"x" * 65536)
assert os.getxattr("key", "user.big") == b"x" * 65536
fails(errno.E2BIG, os.setxattr, "key", "user.big", b"x" * 65537)
os.setxattr("key", "user." + "n" * 250, b"long")
fails(errno.ERANGE, os.setxattr, "key", "user." + "n" * 251, b"long")
PY
}

@test "modes and times are stored" {
	umask 022
	echo v >key
	same 644 "$(stat -c %a key)"
	mkdir dir
	same 755 "$(stat -c %a dir)"
	chmod 4711 key
	same 4711 "$(stat -c %a key)"
	echo w >key
	touch -d '1960-01-02 03:04:05.123456789 UTC' key
	same '1960-01-02 03:04:05.123456789 +0000' "$(TZ=UTC stat -c %y key)"
	touch -a -d '2030-01-01 UTC' key
	same '1960-01-02 03:04:05.123456789 +0000' "$(TZ=UTC stat -c %y key)"
	same '2030-01-01 00:00:00.000000000 +0000' "$(TZ=UTC stat -c %x key)"
	touch key
	local age
	age=$(($(date +%s) - $(stat -c %Y key)))
	[[ $age -ge 0 && $age -le 60 ]]
	same "$(id -u) $(id -g)" "$(stat -c '%u %g' key)"
	chown "$(id -u):$(id -g)" key
	[ "$(id -u)" = 0 ] || return 0
	fails_with "Operation not permitted" chown 12345 key
}

@test "directories count their subdirectories, files have one link" {
	mkdir -p dir/a dir/b
	echo v >dir/key
	same 4 "$(stat -c %h dir)"
	same 1 "$(stat -c %h dir/key)"
	rmdir dir/a
	same 3 "$(stat -c %h dir)"
	mv dir/b b
	same 2 "$(stat -c %h dir)"
}

@test "times that fstat shows to a writer are the same after close" {
	echo old >"$MNT/there"
	python3 - "$MNT" <<'PY'
import os, sys, time

def times(st):
    return st.st_mtime_ns, st.st_ctime_ns

for name, flags in (("new", os.O_CREAT | os.O_WRONLY), ("there", os.O_RDWR),
                    ("there", os.O_WRONLY | os.O_TRUNC), ("empty", os.O_CREAT | os.O_WRONLY)):
    path = sys.argv[1] + "/" + name
    fd = os.open(path, flags)
    if name != "empty":
        os.write(fd, b"x")
    seen = times(os.fstat(fd))
    # The log's time has milliseconds and would differ.
    deadline = time.time() + 0.05
    while time.time() < deadline:
        pass
    os.close(fd)
    assert times(os.stat(path)) == seen, (name, seen, times(os.stat(path)))
PY
}

@test "dates before 1677 and after 2262 become the nearest that can be stored" {
	local TZ=UTC
	export TZ
	touch -d 1600-01-01 "$MNT/past"
	same 1677-09-21 "$(stat -c %y "$MNT/past" | cut -d' ' -f1)"
	touch -d 2300-01-01 "$MNT/future"
	same 2262-04-11 "$(stat -c %y "$MNT/future" | cut -d' ' -f1)"
	touch -d 1677-09-22 "$MNT/past"
	same 1677-09-22 "$(stat -c %y "$MNT/past" | cut -d' ' -f1)"
}

@test "inode numbers are exact as floating point" {
	local i
	for i in {1..20}; do echo "$i" >"$MNT/f$i"; done
	mkdir "$MNT/dir"
	python3 - "$MNT" <<'PY'
import os, sys
numbers = [os.stat(sys.argv[1] + "/" + name).st_ino for name in os.listdir(sys.argv[1])]
assert len(set(map(float, numbers))) == 21, numbers
assert max(numbers) < 2**53, numbers
PY
}
