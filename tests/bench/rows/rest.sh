# shellcheck shell=bash disable=SC2154,SC2317,SC2119,SC2120
# REST, compared with bare libmicrohttpd, Redis, Nginx, webdis and etcd: the same values
# and numbers of connections, one load thread.

serve_keydir() { # sets KEYDIR_URL
	local port
	port=$(free_port)
	KEYDIR_URL=http://127.0.0.1:$port
	begin "$BUILD/keydir-httpd" --store "$DIR/store" --size 4G --listen "127.0.0.1:$port"
	wait_until 20 ready "$KEYDIR_URL"
}

serve_bare() { # BYTES; sets BARE_URL
	local port
	port=$(free_port)
	BARE_URL=http://127.0.0.1:$port
	begin "$TOOLS/bare_mhd" "$port" "$CORES" "$1"
	wait_until 20 answers "$BARE_URL/"
}

serve_redis() { # [OPTION...]; sets REDIS_PORT
	REDIS_PORT=$(free_port)
	begin redis-server --bind 127.0.0.1 --port "$REDIS_PORT" --save '' --appendonly no \
		--dir "$DIR" --logfile '' "$@"
	wait_until 20 redis-cli -p "$REDIS_PORT" ping
}

# Start Nginx with a server for each BLOCK. Each worker has its own listening socket
# (reuseport): otherwise one worker accepts all connections in some runs and all workers
# do in others, and the benchmark would measure that.
serve_nginx() { # BLOCK...
	local block
	{
		cat <<-END
			daemon off;
			pid $DIR/nginx.pid;
			error_log $DIR/nginx.log;
			worker_processes auto;
			$([ "$(id -u)" != 0 ] || echo "user root;")
			events { worker_connections 4096; }
			http {
			access_log off;
			keepalive_requests 1000000000;
			client_body_temp_path $DIR/body;
			proxy_temp_path $DIR/proxy;
			fastcgi_temp_path $DIR/fastcgi;
			uwsgi_temp_path $DIR/uwsgi;
			scgi_temp_path $DIR/scgi;
		END
		for block; do
			echo "$block"
		done
		echo "}"
	} >"$DIR/nginx.conf"
	begin nginx -c "$DIR/nginx.conf" -e "$DIR/nginx.log"
}

proxy_block() { # PORT NAME URL
	cat <<-END
		upstream $2 { server ${3#http://}; keepalive 64; keepalive_requests 1000000000; }
		server {
			listen 127.0.0.1:$1 reuseport;
			location / {
				proxy_pass http://$2;
				proxy_http_version 1.1;
				proxy_set_header Connection "";
			}
		}
	END
}

# Print the requests/s of URL; fail after errors or responses other than 2xx.
wrk_rate() { # URL [WRK-OPTION...]
	local url=$1 out
	shift
	out=$(wrk -t 1 -c "$CONNECTIONS" -d "$PERIOD" "$@" "$url") || return
	if grep -qE 'Non-2xx|Socket errors' <<<"$out"; then
		echo "$out" >&2
		return 1
	fi
	sed -n 's|^Requests/sec: *||p' <<<"$out"
}

# The same for PUTs of BYTES to random keys, out of 100,000 or the number in OPTIONS.
# (wrk would build each request in Lua, which costs more than answering it.)
put_rate() { # URL-OF-DIRECTORY BYTES [HTTP_LOAD-OPTION...]
	"$TOOLS/http_load" -m PUT -b "$2" "${@:3}" "$1/key:{key}" "$CONNECTIONS" "$PERIOD"
}

redis_rate() { # OPTION...
	redis-benchmark -p "$REDIS_PORT" -c "$CONNECTIONS" -d 100 --csv "$@" |
		awk -F '"' '$2 != "test" && $2 != "" { print $4; exit }'
}

# Print a number of requests that takes redis-benchmark about as long as the others.
redis_requests() { echo $((60000 * PERIOD)); }

# In many rounds of a second: the machine's speed hardly changes in that time.
bench_get() {
	local ROUNDS=$((ROUNDS * PERIOD)) PERIOD=1
	local static proxy_keydir proxy_bare
	static=$(free_port) proxy_keydir=$(free_port) proxy_bare=$(free_port)
	mkdir "$DIR/www"
	head -c 100 /dev/zero | tr '\0' v >"$DIR/www/key"
	serve_keydir && serve_bare 100 && serve_redis || return
	curl -sf -o /dev/null -T "$DIR/www/key" "$KEYDIR_URL/v1/kv/key" || return
	redis-cli -p "$REDIS_PORT" set key:__rand_int__ "$(cat "$DIR/www/key")" >/dev/null
	serve_nginx "server { listen 127.0.0.1:$static reuseport; root $DIR/www; open_file_cache max=100; }" \
		"$(proxy_block "$proxy_keydir" keydir "$KEYDIR_URL")" \
		"$(proxy_block "$proxy_bare" bare "$BARE_URL")"
	wait_until 20 answers "http://127.0.0.1:$static/key" || return

	get_keydir() { wrk_rate "$KEYDIR_URL/v1/kv/key"; }
	get_bare() { wrk_rate "$BARE_URL/key"; }
	get_redis() { redis_rate -t get -n "$(redis_requests)"; }
	get_static() { wrk_rate "http://127.0.0.1:$static/key"; }
	get_proxy_keydir() { wrk_rate "http://127.0.0.1:$proxy_keydir/v1/kv/key"; }
	get_proxy_bare() { wrk_rate "http://127.0.0.1:$proxy_bare/key"; }
	rounds keydir get_keydir "bare libmicrohttpd" get_bare "Redis GET" get_redis \
		"Nginx static" get_static "through Nginx" get_proxy_keydir \
		"Nginx to a bare server" get_proxy_bare || return
	line "GET 100 B, $CONNECTIONS connections" /s keydir "bare libmicrohttpd" ">= 0.9"
	line "" /s keydir "Redis GET" ">= 1"
	line "" /s keydir "Nginx static"
	line "the same through Nginx" /s "through Nginx" "Nginx to a bare server" ">= 0.95"
}

bench_put() {
	local ROUNDS=$((ROUNDS * PERIOD)) PERIOD=1
	serve_keydir && serve_bare 100 && serve_redis || return
	put_keydir() { put_rate "$KEYDIR_URL/v1/kv" 100; }
	put_bare() { put_rate "$BARE_URL" 100; }
	put_redis() { redis_rate -t set -r 100000 -n "$(redis_requests)"; }
	rounds keydir put_keydir "Redis SET" put_redis "bare libmicrohttpd, nothing stored" put_bare || return
	line "PUT 100 B, embedded log in memory, $CONNECTIONS connections" /s keydir "Redis SET" ">= 1"
	line "" /s keydir "bare libmicrohttpd, nothing stored"
}

# Longer values and fewer keys: about the same number of bytes.
bench_put_sizes() {
	local bytes keys requests ROUNDS=$(((ROUNDS + 1) / 2)) PERIOD=$(((PERIOD + 1) / 2))
	serve_keydir && serve_bare 100 && serve_redis || return
	put_keydir() { put_rate "$KEYDIR_URL/v1/kv" "$bytes" -k "$keys"; }
	put_bare() { put_rate "$BARE_URL" "$bytes" -k "$keys"; }
	put_redis() { redis_rate -t set -r "$keys" -n "$((requests * PERIOD))" -d "$bytes"; }
	while read -r bytes keys requests; do
		rounds keydir put_keydir "Redis SET" put_redis "bare libmicrohttpd, nothing stored" put_bare || return
		line "PUT $((bytes / 1024)) KiB, $CONNECTIONS connections" /s keydir "Redis SET"
		line "" /s keydir "bare libmicrohttpd, nothing stored"
	done <<-'END'
		10240 10000 20000
		1048576 100 500
	END
}

# Other servers of keys over HTTP: Redis with webdis as its HTTP interface, and etcd,
# with its data in memory too.
bench_peers() {
	local port peer payload
	serve_keydir && serve_redis || return
	payload=$(head -c 100 /dev/zero | tr '\0' v)
	curl -sf -o /dev/null -X PUT --data-binary "$payload" "$KEYDIR_URL/v1/kv/key" || return
	get_keydir() { http_rate "$KEYDIR_URL/v1/kv/key"; }
	put_keydir() { put_rate "$KEYDIR_URL/v1/kv" 100; }
	http_rate() { "$TOOLS/http_load" "$@" "$CONNECTIONS" "$PERIOD"; }

	if command -v webdis >/dev/null; then
		port=$(free_port)
		printf '{ "redis_port": %s, "http_host": "127.0.0.1", "http_port": %s, "threads": %s, %s }' \
			"$REDIS_PORT" "$port" "$CORES" '"pool_size": 20, "daemonize": false, "logfile": "/dev/null"' \
			>"$DIR/webdis.json"
		begin webdis "$DIR/webdis.json"
		WEBDIS_URL=http://127.0.0.1:$port
		wait_until 20 answers "$WEBDIS_URL/PING"
		curl -sf -o /dev/null -X PUT --data-binary "$payload" "$WEBDIS_URL/SET/key" || return
		get_webdis() { http_rate "$WEBDIS_URL/GET/key.txt"; }
		put_webdis() { put_rate "$WEBDIS_URL/SET" 100; }
		rounds keydir get_keydir "Redis with webdis" get_webdis || return
		line "GET 100 B over HTTP, $CONNECTIONS connections" /s keydir "Redis with webdis"
		rounds keydir put_keydir "Redis with webdis" put_webdis || return
		line "PUT 100 B over HTTP, $CONNECTIONS connections" /s keydir "Redis with webdis"
	else
		not_measured "GET and PUT with webdis" "webdis is not installed"
	fi

	if command -v etcd >/dev/null; then
		port=$(free_port) peer=$(free_port)
		begin etcd --data-dir "$DIR/etcd" --log-level error \
			--listen-client-urls "http://127.0.0.1:$port" \
			--advertise-client-urls "http://127.0.0.1:$port" \
			--listen-peer-urls "http://127.0.0.1:$peer"
		ETCD_URL=http://127.0.0.1:$port
		wait_until 20 curl -sf -o /dev/null "$ETCD_URL/health"
		# etcd expects base64, and 12 digits are valid base64 already.
		payload=$(base64 -w 0 <<<"$payload")
		get_etcd() { http_rate -m POST -t '{"key":"{key}"}' -k 1 "$ETCD_URL/v3/kv/range"; }
		put_etcd() {
			http_rate -m POST -t "{\"key\":\"{key}\",\"value\":\"$payload\"}" "$ETCD_URL/v3/kv/put"
		}
		rounds keydir put_keydir etcd put_etcd || return
		line "PUT 100 B over HTTP, $CONNECTIONS connections" /s keydir etcd
		curl -sf -o /dev/null -d "{\"key\":\"000000000000\",\"value\":\"$payload\"}" "$ETCD_URL/v3/kv/put" || return
		rounds keydir get_keydir etcd get_etcd || return
		line "GET 100 B over HTTP, $CONNECTIONS connections" /s keydir etcd
	else
		not_measured "GET and PUT with etcd" "etcd is not installed"
	fi
}

# Values and numbers of connections from small to large.
bench_sizes() {
	local static bytes name ROUNDS=$(((ROUNDS + 1) / 2)) PERIOD=$(((PERIOD + 1) / 2))
	local CONNECTIONS
	static=$(free_port)
	mkdir "$DIR/www"
	serve_keydir || return
	serve_nginx "server { listen 127.0.0.1:$static reuseport; root $DIR/www; open_file_cache max=100; }"
	sizes_keydir() { wrk_rate "$KEYDIR_URL/v1/kv/$bytes"; }
	sizes_bare() { wrk_rate "$BARE_URL/key"; }
	sizes_static() { wrk_rate "http://127.0.0.1:$static/$bytes"; }
	for bytes in 100 10240 1048576; do
		name=$([ $bytes -lt 1024 ] && echo "$bytes B" || echo "$((bytes / 1024)) KiB")
		head -c "$bytes" /dev/zero | tr '\0' v >"$DIR/www/$bytes"
		curl -sf -o /dev/null -T "$DIR/www/$bytes" "$KEYDIR_URL/v1/kv/$bytes" || return
		serve_bare "$bytes" && wait_until 20 answers "http://127.0.0.1:$static/$bytes" || return
		for CONNECTIONS in 1 32 512; do
			rounds keydir sizes_keydir "bare libmicrohttpd" sizes_bare "Nginx static" sizes_static || return
			line "GET $name, $CONNECTIONS connection$([ "$CONNECTIONS" = 1 ] || echo s)" /s keydir "bare libmicrohttpd"
			line "" /s keydir "Nginx static"
		done
	done
}

# Changes delivered to many watchers, compared with Redis's publish and subscribe, which
# stores nothing, and with a process that only writes to as many sockets.
bench_watch() {
	local watchers
	serve_keydir && serve_redis --maxclients 4096 || return
	curl -sf -o /dev/null -X PUT -d v "$KEYDIR_URL/v1/kv/watched/key" || return
	watch_keydir() { "$TOOLS/watch_load" keydir "${KEYDIR_URL##*:}" "$watchers" "$PERIOD"; }
	watch_redis() { "$TOOLS/watch_load" redis "$REDIS_PORT" "$watchers" "$PERIOD"; }
	watch_bare() { "$TOOLS/watch_load" bare "$watchers" "$PERIOD"; }
	for watchers in 100 1000; do
		rounds keydir watch_keydir "Redis PUBLISH" watch_redis "writes to sockets alone" watch_bare || return
		line "changes delivered, $watchers watchers together" /s keydir "Redis PUBLISH"
		line "" /s keydir "writes to sockets alone"
	done
}

# Latency: median and slowest requests in us, directly and through Nginx.
bench_latency() {
	local proxy_keydir proxy_bare
	proxy_keydir=$(free_port) proxy_bare=$(free_port)
	serve_keydir && serve_bare 100 || return
	serve_nginx "$(proxy_block "$proxy_keydir" keydir "$KEYDIR_URL")" \
		"$(proxy_block "$proxy_bare" bare "$BARE_URL")"
	wait_until 20 answers "http://127.0.0.1:$proxy_bare/key" || return
	curl -sf -o /dev/null -X PUT --data-binary "$(printf '%100s' v)" "$KEYDIR_URL/v1/kv/key" || return
	# One run prints all numbers: p50 runs it, the others read its output.
	latency_run() { # NAME HTTP_LOAD-ARGUMENT...
		"$TOOLS/http_load" -l "${@:2}" "$CONNECTIONS" "$PERIOD" >"$DIR/$1.out" || return
		latency_of "$1" 1
	}
	latency_of() { cut -d " " -f "$2" "$DIR/$1.out"; } # NAME FIELD
	latency_rows() { # WORK KEYDIR-ARGUMENTS BARE-ARGUMENTS
		rounds keydir "latency_run keydir $2" keydir99 "latency_of keydir 2" \
			keydir999 "latency_of keydir 3" "bare libmicrohttpd" "latency_run bare $3" \
			"bare, p99" "latency_of bare 2" "bare, p99.9" "latency_of bare 3" || return
		line "$1, $CONNECTIONS connections, p50" us keydir "bare libmicrohttpd"
		line "the same, p99" us keydir99 "bare, p99"
		line "the same, p99.9" us keydir999 "bare, p99.9"
	}
	local key=v1/kv/key put="-m PUT -b 100"
	latency_rows "GET 100 B" "$KEYDIR_URL/$key" "$BARE_URL/key" &&
		latency_rows "GET 100 B through Nginx" "http://127.0.0.1:$proxy_keydir/$key" \
			"http://127.0.0.1:$proxy_bare/key" &&
		latency_rows "PUT 100 B" "$put $KEYDIR_URL/$key:{key}" "$put $BARE_URL/key:{key}" &&
		latency_rows "PUT 100 B through Nginx" "$put http://127.0.0.1:$proxy_keydir/$key:{key}" \
			"$put http://127.0.0.1:$proxy_bare/key:{key}"
}

# A page of a listing: 1,000 entries with their metadata, compared with 1,000 names.
bench_listing() {
	local n=$((KEYS / 10))
	serve_keydir && serve_redis --enable-debug-command local || return
	seq -f 'dir/g%.0f' "$n" | fill_by_txn || return
	redis-cli -p "$REDIS_PORT" debug populate "$n" key 100 >/dev/null || return
	local CONNECTIONS=4
	list_keydir() { wrk_rate "$KEYDIR_URL/v1/kv/dir/?limit=1000"; }
	list_redis() {
		redis-benchmark -p "$REDIS_PORT" -c "$CONNECTIONS" -n $((1000 * PERIOD)) --csv \
			scan 0 count 1000 | awk -F '"' '$2 != "test" && $2 != "" { print $4; exit }'
	}
	rounds keydir list_keydir "Redis SCAN" list_redis || return
	line "list 1,000 of $(number "$n") keys, $CONNECTIONS connections" /s keydir "Redis SCAN"
}
