# The test runner itself: a gate that cannot fail is worth nothing. Each test runs
# tests/run in a small tree with programs and bats files that pass, fail, skip, crash, or
# run nothing.

load helper

setup() {
	keydir_setup
	mkdir -p "$T/tree/tests/unit" "$T/tree/tests/bats" "$T/tree/tests/fuzz" "$T/tree/build/unit" \
		"$T/tree/build/fuzz"
	cp "$KEYDIR_ROOT/tests/run" "$T/tree/tests/"
	cp "$KEYDIR_ROOT/tests/bats/helper.bash" "$T/tree/tests/bats/"
}

# unit NAME: add a unit test whose program is the script on stdin.
unit() {
	echo 'int main(void)' >"$T/tree/tests/unit/$1.c"
	{
		echo '#!/bin/bash'
		cat
	} >"$T/tree/build/unit/$1"
	chmod +x "$T/tree/build/unit/$1"
}

fuzzer() {
	echo 'int LLVMFuzzerTestOneInput' >"$T/tree/tests/fuzz/$1.c"
	{
		echo '#!/bin/bash'
		cat
	} >"$T/tree/build/fuzz/$1"
	chmod +x "$T/tree/build/fuzz/$1"
}

# gives LAST-LINE STATUS [NAME=VALUE...]
gives() {
	local line=$1 expected=$2 code=0
	shift 2
	env -u KEYDIR_BUILD -u FUZZ_BUILD -u SANITIZER -u STRICT -u BATS_TEST_FILTER "$@" \
		"$T/tree/tests/run" >"$T/out" 2>&1 3>&- || code=$?
	cat "$T/out"
	same "$line" "$(tail -n 1 "$T/out")"
	same "$expected" "$code"
}

@test "each case is counted" {
	unit a <<<'echo 1..2; echo ok 1 - x; echo ok 2 - y'
	unit b <<<'echo 1..1; echo ok 1 - z'
	printf '@test "one" { true; }\n@test "two" { true; }\n' >"$T/tree/tests/bats/c.bats"
	fuzzer d <<<'echo Done 5 runs in 1 second'
	gives "6 passed, 0 failed" 0
}

@test "a failing case fails, and only then its output is shown" {
	unit a <<<'echo 1..2; echo ok 1 - x; echo "# cause"; echo not ok 2 - y; exit 1'
	unit b <<<'echo "# secret"; echo 1..1; echo ok 1 - z'
	gives "2 passed, 1 failed" 1
	grep -q cause "$T/out"
	not grep -q secret "$T/out"
}

@test "skips are reported, and fail with STRICT=1" {
	unit a <<<'echo 1..2; echo ok 1 - x; echo not ok 2 "#" SKIP y'
	printf 'load helper\n@test "needy" { require nonesuch; }\n' >"$T/tree/tests/bats/c.bats"
	gives "1 passed, 0 failed, 2 skipped" 0
	grep -q "needs nonesuch" "$T/out"
	gives "1 passed, 2 failed" 1 STRICT=1
}

@test "a crash fails, even when all cases passed" {
	unit a <<<'echo 1..1; echo ok 1 - x; kill -SEGV $$'
	gives "1 passed, 1 failed" 1
}

@test "announced cases that did not run fail" {
	unit a <<<'echo 1..3; echo ok 1 - x'
	gives "1 passed, 2 failed" 1
}

@test "a program that runs nothing fails" {
	unit a <<<'exit 0'
	gives "0 passed, 1 failed" 1
}

@test "a program that was not built fails" {
	unit a <<<'echo 1..1; echo ok 1 - x'
	rm "$T/tree/build/unit/a"
	gives "0 passed, 1 failed" 1
}

@test "a bats file that cannot be read fails" {
	echo '@test "open" {' >"$T/tree/tests/bats/c.bats"
	gives "0 passed, 1 failed" 1
}

@test "a sanitizer's report fails, whatever the status" {
	unit a <<-'END'
		echo 1..1; echo ok 1 - x
		file=${ASAN_OPTIONS##*log_path=}
		echo "a report of a leak" >"$file.$$"
	END
	gives "1 passed, 1 failed" 1
	grep -q "a report of a leak" "$T/out"
}

@test "a program that hangs is ended and fails" {
	unit a <<<'echo 1..1; echo ok 1 - x; sleep 100'
	gives "1 passed, 1 failed" 1 LIMIT_S=1
}

@test "a fuzzer that finds something, or runs nothing, fails" {
	fuzzer a <<<'echo crash; exit 77'
	fuzzer b <<<'exit 0'
	fuzzer c <<<'echo Done 0 runs in 1 second'
	gives "0 passed, 3 failed" 1
}

@test "a test that needs a Docker daemon runs only on request" {
	mkdir "$T/tree/tests/compose"
	echo '@test "heavy" { false; }' >"$T/tree/tests/compose/c.bats"
	unit a <<<'echo 1..1; echo ok 1 - x'
	gives "1 passed, 0 failed" 0
	run -1 env -u KEYDIR_BUILD -u STRICT "$T/tree/tests/run" compose/
	same "0 passed, 1 failed" "${lines[-1]}"
}

@test "a name that matches no test is an error, even next to one that matches" {
	local runner=(env -u KEYDIR_BUILD -u STRICT "$T/tree/tests/run")
	unit a <<<'echo 1..1; echo ok 1 - x'
	fails_with 'no test has "nonesuch" in its name' "${runner[@]}" unit/a nonesuch
	fails_with "unit/a" "${runner[@]}" nonesuch
}

@test "an empty selection of tests fails" {
	gives "0 passed, 1 failed" 1
}

# The helper of all other bats files.
httpd() {
	mkdir -p "$T/tree/build"
	cat >"$T/tree/build/keydir-httpd"
	chmod +x "$T/tree/build/keydir-httpd"
}

# Write the bats file on stdin, with TEST in place of bats' own word: bats would take
# those lines for tests of this file.
bats_file() { sed 's/^TEST /@test /' >"$T/tree/tests/bats/c.bats"; }

# A server that is just able to become ready.
SERVER='import http.server, os, signal, sys
signal.signal(signal.SIGTERM, lambda *a: os._exit(int(os.environ.get("STATUS", 0))))
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("X-Test", "a: b")
        self.end_headers()
        self.wfile.write(self.path.encode())
host, port = sys.argv[sys.argv.index("--listen") + 1].split(":")
print(os.environ.get("SAY", ""), flush=True)
http.server.HTTPServer((host, int(port)), Handler).serve_forever()'

@test "helper: a healthy server passes" {
	httpd <<<"#!/usr/bin/env python3
$SERVER"
	bats_file <<-'END'
		load helper
		TEST "healthy" { start_httpd; rest GET /x; same 200 "$status"; same /x "$(body)"
		                  same "a: b" "$(header x-test)"; }
		TEST "killed on purpose" { start_httpd; kill_hard "$HTTPD_PID"; start_httpd; }
		TEST "allowed to log" { allow_log "broken"; SAY="2026-01-31T12:00:00.000Z error broken" start_httpd; }
	END
	gives "3 passed, 0 failed" 0
}

@test "helper: a server that is not healthy fails" {
	httpd <<<"#!/usr/bin/env python3
$SERVER"
	bats_file <<-'END'
		load helper
		TEST "logs an error" { SAY="2026-01-31T12:00:00.000Z error x: broken" start_httpd; }
		TEST "logs suspicion" { SAY="suspicious" start_httpd; }
		TEST "ends with a status" { STATUS=3 start_httpd; }
		TEST "dies" { start_httpd; kill -9 "$HTTPD_PID"; wait_for 5 not is_running "$HTTPD_PID"; }
		TEST "leaves a report" { start_httpd; echo leak >"$T/reports/asan.1"; }
		TEST "gives another answer" { start_httpd; rest GET /x; same /y "$(body)"; }
	END
	gives "0 passed, 6 failed" 1
}

@test "helper: a server that never becomes ready fails at once if it ends" {
	httpd <<<$'#!/bin/bash\necho no such thing; exit 1'
	bats_file <<-'END'
		load helper
		TEST "ends" { start_httpd; }
	END
	gives "0 passed, 1 failed" 1
	grep -q "no such thing" "$T/out"
}
