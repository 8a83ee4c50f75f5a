# The console in front of three nodes that follow one Kafka topic, through Nginx with the
# project's configuration: how the view of nodes shows a node that hangs and one whose
# disk is full.

load cluster

setup() {
	cluster_setup
	SMALL=$T/n3
	mkdir -p "$SMALL"
}

teardown() {
	local bad=0
	cluster_teardown || bad=1
	umount -l "$SMALL" 2>/dev/null || true
	return $bad
}

@test "the console shows lagging and hanging nodes, and their recovery" {
	command -v chromium chromium-browser google-chrome >/dev/null || skip_or_fail "needs chromium" || return 1
	mount -t tmpfs -o size=8M,mode=700 tmpfs "$SMALL" || skip_or_fail "needs the right to mount a tmpfs" || return 1
	local n ports=() script='' nginx user=''
	nginx=$(PATH=$PATH:/usr/sbin:/sbin command -v nginx) || skip_or_fail "needs nginx" || return 1
	for n in 1 2 3; do
		NODE_PORT[n]=$(free_port)
		ports+=("${NODE_PORT[n]}")
		script+="s/127\.0\.0\.1:800$n/127.0.0.1:${NODE_PORT[n]}/;"
	done
	for n in 1 2 3; do
		node_httpd "$n" --peers "$(for p in "${ports[@]}"; do [ "$p" = "${NODE_PORT[n]}" ] || printf 'http://127.0.0.1:%s,' "$p"; done)"
	done
	allow_log 'full|No space|no room'
	local front
	front=$(free_port)
	mkdir "$T/nginx"
	sed -e "s/127\.0\.0\.1:5000/127.0.0.1:$front/" -e "$script" "$KEYDIR_ROOT/nginx.conf" >"$T/nginx.conf"
	[ "$(id -u)" != 0 ] || user='user root;'
	start nginx "$nginx" -p "$T/nginx" -c "$T/nginx.conf" -e stderr -g "daemon off; $user"
	wait_ready 10 "$PID" curl -sf -o /dev/null "http://127.0.0.1:$front/healthz"
	STOP_PID=${NODE_HTTPD[2]} SMALL_DISK=$SMALL TMPDIR=$T timeout $((200 * PATIENCE)) \
		python3 "$KEYDIR_ROOT/tests/console/drive.py" "http://127.0.0.1:$front" cluster "${ports[@]}"
}
