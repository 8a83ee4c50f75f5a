#!/bin/bash
# `make check`: formatting, static analysis, house rules, shell scripts, man
# pages, the English of comments. Names every fault; the last line counts the
# checks, and the status is 0 if and only if all passed. CHECKS="format rules"
# picks some.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

mapfile -t sources < <(find common fs httpd tests -name '*.c' | sort)
mapfile -t headers < <(find common fs httpd tests -name '*.h' | sort)
mapfile -t shell < <(
	find common fs httpd tests .ci -name '*.sh' -o -name '*.bash' -o -name '*.bats'
	grep -rlE '^#!/bin/(ba)?sh' common fs httpd tests .ci
)
mapfile -t shell < <(printf '%s\n' "${shell[@]}" | sort -u)
mapfile -t manuals < <(find fs httpd -name '*.[1-8]' | sort)

jobs=$(nproc)
flags=(-std=gnu11 -D_GNU_SOURCE -DFUSE_USE_VERSION=317 '-DKEYDIR_VERSION="0"' -iquote .)
read -ra pkg_flags < <(pkg-config --cflags fuse3 libmicrohttpd jansson rdkafka | tr '\n' ' ')
flags+=("${pkg_flags[@]}")
build=${BUILD:-build}/check
mkdir -p "$build"

check_format() {
	local bad=0 file
	for file in "${sources[@]}" "${headers[@]}"; do
		if ! clang-format --dry-run -Werror "$file" 2>/dev/null; then
			echo "$file: \`make format\` would change:"
			diff "$file" <(clang-format "$file") | head -n 10
			bad=1
		fi
	done
	return $bad
}

# cppcheck's flow analysis does not understand uthash's macros; clang's does.
check_cppcheck() {
	mkdir -p "$build/cppcheck"
	cppcheck --quiet --error-exitcode=1 -j "$jobs" --std=c11 --language=c --inline-suppr \
		--enable=warning,performance,portability --cppcheck-build-dir="$build/cppcheck" \
		--suppress=missingIncludeSystem --suppress=unusedFunction --suppress=shiftTooManyBitsSigned \
		--suppress=uninitvar --suppress=ctuuninitvar --suppress=nullPointer \
		-D_GNU_SOURCE -D__linux__ -DFUSE_USE_VERSION=317 '-DKEYDIR_VERSION="0"' -I . \
		"${sources[@]}"
}

# Check a source again only if it, a header or the settings changed. A lower limit of
# paths per function reduces the analyzer's time to a quarter.
check_tidy() {
	local state source todo=()
	state=$(cat "${headers[@]}" tests/clang-tidy.yml tests/check.sh | sha256sum | cut -c1-16)
	mkdir -p "$build/tidy"
	for source in "${sources[@]}"; do
		local stamp
		stamp=$build/tidy/$(sha256sum <"$source" | cut -c1-16)-$state
		[ -e "$stamp" ] || todo+=("$source" "$stamp")
	done
	[ ${#todo[@]} -gt 0 ] || return 0
	# shellcheck disable=SC2016 # expanded by the inner shell
	printf '%s\0' "${todo[@]}" | xargs -0 -n 2 -P "$jobs" bash -c '
		source=${*: -2:1} stamp=${*: -1}
		set -- "${@:1:$#-2}"
		if out=$(clang-tidy --quiet --config-file=tests/clang-tidy.yml --extra-arg=-Xclang \
			--extra-arg=-analyzer-config --extra-arg=-Xclang --extra-arg=max-nodes=40000 \
			"$source" -- "$@" 2>&1); then
			touch "$stamp"
		else
			grep -vE "^[0-9]+ warnings? (generated|treated)" <<<"$out"
			exit 1
		fi' tidy "${flags[@]}" 2>&1
}

check_headers() {
	local bad=0 header
	for header in "${headers[@]}"; do
		printf '#include "%s"\n' "$header" |
			gcc "${flags[@]}" -Wall -Wextra -Wno-unused-function -fsyntax-only -x c - || {
			echo "$header does not compile alone"
			bad=1
		}
	done
	return $bad
}

# found FAULT LINES: print FAULT and fail if LINES is not empty.
found() {
	[ -n "$2" ] || return 0
	printf '%s:\n%s\n' "$1" "$2"
	return 1
}

# Each folder, followed by the folders that its files may include besides their own.
folders='
common/base
common/event    common/base
common/store    common/base common/event
common/apply    common/base common/event common/store
common/log      common/base common/event common/store
common/node     common/base common/event common/store common/apply common/log
fs              common/[a-z]+
httpd           common/[a-z]+
httpd/handlers  common/[a-z]+ httpd
'

check_folders() {
	local bad=0 folder others all
	while read -r folder others; do
		[ -n "$folder" ] || continue
		all="$folder${others:+|${others// /|}}"
		found "$folder may include ${all//|/, } only" \
			"$(grep -nE '#include "' "$folder"/*.[ch] | grep -vE "#include \"($all)/[^/\"]*\"")" || bad=1
	done <<<"$folders"
	# The audit of a store decodes the feed's rows; the rest of the store knows no events.
	found "in common/store/ only audit.c may include common/event/" \
		"$(grep -n '#include "common/event/' common/store/*.[ch] | grep -v '^common/store/audit\.c:')" || bad=1
	found "folders that are not in the list of tests/check.sh" \
		"$(dirname "${sources[@]}" "${headers[@]}" | sort -u | grep -v '^tests/' |
			grep -vxFf <(awk 'NF { print $1 }' <<<"$folders"))" || bad=1
	return $bad
}

check_rules() {
	local bad=0 file
	found "lmdb.h belongs in common/store/ only" \
		"$(grep -rn '#include <lmdb.h>' common fs httpd | grep -v '^common/store/')" || bad=1
	found "rdkafka.h belongs in common/log/ only" \
		"$(grep -rn '#include <librdkafka/' common fs httpd | grep -v '^common/log/')" || bad=1
	found "libfuse belongs in fs/ only" \
		"$(grep -rnE '#include <(fuse|fuse3/)' common httpd)" || bad=1
	found "libmicrohttpd belongs in httpd/ only" \
		"$(grep -rn '#include <microhttpd.h>' common fs)" || bad=1
	check_folders || bad=1
	found "no typedef over a struct" \
		"$(grep -nE '^typedef (struct|union|enum)[^(]*$' "${headers[@]}" "${sources[@]}")" || bad=1
	found "C11 atomics instead of the compiler's builtins" \
		"$(grep -nE '__(atomic|sync)_' "${headers[@]}" "${sources[@]}")" || bad=1
	found "sizeof(x), with parentheses" \
		"$(grep -nE '[^a-z_]sizeof [a-z*"]' "${headers[@]}" "${sources[@]}")" || bad=1
	found "no unbounded or unsafe string functions" \
		"$(grep -nE '[^a-z_](strcpy|sprintf|vsprintf|gets|strtok|atoi|atol|alloca)\(' \
			"${sources[@]}" "${headers[@]}")" || bad=1
	found "common/ never ends the process" \
		"$(grep -nE '[^a-z_](exit|_exit|abort|errx?)\(' common/*/*.c | grep -v '_exit(')" || bad=1
	for file in "${headers[@]}" "${sources[@]}"; do
		case $(head -c 2 "$file") in '/*') ;; *) found "no comment at its top" "$file" || bad=1 ;; esac
	done
	# With set -e, Bash continues after an && list whose first part fails.
	found "an assertion that cannot fail: write [[ A && B ]]" \
		"$(grep -nE '^[[:space:]]+\[ .* \] && \[ .* \]$' "${shell[@]}")" || bad=1
	found "a fault in white space" \
		"$(grep -nE '[[:space:]]+$' "${sources[@]}" "${headers[@]}" "${shell[@]}" Makefile)" || bad=1
	return $bad
}

check_shell() {
	local bad=0
	[ ${#shell[@]} -gt 0 ] || return 0
	# 1091, 2153, 2154: files that a bats file loads; 2030, 2031, 2034: variables of a
	# test; 2119, 2120, 2317: functions called from other files; 2016: a script in single
	# quotes; 2012, 2103: tests of ls and cd.
	local off=SC1091,SC2153,SC2154,SC2030,SC2031,SC2034,SC2119,SC2120,SC2317,SC2016,SC2012,SC2103
	shellcheck -x -e "$off" "${shell[@]}" || bad=1
	return $bad
}

check_manuals() {
	[ ${#manuals[@]} -gt 0 ] || return 0
	local out
	# Lines that mdoc's own conventions would sort differently are fine.
	mandoc -T lint -W warning "${manuals[@]}" || return
	# groff's status is 0 even if it prints warnings.
	out=$(groff -ww -mandoc -Tutf8 -z "${manuals[@]}" 2>&1)
	found "groff, which man(1) uses, warns" "$out"
}

check_prose() {
	python3 tests/prose.py common fs httpd tests .ci README.md Makefile Dockerfile \
		nginx.conf docker-compose.yml
}

passed=0 failed=0
for check in ${CHECKS:-format rules headers shell manuals prose cppcheck tidy}; do
	begin=$SECONDS
	if out=$("check_$check" 2>&1); then
		passed=$((passed + 1))
		echo "check $check: fine ($((SECONDS - begin)) s)"
	else
		failed=$((failed + 1))
		echo "check $check: FAILED"
		head -n 200 <<<"$out" | sed 's/^/    /'
	fi
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
