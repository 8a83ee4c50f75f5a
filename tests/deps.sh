#!/bin/bash
# Install the missing packages of tests/packages.txt. Fast and silent if none is
# missing; it asks no questions.
#
#   tests/deps.sh [PURPOSE...]    all, or those for building, running, testing,
#                                 fuzzing, cluster, containers, checking, benchmarks
set -euo pipefail
cd "$(dirname "$0")"

if ! command -v dpkg-query >/dev/null; then
	echo "deps: this is no Debian or Ubuntu: install what tests/packages.txt lists yourself" >&2
	exit 0
fi

installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' 2>/dev/null |
	sed -n 's/^installed //p')
is_installed() { grep -qxF -- "$1" <<<"$installed"; }

# The lines whose alternatives are all missing.
missing=()
while read -r line; do
	have=0
	for package in ${line//|/ }; do
		if is_installed "$package"; then have=1; fi
	done
	[ "$have" = 1 ] || missing+=("$line")
done < <(awk -v purposes=" $* " '
	/^#/ || /^$/ { next }
	/^\[/ { wanted = purposes == "  " || index(purposes, " " substr($0, 2, length($0) - 2) " "); next }
	wanted' packages.txt)
[ ${#missing[@]} -gt 0 ] || exit 0

sudo=()
if [ "$(id -u)" != 0 ]; then
	if ! command -v sudo >/dev/null; then
		echo "deps: missing: ${missing[*]}; neither root nor sudo, so install them yourself" >&2
		exit 1
	fi
	sudo=(sudo)
fi

echo "deps: installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
# A new system may be updating itself: wait for its lock.
apt=("${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o Dpkg::Use-Pty=0
	-o DPkg::Lock::Timeout=300)
"${apt[@]}" update
packages=()
# Whether apt can install PACKAGE. `apt-cache show` also knows purely virtual
# packages, which cannot be installed.
has_candidate() {
	local policy
	policy=$(LC_ALL=C apt-cache policy "$1" 2>/dev/null)
	grep -q '^  Candidate: ' <<<"$policy" && ! grep -qxF '  Candidate: (none)' <<<"$policy"
}

for line in "${missing[@]}"; do
	found=
	for package in ${line//|/ }; do
		if has_candidate "$package"; then
			found=$package
			break
		fi
	done
	if [ -z "$found" ]; then
		echo "deps: no package source has ${line//|/ or }" >&2
		exit 1
	fi
	packages+=("$found")
done
# Packages must not start their servers (redis, nginx); the benchmarks start their own.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	printf '#!/bin/sh\nexit 101\n' | "${sudo[@]}" tee "$policy" >/dev/null
	"${sudo[@]}" chmod 755 "$policy"
	trap '"${sudo[@]}" rm -f "$policy"' EXIT
fi
"${apt[@]}" install -y --no-install-recommends "${packages[@]}" </dev/null
