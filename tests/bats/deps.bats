# tests/deps.sh, with stand-ins for Debian's package tools: its calls of apt-get show
# which packages it chooses.

load helper

setup() {
	keydir_setup
	mkdir -p "$T/bin" "$T/tree"
	cp "$KEYDIR_ROOT/tests/deps.sh" "$T/tree/"
	# sudo, needed or not, runs its arguments.
	program sudo <<<'exec "$@"'
	program dpkg-query </dev/null
	program apt-get <<<"echo \"\$*\" >>'$T/apt-get.calls'"
	program apt-cache <<-'SCRIPT'
		case "$*" in
		"policy virtual") printf 'virtual:\n  Installed: (none)\n  Candidate: (none)\n' ;;
		"policy real") printf 'real:\n  Installed: (none)\n  Candidate: 1.2-3\n' ;;
		"show virtual") echo "N: Can't select versions from package 'virtual'" >&2 ;;
		esac
	SCRIPT
}

# program NAME: put the shell script on stdin on deps.sh's path as the command NAME.
program() {
	{
		echo '#!/bin/sh'
		cat
	} >"$T/bin/$1"
	chmod +x "$T/bin/$1"
}

deps() {
	printf '[testing]\n%s\n' "$1" >"$T/tree/packages.txt"
	PATH=$T/bin:$PATH "$T/tree/deps.sh" testing
}

@test "a package without a candidate is replaced by the next alternative" {
	deps 'virtual|real'
	[[ $(tail -n 1 "$T/apt-get.calls") == *' install '*' real' ]]
	not grep -w virtual "$T/apt-get.calls"
}

@test "a line without any candidate is named, and nothing is installed" {
	fails_with "no package source has virtual or unknown" deps 'virtual|unknown'
	not grep -w install "$T/apt-get.calls"
}
