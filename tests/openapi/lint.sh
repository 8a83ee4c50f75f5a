#!/bin/bash
# Run two linters of OpenAPI descriptions, redocly and spectral, over
# httpd/openapi.json. Exit with 1 if one of them finds an error. They are
# installed once, by npm, into build/openapi-lint. `make test` does not run this:
# their packages are 230 MB.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
dir=${KEYDIR_BUILD:-$top/build}/openapi-lint
description=$top/httpd/openapi.json

command -v npm >/dev/null || {
	echo "lint.sh: needs npm (Debian: apt-get install npm)" >&2
	exit 2
}
if [ ! -e "$dir/complete" ]; then
	mkdir -p "$dir"
	npm install --silent --no-fund --no-audit --prefix "$dir" \
		@redocly/cli@1.34.5 @stoplight/spectral-cli@6.16.3
	touch "$dir/complete"
fi
status=0
REDOCLY_TELEMETRY=off "$dir/node_modules/.bin/redocly" lint --config "$here/redocly.yaml" "$description" || status=1
# spectral warns of every tab.
"$dir/node_modules/.bin/spectral" lint --display-only-failures -r "$here/spectral.yaml" "$description" || status=1
exit "$status"
