# GET /v1/snapshot, and how a joining node handles bad ones.

load cluster

# Download the whole snapshot of $URL to FILE.
take_snapshot() { curl -sSf --max-time $((60 * PATIENCE)) -o "$1" "${@:2}" "$URL/v1/snapshot"; }

# Start node 1 with some keys, and save its snapshot in $T/good.
good_node() {
	local i
	node_httpd 1
	for i in {1..40}; do printf '%s:%s\n' "key$i" "value $i"; done | produce -K:
	printf '%s:%s\n' dir/below "$(head -c 20000 /dev/urandom | base64 -w 0)" | produce -K:
	wait_for 20 applied_all 1
}

applied_all() { [ "$(status_of "$1" .offset)" -ge $(($(log_end) - 1)) ]; }

# Start a peer that responds badly, in PEER.
bad_peer() { # MODE
	local port
	port=$(free_port)
	start "peer-$1" "$CLUSTER/bad_peer.py" "$port" "$T/good" "$1"
	PEER=http://127.0.0.1:$port
	PEER_PID=$PID
	wait_for 10 is_open "$port"
}

anonymous_kib() { awk '$1 == "RssAnon:" { print $2 }' "/proc/$1/status"; }

is_open() { (exec 9<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

log_of() { cat "$T/httpd$STARTED.log"; }

@test "it is a store's file, followed by a checksum" {
	local i last
	start_httpd
	for i in {1..20}; do rest PUT "/v1/kv/dir$((i % 3))/key$i?ttl=1h" --data-binary "value $i"; done
	head -c 3000000 /dev/urandom >"$T/big"
	rest PUT /v1/kv/big --data-binary "@$T/big"
	mkdir "$T/copy"
	take_snapshot "$T/copy/data.mdb"
	last=$(tail -c 24 "$T/copy/data.mdb" | head -c 8)
	same keydir-1 "$last"
	same $(($(stat -c %s "$T/copy/data.mdb") - 24)) \
		"$(tail -c 16 "$T/copy/data.mdb" | head -c 8 | od -An -td8 --endian=little | tr -d ' ')"
	# Last, because opening a store may write to it.
	equal_stores "$STORE" "$T/copy"
	rest HEAD /v1/snapshot
	same 200 "$status"
	rest PUT /v1/snapshot --data-binary x
	same 405 "$status"
}

@test "a truncated backup is refused, with a message" {
	local i
	start_httpd
	for i in {1..200}; do rest PUT "/v1/kv/key$i" --data-binary "value $i"; done
	mkdir -m 700 "$T/whole" "$T/cut"
	take_snapshot "$T/whole/data.mdb"
	cp "$T/whole/data.mdb" "$T/cut/data.mdb"
	truncate -s -4200 "$T/cut/data.mdb"
	for i in "keydir-httpd --listen 127.0.0.1:$(free_port)" "keydir-fs -f $MNT"; do
		# shellcheck disable=SC2086
		run timeout $((30 * PATIENCE)) "$KEYDIR_BUILD"/$i --store "$T/cut"
		same 1 "$status"
		[[ $output == *"cannot open the store $T/cut: the store is damaged"* ]]
	done
	# A whole one is a store.
	start_httpd --store "$T/whole"
	rest GET /v1/kv/key200
	same "value 200" "$(body)"
}

@test "only a few are sent at once, and a client that is gone frees its place" {
	local clients=() i before
	start_httpd
	head -c 16000000 /dev/urandom >"$T/big"
	for i in 1 2; do
		rest PUT "/v1/kv/big$i" --data-binary "@$T/big"
		same 201 "$status"
	done
	before=$(anonymous_kib "$HTTPD_PID")
	for i in 1 2; do
		# Another moment each.
		rest PUT "/v1/kv/moment$i"
		start "slow$i" curl -s --limit-rate 10k -o "$T/slow$i.part" "$URL/v1/snapshot"
		clients+=("$PID")
		wait_for 10 test -s "$T/slow$i.part"
	done
	rest PUT /v1/kv/moment3
	rest GET /v1/snapshot
	same 503 "$status"
	grep -q 'already sending 2 snapshots' "$T/body"
	# Of the 32 MB that each client will get, little is in the server's own memory.
	[ $(($(anonymous_kib "$HTTPD_PID") - before)) -lt 8192 ]
	kill_hard "${clients[0]}"
	wait_for 20 take_snapshot "$T/copy"
	kill_hard "${clients[1]}"
}

@test "a damaged snapshot is discarded, and the next peer asked" {
	local mode why n=1
	good_node
	take_snapshot "$T/good"
	for mode in cut die html page flip={0,1,250,500,750,990}; do
		bad_peer "$mode"
		n=$((n + 1))
		node_httpd "$n" --peers "$PEER,${NODE_URL[1]}"
		case $mode in
		cut) why='no snapshot, or one without the checksum' ;;
		die) why='transfer closed|Recv failure|bytes missing' ;;
		html) why='no snapshot: too short' ;;
		page) why='damaged' ;;
		*) why='damaged in transfer: its checksum differs' ;;
		esac
		log_of | grep -E "warn .*no snapshot peer=$PEER why=\".*($why)" || {
			log_of
			return 1
		}
		log_of | grep -q "snapshot taken peer=${NODE_URL[1]}"
		equal_stores "$T/n1" "$T/n$n"
		[ ! -e "$T/n$n/snapshot.part" ]
		node_stop "$n"
		stop "$PEER_PID"
	done
}

@test "a stalled peer is skipped, and without a good one the log is replayed" {
	good_node
	take_snapshot "$T/good"
	bad_peer stall
	local stalls=$PEER
	bad_peer page
	# It stalls for longer than a usual start takes.
	PATIENCE=$((4 * PATIENCE)) node_httpd 2 --peers "$stalls,$PEER"
	log_of | grep -q "no snapshot peer=$stalls why=\".*[Tt]oo slow"
	log_of | grep -q "no snapshot peer=$PEER "
	log_of | grep -q 'no snapshot from any peer, replaying the log'
	wait_for 20 settled 1 2
}

@test "a peer that trickles, and one that never ends, are skipped" {
	good_node
	take_snapshot "$T/good"
	bad_peer trickle
	local trickles=$PEER
	bad_peer endless
	PATIENCE=$((4 * PATIENCE)) node_httpd 2 --size 16M --peers "$trickles,$PEER,${NODE_URL[1]}"
	log_of | grep -q "no snapshot peer=$trickles why=\".*[Tt]oo slow"
	log_of | grep -q "no snapshot peer=$PEER why=\"it sends more than the 134217728 bytes that a store of this --size may need"
	log_of | grep -q "snapshot taken peer=${NODE_URL[1]}"
	equal_stores "$T/n1" "$T/n2"
	[ ! -e "$T/n2/snapshot.part" ]
}

# Send the signal, and check that the process ends long before its own timeout.
ends_by() { # SIGNAL PID
	kill "-$1" "$2"
	wait_for 5 not is_running "$2"
	forget "$2"
}

@test "a program that gets a signal while it starts ends at once" {
	local signal fetcher waiter
	good_node
	take_snapshot "$T/good"
	bad_peer stall
	for signal in TERM INT; do
		# One waits for the peer, the others wait for that one.
		start "httpd-a$signal" "$KEYDIR_HTTPD" --store "$T/n2" --log "$VOLUME" --listen "127.0.0.1:$(free_port)" --peers "$PEER"
		fetcher=$PID
		wait_for 10 test -s "$T/n2/snapshot.part/data.mdb"
		start "httpd-b$signal" "$KEYDIR_HTTPD" --store "$T/n2" --log "$VOLUME" --listen "127.0.0.1:$(free_port)" --peers "$PEER"
		waiter=$PID
		wait_for 10 grep -q 'waiting for another process of this node' "$T/httpd-b$signal.log"
		ends_by "$signal" "$waiter"
		start "fs-b$signal" "$KEYDIR_FS" -f --store "$T/n2" --log "$VOLUME" --peers "$PEER" "$T/mnt"
		waiter=$PID
		wait_for 10 grep -q 'waiting for another process of this node' "$T/fs-b$signal.log"
		ends_by "$signal" "$waiter"
		ends_by "$signal" "$fetcher"
		rm -r "$T/n2/snapshot.part"
	done
	# Leftovers do not hinder a later start, and it asks the peer again.
	stop "$PEER_PID"
	node_httpd 2 --peers "${NODE_URL[1]}"
	log_of | grep -q "snapshot taken peer=${NODE_URL[1]}"
}

@test "both programs of a new node have one store, whatever the peer does" {
	local pid
	good_node
	take_snapshot "$T/good"
	bad_peer gate
	mkdir "$T/mnt2"
	start fs2 "$KEYDIR_FS" -f --store "$T/n2" --log "$VOLUME" --peers "$PEER" "$T/mnt2"
	pid=$PID
	node_httpd 2 --peers "$PEER"
	wait_ready 20 "$pid" is_mounted "$T/mnt2"
	same "" "$(find "/proc/$pid/fd" "/proc/$HTTPD_PID/fd" -lname '*data.mdb (deleted)')"
	rest PUT /v1/kv/through --data-binary rest
	same 201 "$status"
	same rest "$(cat "$T/mnt2/through")"
}

@test "peers are asked without a proxy, and by the certificates of --peer-ca" {
	require openssl
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=peer \
		-addext subjectAltName=IP:127.0.0.1 -keyout "$T/key.pem" -out "$T/cert.pem" 2>/dev/null
	PORT=$(free_port)
	start httpd-tls "$KEYDIR_HTTPD" --store "$T/n1" --log "$VOLUME" --listen "127.0.0.1:$PORT" \
		--tls-cert "$T/cert.pem" --tls-key "$T/key.pem"
	local secure=https://127.0.0.1:$PORT
	wait_ready 20 "$PID" curl -sf --cacert "$T/cert.pem" -o /dev/null "$secure/readyz"
	# A proxy address where no server listens.
	cat >"$T/proxied" <<-END
		#!/bin/sh
		unset no_proxy NO_PROXY
		export http_proxy=http://127.0.0.1:9 https_proxy=http://127.0.0.1:9 all_proxy=http://127.0.0.1:9
		exec "$KEYDIR_HTTPD" "\$@"
	END
	chmod +x "$T/proxied"
	KEYDIR_HTTPD=$T/proxied
	node_httpd 2 --peers "$secure"
	log_of | grep -q "no snapshot peer=$secure why=\".*certificate"
	node_httpd 3 --peers "$secure" --peer-ca "$T/cert.pem"
	log_of | grep -q "snapshot taken peer=$secure"
	wait_for 20 eval '[ "$(status_of 3 ".peers[0].reachable")" = true ]'
	run "$KEYDIR_HTTPD" --store "$T/n4" --peer-ca "$T/missing"
	[[ $status -eq 2 && $output == *"--peer-ca $T/missing: No such file"* ]]
}

@test "a name with several addresses in --peers means all of them, except the node itself" {
	require unshare hostname
	[ "$(id -u)" = 0 ] || skip_or_fail "needs root, for another /etc/hosts"
	NODE_OPTIONS=(--allow-host nodes.example)
	good_node
	local port=${NODE_PORT[1]} url
	url=http://127.0.0.2:$port
	printf '127.0.0.%d nodes.example\n' 9 2 1 >"$T/hosts"
	cat >"$T/elsewhere" <<-END
		#!/bin/sh
		mount --bind "$T/hosts" /etc/hosts && hostname elsewhere && exec "$KEYDIR_HTTPD" "\$@"
	END
	chmod +x "$T/elsewhere"
	allow_log 'no snapshot'
	start httpd2 unshare -mu "$T/elsewhere" --store "$T/n2" --log "$VOLUME" --listen "127.0.0.2:$port" \
		--peers "dns+http://nodes.example:$port"
	wait_ready 20 "$PID" curl -sf -o /dev/null "$url/readyz"
	# One address has no server, and another is the node's own.
	grep -q "snapshot taken peer=${NODE_URL[1]}" "$LOG"
	peers() { curl -sS "$url/v1/status" | jq -c "[.peers[] | $1] | sort"; }
	wait_for 20 eval '[ "$(peers "[.url, .reachable]")" = "[[\"${NODE_URL[1]}\",true],[\"http://127.0.0.9:$port\",false]]" ]'
	# The name is looked up again: a node that leaves is no longer a peer.
	printf '127.0.0.%d nodes.example\n' 2 1 >"$T/hosts"
	wait_for 20 eval '[ "$(peers .url)" = "[\"${NODE_URL[1]}\"]" ]'
	# A node with the name in its --peers answers under it.
	same 200 "$(curl -sS -o /dev/null -w '%{http_code}' -H "Host: nodes.example:$port" "$url/v1/status")"
	: >"$T/hosts"
	wait_for 20 eval 'peers .error | grep -q "[Nn]ame"'
	same "[\"dns+http://nodes.example:$port\"]" "$(peers .url)"
}

@test "a snapshot of another volume is not used" {
	good_node
	local other=${NODE_URL[1]} first=$VOLUME
	take_snapshot "$T/good"
	VOLUME=$VOLUME-other
	node_httpd 2 --peers "$other"
	log_of | grep -q "no snapshot peer=$other why=\"it .*another"
	rest GET /v1/kv/key1
	same 404 "$status"
	rest PUT /v1/kv/mine --data-binary 1
	same 201 "$status"
	node_stop 2
	# Neither is that of an embedded log, nor of a topic that was created again.
	start_httpd
	local embedded=$URL
	node_httpd 3 --peers "$embedded"
	log_of | grep -q "no snapshot peer=$embedded why=\"it has an embedded log"
	node_stop 3
	# The same volume, with the same peer, is accepted.
	VOLUME=$first
	node_httpd 4 --peers "$embedded,$other"
	log_of | grep -q "snapshot taken peer=$other"
	equal_stores "$T/n1" "$T/n4"
}

@test "a wrong or missing token is reported, and the right one works" {
	local token=0123456789abcdef0123456789abcdef
	echo "joiner $(printf '%s\n' $token | "$KEYDIR_HTTPD" --hash-token) admin /" >"$T/tokens"
	node_httpd 1 --tokens "$T/tokens"
	produce -K: <<<'key:value'
	node_httpd 2 --peers "${NODE_URL[1]}"
	log_of | grep -q "no snapshot peer=${NODE_URL[1]} why=\"it answers 401: see --peer-token\""
	node_httpd 3 --peers "${NODE_URL[1]}" --peer-token "${token}x"
	log_of | grep -q "no snapshot peer=${NODE_URL[1]} why=\"it answers 401: see --peer-token\""
	node_httpd 4 --peers "${NODE_URL[1]}" --peer-token "$token"
	log_of | grep -q "snapshot taken peer=${NODE_URL[1]}"
	printf '%s\n' "$token" >"$T/token"
	node_httpd 6 --peers "${NODE_URL[1]}" --peer-token-file "$T/token"
	log_of | grep -q "snapshot taken peer=${NODE_URL[1]}"
	wait_for 20 eval '[ "$(status_of 6 ".peers[0].reachable")" = true ]'
	: >"$T/token"
	run "$KEYDIR_HTTPD" --store "$T/n7" --peer-token-file "$T/token"
	[[ $status -eq 2 && $output == *"--peer-token-file $T/token: its first line is no token"* ]]
	run "$KEYDIR_HTTPD" --store "$T/n7" --peer-token-file "$T/token" --peer-token "$token"
	[[ $status -eq 2 && $output == *"give one of them"* ]]
	# For a mount, too.
	KEYDIR_PEER_TOKEN=$token node_fs 5 --peers "${NODE_URL[1]}"
	grep -q "snapshot taken peer=${NODE_URL[1]}" "$T/fs$STARTED.log"
	same value "$(cat "$T/mnt5/key")"
}
