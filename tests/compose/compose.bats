# docker-compose.yml, as it is, with local stand-ins for the images of registries
# (tests/compose/). A Docker daemon is started for it, in a network of its own, so
# that the ports of the file are free; the mounts are on this machine.

load ../bats/helper

# Kept between runs: the stand-ins' file system and Docker's layers.
CACHE=$KEYDIR_ROOT/build/compose

setup() {
	local command
	for command in dockerd docker debootstrap java mvn nsenter; do
		command -v "$command" >/dev/null || skip_or_fail "needs $command"
	done
	COMPOSE=(docker-compose)
	if ! command -v docker-compose >/dev/null; then
		docker compose version >/dev/null 2>&1 || skip_or_fail "needs docker-compose"
		COMPOSE=(docker compose)
	fi
	[ "$(id -u)" = 0 ] || skip_or_fail "needs root, to start dockerd"
	require_fuse
	keydir_setup
	"$KEYDIR_ROOT/tests/kafka/broker.sh" fetch
	mkdir -p "$CACHE"
	start_docker
	"$KEYDIR_ROOT/tests/compose/images.sh" "$CACHE" >"$T/images.log" 2>&1 || {
		tail -n 20 "$T/images.log"
		return 1
	}
	# Nothing but what the repository has, on a mount that is shared, as the root
	# of a systemd machine is.
	TREE=$T/tree
	mkdir "$TREE"
	mount --bind "$TREE" "$TREE"
	mount --make-rshared "$TREE"
	(cd "$KEYDIR_ROOT" && tar -c Dockerfile docker-compose.yml .dockerignore nginx.conf Makefile \
		common fs httpd tests/packages.txt) | tar -x -C "$TREE"
}

teardown() {
	local bad=0 dir
	[ -n "${T:-}" ] || return 0
	if [ -n "${TREE:-}" ] && [ -z "${BATS_TEST_COMPLETED:-}" ]; then
		compose ps || true
		compose logs --tail 15 --no-color || true
	fi
	if [ -n "${TREE:-}" ]; then
		compose down --volumes --timeout 10 >"$T/down.log" 2>&1 || bad=1
	fi
	[ -z "${DOCKERD:-}" ] || stop "$DOCKERD" || bad=1
	[ -z "${NETWORK:-}" ] || stop "$NETWORK" || bad=1
	for dir in $(mounts_below "$T"); do umount -l "$dir"; done
	keydir_teardown || bad=1
	return $bad
}

start_docker() {
	start network unshare --net sleep infinity
	NETWORK=$PID
	wait_for 5 other_network
	inside ip link set lo up
	DOCKER_EXEC=$T/exec
	export DOCKER_HOST=unix://$T/docker.sock
	start dockerd nsenter --net="/proc/$NETWORK/ns/net" dockerd --data-root "$CACHE/docker" \
		--exec-root "$DOCKER_EXEC" --pidfile "$T/docker.pid" -H "$DOCKER_HOST"
	DOCKERD=$PID
	wait_ready 60 "$DOCKERD" docker info >/dev/null
}

other_network() { [ "$(readlink "/proc/$NETWORK/ns/net")" != "$(readlink /proc/self/ns/net)" ]; }
inside() { nsenter --net="/proc/$NETWORK/ns/net" "$@"; }
compose() { (cd "$TREE" && "${COMPOSE[@]}" -p keydirtest "$@"); }
request() { inside curl -sS --max-time 20 "$@"; }
container() { compose ps -q "$1"; }
health() { docker inspect -f '{{.State.Health.Status}}' "$(container "$1")" 2>/dev/null; }
is_healthy() { [ "$(health "$1")" = healthy ]; }
has() { [ "$(cat "$TREE/$1" 2>/dev/null)" = "$2" ]; }

# Requests through Nginx, one after the other, until $T/enough is there; any that
# fails is a line of $T/failed.
load_nginx() {
	local n=0 code
	while [ ! -e "$T/enough" ]; do
		n=$((n + 1))
		code=$(request -o /dev/null -w '%{http_code}' -X PUT -d "$n" \
			http://127.0.0.1:5000/v1/kv/load 2>&1)
		[[ $code == 20[01] ]] || echo "PUT $n: $code" >>"$T/failed"
		code=$(request -o /dev/null -w '%{http_code}' http://127.0.0.1:5000/v1/kv/greeting 2>&1)
		[ "$code" = 200 ] || echo "GET $n: $code" >>"$T/failed"
		echo $n >"$T/requests"
	done
}

went_on() { [ "$(cat "$T/requests")" -gt "$1" ]; }

@test "docker-compose up: mounts on the host, Nginx, and a killed node comes back unnoticed" {
	compose up -d --build >"$T/up.log" 2>&1 || {
		tail -n 30 "$T/up.log"
		return 1
	}
	local n
	for n in node1 node2 node3 nginx; do wait_for 60 is_healthy $n; done

	# Through node 1's mount on the host, Nginx, node 3's mount and each port.
	echo hello >"$TREE/mnt1/greeting"
	wait_for 10 has mnt3/greeting hello
	same hello "$(request http://127.0.0.1:5000/v1/kv/greeting?consistent)"
	for n in 1 2 3; do
		same hello "$(request "http://127.0.0.1:800$n/v1/kv/greeting?consistent")"
	done
	request -f -X PUT -d nginx http://127.0.0.1:5000/v1/kv/from/nginx
	wait_for 10 has mnt2/from/nginx nginx

	# All of node 2 dies at once, under load.
	load_nginx 3>&- &
	local load=$! before
	wait_for 20 went_on 20
	before=$(docker inspect -f '{{.State.Pid}}' "$(container node2)")
	kill -KILL "$before"
	wait_for 60 restarted "$before"
	wait_for 60 is_healthy node2
	before=$(cat "$T/requests")
	wait_for 20 went_on $((before + 20))
	touch "$T/enough"
	wait $load || true
	[ ! -e "$T/failed" ] || {
		head -n 20 "$T/failed"
		return 1
	}

	# The mount of the dead one was taken away; it is there once, works both ways.
	wait_for 20 has mnt2/greeting hello
	same 1 "$(mounts_below "$TREE" | grep -cx "$TREE/mnt2")"
	echo again >"$TREE/mnt2/back"
	wait_for 10 has mnt1/back again

	# One of a node's two programs dies: the container starts again.
	before=$(docker inspect -f '{{.State.Pid}}' "$(container node1)")
	docker exec "$(container node1)" bash -c \
		'for p in /proc/[0-9]*; do [ "$(cat $p/comm)" != keydir-fs ] || kill -KILL ${p#/proc/}; done'
	wait_for 60 restarted_as node1 "$before"
	wait_for 60 has mnt1/back again

	# Down leaves nothing mounted.
	compose down --timeout 20
	same "" "$(mounts_below "$TREE")"
}

restarted() { restarted_as node2 "$1"; }
restarted_as() {
	local now
	now=$(docker inspect -f '{{.State.Pid}}' "$(container "$1")")
	[ "$now" != 0 ] && [ "$now" != "$2" ]
}
