# docker-compose.yml, as it is, with local stand-ins for the images of registries
# (images.sh). A Docker daemon is started for it, in a network of its own, so
# that the ports of the file are free and neither bridges nor rules are left; the
# mounts are on this machine. `make compose-test` runs this.
#
# One cluster for all tests of this file, in their order. COMPOSE="docker compose"
# picks the command; KEYDIR_COMPOSE_CACHE is where stand-ins and Docker's layers
# are kept between runs.

load ../bats/helper

setup_file() {
	export COMPOSE MISSING="" CLUSTER=""
	: "${COMPOSE:=$(compose_command)}"
	find_missing
	[ -z "$MISSING" ] || return 0
	keydir_setup
	CLUSTER=$T
	export CACHE=${KEYDIR_COMPOSE_CACHE:-$KEYDIR_ROOT/build/compose} TREE=$T/tree MOUNTS=$T/tree/.compose
	export DOCKER_HOST=unix://$T/docker.sock DOCKERD="" NETWORK=""
	"$KEYDIR_ROOT/tests/kafka/broker.sh" fetch
	mkdir -p "$CACHE"
	make_tree
	start_docker
	"$KEYDIR_ROOT/tests/compose/images.sh" "$CACHE" >"$T/images.log" 2>&1 || {
		tail -n 20 "$T/images.log"
		return 1
	}
	compose up -d --build >"$T/up.log" 2>&1 || {
		tail -n 30 "$T/up.log"
		return 1
	}
	all_healthy
}

teardown_file() {
	[ -n "$CLUSTER" ] || return 0
	T=$CLUSTER
	local bad=0 dir before
	compose down --volumes --timeout 10 >"$T/down.log" 2>&1 || bad=1
	[ -z "$DOCKERD" ] || stop "$DOCKERD" || bad=1
	[ -z "$NETWORK" ] || stop "$NETWORK" || bad=1
	for dir in $(mounts_below "$T"); do umount -l "$dir"; done
	before=$(mounts_below "$CACHE")
	for dir in $before; do umount -l "$dir"; done
	same "" "$before" || bad=1
	# Docker's own, now empty.
	find /sys/fs/cgroup -depth -path '*/keydir-test*' -type d -exec rmdir {} + || bad=1
	keydir_teardown || bad=1
	return $bad
}

setup() {
	[ -z "$MISSING" ] || skip_or_fail "$MISSING" || return 1
	T=$CLUSTER
}

teardown() {
	if [ -n "$CLUSTER" ]; then
		touch "$T/enough"
		if [ -z "${BATS_TEST_COMPLETED:-}" ]; then
			say_state
		fi
	fi
}

# Print why a test may have failed. The most useful part comes last: CI cuts long output.
say_state() {
	compose ps || true
	compose logs --tail 15 --no-color kafka node1 node2 node3 || true
	compose logs --tail 10 --no-color nginx || true
	tail -n 5 "$T/up.log" || true
	echo "requests through Nginx: $(cat "$T/requests" 2>/dev/null); those that failed:"
	head -n 5 "$T/failed" 2>/dev/null || true
	echo "the last step: $(cat "$T/step" 2>/dev/null)"
}

# --- requirements -------------------------------------------------------------

compose_command() {
	if command -v docker-compose >/dev/null; then
		echo docker-compose
	elif docker compose version >/dev/null 2>&1; then
		echo docker compose
	fi
}

find_missing() {
	local command
	[ -n "$COMPOSE" ] || MISSING="needs docker-compose"
	for command in dockerd docker debootstrap java mvn nsenter setpriv fusermount3; do
		command -v "$command" >/dev/null || MISSING="needs $command"
	done
	(exec 9<>/dev/fuse) 2>/dev/null || MISSING="needs a usable /dev/fuse"
	[ "$(id -u)" = 0 ] || MISSING="needs root, to start dockerd"
}

# Only the repository's files, in a user's own directory, on a shared mount like the root
# of a machine with systemd.
USER_ID=4711
make_tree() {
	mkdir "$TREE"
	mount --bind "$TREE" "$TREE"
	mount --make-rshared "$TREE"
	(cd "$KEYDIR_ROOT" && tar -c Dockerfile docker-compose.yml .compose/.gitignore .dockerignore nginx.conf \
		Makefile README.md common fs httpd tests/packages.txt) | tar -x -C "$TREE" --no-same-owner
	chown -R $USER_ID:$USER_ID "$TREE"
}

# Own names in containerd, because a Docker of the machine may have one running.
start_docker() {
	start network unshare --net sleep infinity
	NETWORK=$PID
	wait_for 5 other_network
	inside ip link set lo up
	start dockerd nsenter --net="/proc/$NETWORK/ns/net" dockerd --data-root "$CACHE/docker" \
		--exec-root "$T/exec" --pidfile "$T/docker.pid" -H "$DOCKER_HOST" \
		--exec-opt native.cgroupdriver=cgroupfs --cgroup-parent keydir-test \
		--containerd-namespace keydir-test --containerd-plugins-namespace keydir-test-plugins
	DOCKERD=$PID
	wait_ready 60 "$DOCKERD" docker info >/dev/null
}

other_network() { [ "$(readlink "/proc/$NETWORK/ns/net")" != "$(readlink /proc/self/ns/net)" ]; }

# --- the cluster --------------------------------------------------------------

inside() { nsenter --net="/proc/$NETWORK/ns/net" "$@"; }
# shellcheck disable=SC2086 # COMPOSE is one word or two
compose() { (cd "$TREE" && $COMPOSE -p keydirtest "$@"); }
request() { inside curl -sS --max-time 20 "$@"; }
container() { compose ps -q "$1" 2>/dev/null; }
state() { docker inspect -f "{{.State.$2}}" "$(container "$1")" 2>/dev/null; }
# reaches N IDS: whether node N reaches exactly these peers.
reaches() {
	[ "$(request "http://127.0.0.1:800$1/v1/status" |
		jq -r '[.peers[] | select(.reachable) | .id] | sort | join(" ")')" = "$2" ]
}
is_healthy() { [ "$(state "$1" Health.Status)" = healthy ]; }
has() { [ "$(cat "$MOUNTS/$1" 2>/dev/null)" = "$2" ]; }
as_user() { setpriv --reuid $USER_ID --regid $USER_ID --clear-groups "$@"; }

all_healthy() {
	local name
	for name in kafka node1 node2 node3 nginx; do wait_for 60 is_healthy $name; done
}

restarted() {
	local now
	now=$(state "$1" Pid)
	[[ "${now:-0}" != 0 && "$now" != "$2" ]]
}

# Send requests through Nginx, one after the other, until $T/enough exists; write a line
# to $T/failed for each that fails.
load_nginx() {
	local n=0
	while [ ! -e "$T/enough" ]; do
		n=$((n + 1))
		succeeds "PUT $n" -X PUT -d "$n" http://127.0.0.1:5000/v1/kv/load
		succeeds "GET $n" http://127.0.0.1:5000/v1/kv/greeting
		echo $n >"$T/requests.new"
		mv "$T/requests.new" "$T/requests"
	done
}

# succeeds NAME CURL-OPTION...: writes a line to $T/failed if the request fails, with its
# status, what curl says, and the answer.
succeeds() {
	local name=$1 code
	shift
	code=$(request -o "$T/answer" -w '%{http_code} after %{time_total} s' "$@" 2>&1) || code="curl $?: $code"
	[[ $code == 20[01]\ * ]] ||
		echo "$(date +%T.%N) $name: $code: $(head -c 300 "$T/answer" 2>/dev/null)" >>"$T/failed"
}

# The load continues, and no request has failed.
unnoticed() {
	step "the load goes on after request $(cat "$T/requests")"
	wait_for 20 went_on $(($(cat "$T/requests") + 20))
	[ ! -e "$T/failed" ]
}
# Record the step under way, for say_state.
step() { echo "$(date +%T.%N) $*" >"$T/step"; }
went_on() { [ "$(cat "$T/requests" 2>/dev/null || echo 0)" -gt "$1" ]; }

# There is one mount, and it works in both directions.
mount_works() {
	step "$1 works, and $2 sees it"
	wait_for 20 has "$1/greeting" hello
	same 1 "$(mounts_below "$TREE" | grep -cx "$MOUNTS/$1")"
	echo "$RANDOM" >"$MOUNTS/$1/back"
	wait_for 10 has "$2/back" "$(cat "$MOUNTS/$1/back")"
}

# --- tests --------------------------------------------------------------------

@test "Compose takes the file without a warning" {
	compose config >"$T/config" 2>"$T/warnings"
	same "" "$(cat "$T/warnings")"
	same 3 "$(grep -c '^  node[0-9]:' "$T/config")"
}

@test "the nodes have one image, and each has its name" {
	local n
	for n in 1 2 3; do
		same "node$n keydir-node" \
			"$(docker inspect -f '{{.Config.Hostname}} {{.Config.Image}}' "$(container node$n)")"
	done
}

@test "what is written on one mount is on the others, on each port and behind Nginx" {
	local n
	as_user bash -c "echo hello >'$MOUNTS/mnt1/greeting'"
	wait_for 10 has mnt3/greeting hello
	same hello "$(request http://127.0.0.1:5000/v1/kv/greeting?consistent)"
	for n in 1 2 3; do
		same hello "$(request "http://127.0.0.1:800$n/v1/kv/greeting?consistent")"
	done
	request -f -X PUT -d nginx http://127.0.0.1:5000/v1/kv/from/nginx
	wait_for 10 has mnt2/from/nginx nginx
	# The mounts belong to the owner of the directory.
	same "$USER_ID:$USER_ID" "$(stat -c %u:%g "$MOUNTS/mnt2/from/nginx")"
	as_user bash -c "echo mine >>'$MOUNTS/mnt3/from/nginx'"
	# The largest value passes through all of it.
	head -c 16777216 /dev/urandom >"$T/large"
	request -f -o /dev/null -T "$T/large" http://127.0.0.1:5000/v1/kv/large
	wait_for 20 cmp -s "$T/large" "$MOUNTS/mnt2/large"
}

@test "a node may do no more than its mount needs" {
	local node
	node=$(container node1)
	# CHOWN, DAC_OVERRIDE, SYS_ADMIN
	same 0000000000200003 "$(docker exec "$node" sed -n 's/^CapEff:\t//p' /proc/1/status)"
	fails_with "Read-only" docker exec "$node" touch /usr/local/bin/new
	same appuser "$(docker exec "$(container kafka)" id -un)"
	# It sees one directory of the project, which holds the mounts and nothing else.
	same "/tree/.compose /host" "$(docker exec "$node" \
		sed -n 's|^[^ ]* [^ ]* [^ ]* [^ ]*\(/tree[^ ]* [^ ]*\) .*|\1|p' /proc/self/mountinfo)"
	same "$(printf '%s\n' .gitignore mnt1 mnt2 mnt3)" "$(ls -A "$MOUNTS")"
}

@test "a node that is killed or restarted comes back, and nobody behind Nginx notices" {
	local before
	rm -f "$T/enough"
	load_nginx 3>&- 4>&- &
	wait_for 20 went_on 20

	# When the whole container dies, it is restarted.
	step "kill node2"
	before=$(state node2 Pid)
	kill -KILL "$before"
	wait_for 60 restarted node2 "$before"
	wait_for 60 is_healthy node2
	unnoticed
	mount_works mnt2 mnt1

	# A container ended by `docker kill` stays down, with its mount dead, until it is started.
	step "docker kill node3"
	docker kill "$(container node3)"
	unnoticed
	fails_with "not connected" ls "$MOUNTS/mnt3"
	step "start node3"
	compose up -d >>"$T/up.log" 2>&1
	wait_for 60 is_healthy node3
	unnoticed
	mount_works mnt3 mnt2

	# When one of its two programs dies, the container restarts.
	step "kill node1's keydir-fs"
	before=$(state node1 Pid)
	docker exec "$(container node1)" bash -c \
		'for p in /proc/[0-9]*; do [ "$(cat $p/comm)" != keydir-fs ] || kill -KILL ${p#/proc/}; done'
	wait_for 60 restarted node1 "$before"
	wait_for 60 is_healthy node1
	unnoticed
	mount_works mnt1 mnt3

	step "restart node2"
	compose restart node2 >>"$T/up.log" 2>&1
	wait_for 60 is_healthy node2
	unnoticed
	mount_works mnt2 mnt3
	touch "$T/enough"
	wait
}

@test "a directory on a private mount is refused, with the words that the file names" {
	local image words='not a shared mount'
	image=$(docker inspect -f '{{.Image}}' "$(container node1)")
	grep -q "$words" "$TREE/docker-compose.yml"
	mkdir "$T/private"
	mount --bind "$T/private" "$T/private"
	mount --make-rprivate "$T/private"
	fails_with "$words" docker run --rm --entrypoint true -v "$T/private:/host:rshared" "$image"
	mount --make-rshared "$T/private"
	docker run --rm --entrypoint true -v "$T/private:/host:rshared" "$image"
	umount "$T/private"
}

@test "a fourth node is the one edit that the file tells of" {
	awk '/^  node3:/ { inside = 1 }
		inside { block = block $0 "\n" }
		{ print }
		inside && /^$/ { inside = 0; gsub(/node3/, "node4", block); gsub(/mnt3/, "mnt4", block)
			gsub(/8003/, "8004", block); printf "%s", block }' \
		"$KEYDIR_ROOT/docker-compose.yml" >"$TREE/docker-compose.yml"
	local id others
	others=$(for id in node1 node2 node3 nginx; do container $id; done)
	compose up -d >>"$T/up.log" 2>&1
	wait_for 60 is_healthy node4
	mount_works mnt4 mnt1
	# The others did not restart.
	same "$others" "$(for id in node1 node2 node3 nginx; do container $id; done)"
	# It has its store from one of them, knows the three, and is none of its own peers.
	compose logs --no-color node4 | grep 'snapshot taken peer=http://[0-9.]*:8080'
	wait_for 20 reaches 4 "node1:8080 node2:8080 node3:8080"
	wait_for 20 reaches 1 "node2:8080 node3:8080 node4:8080"

	# Nginx has it when the others are gone; and they go without being killed.
	local nodes
	nodes=$(for id in 1 2 3; do container node$id; done)
	compose stop node1 node2 node3 >>"$T/up.log" 2>&1
	same hello "$(request http://127.0.0.1:5000/v1/kv/greeting)"
	for id in $nodes; do same 0 "$(docker inspect -f '{{.State.ExitCode}}' "$id")"; done
	same "$MOUNTS/mnt4" "$(mounts_below "$TREE")"
}

@test "down leaves nothing mounted; up again has the data, though the broker starts slowly" {
	compose down >>"$T/up.log" 2>&1
	same "" "$(mounts_below "$TREE")"
	same "" "$(find "$TREE" -name 'mnt*')"
	same "" "$(docker ps -aq)"
	# For longer than it may fail once it has been healthy.
	cat >"$TREE/slow.yml" <<-'END'
		services:
		  kafka:
		    command: [bash, -c, "sleep 20; exec bash /kafka.sh"]
	END
	compose -f docker-compose.yml -f slow.yml up -d >>"$T/up.log" 2>&1
	all_healthy
	has mnt3/greeting hello
	cmp "$T/large" "$MOUNTS/mnt1/large"
}
