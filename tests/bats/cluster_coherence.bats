# The kernel caches of three nodes are never older than allowed, whichever node writes,
# and invalidating them blocks no process.

load cluster

SEED=${SEED:-20260402}

teardown() {
	[ -z "${NODE_FS[1]:-}" ] || kill -CONT "${NODE_FS[1]}" 2>/dev/null || true
	cluster_teardown
}

three_nodes() {
	local n
	for n in 1 2 3; do node_up "$n"; done
}

check_seen() {
	consume -f '%o %T %K %S\n%k\n%h\n%s\n' |
		"$CLUSTER/coherence.py" check --dir "$T/seen" --bound $((5 * PATIENCE))
}

@test "readers on three mounts see each key in the log's order, and in time" {
	local n nodes=()
	echo "SEED=$SEED"
	three_nodes
	for n in 1 2 3; do nodes+=(--node "${NODE_MNT[n]}" "${NODE_URL[n]}"); done
	mkdir "$T/seen"
	timeout 120 "$CLUSTER/coherence.py" run --seed "$SEED" --seconds 15 --dir "$T/seen" "${nodes[@]}" 3>&-
	check_seen
	wait_for 20 settled 1 2 3
	# The check is able to find a fault.
	tac "$T/seen/reader1a" >"$T/back"
	mv "$T/back" "$T/seen/reader1a"
	fails_with "older than what it had seen: reader1a" check_seen
	awk -F '\t' -v OFS='\t' '{ $1 = sprintf("%.6f", $1 + 3600); $2 = sprintf("%.6f", $2 + 3600) } 1' \
		"$T/seen/reader2b" >"$T/seen/reader1a"
	fails_with "too old: reader1a" check_seen
	rm "$T/seen/reader1a"
	printf '1\t1\tread\tst/s0\ttorn: x\n' >>"$T/seen/reader2b"
	fails_with "torn: reader2b" check_seen
}

# Work in one directory until the file $T/enough exists, with every kind of change that
# holds the directory's lock while it waits for the log.
busy_in() {
	timeout $((120 * PATIENCE)) python3 - "$1" "$2" "$T/enough" <<'PY'
import errno, os, sys
top, me, enough = sys.argv[1:]
os.chdir(top)
rounds = 0
while rounds <= 10 or not os.path.exists(enough):
    name = "own%s.%d" % (me, rounds % 7)
    with open(name, "w") as file:
        file.write(name)
    os.mkdir(name + ".d")
    os.rename(name, name + ".d/in")
    assert open(name + ".d/in").read() == name
    assert name + ".d" in os.listdir(".")
    os.unlink(name + ".d/in")
    os.rmdir(name + ".d")
    assert not os.path.exists(name)
    with open("all", "a") as file:
        file.write("%s %d\n" % (me, rounds))
    for i in range(0, 50, 7):
        try:
            os.stat("k%d" % i)
            open("k%d" % i).read()
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ESTALE):
                raise
    rounds += 1
PY
}

@test "a busy mount follows a thousand changes a second by other nodes in its directory" {
	local n pids=() begin ended
	three_nodes
	mkdir "${NODE_MNT[1]}/d"
	for n in 1 2 3; do
		busy_in "${NODE_MNT[1]}/d" "$n" >"$T/busy$n.log" 2>&1 3>&- &
		pids+=("$!")
	done
	# 8,000 values, deletions and new names, as fast as possible, with a short pause after
	# each hundred.
	begin=$(log_end)
	SECONDS=0
	python3 - <<'PY' | produce -K: -Z -X queue.buffering.max.ms=1
import random, sys, time
r = random.Random(7)
for i in range(8000):
    key = "d/k%d" % r.randrange(50)
    print("%s:%s" % (key, "" if r.random() < 0.2 else "v%d" % i), flush=i % 100 == 99)
    if i % 100 == 99:
        time.sleep(0.05)
PY
	ended=$SECONDS
	touch "$T/enough"
	for n in "${pids[@]}"; do
		wait "$n" || {
			cat "$T"/busy*.log
			return 1
		}
	done
	[ $(($(log_end) - begin)) -gt 8000 ]
	echo "8,000 changes in $ended s, with $(wc -l <"${NODE_MNT[1]}/d/all") rounds of the mounts"
	sync "${NODE_MNT[1]}/d" "${NODE_MNT[2]}/d" "${NODE_MNT[3]}/d"
	wait_for 20 settled 1 2 3
	for n in 2 3; do
		wait_for 10 diff -r "${NODE_MNT[1]}/d" "${NODE_MNT[n]}/d"
	done
	node_rest 2 GET '/v1/kv/d/?limit=1000'
	same "$(body | jq -r '.entries[].name' | sort)" "$(ls "${NODE_MNT[1]}/d" | sort)"
}

@test "a change by another node is applied while a change here holds its directory's lock" {
	local pids=() i
	for i in 1 2; do node_up "$i"; done
	timeout 20 mkdir "${NODE_MNT[1]}/d"
	wait_for 10 test -d "${NODE_MNT[2]}/d"
	for i in {1..5}; do
		# While the process is stopped, the kernel takes the lock for a mkdir, and the log
		# gets a change whose invalidation needs that lock. Both wait when the process
		# continues, so the thread that completes the mkdir must not be the one that
		# invalidates.
		timeout 20 ls "${NODE_MNT[1]}/d" >/dev/null
		stop_all "${NODE_FS[1]}"
		timeout $((20 * PATIENCE)) mkdir "${NODE_MNT[1]}/d/own$i" 3>&- &
		pids=("$!")
		wait_for 20 waits_in_kernel "$!"
		node_rest 2 PUT "/v1/kv/d/other$i" -d "$i"
		same 201 "$status"
		kill -CONT "${NODE_FS[1]}"
		wait "${pids[@]}"
		wait_for 10 test -e "${NODE_MNT[1]}/d/other$i"
	done
	same 10 "$(ls "${NODE_MNT[1]}/d" | wc -l)"
}

# A child of `timeout` that has sent its request sleeps without being woken.
waits_in_kernel() {
	local child
	child=$(pgrep -P "$1") || return
	grep -qE '^State:[[:space:]]+[SD]' "/proc/$child/status" &&
		grep -q fuse "/proc/$child/wchan" "/proc/$child/stack" 2>/dev/null
}

@test "an open file keeps its version while another node replaces it" {
	local line="" key names n
	for n in 1 2; do node_up "$n"; done
	coproc "$KEYDIR_ROOT/tests/bats/versions.py" "${NODE_MNT[1]}" "$T/out" 50000 \
		2>"$T/versions.err" 3>&- 4>&- 5>&-
	local pid=$COPROC_PID out=${COPROC[0]} in=${COPROC[1]}
	read -r -u "$out" line || cat "$T/versions.err"
	read -ra names <<<"${line#replace }"
	for key in "${names[@]}"; do
		node_rest 2 GET "/v1/kv/$key.new"
		mv "$T/body" "$T/new"
		node_rest 2 PUT "/v1/kv/$key" --data-binary "@$T/new"
	done
	# The other node responds before this node has applied the change.
	for key in "${names[@]}"; do
		wait_for 10 has_size 51000 "${NODE_MNT[1]}/$key"
	done
	echo "same number" >&"$in"
	line=
	read -r -u "$out" line || cat "$T/versions.err"
	same good "$line"
	wait "$pid"
}

has_size() { [ "$(stat -c %s "$2")" = "$1" ]; }
