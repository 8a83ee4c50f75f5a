# Mounting, unmounting, options, and the state after processes die.

load helper

setup() {
	keydir_setup
	require_fuse
}

teardown() {
	cd /
	keydir_teardown
}

# Start a daemon as a user does; set FS_PID.
start_daemon() {
	timeout 30 "$KEYDIR_FS" --store "$STORE" --log-file "$T/fs-daemon.log" "$@" 3>&- 4>&- 5>&-
	FS_PID=$(pgrep -n -f -- "$KEYDIR_FS --store $STORE --log-file")
	PIDS+=("$FS_PID")
}

# Start over a mount whose process was killed; the new mount replaces it.
start_over() {
	STARTED=$((STARTED + 1))
	start "fs$STARTED" "$KEYDIR_FS" -f --store "$STORE" "$MNT"
	FS_PID=$PID
	wait_for 15 grep -q ' mounted ' "$LOG"
	grep -q "dead process" "$LOG"
}

as_nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }

# The mount's options as the kernel reports them.
mount_options() { awk -v dir="$MNT" '$5 == dir { print $6 "," $NF }' /proc/self/mountinfo; }

@test "a daemon is ready when the command returns, and ends with umount" {
	start_daemon "$MNT"
	is_mounted "$MNT"
	same fuse.keydir "$(findmnt -n -o FSTYPE "$MNT")"
	same keydir "$(findmnt -n -o SOURCE "$MNT")"
	echo v >"$MNT/key"
	same / "$(readlink "/proc/$FS_PID/cwd")"
	same /dev/null "$(readlink "/proc/$FS_PID/fd/0")"
	umount "$MNT"
	forget "$FS_PID"
	wait_for 10 not is_running "$FS_PID"
	start_fs
	same v "$(cat "$MNT/key")"
}

@test "a daemon keeps no file open that its caller had open" {
	(
		flock -n 8
		timeout 30 "$KEYDIR_FS" --store "$STORE" --log-file "$T/fs-daemon.log" "$MNT" 3>&- 4>&- 5>&- 7<"$T"
	) 8>"$T/lock"
	FS_PID=$(pgrep -n -f -- "$KEYDIR_FS --store $STORE --log-file")
	PIDS+=("$FS_PID")
	flock -n "$T/lock" true
	same "" "$(find "/proc/$FS_PID/fd" -lname "$T" -o -lname "$T/lock")"
}

# A slow guard, and a program that does not answer it in the meantime.
@test "no process uses the mount when the command returns: umount(2) succeeds" {
	require gcc
	[ -z "${SANITIZER:-}" ] || skip_or_fail "a preloaded library does not go with a sanitizer"
	cat >"$T/slow.c" <<-'C'
		#define _GNU_SOURCE
		#include <dlfcn.h>
		#include <errno.h>
		#include <signal.h>
		#include <string.h>
		#include <sys/statfs.h>
		#include <unistd.h>
		int statfs(const char *path, struct statfs *st)
		{
			if (strstr(program_invocation_name, "keydir-guard")) {
				pid_t daemon = getppid();
				if (fork() == 0) {
					kill(daemon, SIGSTOP);
					usleep(300000);
					kill(daemon, SIGCONT);
					_exit(0);
				}
				usleep(20000);
			}
			int (*real)(const char *, struct statfs *) = dlsym(RTLD_NEXT, "statfs");
			return real(path, st);
		}
	C
	gcc -shared -fPIC -o "$T/slow.so" "$T/slow.c"
	LD_PRELOAD=$T/slow.so start_daemon "$MNT"
	python3 -c 'import ctypes, sys
sys.exit(ctypes.CDLL(None).umount2(sys.argv[1].encode(), 0) != 0)' "$MNT"
	forget "$FS_PID"
	wait_for 10 not is_running "$FS_PID"
}

@test "a daemon that fails to start reports the reason on stderr, with a status" {
	fails_with "$T/none: No such file" "$KEYDIR_FS" --store "$STORE" "$T/none"
	: >"$T/file"
	fails_with "Not a directory" "$KEYDIR_FS" --store "$STORE" "$T/file"
	fails_with "keydir-fs:" "$KEYDIR_FS" --store "$T/file/store" "$MNT"
	# Even if the log goes elsewhere.
	fails_with "$T/none: No such file" "$KEYDIR_FS" --store "$STORE" --log-file "$T/log" "$T/none"
	fails_with "$T/none: No such file" "$KEYDIR_FS" -f --store "$STORE" --log-file "$T/log" "$T/none"
	not is_mounted "$MNT"
}

@test "wrong options are named" {
	fails_with "no mount point given" "$KEYDIR_FS"
	fails_with "unexpected operand" "$KEYDIR_FS" /a /b /c
	fails_with "nonsense" "$KEYDIR_FS" -o ro,nonsense "$MNT"
	fails_with "--nonsense" "$KEYDIR_FS" --nonsense "$MNT"
	fails_with "uid" "$KEYDIR_FS" -o uid=me "$MNT"
	fails_with "umask" "$KEYDIR_FS" --store "$STORE" -o umask=9 "$MNT"
	fails_with "needs a value" "$KEYDIR_FS" -o subdir "$MNT"
	fails_with "--log" "$KEYDIR_FS" --store "$STORE" --log nowhere "$MNT"
	fails_with "--max-value" "$KEYDIR_FS" --store "$STORE" --max-value 0 "$MNT"
	fails_with "--log-level" "$KEYDIR_FS" --store "$STORE" --log-level loud "$MNT"
	fails_with "source" "$KEYDIR_FS" --store "$STORE" something "$MNT"
	not is_mounted "$MNT"
}

@test "help, version and the table for the man page are printed" {
	"$KEYDIR_FS" --help >"$T/help"
	grep -q 'Usage: keydir-fs' "$T/help"
	grep -q -- '--write-timeout' "$T/help"
	grep -q 'subdir=KEY' "$T/help"
	[[ $("$KEYDIR_FS" --version) == keydir-fs\ [0-9]* ]]
	"$KEYDIR_FS" --man-options | grep -q '^.It'
}

@test "mount(8)'s call works: source, mount point, everything in -o" {
	ln -s "$KEYDIR_FS" "$T/mount.fuse.keydir"
	mkdir "$STORE"
	timeout 30 "$T/mount.fuse.keydir" "$STORE" "$MNT" -n -s -o \
		"rw,nosuid,nodev,noatime,_netdev,x-systemd.automount,size=8M,max-value=1M,log-file=$T/fs-m.log" \
		3>&- 4>&- 5>&-
	FS_PID=$(pgrep -n -f -- "$T/mount.fuse.keydir $STORE")
	PIDS+=("$FS_PID")
	same 8388608 "$(($(stat -f -c '%b * %S' "$MNT")))"
	[[ $(mount_options) == *noatime* ]]
	fails_with "File too large" truncate -s 2M "$MNT/key"
	same "$STORE" "$(findmnt -n -o SOURCE "$MNT")"
}

@test "mount(8) itself works: by a line of fstab, and by -t fuse.keydir; umount" {
	[ "$(id -u)" = 0 ] || skip_or_fail "needs root"
	require unshare mount findmnt
	mkdir "$T/sbin" "$T/mnt2"
	ln -s "$KEYDIR_FS" "$T/sbin/mount.fuse.keydir"
	cat >"$T/fstab" <<-END
		keydir  $MNT  fuse.keydir  noauto,_netdev,nofail,nodev,size=8M,umask=027,store=$STORE,log-file=$T/fs-tab.log  0  0
		$STORE  $T/mnt2  fuse.keydir  noauto,ro,subdir=dir,log-file=$T/fs-ro.log  0  0
	END
	cat >"$T/script" <<-'END'
		set -e
		ended() {
			for _ in $(seq 200); do
				grep -q ' unmounted ' "$1" && return 0
				sleep 0.05
			done
			return 1
		}
		# The directory where mount(8) looks for its helpers, in a mount namespace of its
		# own.
		mount --bind "$T/sbin" /usr/sbin
		mount -T "$T/fstab" "$MNT"
		findmnt -n -o FSTYPE,SOURCE "$MNT"
		findmnt -n -o OPTIONS "$MNT" | tr , '\n' | grep -x nodev
		mkdir "$MNT/dir"
		echo v >"$MNT/dir/key"
		stat -c '%a' "$MNT/dir/key"
		mount -T "$T/fstab" "$T/mnt2"
		cat "$T/mnt2/key"
		touch "$T/mnt2/key" 2>&1 | grep -o 'Read-only file system'
		umount "$T/mnt2"
		ended "$T/fs-ro.log"
		umount "$MNT"
		ended "$T/fs-tab.log"
		mount -t fuse.keydir -o "uid=65534,allow_other,log-file=$T/fs-t.log" "$STORE" "$MNT"
		stat -c '%u' "$MNT/dir/key"
		setpriv --reuid=65534 --regid=65534 --clear-groups sh -c 'echo w >"$MNT/dir/key" && cat "$MNT/dir/key"'
		umount "$MNT"
		ended "$T/fs-t.log"
		# Options of mount(8); its async must not be taken for async_close.
		for o in sync dirsync async noatime nodiratime relatime norelatime strictatime nostrictatime \
			symfollow nosymfollow lazytime mand nomand iversion noiversion dev nosuid noexec \
			user,nofail,x-systemd.automount,comment=a; do
			mount -t fuse.keydir -o "$o,log-file=$T/fs-o.log" "$STORE" "$MNT" || echo "$o"
			umount "$MNT"
			ended "$T/fs-o.log"
			rm "$T/fs-o.log"
		done
		mount -t fuse.keydir -o "nosymfollow,log-file=$T/fs-l.log" "$STORE" "$MNT"
		ln -s dir/key "$MNT/link"
		cat "$MNT/link" 2>&1 | grep -o 'Too many levels of symbolic links'
		rm "$MNT/link"
		mount -o remount,ro "$MNT"
		touch "$MNT/dir/key" 2>&1 | grep -o 'Read-only file system'
		mount -o remount,rw "$MNT"
		touch "$MNT/dir/key"
		umount "$MNT"
		ended "$T/fs-l.log"
		mount -t fuse.keydir -o nonsense "$STORE" "$MNT" 2>&1 | grep -o 'nonsense: no such mount option'
		mount -t fuse.keydir -o nonsense "$STORE" "$MNT" 2>/dev/null || echo refused
	END
	export T MNT STORE
	timeout 60 unshare -m bash "$T/script" >"$T/out" 3>&- 4>&- 5>&-
	diff - "$T/out" <<-END
		fuse.keydir keydir
		nodev
		640
		v
		Read-only file system
		65534
		w
		Too many levels of symbolic links
		Read-only file system
		nonsense: no such mount option
		refused
	END
	not grep -E 'error|warn' "$T"/fs-*.log
}

@test "-o ro allows reads only" {
	start_fs
	mkdir "$MNT/dir"
	echo v >"$MNT/dir/key"
	stop "$FS_PID"
	start_fs -o ro
	same v "$(cat "$MNT/dir/key")"
	same dir "$(ls "$MNT")"
	fails_with "Read-only" touch "$MNT/dir/key"
	fails_with "Read-only" rm "$MNT/dir/key"
	fails_with "Read-only" mkdir "$MNT/other"
	fails_with "Read-only" setfattr -n user.x -v x "$MNT/dir/key"
}

@test "-o uid=, gid= and umask= set owner and modes" {
	start_fs -o uid=4711,gid=4712,umask=027
	echo v >"$MNT/key"
	mkdir "$MNT/dir"
	same "4711 4712 640" "$(stat -c '%u %g %a' "$MNT/key")"
	same "4711 4712 750" "$(stat -c '%u %g %a' "$MNT/dir")"
	[ "$(id -u)" = 0 ] || return 0
	chown 4711:4712 "$MNT/key"
	fails_with "Operation not permitted" chown 0 "$MNT/key"
}

@test "-o subdir= mounts a part" {
	start_fs
	mkdir -p "$MNT/a/b"
	echo v >"$MNT/a/b/key"
	echo top >"$MNT/top"
	start_fs -m "$T/part" -o subdir=a/b
	same key "$(ls "$T/part")"
	same v "$(cat "$T/part/key")"
	echo w >"$T/part/key"
	mkdir "$T/part/new"
	mv "$T/part/key" "$T/part/new/"
	same w "$(cat "$MNT/a/b/new/key")"
	echo x >"$MNT/a/b/seen"
	wait_for 20 test -e "$T/part/seen"
	same x "$(cat "$T/part/seen")"
	same "$(stat -c %i "$MNT/a/b")" "$(stat -c %i "$T/part")"
	fails_with "no such directory" "$KEYDIR_FS" --store "$STORE" -o subdir=a/none "$T/part"
	fails_with "Not a directory" "$KEYDIR_FS" --store "$STORE" -o subdir=top "$T/part"
}

@test "umount of a busy mount is refused; a lazy one detaches" {
	start_fs
	echo v >"$MNT/key"
	exec 7<"$MNT/key"
	fails_with busy umount "$MNT"
	umount -l "$MNT"
	not is_mounted "$MNT"
	same v "$(cat <&7)"
	exec 7<&-
	forget "$FS_PID"
	wait_for 10 not is_running "$FS_PID"
}

@test "SIGTERM under load keeps every closed file" {
	start_fs
	(
		n=0
		while echo "$n" >"$MNT/key$n"; do
			n=$((n + 1))
			echo "$n" >"$T/closed"
		done
	) 2>/dev/null &
	local writer=$!
	wait_for 10 test -e "$MNT/key500"
	stop "$FS_PID"
	wait "$writer" || true
	start_fs
	local n i
	n=$(cat "$T/closed")
	[ "$n" -ge 500 ]
	for ((i = 0; i < n; i += 7)); do
		same "$i" "$(cat "$MNT/key$i")"
	done
	same "$((n - 1))" "$(cat "$MNT/key$((n - 1))")"
}

@test "kill -9 of the mount under load keeps every closed file, and REST continues" {
	start_fs
	start_httpd
	local w pids=()
	for w in 1 2 3; do
		# Not the shell, which ignores the result of close.
		python3 - "$MNT/w$w." "$T/closed$w" <<-'PY' 2>/dev/null &
			import itertools, sys
			for n in itertools.count():
			    with open(sys.argv[1] + str(n), "w") as file:
			        file.write(f"{n}\n")
			    with open(sys.argv[2], "w") as file:
			        file.write(f"{n + 1}\n")
		PY
		pids+=($!)
	done
	(
		n=0
		while [ ! -e "$T/enough" ]; do
			curl -s -f -o /dev/null -X PUT -d "$n" "$URL/v1/kv/r$n" || break
			n=$((n + 1))
			echo "$n" >"$T/put"
		done
	) &
	pids+=($!)
	wait_for 20 test -e "$MNT/w1.1000"
	kill_hard "$FS_PID"
	local before
	before=$(cat "$T/put")
	fails_with "not connected" timeout 10 ls "$MNT"
	wait_for 10 bash -c "[ \$(cat '$T/put') -gt $((before + 20)) ]"
	touch "$T/enough"
	wait "${pids[@]}" || true
	rest GET /readyz
	same 200 "$status"
	# The new mount replaces the dead one.
	start_over
	local i n
	for w in 1 2 3; do
		n=$(cat "$T/closed$w")
		for ((i = 0; i < n; i += 13)); do
			same "$i" "$(cat "$MNT/w$w.$i")"
		done
		same "$((n - 1))" "$(cat "$MNT/w$w.$((n - 1))")"
	done
	n=$(cat "$T/put")
	for ((i = 0; i < n; i += 13)); do
		same "$i" "$(cat "$MNT/r$i")"
	done
}

@test "another user needs allow_other and the permission of the modes" {
	[ "$(id -u)" = 0 ] || skip_or_fail "needs root"
	require setpriv
	start_fs
	echo v >"$MNT/open"
	fails_with "Permission denied" as_nobody cat "$MNT/open"
	stop "$FS_PID"
	start_fs -o allow_other
	same v "$(as_nobody cat "$MNT/open")"
	echo v >"$MNT/closed"
	chmod 600 "$MNT/closed"
	fails_with "Permission denied" as_nobody cat "$MNT/closed"
	fails_with "Permission denied" as_nobody bash -c "echo x >'$MNT/open'"
	fails_with "Permission denied" as_nobody touch "$MNT/new"
	fails_with "Permission denied" as_nobody rm -f "$MNT/open"
	mkdir -m 777 "$MNT/shared"
	as_nobody bash -c "echo mine >'$MNT/shared/key'"
	same mine "$(cat "$MNT/shared/key")"
	fails_with "Operation not permitted" as_nobody chmod 777 "$MNT/open"
}

@test "a user without privileges mounts through fusermount3" {
	[ "$(id -u)" = 0 ] || skip_or_fail "needs root to become somebody else"
	require setpriv unshare
	mkdir "$T/home" "$T/home/mnt" "$T/dev"
	chown -R 65534:65534 "$T/home"
	cat >"$T/script" <<-'END'
		set -e
		as_nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
		# With the modes that udev sets on ordinary systems: open to all users.
		mount -t tmpfs -o dev,mode=755 tmpfs "$T/dev"
		mknod -m 666 "$T/dev/fuse" c 10 229
		mount --bind "$T/dev/fuse" /dev/fuse
		as_nobody "$KEYDIR_FS" --store "$T/home/store" --log-file "$T/home/fs.log" "$T/home/mnt"
		as_nobody sh -c 'cd "$T/home/mnt" && echo v >key && mkdir dir && cp -a key dir/copy &&
			cat dir/copy && stat -c "%u %g" key
			exec 7<key
			fusermount3 -u . 2>/dev/null && echo unmounted while busy
			exec 7<&-'
		as_nobody "$KEYDIR_FS" --store "$T/home/store" -o allow_other "$T/home" 2>"$T/refused" &&
			exit 1
		as_nobody fusermount3 -u "$T/home/mnt"
		for i in $(seq 100); do
			grep -q unmounted "$T/home/fs.log" && exit 0
			sleep 0.1
		done
		exit 1
	END
	# A mount namespace of its own, so that the device is changed for this test only.
	export T KEYDIR_FS
	timeout 60 unshare -m bash "$T/script" >"$T/out" 3>&- 4>&- 5>&-
	same $'v\n65534 65534' "$(cat "$T/out")"
	grep -q user_allow_other "$T/refused"
	not grep -E 'error|warn' "$T/home/fs.log"
}

@test "two mounts of one store show the same at once" {
	start_fs
	local first=$FS_PID
	start_fs -m "$T/second"
	local i
	for i in {1..200}; do
		echo "$i" >"$MNT/key"
		wait_for 20 bash -c "[ \"\$(cat '$T/second/key')\" = $i ]"
		echo "b$i" >"$T/second/key"
		wait_for 20 bash -c "[ \"\$(cat '$MNT/key')\" = b$i ]"
	done
	kill_hard "$first"
	echo alone >"$T/second/key"
	same alone "$(cat "$T/second/key")"
	start_over
	same alone "$(cat "$MNT/key")"
}

@test "fsync of a file and a directory, and sync, succeed" {
	start_fs
	mkdir "$MNT/dir"
	python3 - "$MNT/dir" <<'PY'
import os, sys
fd = os.open(sys.argv[1] + "/key", os.O_CREAT | os.O_WRONLY)
os.write(fd, b"v")
os.fsync(fd)
d = os.open(sys.argv[1], os.O_RDONLY)
os.fsync(d)
with open(sys.argv[1] + "/key") as f:
    assert f.read() == "v"
os.close(fd)
PY
	sync "$MNT/dir" "$MNT/dir/key"
	sync -f "$MNT"
}

@test "echo to a key is one event" {
	start_fs
	echo a >"$MNT/key"
	local before after
	before=$(getfattr --absolute-names --only-values -n user.version "$MNT/key")
	echo b >"$MNT/key"
	after=$(getfattr --absolute-names --only-values -n user.version "$MNT/key")
	same 1 $((after - before))
	echo c >>"$MNT/key"
	after=$(getfattr --absolute-names --only-values -n user.version "$MNT/key")
	same 2 $((after - before))
	echo d >"$MNT/other"
	after=$(getfattr --absolute-names --only-values -n user.version "$MNT/other")
	same 3 $((after - before))
	: >"$MNT/other"
	after=$(getfattr --absolute-names --only-values -n user.version "$MNT/other")
	same 4 $((after - before))
	: >"$MNT/other"
	same "$after" "$(getfattr --absolute-names --only-values -n user.version "$MNT/other")"
}

@test "REST shows an empty file once it is closed" {
	start_fs
	start_httpd
	echo full >"$MNT/emptied"
	python3 - "$MNT" "${URL#http://}" <<'PY'
import http.client, os, sys
mnt, address = sys.argv[1:]
rest = http.client.HTTPConnection(address)

def get(key):
    rest.request("GET", "/v1/kv/" + key)
    answer = rest.getresponse()
    return answer.status, answer.read()

for i in range(300):
    os.close(os.open(mnt + "/made%d" % i, os.O_CREAT | os.O_WRONLY))
    assert get("made%d" % i) == (200, b""), i
    with open(mnt + "/emptied", "w") as file:
        file.write("full")
    os.close(os.open(mnt + "/emptied", os.O_TRUNC | os.O_WRONLY))
    assert get("emptied") == (200, b""), i
PY
	touch "$MNT/touched"
	rest GET /v1/kv/touched
	same 200 "$status"
	: >"$MNT/emptied"
	rest GET /v1/kv/emptied
	same 0 "$(wc -c <"$T/body")"
}

@test "close reports a file that cannot be logged, including an empty one" {
	start_fs --size 1M
	start_httpd
	head -c 2M /dev/zero | split -b 1000 - "$MNT/fill" 2>/dev/null || true
	# Less space is left than one of those needs; empty ones need some, too.
	touch_more() {
		local i
		for ((i = 0; i < 100; i++)); do touch "$MNT/more $i" || return; done
	}
	run touch_more
	[ "$status" != 0 ]
	[[ $output == *"No space left"* ]]
}

@test "a write is seen at once on its mount, and elsewhere when the file is closed" {
	start_fs
	start_fs -m "$T/second"
	start_httpd
	echo -n old >"$MNT/key"
	python3 - "$MNT/key" "$T/second/key" "$URL/v1/kv/key" <<'PY'
import os, sys, urllib.request
here, there, url = sys.argv[1:]

def values():
    with urllib.request.urlopen(url) as answer:
        rest = answer.read()
    return [open(here, "rb").read(), open(there, "rb").read(), rest]

assert values() == [b"old"] * 3
fd = os.open(here, os.O_WRONLY | os.O_TRUNC)
assert values() == [b"", b"old", b"old"], values()
os.write(fd, b"new")
assert values() == [b"new", b"old", b"old"], values()
os.pwrite(fd, b"N", 0)
assert values() == [b"New", b"old", b"old"], values()
os.close(fd)
assert values() == [b"New"] * 3, values()
PY
}

@test "a new file is invisible to others until it is closed, and then complete" {
	start_fs
	start_httpd
	python3 - "$MNT" "$URL/v1/kv" <<'PY'
import os, sys, time, urllib.error, urllib.request
mnt, url = sys.argv[1:]

def rest(key):
    try:
        with urllib.request.urlopen(url + "/" + key) as answer:
            return answer.read()
    except urllib.error.HTTPError as e:
        return e.code

fd = os.open(mnt + "/key", os.O_CREAT | os.O_WRONLY)
assert os.listdir(mnt) == ["key"]
assert os.stat(mnt + "/key").st_size == 0
os.write(fd, b"half ")
assert os.stat(mnt + "/key").st_size == 5
assert open(mnt + "/key").read() == "half "
assert rest("key") == 404
os.write(fd, b"whole")
os.close(fd)
assert rest("key") == b"half whole"

fd = os.open(mnt + "/key", os.O_WRONLY | os.O_TRUNC)
os.write(fd, b"next")
assert rest("key") == b"half whole"
os.close(fd)
assert rest("key") == b"next"

os.close(os.open(mnt + "/empty", os.O_CREAT | os.O_WRONLY))
deadline = time.monotonic() + 60
while rest("empty") != b"":  # by the release, which follows the close
    assert time.monotonic() < deadline

fd = os.open(mnt + "/dropped", os.O_CREAT | os.O_RDWR)
os.write(fd, b"x")
os.unlink(mnt + "/dropped")
assert os.pread(fd, 9, 0) == b"x"
os.close(fd)
assert rest("dropped") == 404

# As a shell does it: the first descriptor is closed before anything is written.
fd = os.open(mnt + "/key", os.O_WRONLY | os.O_TRUNC)
out = os.dup(fd)
os.close(fd)
assert rest("key") == b"next"
os.write(out, b"redirected")
assert rest("key") == b"next"
os.close(out)
assert rest("key") == b"redirected"

fd = os.open(mnt + "/key", os.O_WRONLY | os.O_TRUNC)
os.close(os.dup(fd))
assert rest("key") == b"redirected"
os.close(fd)
assert rest("key") == b""

fd = os.open(mnt + "/synced", os.O_CREAT | os.O_WRONLY)
os.write(fd, b"now")
os.fsync(fd)
assert rest("synced") == b"now"
os.close(fd)
PY
}
