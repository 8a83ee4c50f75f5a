#!/usr/bin/env bats
# The background check compares the kernel's caches with the store; it counts, logs and invalidates
# a difference.

load helper

# A library for keydir-fs that drops the notifications that $T/lose names: "all", or "pages" (then
# attributes are still invalidated).
build_losing() {
	require gcc
	[ -z "${SANITIZER:-}" ] || skip_or_fail "a preloaded library does not go with a sanitizer"
	cat >"$T/losing.c" <<-'C'
		#define _GNU_SOURCE
		#include <dlfcn.h>
		#include <fcntl.h>
		#include <linux/fuse.h>
		#include <stdlib.h>
		#include <string.h>
		#include <sys/uio.h>
		#include <unistd.h>
		ssize_t writev(int fd, const struct iovec *iov, int n)
		{
			ssize_t (*real)(int, const struct iovec *, int) = dlsym(RTLD_NEXT, "writev");
			const struct fuse_out_header *out = iov[0].iov_base;
			char what[16] = "";
			int lose = open(getenv("LOSE"), O_RDONLY | O_CLOEXEC);
			if (lose >= 0) {
				read(lose, what, sizeof(what) - 1);
				close(lose);
			}
			if (n < 2 || iov[0].iov_len != sizeof(*out) || out->unique || !*what ||
			    (out->error != FUSE_NOTIFY_INVAL_INODE &&
			     out->error != FUSE_NOTIFY_INVAL_ENTRY &&
			     out->error != FUSE_NOTIFY_DELETE))
				return real(fd, iov, n);
			if (strcmp(what, "pages") == 0 && out->error == FUSE_NOTIFY_INVAL_INODE) {
				struct fuse_notify_inval_inode_out *in = iov[1].iov_base;
				in->off = -1;
				return real(fd, iov, n);
			}
			return out->len;
		}
	C
	gcc -shared -fPIC -Wno-unused-result -o "$T/losing.so" "$T/losing.c"
	export LOSE=$T/lose
}

start_both() {
	start_httpd
	LD_PRELOAD=${1:-} start_fs --check-rate 200
}

# A counter of the mount, as the node's REST server shows it.
counter() {
	curl -sf "$URL/metrics" | sed -n "s/^keydir_mount_$1_total{process=\"keydir-fs\"[^}]*} //p"
}

counter_is() { [ "$(counter "$1")" = "$2" ]; }

put() { rest PUT "/v1/kv/$1" --data-binary "$2" && [[ $status == 20* ]]; }

# lost KIND COMMAND...: the kernel gets no notification of the changes that COMMAND makes.
lost() {
	printf %s "$1" >"$T/lose"
	shift
	"$@"
	wait_for 30 acknowledged
	rm "$T/lose"
}

# Makes a change that the kernel has nothing of; succeeds if the mount has followed it in time.
acknowledged() {
	put other/key v && [ -z "$(header X-Keydir-Mount)" ]
}

size_is() { [ "$(stat -c %s "$1")" = "$2" ]; }
value_is() { [ "$(cat "$1")" = "$2" ]; }

needs_probe() {
	! grep -q 'are not checked' "$T"/fs*.log || skip_or_fail "needs CAP_SYS_ADMIN and Linux 5.12"
}

@test "a lost invalidation of attributes is counted, logged and mended" {
	build_losing
	start_both "$T/losing.so"
	needs_probe
	allow_log 'differs from the store'
	put a/key old
	same 3 "$(stat -c %s "$MNT/a/key")"
	lost all put a/key longer
	wait_for 30 counter_is differences 1
	grep 'differs from the store' "$T"/fs*.log >"$T/found"
	grep -q 'key="a/key" kernel="mode 100644, 3 bytes.*store="mode 100644, 6 bytes.*version=' "$T/found"
	wait_for 10 size_is "$MNT/a/key" 6
	same longer "$(cat "$MNT/a/key")"
}

@test "a lost invalidation of a name is counted, logged and mended: made, removed, replaced" {
	build_losing
	start_both "$T/losing.so"
	needs_probe
	allow_log 'differs from the store'
	put a/removed v
	put a/replaced v
	stat "$MNT/a/removed" "$MNT/a/replaced"
	not stat "$MNT/a/made"
	lost all put a/made v
	lost all rest DELETE /v1/kv/a/removed
	lost all rest DELETE /v1/kv/a/replaced
	lost all put a/replaced w
	wait_for 30 counter_is differences 3
	grep 'differs from the store' "$T"/fs*.log >"$T/found"
	grep -q 'key="a/made" kernel="no such name" store="inode [0-9]*"' "$T/found"
	grep -q 'key="a/removed" kernel="inode [0-9]*" store="no such name"' "$T/found"
	grep -q 'key="a/replaced" kernel="inode [0-9]*" store="inode [0-9]*"' "$T/found"
	wait_for 10 value_is "$MNT/a/made" v
	wait_for 10 not stat "$MNT/a/removed"
	wait_for 10 value_is "$MNT/a/replaced" w
}

@test "a lost invalidation of pages is counted, logged and mended" {
	build_losing
	start_both "$T/losing.so"
	allow_log 'differs from the store'
	head -c 300000 /dev/zero | tr '\0' 1 >"$T/old"
	head -c 300000 /dev/zero | tr '\0' 2 >"$T/new"
	put a/key "@$T/old"
	# Through the page cache, which is used if the value did not change shortly before the open.
	py <<-PY
		import mmap, os, time
		deadline = time.monotonic() + 60
		while True:
		    with open("$MNT/a/key", "rb") as f, mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ) as m:
		        assert m[:] == b"1" * 300000
		    if os.system("curl -sf '$URL/metrics' | grep -q '^keydir_mount_checks_total{.* [1-9]'") == 0:
		        break
		    assert time.monotonic() < deadline
	PY
	lost pages put a/key "@$T/new"
	wait_for 30 counter_is differences 1
	grep -q 'key="a/key" kernel="[0-9]* bytes from [0-9]* on with the CRC-64' "$T"/fs*.log
	wait_for 10 cmp "$T/new" "$MNT/a/key"
}

@test "two mounts and REST change the same keys, and no difference is found" {
	start_both
	local first=$MNT
	start_fs -m "$T/second" --check-rate 200
	A=$first B=$T/second py <<-'PY'
		import concurrent.futures, contextlib, os, random, time, urllib.request
		roots, url = [os.environ["A"], os.environ["B"]], os.environ["URL"]
		end = time.monotonic() + 8

		def rest(method, key, body=None):
		    urllib.request.urlopen(urllib.request.Request(
		        f"{url}/v1/kv/{key}", method=method, data=body)).read()

		def work(seed):
		    r = random.Random(seed)
		    while time.monotonic() < end:
		        root, key = r.choice(roots), f"d{r.randrange(3)}/k{r.randrange(12)}"
		        path, other = f"{root}/{key}", f"{root}/d{r.randrange(3)}/k{r.randrange(12)}"
		        what = r.randrange(10)
		        # Most fail now and then, because another thread was faster.
		        with contextlib.suppress(OSError):
		            if what < 3:
		                with open(path, "rb") as f:
		                    f.read()
		            elif what == 3:
		                os.stat(path)
		            elif what == 4:
		                with open(path, "wb") as f:
		                    f.write(r.randbytes(r.randrange(20000)))
		            elif what == 5:
		                with open(path, "ab") as f:
		                    f.write(b"more")
		            elif what == 6:
		                r.choice([os.unlink, lambda p: os.rename(p, other), lambda p: os.chmod(p, 0o600)])(path)
		            elif what == 7:
		                rest("PUT", key, r.randbytes(r.randrange(20000)))
		            elif what == 8:
		                rest("DELETE", key)
		            else:
		                os.makedirs(os.path.dirname(path), exist_ok=True)

		with concurrent.futures.ThreadPoolExecutor(6) as pool:
		    list(pool.map(work, range(6)))
	PY
	# Now that it is quiet, each difference found on the way is decided.
	local before
	mapfile -t before < <(counter checks)
	wait_for 60 both_compared "$((before[0] + 50))" "$((before[1] + 50))"
	same $'0\n0' "$(counter differences)"
}

# both_compared COUNT COUNT: whether the mounts have compared that many entries. Reads all keys, so
# that the kernel has some cached.
both_compared() {
	local now
	cat "$MNT"/d*/* "$T"/second/d*/* >/dev/null 2>&1
	mapfile -t now < <(counter checks)
	[[ ${now[0]} -gt $1 && ${now[1]} -gt $2 ]]
}

@test "the check keeps no mount busy, and ends with it" {
	require_fuse
	[ "$(id -u)" = 0 ] || skip_or_fail "needs root, to unmount without fusermount3"
	local i
	for i in {1..30}; do
		# Without -f: when it returns, nothing uses the mount.
		start daemon "$KEYDIR_FS" --store "$STORE" --check-rate 1000 "$MNT"
		wait "$PID"
		forget "$PID"
		echo "$i" >"$MNT/key"
		same "$i" "$(cat "$MNT/key")"
		umount "$MNT"
		wait_for 20 not pgrep -f "keydir-(fs|probe).* $MNT\$"
	done
}

@test "--check-rate 0 compares nothing, and more than 1000 is refused" {
	start_httpd
	start_fs --check-rate 0
	echo v >"$MNT/key"
	cat "$MNT/key"
	not pgrep -P "$FS_PID" -f keydir-probe
	same 0 "$(counter checks)"
	fails_with "--check-rate 1001: at most 1000" "$KEYDIR_FS" --check-rate 1001 "$T/none"
}
