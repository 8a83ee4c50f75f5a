# `make install` into a DESTDIR: the installed files work and are documented, and `make
# uninstall` removes them.

load helper

setup() {
	keydir_setup
	DEST=$T/dest
}

# PREFIX is the final place of the files. The link of the mount helper points there, so a
# test that runs the installed files sets it to DEST.
make_it() {
	(cd "$KEYDIR_ROOT" && env -u MAKEFLAGS -u MAKELEVEL make --no-print-directory "$@" \
		SANITIZER="${SANITIZER:-}" BUILD="${KEYDIR_BUILD%"${SANITIZER:+/${SANITIZER//,/-}}"}")
}

@test "install installs every file, and uninstall removes them" {
	make_it install DESTDIR="$DEST" PREFIX=/usr
	local file
	for file in usr/bin/keydir-fs usr/bin/keydir-httpd usr/share/man/man8/keydir-fs.8 \
		usr/share/man/man8/keydir-httpd.8 usr/lib/systemd/system/keydir-fs@.service \
		usr/lib/systemd/system/keydir-httpd.service usr/lib/tmpfiles.d/keydir.conf \
		usr/share/doc/keydir/README.md; do
		[ -s "$DEST/$file" ] || { echo "missing: $file" && false; }
	done
	same /usr/bin/keydir-fs "$(readlink "$DEST/usr/sbin/mount.fuse.keydir")"
	same 755 "$(stat -c %a "$DEST/usr/bin/keydir-fs")"
	same 644 "$(stat -c %a "$DEST/usr/share/man/man8/keydir-fs.8")"
	not grep -rn '@bindir@\|@OPTIONS@' "$DEST"
	grep -q '^ExecStart=/usr/bin/keydir-httpd' "$DEST/usr/lib/systemd/system/keydir-httpd.service"

	make_it uninstall DESTDIR="$DEST" PREFIX=/usr
	same "" "$(find "$DEST" ! -type d)"
}

@test "the installed files run: mount, REST, and mount(8)'s helper" {
	require_fuse
	make_it install PREFIX="$DEST"
	KEYDIR_FS=$DEST/bin/keydir-fs
	KEYDIR_HTTPD=$DEST/bin/keydir-httpd
	start_fs
	start_httpd
	echo value >"$MNT/key"
	rest GET /v1/kv/key
	same 200 "$status"
	same value "$(body)"

	# As mount(8) calls it: SOURCE DIRECTORY -o OPTIONS; it goes into the background by
	# itself.
	mkdir "$T/mnt2"
	KEYDIR_STORE=$STORE "$DEST/sbin/mount.fuse.keydir" keydir "$T/mnt2" -o rw,noatime 3>&- 4>&-
	is_mounted "$T/mnt2"
	same value "$(cat "$T/mnt2/key")"
	unmount "$T/mnt2"
	not is_mounted "$T/mnt2"
}

@test "the man pages are clean mdoc and name every option and variable" {
	require mandoc
	make_it man
	local program word words
	for program in keydir-fs keydir-httpd; do
		mandoc -T lint -W warning "$KEYDIR_BUILD/man/$program.8"
		mandoc -T ascii "$KEYDIR_BUILD/man/$program.8" | col -b >"$T/page"
		"$KEYDIR_BUILD/$program" --help >"$T/help"
		words=$(grep -oE -- '--[a-z][a-z-]+|KEYDIR_[A-Z_]+' "$T/help" | sort -u)
		[ "$(wc -l <<<"$words")" -ge 10 ]
		for word in $words; do
			grep -qF -- "$word" "$T/page" || { echo "$program(8) lacks $word" && false; }
		done
	done
}

@test "the version is the Makefile's" {
	local version
	version=$(sed -n 's/^VERSION = //p' "$KEYDIR_ROOT/Makefile")
	run -0 "$KEYDIR_FS" --version
	[[ $output == *"$version"* ]]
	run -0 "$KEYDIR_HTTPD" --version
	[[ $output == *"$version"* ]]
}

# privileges UNIT: print a command prefix that leaves the privileges that the unit leaves.
privileges() {
	sed -n 's/^CapabilityBoundingSet=//p' "$1" | tr 'A-Z ' 'a-z,' | sed 's/cap_/+/g; s/^./,&/
		s/^/setpriv --no-new-privs --bounding-set -all/'
}

@test "the units leave the programs the privileges that they need" {
	[ "$(id -u)" = 0 ] || skip_or_fail "needs root, as the units are run by"
	require setpriv
	local fs httpd
	read -ra fs < <(privileges "$KEYDIR_ROOT/fs/keydir-fs@.service")
	read -ra httpd < <(privileges "$KEYDIR_ROOT/httpd/keydir-httpd.service")
	[[ ${fs[*]} == *" -all,+"* ]]
	# A directory of another user, an existing store, the leftovers of a dead process.
	mkdir "$T/home"
	chown 4711 "$T/home"
	chmod 755 "$T/home"
	"${fs[@]}" mkdir "$T/home/mnt"
	local round
	for round in 1 2; do
		start "fs$round" "${fs[@]}" "$KEYDIR_FS" -f -o allow_other,default_permissions --store "$STORE" "$T/home/mnt"
		FS_PID=$PID
		wait_ready 15 "$FS_PID" is_mounted "$T/home/mnt"
		wait_for 10 eval 'echo value >"$T/home/mnt/key"'
		[ $round = 2 ] || kill_hard "$FS_PID"
	done
	PORT=$(free_port)
	start httpd1 "${httpd[@]}" "$KEYDIR_HTTPD" --store "$STORE" --listen "127.0.0.1:$PORT"
	HTTPD_PID=$PID
	URL=http://127.0.0.1:$PORT
	wait_ready 15 "$HTTPD_PID" curl -sf -o /dev/null "$URL/readyz"
	rest GET /v1/kv/key
	same value "$(body)"
	stop "$HTTPD_PID"
	"${fs[@]}" fusermount3 -u "$T/home/mnt"
	not is_mounted "$T/home/mnt"
	wait_for 20 not is_running "$FS_PID"
	forget "$FS_PID"
}

# setting UNIT NAME: print the values of a setting, one a line.
setting() { sed -n "s/^$2=//p" "$1" | tr ' ' '\n'; }

@test "the REST server's unit allows a store in /var/lib and an access log in /var/log" {
	local unit=$KEYDIR_ROOT/httpd/keydir-httpd.service
	same strict "$(setting "$unit" ProtectSystem)"
	setting "$unit" ReadWritePaths | grep -qx /dev/shm
	same keydir "$(setting "$unit" StateDirectory)"
	same keydir "$(setting "$unit" LogsDirectory)"
	# Other users must not create files in the store's directory.
	same 0700 "$(setting "$unit" StateDirectoryMode)"
}

@test "the default store's directory is created at boot, for root only" {
	[ "$(id -u)" = 0 ] || skip_or_fail "needs root, as the units are run by"
	require systemd-tmpfiles
	make_it install DESTDIR="$DEST" PREFIX=/usr
	mkdir -p "$DEST/dev/shm" "$DEST/etc"
	cp /etc/passwd /etc/group "$DEST/etc/"
	systemd-tmpfiles --root="$DEST" --create keydir.conf
	same "700 0 0" "$(stat -c '%a %u %g' "$DEST/dev/shm/keydir")"
}

@test "systemd accepts the units" {
	require systemd-analyze
	make_it install PREFIX="$DEST"
	# It also reports faults in other units of the machine; only ours count.
	local units=$DEST/lib/systemd/system
	cp "$units/keydir-fs@.service" "$units/keydir-fs@srv-cache.service"
	run systemd-analyze verify --man=no --recursive-errors=no "$units/keydir-httpd.service" \
		"$units/keydir-fs@srv-cache.service"
	echo "$output"
	not grep -iE 'keydir.*(unknown|invalid|ignoring|failed|not executable|bad)' <<<"$output"
}

@test "the mount's unit stops well, before and after an administrator's umount" {
	local command how
	command=$(sed -n 's/^ExecStop=-*//p' "$KEYDIR_ROOT/fs/keydir-fs@.service")
	command=${command//%f/$MNT}
	for how in "$command" "umount '$MNT'"; do
		start_fs
		bash -c "$how"
		wait_for 20 not is_running "$FS_PID"
		wait "$FS_PID" # with 0: systemd must not start it again
		forget "$FS_PID"
		not is_mounted "$MNT"
		bash -c "$command"
	done
}
