# Listings: GET of a directory, pages, ?recurse, ?values.

load helper

listing() { # PATH?QUERY
	rest GET "$1"
	same 200 "$status"
	same application/json "$(header Content-Type)"
	jq -e . "$T/body" >/dev/null
}
names() { jq -r '.entries[].name' "$T/body"; }
cursor() { jq -r '.cursor // empty' "$T/body"; }

# Put each line of stdin as a key whose value is its own name, in one curl.
put_all() { # PREFIX
	local prefix=$1 line
	while read -r line; do
		printf 'url = "%s%s%s"\nrequest = PUT\ndata = "%s"\noutput = /dev/null\nfail\nnext\n' \
			"$URL" "$prefix" "$line" "$line"
	done | sed '$d' >"$T/config"
	curl -sS --fail -K "$T/config"
}

# Print all names of a listing, page by page; write the number of pages to $T/pages.
all_pages() { # PATH QUERY
	local path=$1 query=$2 next='' pages=0
	while :; do
		listing "$path?$query${next:+&cursor=$next}" || return
		names
		pages=$((pages + 1))
		next=$(cursor)
		[ -n "$next" ] || break
	done
	echo $pages >"$T/pages"
}

@test "a listing names type, size, version and times of keys and directories" {
	start_httpd
	rest PUT /v1/kv/dir/key --data-binary hello
	local etag
	etag=$(header ETag)
	rest PUT '/v1/kv/dir/gone?ttl=1h' --data-binary ''
	rest PUT /v1/kv/dir/sub/
	listing /v1/kv/dir/
	same dir/ "$(jq -r .path "$T/body")"
	same '["gone","key","sub"]' "$(jq -c '[.entries[].name]' "$T/body")"
	same '["gone","key","sub/"]' "$(jq -c '[.entries[].path]' "$T/body")"
	same '["key","key","directory"]' "$(jq -c '[.entries[].type]' "$T/body")"
	same '[0,5,null]' "$(jq -c '[.entries[].size]' "$T/body")"
	about 3600 "$(jq '.entries[0].ttl' "$T/body")"
	same '[null,null]' "$(jq -c '[.entries[1:][].ttl]' "$T/body")"
	same "$etag" "$(jq -r '.entries[1].etag' "$T/body")"
	same "${etag%-*}" "\"$(jq -r '.entries[1].version' "$T/body")"
	[[ $(jq -r '.entries[1].modified' "$T/body") =~ ^20..-..-..T..:..:..\....Z$ ]]
	same null "$(jq -c .cursor "$T/body")"
	same null "$(jq -c '.entries[1].value' "$T/body")"
	[[ $(header X-Keydir-Offset) =~ ^[0-9]+$ ]]
	listing /v1/kv/dir/sub/
	same '[]' "$(jq -c .entries "$T/body")"
	listing /v1/kv/
	same dir "$(names)"
	same "" "$(jq -r .path "$T/body")"
	rest HEAD /v1/kv/dir/
	same 200 "$status"
	rest GET /v1/kv/none/
	same 404 "$status"
	same urn:keydir:problem:not-found "$(jq -r .type "$T/body")"
}

@test "names that are not UTF-8 or not plain text keep the JSON valid" {
	start_httpd
	local path paths=('%FF' '%C3%A9' '%22quoted%22' 'back%5Cslash' 'line%0Aend' '%01' 'a%20b' '%ED%A0%80' '%F0%9F%98%80')
	for path in "${paths[@]}"; do
		rest PUT "/v1/kv/d/$path" --data-binary x
	done
	listing /v1/kv/d/
	same "$(printf '%s\n' "${paths[@]}" | sort)" "$(jq -r '.entries[].path' "$T/body" | sort)"
	same 1 "$(jq -r '.entries[] | select(.path == "%FF").name' "$T/body" | grep -c $'\xef\xbf\xbd')"
	same é "$(jq -r '.entries[] | select(.path == "%C3%A9").name' "$T/body")"
	same '"quoted"' "$(jq -r '.entries[] | select(.path == "%22quoted%22").name' "$T/body")"
	same $'line\nend' "$(jq -r '.entries[] | select(.path == "line%0Aend").name' "$T/body")"
	# A listing of a directory with such a name.
	rest PUT '/v1/kv/%FF%22/k' --data-binary x
	listing '/v1/kv/%FF%22/'
	same '%FF%22/' "$(jq -r .path "$T/body")"
}

@test "values in a listing: text unchanged, other bytes in base64" {
	start_httpd
	rest PUT /v1/kv/d/text --data-binary 'grüße "x"'
	printf '\x00\xff\xfe' >"$T/bin"
	rest PUT /v1/kv/d/binary --data-binary "@$T/bin"
	rest PUT /v1/kv/d/empty
	rest PUT /v1/kv/d/sub/deep --data-binary deep
	head -c 100000 /dev/urandom >"$T/long"
	rest PUT /v1/kv/d/long -T "$T/long"
	listing '/v1/kv/d/?values'
	value() { jq -r ".entries[] | select(.name == \"$1\").$2" "$T/body"; }
	same 'grüße "x"' "$(value text value)"
	same null "$(value text encoding)"
	same base64 "$(value binary encoding)"
	same AP/+ "$(value binary value)"
	same '' "$(value empty value)"
	same null "$(value sub value)"
	cmp "$T/long" <(value long value | base64 -d)
	listing '/v1/kv/d/?values&recurse'
	same deep "$(value sub/deep value)"
	listing '/v1/kv/d/?values=0'
	same null "$(value text value)"
}

@test "pages have every name once, in order" {
	start_httpd
	seq -w 1 250 | put_all /v1/kv/d/
	local limit
	for limit in 1 7 50 249 250 251; do
		same "$(seq -w 1 250)" "$(all_pages /v1/kv/d/ limit=$limit)"
		[ "$(cat "$T/pages")" -le $(((250 + limit - 1) / limit + 1)) ]
	done
	listing '/v1/kv/d/?limit=7'
	same 7 "$(names | wc -l)"
	# The default and the largest limit.
	listing /v1/kv/d/
	same 250 "$(names | wc -l)"
	listing '/v1/kv/d/?limit=10000'
	same 250 "$(names | wc -l)"
	for limit in 0 10001 -1 x '' 1x 99999999999999999999; do
		rest GET "/v1/kv/d/?limit=$limit"
		same 400 "$status"
	done
	# Invalid cursors: not base64url, no kind, no key, or from a listing with recurse.
	local text
	for text in x '!' YQ Li4 YmE= YS4u YmEvLi4 YmEvYg aWE "$(printf 'YmFh%.0s' {1..1500})"; do
		rest GET "/v1/kv/d/?cursor=$text"
		same 400 "$status"
	done
	listing '/v1/kv/d/?cursor='
	same 250 "$(names | wc -l)"
}

@test "recurse lists depth first all keys below, with their paths" {
	start_httpd
	local key
	# a is a directory here, so "a" cannot be a key as well.
	for key in 'a!b' 'a/b' 'x/a/1' 'x/a/2' 'x/a!' 'x/b' 'y'; do
		rest PUT "/v1/kv/t/$key" --data-binary "$key"
		same 201 "$status"
	done
	rest PUT /v1/kv/t/empty/e/
	listing '/v1/kv/t/?recurse'
	same 'a/b
a!b
x/a/1
x/a/2
x/a!
x/b
y' "$(names)"
	same key "$(jq -r '[.entries[].type] | unique[]' "$T/body")"
	local limit
	for limit in 1 2 3 4 5 6 7 8; do
		same 'a/b a!b x/a/1 x/a/2 x/a! x/b y' "$(all_pages /v1/kv/t/ "recurse&limit=$limit" | xargs)"
	done
	listing '/v1/kv/?recurse'
	same t/a/b "$(names | head -n 1)"
	listing '/v1/kv/t/x/?recurse'
	same 'a/1 a/2 a! b' "$(names | xargs)"
	# A deep path.
	key=$(printf 'd/%.0s' {1..1500})leaf
	rest PUT "/v1/kv/deep/$key" --data-binary x
	listing '/v1/kv/deep/?recurse&limit=1'
	same "$key" "$(names)"
}

@test "recurse&directories lists directories before their content, on any page" {
	start_httpd
	local key limit
	for key in a/b x/a/1 x/a! y; do
		rest PUT "/v1/kv/t/$key" --data-binary "$key"
	done
	rest PUT /v1/kv/t/empty/e/
	local all='a/ a/b empty/ empty/e/ x/ x/a/ x/a/1 x/a%21 y'
	listing '/v1/kv/t/?recurse&directories'
	same "$all" "$(jq -r '.entries[].path' "$T/body" | xargs)"
	local names=${all//\/ / }
	for limit in 1 2 3 4 5 8 9 10; do
		same "${names//%21/!}" "$(all_pages /v1/kv/t/ "recurse&directories&limit=$limit" | xargs)"
	done
	listing '/v1/kv/t/?recurse&directories=0'
	same 'a/b x/a/1 x/a! y' "$(names | xargs)"
	listing '/v1/kv/t/?directories'
	same 'a empty x y' "$(names | xargs)"
}

@test "base and an entry's path together lead to the entry" {
	start_httpd
	rest PUT '/v1/kv/a%20b/c/d%FF' --data-binary here
	local dir
	for dir in '' a%20b/ a%20b/c/; do
		listing "/v1/kv/$dir?recurse"
		same "/v1/kv/$dir" "$(jq -r .base "$T/body")"
		rest GET "$(jq -r '.base + .entries[0].path' "$T/body")"
		same here "$(body)"
	done
}

@test "Accept: text/html returns an escaped page of links that wget -r can follow" {
	start_httpd
	local path accept
	for path in plain sub/deep/key '%3Cscript%3E%22%26' 'a%3Ab' '%FF' 'line%0Aend' 'x%3Fy%23z'; do
		rest PUT "/v1/kv/d/$path" --data-binary "$path"
		same 201 "$status"
	done
	for accept in text/html 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8' \
		'application/json;q=0.5, Text/HTML;level=1;q=0.7'; do
		rest GET /v1/kv/d/ -H "Accept: $accept"
		same '200 text/html; charset=utf-8 Accept no-cache' \
			"$status $(header Content-Type) $(header Vary) $(header Cache-Control)"
	done
	[[ $(header Content-Security-Policy) == "default-src 'none'"* ]]
	not grep -qi '<script' "$T/body"
	grep -qF '<a href="%3Cscript%3E%22%26">&lt;script&gt;"&amp;</a>' "$T/body"
	grep -qF '<a href="%FF">'$'\xef\xbf\xbd</a>' "$T/body"
	grep -qF '<a href="line%0Aend">line'$'\xef\xbf\xbdend</a>' "$T/body"
	grep -qF '<a href="sub/">sub/</a>' "$T/body"
	grep -qF '<a href="../">' "$T/body"
	for accept in '*/*' application/json 'text/html;q=0' 'text/html;q=0.4, application/json;q=0.5' \
		'application/json, text/html' text/htmlx; do
		rest GET /v1/kv/d/ -H "Accept: $accept"
		same 'application/json Accept' "$(header Content-Type) $(header Vary)"
	done
	# Relative links need the slash at the end to stay unescaped.
	rest GET /v1/kv/d%2F -H 'Accept: text/html'
	same application/json "$(header Content-Type)"
	rest GET /v1/kv/ -H 'Accept: text/html'
	same 1 "$(grep -c '<a ' "$T/body")"
	# A page links to the next one, with the request's parameters.
	rest GET '/v1/kv/d/?recurse&limit=3' -H 'Accept: text/html'
	same 3 "$(grep '<li>' "$T/body" | grep -vcF '../')"
	local next
	next=$(sed -n 's/.*rel="next" href="\([^"]*\)".*/\1/p' "$T/body")
	[[ $next == '?cursor='*'&amp;recurse=&amp;limit=3' ]]
	next=$(printf '%s' "$next" | sed 's/&amp;/\&/g')
	rest GET "/v1/kv/d/$next" -H 'Accept: text/html'
	same 200 "$status"
	same 3 "$(grep '<li>' "$T/body" | grep -vcF '../')"
	require wget
	wget -q -r -np -nH -P "$T/copy" --header 'Accept: text/html' "$URL/v1/kv/d/?limit=2"
	same sub/deep/key "$(cat "$T/copy/v1/kv/d/sub/deep/key")"
	same plain "$(cat "$T/copy/v1/kv/d/plain")"
	same a%3Ab "$(cat "$T/copy/v1/kv/d/a:b")"
}

# A tree of three levels, changed after and before the cursor between pages: each entry
# that exists throughout is listed exactly once, and the walk ends.
@test "a listing under change shows stable entries exactly once" {
	start_httpd
	{
		for i in {10..29}; do
			echo "stay$i"
			echo "go$i"
			echo "d$i/stay"
			echo "d$i/go"
			echo "d$i/e/stay"
			echo "only$i/go"
		done
	} | put_all /v1/kv/t/
	local query
	for query in 'recurse&limit=7' 'limit=7'; do
		local next='' round=0
		: >"$T/all"
		while :; do
			listing "/v1/kv/t/?$query${next:+&cursor=$next}"
			names >>"$T/all"
			next=$(cursor)
			[ -n "$next" ] || break
			# Between two pages: delete and create entries everywhere.
			local i=$((10 + round % 20))
			rest DELETE "/v1/kv/t/go$i"
			rest DELETE "/v1/kv/t/d$i/go"
			rest DELETE "/v1/kv/t/only$i?recurse"
			rest PUT "/v1/kv/t/new$i" --data-binary x
			rest PUT "/v1/kv/t/d$i/aaa" --data-binary x
			rest PUT "/v1/kv/t/a$i/b/c" --data-binary x
			round=$((round + 1))
			[ $round -lt 200 ]
		done
		same "" "$(sort "$T/all" | uniq -d)"
		if [[ $query == recurse* ]]; then
			same "$({ for i in {10..29}; do printf '%s\n' "stay$i" "d$i/stay" "d$i/e/stay"; done; } | sort)" \
				"$(grep stay "$T/all" | sort)"
		else
			same "$({ for i in {10..29}; do printf '%s\n' "stay$i" "d$i"; done; } | sort)" \
				"$(grep -E '^(stay|d)' "$T/all" | sort)"
		fi
	done
}

@test "a cursor continues at its entry's position, even if the entry was changed or deleted" {
	start_httpd
	printf '%s\n' a b/1 b/2 b/3 c | put_all /v1/kv/t/
	listing '/v1/kv/t/?recurse&limit=2'
	same 'a b/1' "$(names | xargs)"
	local next
	next=$(cursor)
	rest DELETE /v1/kv/t/b/1
	listing "/v1/kv/t/?recurse&limit=9&cursor=$next"
	same 'b/2 b/3 c' "$(names | xargs)"
	rest DELETE '/v1/kv/t/b?recurse'
	listing "/v1/kv/t/?recurse&limit=9&cursor=$next"
	same 'c' "$(names | xargs)"
	rest PUT /v1/kv/t/b --data-binary 'a key now'
	listing "/v1/kv/t/?recurse&limit=9&cursor=$next"
	same 'c' "$(names | xargs)"
	# A cursor of one kind of listing is invalid for the other.
	rest GET "/v1/kv/t/?cursor=$next"
	same 400 "$status"
}

@test "expired keys are not listed" {
	start_httpd
	rest PUT '/v1/kv/t/soon?ttl=300ms' --data-binary x
	rest PUT /v1/kv/t/stays --data-binary x
	only_one() { listing "/v1/kv/t/$1" && [ "$(names)" = stays ]; }
	wait_for 20 only_one ''
	wait_for 20 only_one '?recurse'
}

@test "values end a page after a limit of bytes" {
	start_httpd
	head -c 3000000 /dev/zero | tr '\0' x >"$T/value"
	local i
	for i in 1 2 3 4 5 6 7; do
		rest PUT /v1/kv/t/$i -T "$T/value"
	done
	listing '/v1/kv/t/?values'
	same 3 "$(names | wc -l)"
	[ -n "$(cursor)" ]
	same '1 2 3 4 5 6 7' "$(all_pages /v1/kv/t/ values | xargs)"
	same 7 "$(listing /v1/kv/t/ && names | wc -l)"
}

@test "a directory of 30,000 keys is listed page by page" {
	start_httpd
	# Create its keys through the plain interface, many on a connection.
	curl -sS --fail -o /dev/null -X PUT --data-binary x "$URL/v1/kv/big/k#[1-1]"
	seq -w 1 30000 | put_all /v1/kv/big/
	all_pages /v1/kv/big/ limit=10000 >"$T/got"
	same 30001 "$(wc -l <"$T/got")"
	cmp "$T/got" <(
		seq -w 1 30000
		echo k
	)
	all_pages /v1/kv/ 'recurse&limit=9999' | sed 's:^big/::' | cmp - "$T/got"
}
