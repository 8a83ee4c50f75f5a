# What `make check` must find.

load helper

setup() {
	keydir_setup
	mkdir "$T/tree"
	cp -r "$KEYDIR_ROOT"/{common,fs,httpd,tests,.ci,Makefile} "$T/tree"
}

rules() { (cd "$T/tree" && CHECKS=rules tests/check.sh); }

# found TEXT FILE LINE: with LINE at its end, FILE breaks a rule, and the check prints
# TEXT.
found() {
	touch "$T/tree/$2"
	cp "$T/tree/$2" "$T/before"
	printf '%s\n' "$3" >>"$T/tree/$2"
	fails_with "$1" rules
	cp "$T/before" "$T/tree/$2"
}

@test "includes go from a folder to those below it, and nowhere else" {
	rules
	found "common/base may include common/base only" \
		common/base/ttl.h '#include "common/store/store.h"'
	found "common/store may include" common/store/txn.c '#include "common/apply/apply.h"'
	found "common/apply may include" common/apply/tree.c '#include "common/node/node.h"'
	found "common/log may include" common/log/kafka.c '#include "common/apply/apply.h"'
	found "fs may include" fs/op.c '#include "httpd/server.h"'
	found "httpd may include" httpd/server.c '#include "fs/mount.h"'
	found "httpd may include" httpd/server.c '#include "httpd/handlers/list.h"'
	found "httpd/handlers may include" httpd/handlers/key.c '#include "key.h"'
	mkdir "$T/tree/common/more"
	found "folders that are not in the list" common/more/x.c '/* New. */'
}

@test "each library has its folder" {
	found "lmdb.h belongs in common/store/ only" common/node/node.c '#include <lmdb.h>'
	found "rdkafka.h belongs in common/log/ only" common/node/node.c '#include <librdkafka/rdkafka.h>'
	found "libfuse belongs in fs/ only" common/node/node.c '#include <fuse_lowlevel.h>'
	found "libmicrohttpd belongs in httpd/ only" fs/op.c '#include <microhttpd.h>'
}

prose() { (cd "$T/tree" && CHECKS=prose tests/check.sh); }

# hard_to_read FILE SIGN: append 100 bad comments, each after SIGN; the check must name
# FILE.
hard_to_read() {
	local i
	cp "$T/tree/$1" "$T/before"
	for ((i = 0; i < 100; i++)); do
		echo "$2 Of what is told, nobody is none."
	done >>"$T/tree/$1"
	fails_with "$1: " prose
	cp "$T/before" "$T/tree/$1"
}

@test "a file whose comments are hard to read is refused, in each language" {
	prose
	hard_to_read common/base/ttl.h //
	hard_to_read httpd/console/api.js //
	hard_to_read tests/check.sh '#'
	hard_to_read tests/prose.py '#'
	hard_to_read fs/keydir-fs.8 ''
	hard_to_read common/EVENTS.md ''
	prose
}
