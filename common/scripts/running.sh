# shellcheck shell=bash
# Shared by up.sh, down.sh and cluster.sh: find this tree's programs and mounts.
# A program belongs to this tree if its standard output is a log file in the tree's
# run directory. So a pid file cannot be mistaken for a later process with the same
# pid, and losing a pid file does no harm. (The working directory does not identify a
# program: it is the top of the tree, to which users expect relative paths in KEYDIR_
# variables to refer.)

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
RUN=$ROOT/run
# shellcheck disable=SC2034 # used by the scripts that load this
MNT=$ROOT/mnt

say() { printf '%s\n' "$*"; }
fail() {
	printf 'keydir: %s\n' "$*" >&2
	exit 1
}

# default_store: print the default store of the programs, as common/store/place.c has it.
default_store() {
	if [ "$(id -u)" = 0 ]; then echo /dev/shm/keydir; else echo "/dev/shm/keydir-$(id -u)"; fi
}

# warn_of_logout STORE: warn if systemd-logind will remove STORE. At the last logout of
# a user who is not a system user it removes the user's files in /dev/shm, unless the
# user lingers (RemoveIPC= in logind.conf(5)). LOGIND and LINGER are for tests.
warn_of_logout() {
	local user
	user=$(id -un 2>/dev/null) || user=$(id -u)
	case $1 in /dev/shm/*) ;; *) return 0 ;; esac
	[ "$(id -u)" -ge 1000 ] && [ -d "${LOGIND:-/run/systemd/seats}" ] || return 0
	[ ! -e "${LINGER:-/var/lib/systemd/linger}/$user" ] || return 0
	printf '%s\n' "keydir: systemd-logind removes $1 at your last logout, unless you run" \
		"  loginctl enable-linger" "or choose a KEYDIR_STORE that is not in /dev/shm." >&2
}

# ours PROGRAM: print the pids of this tree's processes of that name.
ours() {
	local dir
	for dir in /proc/[0-9]*; do
		[ "$(cat "$dir/comm" 2>/dev/null)" = "$1" ] || continue
		is_running "${dir##*/}" || continue
		# A log file that was removed meanwhile reads as ".../fs.log (deleted)".
		case $(readlink "$dir/fd/1" 2>/dev/null) in
		"$RUN"/*/*) ;;
		"$RUN"/*) echo "${dir##*/}" ;;
		esac
	done
}

# has_lost_store PID: succeed if files of the store were removed while the process had
# them mapped. The process still uses them, but no other process can open them.
has_lost_store() {
	grep -qE '/(data\.mdb|lock\.mdb|bell|processes\.[0-9]+) \(deleted\)$' "/proc/$1/maps" 2>/dev/null
}

# is_running PID: succeed if the process exists and is not a zombie.
is_running() {
	local state
	state=$(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null)
	case $state in '' | Z | X) return 1 ;; esac
}

# foreign PROGRAM: succeed if another user, such as root, started PROGRAM here; this
# user cannot stop it.
foreign() {
	local file pid program=$1
	file=$RUN/${program#keydir-}.pid
	pid=$(cat "$file" 2>/dev/null) || return 1
	[ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$program" ] || return 1
	! readlink "/proc/$pid/fd/1" >/dev/null 2>&1 && is_running "$pid"
}

# is_mounted DIR. mountinfo writes blanks, tabs and backslashes as octal numbers.
is_mounted() {
	local dir=${1//\\/\\134}
	dir=${dir// /\\040}
	dir=${dir//$'\t'/\\011}
	DIR=$dir awk '$5 == ENVIRON["DIR"] { found = 1 } END { exit !found }' /proc/self/mountinfo
}

# wait_until SECONDS COMMAND...: wait until COMMAND succeeds; fail after SECONDS.
wait_until() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ $SECONDS -le $end ] || return 1
		sleep 0.05
	done
}

all_gone() {
	local pid
	for pid; do
		! is_running "$pid" || return 1
	done
}

# unmount DIR: remove a mount, even one whose process is dead.
unmount() {
	is_mounted "$1" || return 0
	fusermount3 -u "$1" 2>/dev/null || umount "$1" 2>/dev/null ||
		fusermount3 -u -z "$1" 2>/dev/null || umount -l "$1" 2>/dev/null
	! is_mounted "$1"
}

# lock: allow one `make up` or `make down` at a time.
lock() {
	mkdir -p "$RUN" || fail "cannot create $RUN"
	exec {LOCK}>"$RUN/lock" || fail "cannot write $RUN/lock"
	flock -w 60 "$LOCK" || fail "another 'make up' or 'make down' is running here"
}
