# shellcheck shell=bash disable=SC2154,SC2317,SC2119,SC2120
# New keys into a full cache, which evicts for them, compared with new keys into a cache
# with space: the effect of eviction on a client, above all pauses.

bench_evict() {
	# One run prints four numbers: the first row of a round runs it, the others read them.
	full_run() { # POLICY
		rm -rf "$DIR/store"
		"$TOOLS/full_load" "$DIR/store" "$KEYS" 100 "$PERIOD" "$1" >"$DIR/$1"
		full_get "$1" 1
	}
	full_get() { cut -d ' ' -f "$2" "$DIR/$1"; }
	room_p50() { full_run none; }
	room_p99() { full_get none 2; }
	room_p999() { full_get none 3; }
	room_max() { full_get none 4; }
	lru_p50() { full_run lru; }
	lru_p99() { full_get lru 2; }
	lru_p999() { full_get lru 3; }
	lru_max() { full_get lru 4; }
	ttl_p50() { full_run ttl; }
	ttl_p99() { full_get ttl 2; }
	ttl_p999() { full_get ttl 3; }
	ttl_max() { full_get ttl 4; }
	rounds "with room" room_p50 "with room, p99" room_p99 "with room, p99.9" room_p999 "with room, longest" room_max \
		lru lru_p50 lru99 lru_p99 lru999 lru_p999 lrumax lru_max \
		ttl ttl_p50 ttl99 ttl_p99 ttl999 ttl_p999 ttlmax ttl_max || return
	line "new keys into a full cache of $KEYS, lru, p50" us lru "with room"
	line "the same, p99" us lru99 "with room, p99"
	line "the same, p99.9" us lru999 "with room, p99.9"
	line "the same, longest" us lrumax "with room, longest"
	line "new keys into a full cache, ttl, p50" us ttl "with room"
	line "the same, p99" us ttl99 "with room, p99"
	line "the same, p99.9" us ttl999 "with room, p99.9"
	line "the same, longest" us ttlmax "with room, longest"
}
