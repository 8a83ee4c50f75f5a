# shellcheck shell=bash disable=SC2154,SC2317,SC2119,SC2120
# REST beside bare libmicrohttpd, Redis and Nginx: the same values and numbers of
# connections, one thread of load.

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

# Nginx with a server for each "PORT=LOCATION-BLOCK".
serve_nginx() {
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
			listen 127.0.0.1:$1;
			location / {
				proxy_pass http://$2;
				proxy_http_version 1.1;
				proxy_set_header Connection "";
			}
		}
	END
}

# requests/s of URL; with errors or answers other than 2xx it is no number.
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

redis_rate() { # OPTION...
	redis-benchmark -p "$REDIS_PORT" -c "$CONNECTIONS" -d 100 --csv "$@" |
		awk -F '"' '$2 != "test" && $2 != "" { print $4; exit }'
}

# As many requests as keep redis-benchmark busy about as long as the others.
redis_requests() { echo $((60000 * PERIOD)); }

bench_get() {
	local static proxy_keydir proxy_bare
	static=$(free_port) proxy_keydir=$(free_port) proxy_bare=$(free_port)
	mkdir "$DIR/www"
	head -c 100 /dev/zero | tr '\0' v >"$DIR/www/key"
	serve_keydir && serve_bare 100 && serve_redis || return
	curl -sf -o /dev/null -T "$DIR/www/key" "$KEYDIR_URL/v1/kv/key" || return
	redis-cli -p "$REDIS_PORT" set key:__rand_int__ "$(cat "$DIR/www/key")" >/dev/null
	serve_nginx "server { listen 127.0.0.1:$static; root $DIR/www; open_file_cache max=100; }" \
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

# For wrk: PUTs of 100 B, 100,000 keys at random.
put_script() {
	cat <<-'END'
		local body = string.rep("v", 100)
		request = function()
			return wrk.format("PUT", string.format("/v1/kv/key:%012d", math.random(0, 99999)), nil, body)
		end
	END
}

bench_put() {
	serve_keydir && serve_redis || return
	put_script >"$DIR/put.lua"
	put_keydir() { wrk_rate "$KEYDIR_URL" -s "$DIR/put.lua"; }
	put_redis() { redis_rate -t set -r 100000 -n "$(redis_requests)"; }
	rounds keydir put_keydir "Redis SET" put_redis || return
	line "PUT 100 B, embedded log in memory, $CONNECTIONS connections" /s keydir "Redis SET" ">= 1"
}

# Values and numbers of connections from small to large.
bench_sizes() {
	local static bytes name ROUNDS=$(((ROUNDS + 1) / 2)) PERIOD=$(((PERIOD + 1) / 2))
	local CONNECTIONS
	static=$(free_port)
	mkdir "$DIR/www"
	serve_keydir || return
	serve_nginx "server { listen 127.0.0.1:$static; root $DIR/www; open_file_cache max=100; }"
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
			line "GET $name, $CONNECTIONS connections" /s keydir "bare libmicrohttpd"
			line "" /s keydir "Nginx static"
		done
	done
}

# us of the slowest requests: wrk's own percentiles.
bench_latency() {
	cat >"$DIR/percentiles.lua" <<-'END'
		done = function(summary, latency, requests)
			io.write(string.format("percentiles %g %g %g\n", latency:percentile(50),
				latency:percentile(99), latency:percentile(99.9)))
		end
	END
	{
		cat "$DIR/percentiles.lua"
		put_script
	} >"$DIR/put.lua"
	serve_keydir && serve_bare 100 || return
	curl -sf -o /dev/null -X PUT --data-binary "$(printf '%100s' v)" "$KEYDIR_URL/v1/kv/key" || return
	# NAME URL SCRIPT: one run gives three numbers, the first row of a round runs it.
	latency_run() {
		wrk -t 1 -c "$CONNECTIONS" -d "$PERIOD" -s "$DIR/$3" "$2" >"$DIR/$1.out" || return
		if grep -qE 'Non-2xx|Socket errors' "$DIR/$1.out"; then
			return 1
		fi
		latency_get "$1" 2
	}
	latency_get() { grep "^percentiles " "$DIR/$1.out" | cut -d " " -f "$2"; }
	get50() { latency_run get "$KEYDIR_URL/v1/kv/key" percentiles.lua; }
	get99() { latency_get get 3; }
	get999() { latency_get get 4; }
	bare50() { latency_run bare "$BARE_URL/key" percentiles.lua; }
	bare99() { latency_get bare 3; }
	bare999() { latency_get bare 4; }
	put50() { latency_run put "$KEYDIR_URL" put.lua; }
	put99() { latency_get put 3; }
	put999() { latency_get put 4; }
	rounds keydir get50 "keydir, p99" get99 "keydir, p99.9" get999 \
		"bare libmicrohttpd" bare50 "bare, p99" bare99 "bare, p99.9" bare999 \
		put put50 put99 put99 put999 put999 || return
	line "GET 100 B, $CONNECTIONS connections, p50" us keydir "bare libmicrohttpd"
	line "the same, p99" us "keydir, p99" "bare, p99"
	line "the same, p99.9" us "keydir, p99.9" "bare, p99.9"
	plain "PUT 100 B, embedded log, $CONNECTIONS connections, p50" us put
	plain "the same, p99" us put99
	plain "the same, p99.9" us put999
}

# A page of a directory's names: 1,000 entries with their metadata, beside 1,000 names.
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
