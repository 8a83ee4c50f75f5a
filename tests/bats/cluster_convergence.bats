# Nodes that have applied the same log are equal, row by row, whatever was written where
# and whichever process died.

load cluster

SEED=${SEED:-20260301}
SECONDS_OF_LOAD=24

# Random numbers for this file's own choices: which process is killed.
chance() {
	STATE=$(((STATE * 1103515245 + 12345) % 2147483648))
	CHANCE=$((STATE / 65536 % $1))
}

start_worker() { # NAME KIND PLACE
	WORKER=$((${WORKER:-0} + 1))
	"$CLUSTER/random_ops.py" --seed $((SEED + WORKER)) --seconds "$SECONDS_OF_LOAD" \
		"--$2" "$3" --report "$T/$1.json" >"$T/$1.out" 2>&1 3>&- &
	WORKERS+=("$!")
}

# came_to REGEX OUTCOME: how many operations matching REGEX had OUTCOME, in all reports.
came_to() {
	jq -s --arg re "^($1) $2\$" \
		'[.[] | to_entries[] | select(.key | test($re)).value] | add // 0' "$T"/*.json
}

@test "after random operations, kills and a broker's restart all stores are equal" {
	local n kills=0 half=0 end op dirs=()
	echo "SEED=$SEED"
	STATE=$SEED
	allow_log 'the log cannot be used: (no answer|the broker)'
	# A failure at the release of a file is only logged: no caller is left to receive an
	# error about a removed directory or an unreachable log.
	allow_log 'a change was lost after its file was closed'
	NODE_OPTIONS=(--write-timeout 4s)
	WORKERS=()
	for n in 1 2 3; do node_up "$n"; done
	for n in 1 2 3; do
		start_worker "mount$n" mount "${NODE_MNT[n]}"
		start_worker "rest$n" url "${NODE_URL[n]}"
	done
	end=$((SECONDS + SECONDS_OF_LOAD))
	while [ $SECONDS -lt $end ]; do
		sleep 1.5 # load on live nodes; no step waits for it
		if [ $half = 0 ] && [ $SECONDS -gt $((end - SECONDS_OF_LOAD / 2)) ]; then
			half=1
			broker kill
			broker start
			continue
		fi
		chance 3
		n=$((CHANCE + 1))
		chance 3
		case $CHANCE in
		0) node_kill "$n" httpd && node_httpd "$n" ;;
		1) node_kill "$n" fs && node_fs "$n" ;;
		2) node_kill "$n" && node_up "$n" ;;
		esac
		kills=$((kills + 1))
	done
	for n in "${WORKERS[@]}"; do
		wait "$n" || {
			cat "$T"/*.out
			return 1
		}
	done
	echo "$kills kills, $half restart of the broker, $(log_end) records"
	jq -sc 'map(to_entries[]) | group_by(.key) | map({(.[0].key): (map(.value) | add)}) | add' "$T"/*.json
	[[ "$half" = 1 && "$kills" -ge 2 ]]

	wait_for 30 settled 1 2 3 || {
		show_differences "$T/n1" "$T/n2" "$T/n3"
		return 1
	}
	# A new node that only replays the log is equal, too.
	node_httpd 4
	wait_for 30 settled 1 2 3 4 || {
		show_differences "$T/n1" "$T/n4"
		return 1
	}

	# The load was real: every operation succeeded somewhere, and every operation that can
	# lose a race did lose one.
	for op in write append patch truncate exclusive unlink mkdir rmdir rename rename_noreplace \
		rename_exchange rename_dir symlink chmod utime ttl persist default_ttl setxattr \
		removexattr put put_ttl put_absent put_version put_idempotent delete append_ttl \
		put_number incr expire; do
		[ "$(came_to "$op" "done")" -gt 0 ] || {
			echo "$op was never done"
			return 1
		}
	done
	for op in exclusive mkdir put_absent incr 'rename.*' delete; do
		[ "$(came_to "$op" refused)" -gt 0 ] || {
			echo "$op was never refused"
			return 1
		}
	done
	[ "$(log_end)" -gt 500 ]
}

@test "a row that differs is found" {
	node_httpd 1
	node_httpd 2
	node_rest 1 PUT /v1/kv/k -d v
	wait_for 10 settled 1 2
	stop "${NODE_HTTPD[2]}"
	# The store of a node that applied something else.
	cp -a "$T/n2" "$T/n3"
	TOPIC=$TOPIC-other VOLUME=$VOLUME-other
	node_httpd 5
	node_rest 5 PUT /v1/kv/k -d w
	equal_stores "$T/n1" "$T/n2" "$T/n3"
	not equal_stores "$T/n1" "$T/n5"
	show_differences "$T/n1" "$T/n5" | grep -q '^[<>]'
	# A store that cannot be read is not equal to another unreadable one.
	not equal_stores "$T/none" "$T/nothing"
}
