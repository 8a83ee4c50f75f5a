#!/bin/sh
# Keydir with curl.   sh curl.sh [URL]
set -eu
url=${1:-http://127.0.0.1:5000}
kv=$url/v1/kv/examples/curl
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# header NAME: a header of the last answer that was kept with -D.
header() { tr -d '\r' <"$work/headers" | sed -n "s/^$1: //Ip"; }

# Set, get. --fail makes every error a failure of curl.
curl -sS --fail -X PUT --data-binary 'hello' "$kv/greeting" -D "$work/headers"
offset=$(header X-Keydir-Offset)

# Read your writes: any node that answers is at least as new as that offset.
curl -sS --fail -H "X-Keydir-Offset: $offset" "$kv/greeting"
echo

# A TTL.
curl -sS --fail -X PUT --data-binary 'secret' "$kv/session?ttl=90s" -D "$work/headers"
curl -sS --fail --head -H "X-Keydir-Offset: $(header X-Keydir-Offset)" "$kv/session" |
	grep -i '^X-Keydir-TTL:'

# Compare and set: count up, again if another client was faster.
curl -sS -X PUT --data-binary 0 -H 'If-None-Match: *' "$kv/counter" -o /dev/null
while :; do
	n=$(curl -sS --fail "$kv/counter?consistent" -D "$work/headers")
	status=$(curl -sS -X PUT --data-binary "$((n + 1))" -H "If-Match: $(header ETag)" \
		"$kv/counter" -o /dev/null -w '%{http_code}')
	case $status in
	200) break ;;
	412) continue ;; # somebody else
	*) echo "counter: $status" >&2 && exit 1 ;;
	esac
done
echo "counted to $((n + 1))"

# Watch: all that happened below examples/curl/ from our first write on.
curl -sS --fail --no-buffer \
	"$url/v1/watch?prefix=examples/curl/&from=$offset&values&wait=1s" \
	-H "X-Keydir-Offset: $offset" | sed -n 's/^data: //p'
