# The API's description is true: schemathesis derives valid and invalid requests from it,
# and compares the responses with it. (unit/test_http_openapi checks that it is complete.)
# A client generated from it works.

load helper

# schemathesis and a client generator, in a directory of their own below the build
# directory.
setup_file() {
	source "$BATS_TEST_DIRNAME/helper.bash"
	VENV=$KEYDIR_BUILD/openapi-$(sha256sum <"$KEYDIR_ROOT/tests/openapi/requirements.txt" | cut -c1-16)
	export VENV
	[ -e "$VENV/complete" ] && return
	rm -rf "$VENV"
	if ! python3 -m venv "$VENV" || ! "$VENV/bin/pip" install --quiet --disable-pip-version-check \
		--requirement "$KEYDIR_ROOT/tests/openapi/requirements.txt"; then
		return # the test reports it
	fi
	touch "$VENV/complete"
}

@test "the description is served, and a client that has it gets 304" {
	start_httpd
	rest GET /openapi.json
	same 200 "$status"
	same application/json "$(header Content-Type)"
	same nosniff "$(header X-Content-Type-Options)"
	cmp "$T/body" "$KEYDIR_ROOT/httpd/openapi.json"
	local etag
	etag=$(header ETag)
	rest HEAD /openapi.json
	same 200 "$status"
	same "$(stat -c %s "$KEYDIR_ROOT/httpd/openapi.json")" "$(header Content-Length)"
	rest GET /openapi.json -H "If-None-Match: W/\"1\", $etag"
	same 304 "$status"
	same '' "$(body)"
	rest GET /openapi.json -H 'If-None-Match: "1"'
	same 200 "$status"
}

@test "the status has exactly the described members" {
	start_httpd
	rest GET /v1/status
	same 200 "$status"
	same "$(jq -c '[.components.schemas.Status.properties | paths(type == "object" and (has("type") or has("enum") or has("$ref")))
		| map(select(. != "properties")) | map(select(. != "items")) | join(".") | select(startswith("peers.") | not)] | unique' "$KEYDIR_ROOT/httpd/openapi.json")" \
		"$(jq -c '[paths | map(tostring) | join(".") | select(startswith("peers.") | not)] | unique' "$T/body")"
}

@test "a generated client has every operation, and reads and writes keys at any depth" {
	[ -e "$VENV/complete" ] || skip_or_fail "needs openapi-python-client from a package index (pip)"
	run -0 env PATH="$VENV/bin:$PATH" HOME="$T" "$VENV/bin/openapi-python-client" generate \
		--path "$KEYDIR_ROOT/httpd/openapi.json" --output-path "$T/generated" --meta none
	# No operation is missing.
	not grep -E 'WARNING|Unable|be omitted' <<<"$output"
	same "$(jq '[.paths[] | keys[]] | length' "$KEYDIR_ROOT/httpd/openapi.json")" \
		"$(find "$T/generated/api" -mindepth 2 -name '[a-z]*.py' | wc -l)"
	start_httpd
	PYTHONPATH=$T PYTHONDONTWRITEBYTECODE=1 "$VENV/bin/python" "$KEYDIR_ROOT/tests/openapi/client.py" "$URL"
}

@test "schemathesis finds no response that the description lacks" {
	[ -e "$VENV/complete" ] || skip_or_fail "needs schemathesis from a package index (pip)"
	local token=token-of-a-test-0123456789
	printf 'tester %s admin /\n' "$("$KEYDIR_HTTPD" --hash-token <<<"$token")" >"$T/tokens"
	start_httpd --tokens "$T/tokens"
	# Create the keys that its examples name.
	rest PUT /v1/kv/greeting -H "Authorization: Bearer $token" --data-binary hello
	rest PUT /v1/kv/users/ -H "Authorization: Bearer $token"
	cd "$T"
	run env TOKEN=$token HYPOTHESIS_STORAGE_DIRECTORY="$VENV/hypothesis" SCHEMATHESIS_HOOKS=hooks PYTHONPATH="$KEYDIR_ROOT/tests/openapi" PYTHONDONTWRITEBYTECODE=1 \
		"$VENV/bin/schemathesis" --config-file "$KEYDIR_ROOT/tests/openapi/schemathesis.toml" \
		run "$URL/openapi.json" --url "$URL" --seed 1 --max-examples 6 --warnings off \
		--suppress-health-check too_slow
	if [[ $output =~ ' SUMMARY =' ]]; then
		sed -nE '/ (ERRORS|FAILURES) =/,/ SUMMARY =/p' <<<"$output"
	else
		echo "$output"
	fi
	[ "$status" = 0 ]
	# It sent requests.
	[[ $output =~ ([0-9]+)\ generated ]]
	[ "${BASH_REMATCH[1]}" -gt 1000 ]
	[[ $output =~ Tested:\ +([0-9]+) ]]
	# To every route except GET /openapi.json, from which it got the description.
	same "$(jq '[.paths[] | keys[]] | length - 1' "$KEYDIR_ROOT/httpd/openapi.json")" "${BASH_REMATCH[1]}"
	# Many requests succeeded, and the server continues.
	rest GET /metrics -H "Authorization: Bearer $token"
	same 200 "$status"
	[ "$(awk '/^keydir_http_requests_total{.*status="2xx"}/ { n += $2 } END { print n }' "$T/body")" -gt 500 ]
}
