#!/bin/bash
# `make cluster-up` and `make cluster-down`: three nodes on this machine, a real
# Kafka broker, and Nginx with the project's nginx.conf in front.
#
#   cluster.sh up [BUILD] | down
#
# ./mnt1 to ./mnt3 are the nodes' mounts. REST is on ports 8001 to 8003, Nginx on
# 5000, the broker on KEYDIR_KAFKA_PORT (9092). Each part writes to its own directory
# below ./run/cluster, and a program whose log is there belongs to the cluster.
# Stores are in /dev/shm/keydir-1 to -3, or /dev/shm/keydir-UID-1 to -3 for a user
# other than root (KEYDIR_STORES is the path without the number). Programs that run
# are left alone; programs that died are started again, however they were stopped.
set -uo pipefail
cd "$(dirname "$0")" || exit 1
# shellcheck source=common/scripts/running.sh
. ./running.sh

NODES=(1 2 3)
CLUSTER=$ROOT/run/cluster
KAFKA_PORT=${KEYDIR_KAFKA_PORT:-9092}
STORES=$(cd "$ROOT" && realpath -ms "${KEYDIR_STORES:-$(default_store)-}")
LOG=kafka://127.0.0.1:$KAFKA_PORT/${KEYDIR_TOPIC:-keydir}
BROKER=$ROOT/tests/kafka/broker.sh

# pids_of PART PROGRAM: print the pids of PROGRAM in PART's directory.
pids_of() {
	local RUN=$CLUSTER/$1
	ours "$2"
}

answers() { curl -sf --noproxy '*' --max-time 5 -o /dev/null "$1" 2>/dev/null; }
node_ready() { answers "http://127.0.0.1:800$1/readyz"; }
mount_works() { is_mounted "$1" && timeout 5 stat "$1/." >/dev/null 2>&1; }

# launch PART NAME COMMAND...: start COMMAND with its log in NAME.log of PART's
# directory.
launch() {
	local dir=$CLUSTER/$1 name=$2
	shift 2
	mkdir -p "$dir"
	: >"$dir/$name.log"
	(cd "$ROOT" && exec setsid "$@" >>"$dir/$name.log" 2>&1 </dev/null {LOCK}>&-) &
	disown $!
}

# await SECONDS PART NAME PROGRAM COMMAND...: wait until COMMAND succeeds; fail with
# the end of the log if PROGRAM has ended or the time is up.
await() {
	local end=$((SECONDS + $1)) part=$2 name=$3 program=$4
	shift 4
	until "$@"; do
		if [ -z "$(pids_of "$part" "$program")" ] || [ $SECONDS -gt $end ]; then
			tail -n 15 "$CLUSTER/$part/$name.log" | sed 's/^/  /' >&2
			fail "$program of $part is not ready; the end of run/cluster/$part/$name.log is above"
		fi
		sleep 0.05
	done
}

listens() { (exec 9<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

start_broker() {
	local dir=$CLUSTER/kafka
	"$BROKER" running "$dir" && return
	! listens "$KAFKA_PORT" || fail "something else listens on port $KAFKA_PORT." \
		"Stop it, or choose another port: KEYDIR_KAFKA_PORT=19092 make cluster-up"
	say "Starting the broker (Maven downloads it the first time) ..."
	"$BROKER" start "$dir" "$KAFKA_PORT" {LOCK}>&- || fail "the broker did not start"
}

start_node() {
	local n=$1 part=node$1 mnt=$ROOT/mnt$1 peers="" p pids
	local port=800$n
	for p in "${NODES[@]}"; do
		[ "$p" = "$n" ] || peers+=${peers:+,}http://127.0.0.1:800$p
	done
	local options=(--store "$STORES$n" --log "$LOG" --peers "$peers")
	# The mount hangs or was removed.
	mapfile -t pids < <(pids_of "$part" keydir-fs)
	if [ ${#pids[@]} -gt 0 ] && ! mount_works "$mnt"; then
		kill -KILL "${pids[@]}"
		wait_until 5 all_gone "${pids[@]}"
	fi
	if [ -z "$(pids_of "$part" keydir-httpd)" ]; then
		! listens "$port" || fail "something else listens on port $port"
		launch "$part" httpd "$BUILD/keydir-httpd" "${options[@]}" --listen "127.0.0.1:$port"
	fi
	if [ -z "$(pids_of "$part" keydir-fs)" ]; then
		unmount "$mnt" || fail "a dead mount on $mnt cannot be removed; try: sudo umount -l $mnt"
		mkdir -p "$mnt" || fail "cannot create $mnt"
		[ -z "$(ls -A "$mnt")" ] || fail "$mnt holds files that a mount would hide: move them away"
		launch "$part" fs "$BUILD/keydir-fs" -f "${options[@]}" "$mnt"
	fi
}

start_nginx() {
	local dir=$CLUSTER/nginx nginx user=""
	[ -z "$(pids_of nginx nginx)" ] || return 0
	nginx=$(PATH=$PATH:/usr/sbin:/sbin command -v nginx) || fail "nginx is missing: make deps"
	! listens 5000 || fail "something else listens on port 5000"
	# Started by root, Nginx would run its workers as another user, which may not have
	# access to this directory.
	[ "$(id -u)" != 0 ] || user='user root;'
	launch nginx nginx "$nginx" -p "$dir" -c "$ROOT/nginx.conf" -e stderr -g "daemon off; $user"
}

up() {
	BUILD=$(cd "$ROOT" && realpath -m "${1:-build}")
	local n
	for n in keydir-fs keydir-httpd; do
		[ -x "$BUILD/$n" ] || fail "$BUILD/$n is missing: run make"
	done
	[ -e /dev/fuse ] || fail "/dev/fuse is missing. Load the module: modprobe fuse"
	[ -z "${KEYDIR_TLS_CERT:-}${KEYDIR_TLS_KEY:-}" ] ||
		fail "the nodes of this cluster serve plain HTTP on loopback, and Nginx is in front of them:" \
			"unset KEYDIR_TLS_CERT and KEYDIR_TLS_KEY, and put the certificate into nginx.conf"
	start_broker
	for n in "${NODES[@]}"; do start_node "$n"; done
	for n in "${NODES[@]}"; do
		await 60 "node$n" httpd keydir-httpd node_ready "$n"
		await 60 "node$n" fs keydir-fs mount_works "$ROOT/mnt$n"
	done
	start_nginx
	await 10 nginx nginx nginx answers http://127.0.0.1:5000/healthz
	cat <<END
Keydir's cluster is up: ./mnt1 to ./mnt3, REST on 127.0.0.1:8001 to 8003, and
Nginx in front of them on http://127.0.0.1:5000. The log is the Kafka topic
${LOG##*/} on 127.0.0.1:$KAFKA_PORT. The logs of all parts are in run/cluster/.

Try:
  echo hello > mnt1/greeting
  cat mnt3/greeting
  curl http://127.0.0.1:5000/v1/kv/greeting
  for n in 1 2 3; do echo "from node \$n" >> mnt\$n/log; done; cat mnt2/log
  echo 'from-kafka:hi' | kcat -P -b 127.0.0.1:$KAFKA_PORT -t ${LOG##*/} -K:; sleep 0.1; cat mnt1/from-kafka

To stop it: make cluster-down
END
}

# stop PART PROGRAM SECONDS: stop PROGRAM, and kill it after SECONDS.
stop() {
	local pids
	mapfile -t pids < <(pids_of "$1" "$2")
	[ ${#pids[@]} -gt 0 ] || return 0
	did=1
	kill -TERM "${pids[@]}" 2>/dev/null
	kill -CONT "${pids[@]}" 2>/dev/null
	wait_until "$3" all_gone "${pids[@]}" || kill -KILL "${pids[@]}" 2>/dev/null
	wait_until 5 all_gone "${pids[@]}" || fail "$2 (${pids[*]}) cannot be killed"
}

down() {
	local n
	did=0
	stop nginx nginx 5
	for n in "${NODES[@]}"; do stop "node$n" keydir-httpd 15; done
	for n in "${NODES[@]}"; do
		stop "node$n" keydir-fs 15
		if is_mounted "$ROOT/mnt$n"; then
			did=1
			unmount "$ROOT/mnt$n" || fail "$ROOT/mnt$n cannot be unmounted; try: sudo umount -l $ROOT/mnt$n"
		fi
		rmdir "$ROOT/mnt$n" 2>/dev/null
	done
	if "$BROKER" running "$CLUSTER/kafka"; then
		did=1
		"$BROKER" stop "$CLUSTER/kafka" || fail "the broker cannot be stopped"
	fi
	if [ $did = 1 ]; then
		say "Keydir's cluster is down. Its log stays in run/cluster/kafka, its stores in ${STORES}1 to 3."
	else
		say "Keydir's cluster is not up."
	fi
}

case ${1:-} in
up)
	lock
	shift
	up "$@"
	;;
down)
	[ -d "$CLUSTER" ] || {
		say "Keydir's cluster is not up."
		exit 0
	}
	lock
	down
	;;
*)
	fail "usage: cluster.sh up [BUILD] | down"
	;;
esac
