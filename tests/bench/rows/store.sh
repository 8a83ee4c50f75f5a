# shellcheck shell=bash disable=SC2154,SC2317,SC2119,SC2120
# The store without a server: applying, memory, restart.

bench_apply() {
	apply_keydir() {
		rm -rf "$DIR/store"
		"$TOOLS/apply_load" "$DIR/store" "$KEYS" 100
	}
	rounds keydir apply_keydir || return
	plain "changes applied, $(number "$KEYS") keys of 100 B, in batches" /s keydir ">= 150000"
}

# The same keys ("key:N") and values in both.
bench_memory() {
	local before
	"$TOOLS/fill" "$DIR/store" "$KEYS" 100 >/dev/null || return
	# On tmpfs, the allocated blocks are the memory used, including tables and feed.
	memory_keydir() { du -s --block-size=1 "$DIR/store" | cut -f 1; }
	serve_redis --enable-debug-command local || return
	before=$(redis_memory)
	redis-cli -p "$REDIS_PORT" debug populate "$KEYS" key 100 >/dev/null || return
	memory_redis() { awk -v a="$before" -v b="$(redis_memory)" 'BEGIN { print b - a }'; }
	per_key() { awk -v n="$("$1")" -v k="$KEYS" 'BEGIN { print n / k }'; }
	per_key_keydir() { per_key memory_keydir; }
	per_key_redis() { per_key memory_redis; }
	ROUNDS=1 rounds keydir per_key_keydir Redis per_key_redis || return
	line "memory for a key with a 100 B value ($(number "$KEYS") keys)" B keydir Redis "<= 1"

	# The time until a restarted server is ready.
	restart() {
		local begin=$EPOCHREALTIME port
		port=$(free_port)
		begin "$BUILD/keydir-httpd" --store "$DIR/store" --size 4G --listen "127.0.0.1:$port"
		wait_until 60 ready "http://127.0.0.1:$port" || return
		awk -v a="$begin" -v b="$EPOCHREALTIME" 'BEGIN { print b - a }'
		end "$PID"
	}
	rounds keydir restart || return
	plain "restart with $(number "$KEYS") keys, warm" s keydir "<= 1"
}

redis_memory() { redis-cli -p "$REDIS_PORT" info memory | tr -d '\r' | sed -n 's/^used_memory://p'; }
