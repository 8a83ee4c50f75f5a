# Which process wins when mounts of three nodes change the same names at the same moment.

load cluster

TOOLS=$KEYDIR_BUILD/tools

three_mounts() {
	local n
	for n in 1 2 3; do node_fs "$n"; done
}

# The mounts have applied the log up to its end.
sync_mounts() {
	local n
	for n in 1 2 3; do sync "${NODE_MNT[n]}"; done
}

# check_lines FILE NAME=N...: check that the lines of append_lines are whole, none twice,
# none missing.
check_lines() {
	local file=$1
	shift
	python3 - "$file" "$@" <<-'PYTHON'
		import collections, sys
		seen = collections.defaultdict(collections.Counter)
		bad = 0
		with open(sys.argv[1], "rb") as file:
		    data = file.read()
		if data[-1:] != b"\n":
		    print("the last line has no end")
		    bad += 1
		for line in data.split(b"\n")[:-1]:
		    words = line.split(b" ")
		    try:
		        name, number, length, padding = words
		        whole = len(padding) == int(length) and not padding.strip(b"x")
		        seen[name.decode()][int(number)] += 1
		    except ValueError:
		        whole = False
		    if not whole:
		        print("torn:", line[:200])
		        bad += 1
		for want in sys.argv[2:]:
		    name, n = want.split("=")
		    have = seen.pop(name, {})
		    missing = [i for i in range(int(n)) if i not in have]
		    twice = [i for i, times in have.items() if times > 1]
		    if missing or twice or len(have) != int(n):
		        print(f"{name}: {len(missing)} missing {missing[:5]}, {len(twice)} twice {twice[:5]}")
		        bad += 1
		if seen:
		    print("unknown names:", list(seen)[:5])
		    bad += 1
		sys.exit(bad != 0)
	PYTHON
}

@test ">> from three mounts at once: 30,000 whole lines, none twice" {
	local n pids=() dir
	three_mounts
	for n in 1 2 3; do
		dir=${NODE_MNT[n]}
		"$TOOLS/append_lines" "$dir/lines" "prog$n" 9900 6 3>&- &
		pids+=($!)
		# A hundred of the ten thousand with the shell's own >>.
		(
			for ((i = 0; i < 100; i++)); do
				printf 'bash%d %d %d %s\n' "$n" "$i" 3 xxx >>"$dir/lines" || exit 1
			done
		) 3>&- &
		pids+=($!)
	done
	for n in "${pids[@]}"; do wait "$n"; done
	sync_mounts
	same 30000 "$(wc -l <"${NODE_MNT[1]}/lines")"
	check_lines "${NODE_MNT[1]}/lines" prog{1,2,3}=9900 bash{1,2,3}=100
	cmp "${NODE_MNT[1]}/lines" "${NODE_MNT[2]}/lines"
	cmp "${NODE_MNT[1]}/lines" "${NODE_MNT[3]}/lines"
	# Each line is in the log once, including those that created the file.
	same 30000 "$(consume -f '%s' | grep -cE '^(prog|bash)[123] ')"
	for n in 1 2 3; do stop "${NODE_FS[n]}"; done
	equal_stores "$T/n1" "$T/n2" "$T/n3"
}

@test "a line that is torn, missing or there twice is found" {
	local file=$T/lines
	"$TOOLS/append_lines" "$file" a 100 3
	check_lines "$file" a=100
	fails_with missing check_lines <(tail -n +2 "$file") a=100
	fails_with twice check_lines <(cat "$file" && head -n 1 "$file") a=100
	fails_with torn check_lines <(sed '10s/x$//' "$file") a=100
	fails_with torn check_lines <(sed '10{N;s/\n//}' "$file") a=100
	fails_with "no end" check_lines <(head -c -1 "$file") a=100
}

@test "O_EXCL from three mounts: one winner for each of 1,000 names" {
	local wins n
	three_mounts
	wins=$("$TOOLS/race_create" excl f 1000 "${NODE_MNT[@]:1:3}")
	echo "wins: $wins"
	same 1000 "$((${wins// / + }))"
	# Each mount lost some names, or the test had no race.
	for n in $wins; do [ "$n" -gt 0 ]; done
	sync_mounts
	for n in 1 2 3; do
		same 1000 "$(find "${NODE_MNT[n]}" -type f | wc -l)"
		same "$wins" "$(cat "${NODE_MNT[n]}"/f* | sort | uniq -c | awk '{ print $1 }' | paste -sd ' ')"
	done
}

@test "mkdir from three mounts: one winner for each of 1,000 names" {
	local wins n
	three_mounts
	wins=$("$TOOLS/race_create" mkdir d 1000 "${NODE_MNT[@]:1:3}")
	echo "wins: $wins"
	same 1000 "$((${wins// / + }))"
	for n in $wins; do [ "$n" -gt 0 ]; done
	sync_mounts
	for n in 1 2 3; do
		same 1000 "$(find "${NODE_MNT[n]}" -mindepth 1 -type d | wc -l)"
	done
}

# Read the whole log into $T/log, one line per record. Fail if kcat read fewer records
# than the broker has.
read_log() {
	consume -f '%h %k\n' >"$T/log" && [ "$(wc -l <"$T/log")" = "$(log_end)" ]
}

@test "an exclusive creation succeeds even if another node removes the file at once" {
	local made="$KEYDIR_ROOT/tests/cluster/exclusive.py"
	node_httpd 1
	node_fs 2
	timeout $((60 * PATIENCE)) python3 "$made" run "${NODE_MNT[2]}" "${NODE_URL[1]#http://}" 5 >"$T/calls"
	wait_for 20 read_log
	python3 "$made" compare "$T/calls" "$T/log"
}

@test "sync DIR: this kernel knows names and values that another node has acknowledged before" {
	node_httpd 1
	node_fs 2
	timeout $((60 * PATIENCE)) python3 "$KEYDIR_ROOT/tests/cluster/sync_dir.py" "${NODE_MNT[2]}" \
		"${NODE_URL[1]#http://}" 5
}

@test "If-None-Match and If-Match on three nodes at once: one winner each" {
	local n i pids
	for n in 1 2 3; do node_httpd "$n"; done
	for i in {1..60}; do
		pids=()
		for n in 1 2 3; do
			curl -sS -o /dev/null -w '%{http_code}\n' -X PUT -H 'If-None-Match: *' -d "$n" \
				"${NODE_URL[n]}/v1/kv/k$i" >"$T/got$n" 3>&- &
			pids+=($!)
		done
		wait "${pids[@]}"
		same "201 412 412" "$(sort "$T"/got[123] | paste -sd ' ')"
	done
	# A counter by read, compute, and compare and set, as clients do it.
	node_rest 1 PUT /v1/kv/count -d 0
	pids=()
	for n in 1 2 3; do
		add_by_hand "$n" 25 3>&- &
		pids+=($!)
	done
	for i in "${pids[@]}"; do wait "$i"; done
	node_rest 2 GET '/v1/kv/count?consistent'
	same "200 75" "$status $(body)"
	# And by the operation for it.
	pids=()
	for n in 1 2 3; do
		seq 100 | xargs -P 4 -I{} curl -sS -f -o /dev/null -X POST \
			"${NODE_URL[n]}/v1/kv/hits?op=incr" 3>&- &
		pids+=($!)
	done
	for i in "${pids[@]}"; do wait "$i"; done
	node_rest 3 GET '/v1/kv/hits?consistent'
	same "200 300" "$status $(body)"
}

# add_by_hand N TIMES
add_by_hand() {
	local url=${NODE_URL[$1]}/v1/kv/count left=$2 value etag code
	while [ "$left" -gt 0 ]; do
		value=$(curl -sS -D "$T/h$1" "$url") || return
		etag=$(tr -d '\r' <"$T/h$1" | sed -n 's/^ETag: //p')
		code=$(curl -sS -o /dev/null -w '%{http_code}' -X PUT -H "If-Match: $etag" \
			-d $((value + 1)) "$url") || return
		case $code in
		200) left=$((left - 1)) ;;
		412) ;;
		*)
			echo "add_by_hand: $code"
			return 1
			;;
		esac
	done
}
