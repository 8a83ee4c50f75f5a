# The console in headless Chromium, through Nginx with the project's configuration, in
# front of three servers of one node.

load helper

# start_nodes N OPTION...: start N servers; number 2 and up share the first one's store.
start_nodes() {
	local n=$1 i
	shift
	PORTS=()
	for ((i = 0; i < n; i++)); do
		start_httpd "$@"
		PORTS+=("$PORT")
	done
	[ ${#PORTS[@]} = 3 ] || PORTS+=("${PORTS[0]}" "${PORTS[0]}")
	start_nginx
}

# Start the project's nginx.conf on ports of this test; set CONSOLE and NGINX_PID.
start_nginx() {
	PATH=$PATH:/usr/sbin:/sbin
	require nginx
	local port user=""
	port=$(free_port)
	mkdir "$T/nginx"
	sed -e "s/127\.0\.0\.1:8001/127.0.0.1:${PORTS[0]}/; s/127\.0\.0\.1:8002/127.0.0.1:${PORTS[1]}/" \
		-e "s/127\.0\.0\.1:8003/127.0.0.1:${PORTS[2]}/; s/127\.0\.0\.1:5000/127.0.0.1:$port/" \
		"$KEYDIR_ROOT/nginx.conf" >"$T/nginx.conf"
	[ "$(id -u)" != 0 ] || user='user root;'
	start nginx nginx -p "$T/nginx" -c "$T/nginx.conf" -e stderr -g "daemon off; $user"
	NGINX_PID=$PID
	CONSOLE=http://127.0.0.1:$port
	URL=$CONSOLE
	wait_ready 10 "$PID" curl -sf -o /dev/null "$CONSOLE/healthz"
}

drive() { # SCENARIO
	command -v chromium chromium-browser google-chrome >/dev/null || skip_or_fail "needs chromium" || return 1
	TMPDIR=$T PATIENCE=$PATIENCE NGINX_PID=$NGINX_PID timeout $((120 * PATIENCE)) \
		python3 "$KEYDIR_ROOT/tests/console/drive.py" "$CONSOLE" "$1" "${PORTS[@]}"
}

@test "the page and its parts have types, tags and a policy, and need no token" {
	echo "reader sha256:$(printf s | sha256sum | cut -c1-64) read /" >"$T/tokens"
	start_nodes 1 --tokens "$T/tokens"
	rest GET /v1/kv/
	same 401 "$status"
	local file parts
	rest GET /
	same 200 "$status"
	cmp "$T/body" "$KEYDIR_ROOT/httpd/console/index.html"
	same 'text/html; charset=utf-8' "$(header Content-Type)"
	local policy
	policy=$(header Content-Security-Policy)
	[[ $policy == "default-src 'none'; script-src 'self'; style-src 'self'; "* ]]
	[[ $policy == *"frame-ancestors 'none'"* && $policy == *"base-uri 'none'"* ]]
	[[ $policy != *unsafe* && $policy != *'*'* && $policy != *http* ]]
	# No script or style within the page, no event handler, no resource of another host.
	run grep -nE ' on[a-z]+=| style=|<style|<script>|https?:|javascript:' "$T/body"
	[ -z "$output" ]
	for file in "$KEYDIR_ROOT"/httpd/console/*; do
		rest GET "/console/${file##*/}"
		same 200 "$status"
		cmp "$T/body" "$file"
		same nosniff "$(header X-Content-Type-Options)"
		same no-referrer "$(header Referrer-Policy)"
		same "$policy" "$(header Content-Security-Policy)"
		case $file in
		*.js) same 'text/javascript; charset=utf-8' "$(header Content-Type)" ;;
		*.css) same 'text/css; charset=utf-8' "$(header Content-Type)" ;;
		*.svg) same image/svg+xml "$(header Content-Type)" ;;
		*.html) ;;
		*) false ;;
		esac
		# A part that the client has is not sent again; another one is.
		rest GET "/console/${file##*/}" -H "If-None-Match: \"1\", $(header ETag)"
		same 304 "$status"
		same '' "$(body)"
		rest GET "/console/${file##*/}" -H 'If-None-Match: "1"'
		same 200 "$status"
		rest HEAD "/console/${file##*/}"
		same 200 "$status"
		same "$(stat -c %s "$file")" "$(header Content-Length)"
	done
	parts=$(grep -ohE "/console/[a-z.]+|'\./[a-z]+\.js'" "$KEYDIR_ROOT"/httpd/console/*.{html,js} | sort -u | sed "s|'./|/console/|; s|'||")
	for file in $parts; do
		rest GET "$file"
		same 200 "$status"
	done
	for file in /console /console/ /console/nothing.js /console/main.js/ /console/../main.js /console/main.js/x /index.html; do
		rest GET "$file"
		[[ $status = 404 || $status = 400 ]]
		same application/problem+json "$(header Content-Type)"
	done
	rest PUT /console/main.js --data-binary x
	same 405 "$status"
	same 'GET, HEAD' "$(header Allow)"
	rest GET '/?x=1'
	same 400 "$status"
	rest HEAD /
	same 200 "$status"
}

# Each test of the page also fails if the page logs an error, violates its policy,
# contacts another host or gets a response that is not expected.

@test "browsing: the tree, values of each kind, links, changes by others" {
	start_nodes 3
	drive browse
}

@test "editing: compare and set, conflicts, unsaved changes, line ends, files" {
	start_nodes 3
	drive edit
}

@test "a late response or change by another client disturbs neither pane nor editor" {
	start_nodes 3
	drive late
}

@test "keys are created, get a TTL, are renamed and deleted, and a directory is deleted whole" {
	start_nodes 3
	drive change
}

@test "names and values of any bytes are text, and every action works on them" {
	start_nodes 3
	drive names
}

@test "every action works by keyboard, and every control has a name" {
	start_nodes 3
	drive keyboard
}

@test "every view and dialog fits on a phone of 360 x 740, dark and light" {
	start_nodes 3
	drive phone
}

@test "a directory of 100,000 keys can be browsed and searched" {
	start_nodes 3
	drive many
}

@test "events: each kind, pause, filter, a break without loss" {
	start_nodes 3
	drive events
}

@test "the view of nodes shows all nodes of Nginx, and its plots move" {
	# Each node also names a peer that never responds.
	start_nodes 3 --peers http://127.0.0.1:1
	drive nodes
}

@test "a token is asked for, kept in the tab, and forgotten" {
	local right
	for right in 'writer write /' 'reader read /app/'; do
		# shellcheck disable=SC2086 # name, right, prefix
		set -- $right
		echo "$1 sha256:$(printf %s "$1-of-$([ "$3" = / ] && echo all || echo app)" | sha256sum | cut -c1-64) $2 $3"
	done >"$T/tokens"
	start_nodes 3 --tokens "$T/tokens"
	drive token
}
