# README.md is true: a node of this test runs the commands of its console sessions, line
# by line, and their output is compared.

load helper

setup() {
	keydir_setup
	require_fuse
	mkdir "$T/session"
	MNT=$T/session/mnt
	start_fs -m "$MNT"
	start_httpd
}

# Split the ```console blocks of README.md into $T/N.command and $T/N.expected.
split_sessions() {
	awk -v top="$T" '
		/^```console$/ { inside = 1; next }
		/^```$/ { inside = 0 }
		!inside { next }
		/^\$ / { n++; print substr($0, 3) > (top "/" n ".command"); printf "" > (top "/" n ".expected"); next }
		{ print > (top "/" n ".expected") }
		END { print n + 0 }' "$KEYDIR_ROOT/README.md"
}

# A new node has the versions that README shows. Other details vary from run to run: the
# volume's tag, the line ends of HTTP, and on a slow machine the remaining seconds.
comparable() {
	tr -d '\r' <"$1" | sed -E 's/"([0-9]+)-[0-9a-f]{8}/"\1-TAG/; s/^user\.ttl="(8[0-9]|90)"/user.ttl="ABOUT 90"/'
}

@test "the README's sessions give the output that it shows" {
	local n i
	n=$(split_sessions)
	[ "$n" -ge 10 ]
	cd "$T/session"
	for ((i = 1; i <= n; i++)); do
		sed -i "s|http://127.0.0.1:8080|$URL|g" "$T/$i.command"
		bash "$T/$i.command" >"$T/actual" 2>&1 3>&- || true
		diff -u <(comparable "$T/$i.expected") <(comparable "$T/actual") || {
			echo "after: $(cat "$T/$i.command")"
			return 1
		}
	done
	cd /
}

@test "every make target that the README names exists" {
	local target
	while read -r target; do
		grep -qE "^$target:" "$KEYDIR_ROOT/Makefile" || { echo "no target $target" && false; }
	done < <(grep -oE '(^|`)make [a-z-]+' "$KEYDIR_ROOT/README.md" | cut -d ' ' -f 2 | sort -u)
}

@test "every option and variable that the README names exists" {
	"$KEYDIR_FS" --help >"$T/help"
	"$KEYDIR_HTTPD" --help >>"$T/help"
	local word
	# --shm-size is docker's, --now systemctl's.
	while read -r word; do
		grep -qF -- "$word" "$T/help" || { echo "no option $word" && false; }
	done < <(grep -oE '`(--[a-z-]+|KEYDIR_[A-Z_]+)' "$KEYDIR_ROOT/README.md" | tr -d '`' |
		grep -vx -e KEYDIR_ -e --shm-size | sort -u)
}

@test "every file that the README links to exists" {
	local file
	while read -r file; do
		[ -e "$KEYDIR_ROOT/$file" ] || { echo "no $file" && false; }
	done < <(grep -oE '\]\([A-Za-z/._-]+\)' "$KEYDIR_ROOT/README.md" | tr -d ']()')
}

@test "every test that README.md of tests names for a promise exists" {
	local file title n=0
	while IFS=$'\t' read -r file title; do
		grep -qF -- "@test \"$title\" {" "$KEYDIR_ROOT/tests/bats/$file.bats" ||
			{ echo "$file has no test \"$title\"" && false; }
		n=$((n + 1))
	done < <(awk '/^## Which test/ { inside = 1 } /^`tools/ { inside = 0 } inside && /^\| / {
		n = split($0, part, "`")
		for (i = 2; i <= n; i += 2) {
			m = split(part[i + 1], title, "\"")
			for (j = 2; j <= m; j += 2) print part[i] "\t" title[j]
		} }' "$KEYDIR_ROOT/tests/README.md")
	[ "$n" -ge 20 ]
}
