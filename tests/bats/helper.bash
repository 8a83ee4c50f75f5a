# Helper of every bats file: a node of its own for each test.
#
# A bats file begins with
#
#     load helper
#
# Each test gets an empty directory $T on tmpfs, $STORE (a store directory in it, not
# created yet) and $MNT (an empty directory to mount on). After the test its processes
# are stopped and everything below $T is unmounted. The test fails if a process died by
# itself, did not stop on SIGTERM, ended with a status other than 0, left a sanitizer's
# report, or logged a line that no healthy run logs. A file that needs more defines its
# own setup() and teardown(), which call keydir_setup and keydir_teardown.
#
# Starting (all wait for readiness, with a deadline; call them directly, not
# through `run`):
#   start_fs [-m DIR] [OPTION...]   keydir-fs on $MNT or DIR; sets FS_PID
#   start_httpd [OPTION...]         keydir-httpd on a free port; sets HTTPD_PID,
#                                   PORT and URL (http://127.0.0.1:PORT)
#   start NAME COMMAND...           anything else, in the background, with its
#                                   output in $T/NAME.log; sets PID
# Both programs use $STORE unless an option says --store. Their logs are
# $T/fs*.log and $T/httpd*.log.
#
# Stopping:
#   stop PID        SIGTERM; fails unless it ends in time with status 0
#   kill_hard PID   kill -9, and wait until the process has ended
#   unmount [DIR]   as a user does; the file system's process ends by itself
#   forget_mount [DIR]   remove a mount whose process is dead
#   forget PID      leave this process to the test
#
# Requests and waiting:
#   rest METHOD PATH [CURL OPTION...]   sets status; body in $T/body, headers
#                                       in $T/headers; PATH is below $URL
#   header NAME                         a header of the last answer
#   body                                the body of the last answer
#   wait_for SECONDS COMMAND...         poll until COMMAND succeeds
#   free_port                           print a port that is not in use
#
# Assertions (each prints the actual value when it fails):
#   same EXPECTED ACTUAL            equal strings
#   about SECONDS ACTUAL            a TTL that may have counted down for a minute
#   fails_with TEXT COMMAND...      a status other than 0, and TEXT in the output
#   allow_log REGEX                 lines that this test makes the programs log
#
# Needs:
#   require COMMAND...   skip if one is missing (with STRICT=1: fail)
#   require_fuse         skip without a usable /dev/fuse
#   skip_or_fail REASON  skip with REASON (with STRICT=1: fail)

bats_require_minimum_version 1.5.0

KEYDIR_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
KEYDIR_BUILD=$(cd "${KEYDIR_BUILD:-$KEYDIR_ROOT/build}" && pwd)
KEYDIR_FS=$KEYDIR_BUILD/keydir-fs
KEYDIR_HTTPD=$KEYDIR_BUILD/keydir-httpd
# A factor for deadlines: sanitizers slow everything down.
export PATIENCE=${PATIENCE:-1}

setup() { keydir_setup; }
teardown() { keydir_teardown; }

keydir_setup() {
	local name
	for name in $(compgen -e KEYDIR_); do
		case $name in KEYDIR_ROOT | KEYDIR_BUILD | KEYDIR_FS | KEYDIR_HTTPD) ;; *) unset "$name" ;; esac
	done
	T=$(mktemp -d /dev/shm/keydir-test.XXXXXX)
	# Tests that run as another user must be able to enter the directory.
	chmod 711 "$T"
	STORE=$T/store
	MNT=$T/mnt
	mkdir "$MNT" "$T/reports"
	chmod 1777 "$T/reports"
	PIDS=()
	LOG_ALLOWED=()
	STARTED=0
	# Reports go to files: a daemon has no stderr, and a status can be lost.
	export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}log_path=$T/reports/asan"
	export UBSAN_OPTIONS="${UBSAN_OPTIONS:+$UBSAN_OPTIONS:}print_stacktrace=1:log_path=$T/reports/ubsan"
	export TSAN_OPTIONS="${TSAN_OPTIONS:+$TSAN_OPTIONS:}log_path=$T/reports/tsan"
	# More than by default: each test that mounts checks what the kernel caches (check_reports).
	export KEYDIR_CHECK_RATE=25
	unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY all_proxy
	export no_proxy='*' LC_ALL=C.UTF-8
}

keydir_teardown() {
	local pid bad=0
	# End programs first, so that no leftover sends a request to a file system.
	for pid in "${PIDS[@]}"; do
		stop "$pid" || bad=1
	done
	local dir
	while read -r dir; do
		forget_mount "$dir" || bad=1
	done < <(mounts_below "$T")
	check_reports || bad=1
	release_ports
	if [ "$bad" != 0 ] || [ -z "${BATS_TEST_COMPLETED:-}" ]; then
		show_logs
	fi
	if [ -z "$(mounts_below "$T")" ]; then
		rm -rf --one-file-system "$T"
	else
		echo "still mounted: $(mounts_below "$T")"
		bad=1
	fi
	return $bad
}

# --- starting and stopping ---------------------------------------------------

# Without bats' own descriptors: bats would wait for a daemon that holds them.
start() {
	local name=$1
	shift
	LOG=$T/$name.log
	"$@" >>"$LOG" 2>&1 </dev/null 3>&- 4>&- 5>&- &
	PID=$!
	PIDS+=("$PID")
	declare -g "NAME_$PID=$name"
}

start_fs() {
	local dir=$MNT
	if [ "${1:-}" = -m ]; then
		dir=$2
		shift 2
		mkdir -p "$dir"
	fi
	require_fuse
	local options=("$@")
	has_option --store "$@" || options=(--store "$STORE" "${options[@]}")
	STARTED=$((STARTED + 1))
	start "fs$STARTED" "$KEYDIR_FS" -f "${options[@]}" "$dir"
	FS_PID=$PID
	wait_ready 15 "$FS_PID" is_mounted "$dir" || return
	timeout 10 stat "$dir" >/dev/null
}

start_httpd() {
	local options=("$@")
	has_option --store "$@" || options=(--store "$STORE" "${options[@]}")
	if ! has_option --listen "$@"; then
		PORT=$(free_port)
		options+=(--listen "127.0.0.1:$PORT")
	fi
	URL=http://127.0.0.1:$PORT
	STARTED=$((STARTED + 1))
	start "httpd$STARTED" "$KEYDIR_HTTPD" "${options[@]}"
	HTTPD_PID=$PID
	wait_ready 15 "$HTTPD_PID" curl -sf -o /dev/null "$URL/readyz"
}

has_option() {
	local wanted=$1 word
	shift
	for word in "$@"; do
		case $word in "$wanted" | "$wanted"=*) return 0 ;; esac
	done
	return 1
}

# wait_ready SECONDS PID COMMAND...: like wait_for, but fail at once when the process has
# ended.
wait_ready() {
	local seconds=$1 pid=$2
	shift 2
	local end=$((SECONDS + seconds * PATIENCE))
	until "$@" 2>/dev/null; do
		if ! is_running "$pid"; then
			echo "process $pid ended before it was ready:"
			tail -n 20 "$LOG"
			return 1
		fi
		if [ $SECONDS -gt $end ]; then
			echo "process $pid was not ready after $((seconds * PATIENCE)) s"
			return 1
		fi
		sleep 0.02
	done
}

# A zombie does not count.
is_running() {
	local state
	state=$(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null) || return 1
	[[ -n "$state" && "$state" != Z && "$state" != X ]]
}

forget() {
	local pid left=()
	for pid in "${PIDS[@]}"; do
		[ "$pid" = "$1" ] || left+=("$pid")
	done
	PIDS=("${left[@]}")
}

stop() {
	local pid=$1 status=0 name="NAME_$1"
	forget "$pid"
	if ! is_running "$pid"; then
		wait "$pid" 2>/dev/null || status=$?
		echo "${!name:-process} ($pid) had ended by itself with status $status"
		return 1
	fi
	kill -TERM "$pid"
	if ! wait_for 20 not is_running "$pid"; then
		kill -ABRT "$pid" 2>/dev/null
		wait_for 2 not is_running "$pid" || kill -KILL "$pid" 2>/dev/null
		echo "${!name:-process} ($pid) did not stop on SIGTERM"
		return 1
	fi
	wait "$pid" 2>/dev/null || status=$?
	# 127: not a child of this shell, so its status is unknown.
	if [ $status != 0 ] && [ $status != 127 ] &&
		{ [ $status != 143 ] || is_ours "${!name:-}"; }; then
		echo "${!name:-process} ($pid) ended with status $status"
		return 1
	fi
}

is_ours() { [[ $1 == fs* || $1 == httpd* ]]; }

kill_hard() {
	forget "$1"
	kill -KILL "$1"
	wait_for 10 not is_running "$1"
	wait "$1" 2>/dev/null || true
}

# Stop the process PID until it gets CONT, and wait until each of its threads has stopped.
stop_all() {
	kill -STOP "$1"
	wait_for 10 all_stopped "$1"
}

all_stopped() { ! grep -qs '^State:[[:space:]]*[^tT[:space:]]' /proc/"$1"/task/*/status; }

not() { ! "$@"; }

# Run Python on stdin with http_raw.py importable, for at most PY_LIMIT_S (120) seconds.
py() {
	PORT=$PORT URL=$URL PID=${HTTPD_PID:-} PATIENCE=$PATIENCE PYTHONDONTWRITEBYTECODE=1 \
		PYTHONPATH="$BATS_TEST_DIRNAME" timeout $((${PY_LIMIT_S:-120} * PATIENCE)) python3 -
}

unmount() {
	local dir=${1:-$MNT} pid
	fusermount3 -u "$dir" || return
	# Its process ends by itself; the processes that still run show which one it was.
	for pid in "${PIDS[@]}"; do
		if tr '\0' '\n' <"/proc/$pid/cmdline" 2>/dev/null | grep -qxF -- "$dir"; then
			wait_for 20 not is_running "$pid" || return
			forget "$pid"
			wait "$pid" || {
				echo "the process of $dir ended with status $?"
				return 1
			}
		fi
	done
}

forget_mount() {
	local dir=${1:-$MNT}
	umount -l "$dir" 2>/dev/null || fusermount3 -u -z "$dir"
}

# mountinfo writes blanks, tabs and backslashes as octal numbers.
octal() {
	local path=${1//\\/\\134}
	path=${path// /\\040}
	printf %s "${path//$'\t'/\\011}"
}

is_mounted() {
	DIR=$(octal "$1") awk '$5 == ENVIRON["DIR"] { found = 1 } END { exit !found }' \
		/proc/self/mountinfo
}

# Deepest first.
mounts_below() {
	local dir
	TOP=$(octal "$1")/ awk 'index($5, ENVIRON["TOP"]) == 1 { print $5 }' /proc/self/mountinfo |
		sort -r | while read -r dir; do printf '%b\n' "${dir//\\/\\0}"; done
}

# --- requests and waiting ----------------------------------------------------

wait_for() {
	local seconds=$1
	shift
	local end=$((SECONDS + seconds * PATIENCE))
	until "$@"; do
		if [ $SECONDS -gt $end ]; then
			echo "not within $((seconds * PATIENCE)) s: $*"
			return 1
		fi
		sleep 0.02
	done
}

rest() {
	local method=$1 path=$2 how=(-X "$1")
	shift 2
	[ "$method" != HEAD ] || how=(--head)
	: >"$T/body"
	# shellcheck disable=SC2034 # for the test
	status=$(curl -sS --path-as-is --globoff --max-time $((30 * PATIENCE)) "${how[@]}" \
		-o "$T/body" -D "$T/headers" -w '%{http_code}' "$@" "$URL$path") || {
		echo "curl failed: $method $path: $status"
		return 1
	}
}

body() { cat "$T/body"; }

header() {
	tr -d '\r' <"$T/headers" | awk -v name="$1" '
		BEGIN { FS = ": *" }
		tolower($1) == tolower(name) { sub(/^[^:]*: */, ""); print }'
}

# Ports below the range that the kernel assigns to clients. A directory reserves a port,
# so that tests that run at the same time never take the same one.
PORTS_TAKEN=/dev/shm/keydir-test-ports.$(id -u)
free_port() {
	local port tries
	mkdir -p "$PORTS_TAKEN"
	# Remove the reservations of a run that was killed.
	find "$PORTS_TAKEN" -mindepth 1 -mmin +60 -delete 2>/dev/null || true
	for tries in {1..200}; do
		port=$((20000 + RANDOM % 12000))
		(exec 9<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && continue
		if mkdir "$PORTS_TAKEN/$port" 2>/dev/null; then
			echo "$port" >>"$T/ports"
			echo "$port"
			return 0
		fi
	done
	echo "no free port after $tries tries" >&2
	return 1
}

release_ports() {
	local port
	[ -e "$T/ports" ] || return 0
	while read -r port; do
		rmdir "$PORTS_TAKEN/$port" 2>/dev/null || true
	done <"$T/ports"
}

# --- assertions ---------------------------------------------------------------

same() {
	[ "$1" = "$2" ] && return 0
	printf 'expected: %q\nactual:   %q\n' "$1" "$2"
	return 1
}

about() {
	[[ $2 =~ ^[0-9]+$ && $2 -le $1 && $2 -gt $(($1 - 60)) ]] || {
		echo "expected: about $1, actual: $2"
		return 1
	}
}

fails_with() {
	local text=$1 out code=0
	shift
	out=$("$@" 2>&1) || code=$?
	if [ $code = 0 ]; then
		echo "succeeded: $*"
		return 1
	fi
	if [[ $out != *"$text"* ]]; then
		printf 'no "%s" in the output of %s (status %s):\n%s\n' "$text" "$*" $code "$out"
		return 1
	fi
}

allow_log() { LOG_ALLOWED+=("$1"); }

# Fail if the programs' logs or a sanitizer's report show a fault.
check_reports() {
	local bad=0 report pattern
	for report in "$T"/reports/*; do
		[ -e "$report" ] || continue
		echo "a sanitizer's report:"
		head -n 60 "$report"
		bad=1
	done
	local words='suspicious|[Aa]ssert|Sanitizer|runtime error:|ERROR: |stack smashing'
	words+='|free\(\): |malloc\(\): |corrupt|^fuse: |^[0-9TZ:.-]+ error '
	local found
	found=$(cat "$T"/fs*.log "$T"/httpd*.log 2>/dev/null | grep -E -- "$words") || return $bad
	for pattern in "${LOG_ALLOWED[@]}"; do
		found=$(grep -vE -- "$pattern" <<<"$found") || return $bad
	done
	echo "the log has:"
	echo "$found" | head -n 20
	return 1
}

show_logs() {
	local log
	for log in "$T"/*.log; do
		[ -s "$log" ] || continue
		echo "--- the end of ${log##*/}:"
		tail -n 30 "$log"
	done
}

# --- needs -------------------------------------------------------------------

skip_or_fail() {
	if [ "${STRICT:-0}" = 1 ]; then
		echo "STRICT: $1"
		return 1
	fi
	skip "$1"
}

require() {
	local command
	for command in "$@"; do
		command -v "$command" >/dev/null || skip_or_fail "needs $command" || return 1
	done
}

require_fuse() {
	[ -c /dev/fuse ] && (exec 9<>/dev/fuse) 2>/dev/null || skip_or_fail "needs a usable /dev/fuse" ||
		return 1
	require fusermount3
}
