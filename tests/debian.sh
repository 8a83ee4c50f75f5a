#!/bin/bash
# Run a command in a clone of this tree on another release of Debian.
#
#   tests/debian.sh RELEASE [COMMAND...]     COMMAND is `make test` by default
#
# debootstrap creates the release's root directory once, from the mirror in apt's
# configuration, as build/debian/RELEASE (KEYDIR_DEBIAN=DIR puts it elsewhere); remove it
# to start again. The clone, in its /root/keydir, has this tree's last commit, and keeps
# its build directory between runs. COMMAND runs as root with its own mounts, processes
# and /dev/shm and with the network of this machine. Runs for the same release wait for
# each other.
# Needs root, debootstrap, git and /dev/fuse.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)

die() {
	echo "debian: $*" >&2
	exit 1
}

[ $# -ge 1 ] || die "usage: tests/debian.sh RELEASE [COMMAND...]"
release=$1
shift
[ $# -gt 0 ] || set -- make test
[ "$(id -u)" = 0 ] || die "needs root, for debootstrap and mounts"
for program in debootstrap git unshare pivot_root; do
	command -v "$program" >/dev/null || die "needs $program"
done

root=${KEYDIR_DEBIAN:-$top/build/debian}/$release
clone=$root/root/keydir

# Print the first archive of Debian that apt uses, except for that of security updates.
mirror() {
	# shellcheck disable=SC2016 # apt-get expands them
	apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(SUITE)' 'Created-By: Packages' |
		awk '$2 == "Debian" && $3 !~ /security/ { print $1; exit }'
}

make_root() {
	local from
	from=$(mirror)
	[ -n "$from" ] || die "apt's configuration names no archive of Debian (after apt-get update)"
	rm -rf "$root.new"
	debootstrap --variant=minbase --include=ca-certificates,git,make "$release" "$root.new" "$from"
	# A proxy's certificate, if this machine has one.
	cp /usr/local/share/ca-certificates/*.crt "$root.new/usr/local/share/ca-certificates/" 2>/dev/null &&
		chroot "$root.new" update-ca-certificates
	mv "$root.new" "$root"
}

mkdir -p "${root%/*}"
exec 9>"$root.lock"
flock 9
[ -d "$root" ] || make_root
if [ -d "$clone" ]; then
	git -C "$clone" fetch -q "$top" HEAD
	git -C "$clone" reset -q --hard FETCH_HEAD
else
	git clone -q "$top" "$clone"
fi
cp -L /etc/resolv.conf /etc/hosts "$root/etc/"

# pivot_root, because a process in a chroot may not make user namespaces.
# shellcheck disable=SC2016 # expanded by the inner shell
exec unshare -m -p -f --kill-child --propagation private bash -euc '
	root=$1
	shift
	mount --bind "$root" "$root"
	mount -t proc proc "$root/proc"
	mount --rbind /sys "$root/sys"
	mount --rbind /dev "$root/dev"
	mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
	cd "$root"
	pivot_root . .
	umount -l .
	cd /root/keydir
	export HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
	exec "$@"
' debian "$root" "$@"
