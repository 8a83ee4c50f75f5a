#!/bin/bash
# Makes local stand-ins for the images that docker-compose.yml names, where no
# image registry can be asked: debian:bookworm-slim (with all packages that
# Dockerfile installs, so that building it needs no network), apache/kafka (from
# the jars of tests/kafka) and nginx (Debian's).
#
#   images.sh DIR     DIR keeps the file system between runs
#
# DOCKER_HOST says which daemon gets them. Needs root and debootstrap.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
dir=$1
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
kafka_jars=${KAFKA_BUILD:-$top/build/kafka}/jars

image_of() { sed -n "s|^ *image: \\($1:[^ ]*\\)\$|\\1|p" "$top/docker-compose.yml"; }
kafka=$(image_of apache/kafka)
nginx=$(image_of nginx)

packages() {
	sed -n '/^\[building\]/,/^$/s/^\([a-z0-9][^|]*\).*/\1/p' "$top/tests/packages.txt"
	# What the second stage of Dockerfile installs, and the stand-ins.
	tr -d '\\\n\t' <"$top/Dockerfile" |
		sed 's/.*no-install-recommends \(attr[^&]*\)&&.*/\1/' | tr ' ' '\n' | grep .
	printf '%s\n' bash ca-certificates nginx-light openjdk-17-jre-headless
}

make_rootfs() {
	local root=$dir/root mirror
	# The mirror that this machine uses.
	mirror=$({ cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null || true; } |
		sed -n 's/^URIs: *\([^ ]*\).*/\1/p; s/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*\) .*/\2/p' |
		grep -v security | head -n 1)
	rm -rf "$root"
	debootstrap --variant=minbase bookworm "$root" "$mirror"
	cp /etc/resolv.conf "$root/etc/resolv.conf"
	mkdir -p "$root/usr/share/man/man1"
	printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
	chmod +x "$root/usr/sbin/policy-rc.d"
	# Java's package wants /proc; the mount goes with the process.
	# shellcheck disable=SC2046,SC2016 # words are meant; the inner shell expands
	DEBIAN_FRONTEND=noninteractive unshare --mount bash -c \
		'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"' "$root" \
		apt-get install -y --no-install-recommends $(packages)
	chroot "$root" apt-get clean
	# With no source there is nothing to ask: `apt-get update` succeeds.
	rm -rf "$root"/etc/apt/sources.list* "$root"/var/lib/apt/lists/*
	tar -C "$root" -cf "$dir/root.tar.new" .
	mv "$dir/root.tar.new" "$dir/root.tar"
	rm -rf "$root"
	packages >"$dir/packages"
}

exec 9>"$dir/lock"
flock 9
if [ ! -e "$dir/root.tar" ] || ! packages | cmp -s - "$dir/packages"; then
	make_rootfs
fi
docker import "$dir/root.tar" debian:bookworm-slim

context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
cp -r "$kafka_jars" "$context/libs"
cp "$here/kafka.sh" "$context/kafka.sh"
docker build -q -t "$kafka" -f - "$context" <<'DOCKERFILE'
FROM debian:bookworm-slim
COPY libs /opt/kafka/libs
COPY kafka.sh /kafka.sh
RUN useradd -u 1000 appuser && mkdir -p /var/lib/kafka/data && chown appuser /var/lib/kafka/data
USER appuser
CMD ["bash", "/kafka.sh"]
DOCKERFILE
rm -rf "$context/libs" "$context/kafka.sh"
docker build -q -t "$nginx" -f - "$context" <<'DOCKERFILE'
FROM debian:bookworm-slim
RUN useradd nginx && ln -sfn /usr/sbin/nginx /usr/local/bin/nginx
STOPSIGNAL SIGQUIT
CMD ["nginx", "-p", "/etc/nginx", "-g", "daemon off;"]
DOCKERFILE
