#!/bin/bash
# Build local stand-ins for the images that docker-compose.yml and Dockerfile name, for
# machines without an image registry: debian:bookworm-slim (with the packages that
# Dockerfile installs in it as a package source, so that it really installs them, without
# a network), apache/kafka (from the jars of
# tests/kafka) and nginx (Debian's).
#
#   images.sh DIR     DIR keeps the file system between runs
#
# DOCKER_HOST names the daemon that gets them. Needs root and debootstrap.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
dir=$1
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
kafka_jars=${KAFKA_BUILD:-$top/build/kafka}/jars
# Every version of docker has the classic builder.
export DOCKER_BUILDKIT=0

image_of() { sed -n "s|^ *image: \\($1:[^ ]*\\)\$|\\1|p" "$top/docker-compose.yml"; }
kafka=$(image_of apache/kafka)
nginx=$(image_of nginx)

kafka_packages=(openjdk-17-jre-headless)
nginx_packages=(nginx-light curl)

packages() {
	sed -n '/^\[building\]/,/^$/s/^\([a-z0-9][^|]*\).*/\1/p' "$top/tests/packages.txt"
	# The packages that the last stage of Dockerfile installs.
	sed -n '/^FROM/h; //!H; $ { g; p; }' "$top/Dockerfile" | tr -d '\\\n\t' |
		sed 's/.*no-install-recommends \([^&]*\)&&.*/\1/' | tr ' ' '\n' | grep .
	printf '%s\n' "${kafka_packages[@]}" "${nginx_packages[@]}"
}

# The mirror that this machine uses.
mirror() {
	{ cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null || true; } |
		sed -n 's/^URIs: *\([^ ]*\).*/\1/p; s/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*\) .*/\2/p' |
		grep '/debian/*$' | head -n 1
}

# Each file below DIR/var/cache/apt/archives as a paragraph of a Packages file.
index_packages() {
	local deb
	for deb in "$1"/*.deb; do
		dpkg-deb -f "$deb"
		printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "${deb##*/}" "$(stat -c %s "$deb")" \
			"$(sha256sum "$deb" | cut -d ' ' -f 1)"
	done
}

make_rootfs() {
	local root=$scratch/root
	debootstrap --variant=minbase bookworm "$root" "$(mirror)"
	rm -f "$root"/var/cache/apt/archives/*.deb
	cp /etc/resolv.conf "$root/etc/resolv.conf"
	packages >"$scratch/packages"
	# shellcheck disable=SC2046 # words are meant
	chroot "$root" apt-get install -y -d --no-install-recommends $(cat "$scratch/packages")
	mkdir "$root/packages"
	mv "$root"/var/cache/apt/archives/*.deb "$root/packages"
	index_packages "$root/packages" >"$root/packages/Packages"
	rm -rf "$root"/etc/apt/sources.list* "$root"/var/lib/apt/lists/*
	echo 'deb [trusted=yes] file:/packages ./' >"$root/etc/apt/sources.list"
	# As in the image of that name.
	echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/docker-apt-speedup"
	tar -C "$root" -cf "$dir/root.tar.new" .
	mv "$dir/root.tar.new" "$dir/root.tar"
	date +%s%N >"$dir/made"
	mv "$scratch/packages" "$dir/packages"
}

# A second import would create another image, and rebuild everything based on it.
is_imported() {
	[ "$(docker image inspect -f '{{.Config.Labels.made}}' debian:bookworm-slim 2>/dev/null)" = \
		"$(cat "$dir/made")" ]
}

exec 9>"$dir/lock"
flock 9
# In memory, so that writing thousands of small files does not wait for the disk.
scratch=$(mktemp -d /dev/shm/keydir-images.XXXXXX)
trap 'rm -rf --one-file-system "$scratch"' EXIT
if [ ! -e "$dir/root.tar" ] || ! packages | cmp -s - "$dir/packages"; then
	make_rootfs
fi
is_imported || docker import -c "LABEL made=$(cat "$dir/made")" "$dir/root.tar" debian:bookworm-slim

mkdir "$scratch/context"
cp -r "$kafka_jars" "$scratch/context/libs"
cp "$here/kafka.sh" "$scratch/context"
docker build -q -t "$kafka" -f - "$scratch/context" <<DOCKERFILE
FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ${kafka_packages[*]}
COPY libs /opt/kafka/libs
COPY kafka.sh /kafka.sh
RUN useradd -u 1000 appuser && mkdir -p /var/lib/kafka/data && chown appuser /var/lib/kafka/data
USER appuser
CMD ["bash", "/kafka.sh"]
DOCKERFILE
rm -r "$scratch/context"
mkdir "$scratch/context"
docker build -q -t "$nginx" -f - "$scratch/context" <<DOCKERFILE
FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ${nginx_packages[*]}
RUN useradd nginx && ln -sfn /usr/sbin/nginx /usr/local/bin/nginx
STOPSIGNAL SIGQUIT
CMD ["nginx", "-p", "/etc/nginx", "-g", "daemon off;"]
DOCKERFILE
