/* Tests of the record codec (common/event/record_decode.c, event/record_encode.c).
 *
 * LINK: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc */
#include "tests/unit/cmocka_all.h"

#include "common/base/ttl.h"
#include "common/event/record.h"
#include "tests/unit/event_equal.h"
#include "tests/unit/fault.h"
#include "tests/unit/prng.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEED UINT64_C(20260131)

/* A record as a test writes it: a NULL value is null; headers are names and values in
 * turn, ended by NULL. */
struct sample {
	const char *key;
	const char *value;
	const char *headers[2 * RECORD_HEADERS_MAX + 1];
};

static struct record record_of(const struct sample *s)
{
	struct record rec = { .time_ms = 1234 };

	rec.key = (struct bytes){ s->key, s->key ? strlen(s->key) : 0 };
	rec.has_value = s->value != NULL;
	rec.value = (struct bytes){ s->value, s->value ? strlen(s->value) : 0 };
	for (size_t i = 0; s->headers[i]; i += 2) {
		struct record_header *h = &rec.headers[rec.nheaders++];

		h->name = (struct bytes){ s->headers[i], strlen(s->headers[i]) };
		h->value = (struct bytes){ s->headers[i + 1], strlen(s->headers[i + 1]) };
		/* A null header value, as librdkafka returns it. */
		if (h->value.len == 0)
			h->value.data = NULL;
	}
	return rec;
}

/* Return the record as text, to name a row. Valid until the next call. */
static const char *text_of(const struct sample *s)
{
	static char text[2000];
	size_t len = (size_t)snprintf(text, sizeof(text), "%s = %s", s->key ? s->key : "(null)",
	                              s->value ? s->value : "(null)");

	for (size_t i = 0; s->headers[i] && len < sizeof(text); i += 2)
		len += (size_t)snprintf(text + len, sizeof(text) - len, ", %s: %s", s->headers[i],
		                        s->headers[i + 1]);
	return text;
}

/* --- decoding, example by example --- */

static void test_valid_records_are_decoded(void **state)
{
	static const struct event_range ranges[] = { { 0, 5 }, { 10, 3 } };
	static const struct event txn_ops[] = {
		{ .op = EVENT_SET, .cond = IF_ABSENT, .key = B("a/b"), .value = B("hello") },
		{ .op = EVENT_DEL, .key = B("c") },
	};
	const struct {
		struct sample sample;
		struct event want;
	} rows[] = {
		/* Plain changes. */
		{ { "greeting", "hello", { NULL } },
		  { .op = EVENT_SET, .key = B("greeting"), .value = B("hello") } },
		{ { "dir/a", "", { NULL } }, { .op = EVENT_SET, .key = B("dir/a") } },
		{ { "greeting", NULL, { NULL } }, { .op = EVENT_DEL, .key = B("greeting") } },
		{ { "k",
		    "v",
		    { "traceparent", "00-1-2-01", "spring.kafka", "x", "ttl", "no", "v", "9" } },
		  { .op = EVENT_SET, .key = B("k"), .value = B("v") } },
		/* Operations. */
		{ { "k", "v", { "op", "set" } },
		  { .op = EVENT_SET, .key = B("k"), .value = B("v") } },
		{ { "k",
		    "",
		    { "op", "set", "ttl", "60000", "if", "absent", "type", "text/plain" } },
		  { .op = EVENT_SET,
		    .ttl = TTL_SET,
		    .ttl_ms = 60000,
		    .cond = IF_ABSENT,
		    .key = B("k"),
		    .type = B("text/plain") } },
		{ { "k", "../v", { "op", "set", "flags", "symlink" } },
		  { .op = EVENT_SET, .flags = EVENT_SYMLINK, .key = B("k"), .value = B("../v") } },
		{ { "k", "v", { "op", "set", "ttl", "keep", "if", "present", "v", "1" } },
		  { .op = EVENT_SET,
		    .ttl = TTL_KEEP,
		    .cond = IF_PRESENT,
		    .key = B("k"),
		    .value = B("v") } },
		{ { "k",
		    "v",
		    { "op", "set", "ttl", "until=1769860800000", "if",
		      "version=18446744073709551615", "mode", "0600" } },
		  { .op = EVENT_SET,
		    .ttl = TTL_UNTIL,
		    .ttl_ms = INT64_C(1769860800000),
		    .cond = IF_VERSION,
		    .if_version = UINT64_MAX,
		    .flags = EVENT_HAS_MODE,
		    .mode = 0600,
		    .key = B("k"),
		    .value = B("v") } },
		{ { "k", "more", { "op", "append", "id", "00000000000000ff-12", "idem", "i" } },
		  { .op = EVENT_APPEND,
		    .proc = 255,
		    .seq = 12,
		    .key = B("k"),
		    .value = B("more"),
		    .idem = B("i") } },
		{ { "k",
		    "helloxyz",
		    { "op", "write", "ranges", "0+5,10+3", "cut", "0", "size", "20" } },
		  { .op = EVENT_WRITE,
		    .flags = EVENT_HAS_CUT,
		    .size = 20,
		    .key = B("k"),
		    .value = B("helloxyz"),
		    .ranges = ranges,
		    .nranges = 2 } },
		{ { "k", NULL, { "op", "write", "cut", "7" } },
		  { .op = EVENT_WRITE, .flags = EVENT_HAS_CUT, .cut = 7, .key = B("k") } },
		{ { "k", NULL, { "op", "truncate", "size", "0", "at", "77" } },
		  { .op = EVENT_TRUNCATE, .at = 77, .key = B("k") } },
		{ { "d", NULL, { "op", "del", "flags", "recurse,evict" } },
		  { .op = EVENT_DEL, .flags = EVENT_RECURSE | EVENT_EVICT, .key = B("d") } },
		{ { "d", NULL, { "op", "mkdir", "ino", "18446744073709551615", "dir", "1" } },
		  { .op = EVENT_MKDIR, .ino = UINT64_MAX, .dir = 1, .key = B("d") } },
		{ { "d", NULL, { "op", "rmdir" } }, { .op = EVENT_RMDIR, .key = B("d") } },
		{ { "a", NULL, { "op", "rename", "to", "b", "to_dir", "9", "flags", "exchange" } },
		  { .op = EVENT_RENAME,
		    .flags = EVENT_EXCHANGE,
		    .to_dir = 9,
		    .key = B("a"),
		    .to = B("b") } },
		{ { "a", NULL, { "op", "rename", "to", "b", "flags", "noreplace" } },
		  { .op = EVENT_RENAME, .flags = EVENT_NOREPLACE, .key = B("a"), .to = B("b") } },
		{ { "k", NULL, { "op", "expire", "ttl", "1" } },
		  { .op = EVENT_EXPIRE, .ttl = TTL_SET, .ttl_ms = 1, .key = B("k") } },
		{ { "k", NULL, { "op", "persist" } }, { .op = EVENT_PERSIST, .key = B("k") } },
		{ { "k", "", { "op", "setxattr", "name", "user.a", "flags", "create" } },
		  { .op = EVENT_SETXATTR,
		    .flags = EVENT_XATTR_CREATE,
		    .key = B("k"),
		    .name = B("user.a") } },
		{ { "",
		    "v",
		    { "op", "setxattr", "name", "user.a", "flags", "replace", "at", "1" } },
		  { .op = EVENT_SETXATTR,
		    .flags = EVENT_XATTR_REPLACE,
		    .at = 1,
		    .name = B("user.a"),
		    .value = B("v") } },
		{ { "k", NULL, { "op", "removexattr", "name", "user.a" } },
		  { .op = EVENT_REMOVEXATTR, .key = B("k"), .name = B("user.a") } },
		{ { "k", NULL, { "op", "chmod", "mode", "7777" } },
		  { .op = EVENT_CHMOD, .flags = EVENT_HAS_MODE, .mode = 07777, .key = B("k") } },
		{ { "k", NULL, { "op", "touch" } }, { .op = EVENT_TOUCH, .key = B("k") } },
		{ { "k", NULL, { "op", "touch", "mtime", "-5", "atime", "now" } },
		  { .op = EVENT_TOUCH,
		    .flags = EVENT_HAS_MTIME | EVENT_ATIME_NOW,
		    .mtime_ns = -5,
		    .key = B("k") } },
		{ { "k", NULL, { "op", "touch", "atime", "-9223372036854775808", "mtime", "now" } },
		  { .op = EVENT_TOUCH,
		    .flags = EVENT_HAS_ATIME | EVENT_MTIME_NOW,
		    .atime_ns = INT64_MIN,
		    .key = B("k") } },
		{ { "n", NULL, { "op", "incr" } }, { .op = EVENT_INCR, .by = 1, .key = B("n") } },
		{ { "n", NULL, { "op", "incr", "by", "-9223372036854775808" } },
		  { .op = EVENT_INCR, .by = INT64_MIN, .key = B("n") } },
		{ { "n", NULL, { "op", "incr", "by", "9223372036854775807" } },
		  { .op = EVENT_INCR, .by = INT64_MAX, .key = B("n") } },
		{ { "n", NULL, { "op", "incr", "by", "0" } },
		  { .op = EVENT_INCR, .by = 0, .key = B("n") } },
		{ { "", NULL, { "op", "tick" } }, { .op = EVENT_TICK } },
		{ { "", NULL, { "op", "format", "name", "volume-1" } },
		  { .op = EVENT_FORMAT, .name = B("volume-1") } },
		{ { "", NULL, { "op", "skip", "at", "7" } }, { .op = EVENT_SKIP, .at = 7 } },
		/* Headers that are ignored. */
		{ { "k",
		    NULL,
		    { "op", "del", "x-request", "1", "X-B", "", "traceparent", "t", "tracestate",
		      "t", "baggage", "t", "b3", "t", "x-request", "twice" } },
		  { .op = EVENT_DEL, .key = B("k") } },
		{ { "",
		    "39:3:a/b,5:hello,2:op,3:set,2:if,6:absent,,17:1:c,-,2:op,3:del,,",
		    { "op", "txn" } },
		  { .op = EVENT_TXN, .ops = txn_ops, .nops = 2 } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct record rec = record_of(&rows[i].sample);
		struct event want = rows[i].want;
		struct event *ev = NULL;
		const char *why = NULL;
		const char *what;
		int r = record_decode(&rec, &ev, &why);

		if (r)
			fail_msg("%s: %d, %s", text_of(&rows[i].sample), r, why);
		want.time_ms = 1234;
		what = event_differs(&want, ev);
		if (what)
			fail_msg("%s: %s differs", text_of(&rows[i].sample), what);
		event_free(ev);
	}
}

/* Records that cannot be decoded: -EBADMSG, or -ENOTSUP for records of a newer
 * version. WHY is a part of the text. */
static void test_malformed_records_are_refused_with_a_reason(void **state)
{
	static const struct {
		struct sample sample;
		int want;
		const char *why;
	} rows[] = {
		/* Plain changes. */
		{ { "", "v", { NULL } }, -EBADMSG, "key is empty" },
		{ { NULL, "v", { NULL } }, -EBADMSG, "key is empty" },
		{ { "/a//b", "v", { NULL } }, -EBADMSG, "slash" },
		{ { "a/", NULL, { NULL } }, -EBADMSG, "slash" },
		{ { "a/../b", "v", { NULL } }, -EBADMSG, "\"..\"" },
		/* Records of a newer version. */
		{ { "k", "v", { "op", "set", "v", "2" } }, -ENOTSUP, "version" },
		{ { "k", "v", { "op", "frobnicate", "v", "2" } }, -ENOTSUP, "version" },
		{ { "k", "v", { "op", "set", "v", "4294967297" } }, -ENOTSUP, "version" },
		{ { "k", "v", { "op", "frobnicate" } }, -ENOTSUP, "operation" },
		{ { "k", "v", { "op", "" } }, -ENOTSUP, "operation" },
		{ { "k", "v", { "op", "Set" } }, -ENOTSUP, "operation" },
		/* Also if something else is wrong, or unknown too. */
		{ { "/", NULL, { "ttl", "x", "op", "frobnicate", "colour", "red" } },
		  -ENOTSUP,
		  "operation" },
		{ { "k", "v", { "op", "set", "colour", "red", "v", "2" } }, -ENOTSUP, "version" },
		{ { "k", NULL, { "v", "2", "flags", "often", "op", "del" } }, -ENOTSUP, "version" },
		/* Unknown in version 1, which is known completely: an error. */
		{ { "k", "v", { "op", "set", "colour", "red" } }, -EBADMSG, "header is unknown" },
		{ { "k", "v", { "op", "set", "colour", "red", "v", "1" } },
		  -EBADMSG,
		  "header is unknown" },
		{ { "k", "v", { "op", "set", "", "red" } }, -EBADMSG, "header is unknown" },
		{ { "k", "v", { "op", "set", "x", "red" } }, -EBADMSG, "header is unknown" },
		{ { "k", "v", { "op", "set", "TTL", "5" } }, -EBADMSG, "header is unknown" },
		{ { "k", NULL, { "op", "del", "flags", "recurse,often" } },
		  -EBADMSG,
		  "header flags" },
		{ { "k", NULL, { "op", "del", "flags", " recurse" } }, -EBADMSG, "header flags" },
		{ { "k", "v", { "op", "set", "v", "0" } }, -EBADMSG, "header v" },
		/* Headers. */
		{ { "k", "v", { "op", "set", "v", "x" } }, -EBADMSG, "header v" },
		{ { "k", "v", { "op", "set", "v", "" } }, -EBADMSG, "header v" },
		{ { "k", "v", { "op", "set", "ttl", "1", "ttl", "1" } }, -EBADMSG, "twice" },
		{ { "k", "v", { "op", "set", "op", "set" } }, -EBADMSG, "twice" },
		{ { "k", NULL, { "op", "del", "flags", "" } }, -EBADMSG, "header flags" },
		{ { "k", NULL, { "op", "del", "flags", "recurse," } }, -EBADMSG, "header flags" },
		{ { "k", "v", { "op", "set", "ttl", "" } }, -EBADMSG, "header ttl" },
		{ { "k", "v", { "op", "set", "ttl", "60s" } }, -EBADMSG, "header ttl" },
		{ { "k", "v", { "op", "set", "ttl", "until=" } }, -EBADMSG, "header ttl" },
		{ { "k", "v", { "op", "set", "ttl", "forever" } }, -EBADMSG, "header ttl" },
		{ { "k", "v", { "op", "set", "ttl", "9223372036854775808" } },
		  -EBADMSG,
		  "header ttl" },
		{ { "k", "v", { "op", "set", "ttl", "0" } }, -EBADMSG, "TTL is not between" },
		{ { "k", "v", { "op", "set", "ttl", "-5" } }, -EBADMSG, "TTL is not between" },
		{ { "k", "v", { "op", "set", "if", "" } }, -EBADMSG, "header if" },
		{ { "k", "v", { "op", "set", "if", "Absent" } }, -EBADMSG, "header if" },
		{ { "k", "v", { "op", "set", "if", "version=" } }, -EBADMSG, "header if" },
		{ { "k", "v", { "op", "set", "if", "version=-1" } }, -EBADMSG, "header if" },
		{ { "k", "v", { "op", "set", "if", "version=18446744073709551616" } },
		  -EBADMSG,
		  "header if" },
		{ { "k", "v", { "op", "set", "id", "" } }, -EBADMSG, "header id" },
		{ { "k", "v", { "op", "set", "id", "00000000000000ff" } }, -EBADMSG, "header id" },
		{ { "k", "v", { "op", "set", "id", "00000000000000ff-" } }, -EBADMSG, "header id" },
		{ { "k", "v", { "op", "set", "id", "00000000000000FF-1" } },
		  -EBADMSG,
		  "header id" },
		{ { "k", "v", { "op", "set", "id", "00000000000000f-11" } },
		  -EBADMSG,
		  "header id" },
		{ { "k", "v", { "op", "set", "id", "00000000000000ff-1x" } },
		  -EBADMSG,
		  "header id" },
		{ { "k", "v", { "op", "set", "ino", "0" } }, -EBADMSG, "header ino" },
		{ { "k", "v", { "op", "set", "ino", "" } }, -EBADMSG, "header ino" },
		{ { "k", "v", { "op", "set", "at", "+1" } }, -EBADMSG, "header at" },
		{ { "k", "v", { "op", "set", "dir", "0x1" } }, -EBADMSG, "header dir" },
		{ { "k", NULL, { "op", "rename", "to", "b", "to_dir", "0" } },
		  -EBADMSG,
		  "header to_dir" },
		{ { "k", "v", { "op", "set", "mode", "" } }, -EBADMSG, "header mode" },
		{ { "k", "v", { "op", "set", "mode", "0800" } }, -EBADMSG, "header mode" },
		{ { "k", "v", { "op", "set", "mode", "000000644" } }, -EBADMSG, "header mode" },
		{ { "k", "v", { "op", "set", "mode", "10000" } }, -EBADMSG, "7777" },
		{ { "k", NULL, { "op", "incr", "by", "" } }, -EBADMSG, "header by" },
		{ { "k", NULL, { "op", "incr", "by", "-" } }, -EBADMSG, "header by" },
		{ { "k", NULL, { "op", "incr", "by", "--1" } }, -EBADMSG, "header by" },
		{ { "k", NULL, { "op", "incr", "by", "1.5" } }, -EBADMSG, "header by" },
		{ { "k", NULL, { "op", "incr", "by", "9223372036854775808" } },
		  -EBADMSG,
		  "header by" },
		{ { "k", NULL, { "op", "incr", "by", "-9223372036854775809" } },
		  -EBADMSG,
		  "header by" },
		{ { "k", NULL, { "op", "touch", "mtime", "" } }, -EBADMSG, "header mtime" },
		{ { "k", NULL, { "op", "touch", "atime", "Now" } }, -EBADMSG, "header atime" },
		{ { "k", NULL, { "op", "truncate", "size", "-1" } }, -EBADMSG, "header size" },
		{ { "k", NULL, { "op", "truncate" } }, -EBADMSG, "size is missing" },
		{ { "k", NULL, { "op", "truncate", "size", "1099511627777" } },
		  -EBADMSG,
		  "size is beyond" },
		{ { "k", NULL, { "op", "write", "cut", "x" } }, -EBADMSG, "header cut" },
		{ { "k", "hi", { "op", "write", "ranges", "" } }, -EBADMSG, "header ranges" },
		{ { "k", "hi", { "op", "write", "ranges", "0" } }, -EBADMSG, "header ranges" },
		{ { "k", "hi", { "op", "write", "ranges", "0+" } }, -EBADMSG, "header ranges" },
		{ { "k", "hi", { "op", "write", "ranges", "+2" } }, -EBADMSG, "header ranges" },
		{ { "k", "hi", { "op", "write", "ranges", "0+2," } }, -EBADMSG, "header ranges" },
		{ { "k", "hi", { "op", "write", "ranges", "0+1,,1+1" } },
		  -EBADMSG,
		  "header ranges" },
		{ { "k", "hi", { "op", "write", "ranges", "0+1+1" } }, -EBADMSG, "header ranges" },
		{ { "k", "hi", { "op", "write", "ranges", "0+3" } }, -EBADMSG, "add up" },
		{ { "k", "hi", { "op", "set", "ranges", "0+2" } }, -EBADMSG, "only a write" },
		/* Values that an operation requires. */
		{ { "k", NULL, { "op", "set" } }, -EBADMSG, "value is null" },
		{ { "k", NULL, { "op", "append" } }, -EBADMSG, "value is null" },
		{ { "k", NULL, { "op", "setxattr", "name", "user.a" } },
		  -EBADMSG,
		  "value is null" },
		{ { "", NULL, { "op", "txn" } }, -EBADMSG, "value is null" },
		{ { "k", "v", { "op", "setxattr" } }, -EBADMSG, "user." },
		{ { "k", NULL, { "op", "chmod" } }, -EBADMSG, "mode is missing" },
		{ { "k", NULL, { "op", "rename" } }, -EBADMSG, "no target" },
		{ { "k", NULL, { "op", "expire", "ttl", "keep" } }, -EBADMSG, "expiry is missing" },
		{ { "", NULL, { "op", "del" } }, -EBADMSG, "key is empty" },
		{ { "", NULL, { "op", "format" } }, -EBADMSG, "volume id" },
		/* Transactions. */
		{ { "", "", { "op", "txn" } }, -EBADMSG, "no operation" },
		{ { "", "x", { "op", "txn" } }, -EBADMSG, "well-formed" },
		{ { "", "0:,", { "op", "txn" } }, -EBADMSG, "well-formed" },
		{ { "", "-,", { "op", "txn" } }, -EBADMSG, "well-formed" },
		{ { "", "17:1:c,-,2:op,3:del,", { "op", "txn" } }, -EBADMSG, "well-formed" },
		{ { "", "18:1:c,-,2:op,3:del,,", { "op", "txn" } }, -EBADMSG, "well-formed" },
		{ { "", "16:1:c,-,2:op,3:del,,", { "op", "txn" } }, -EBADMSG, "well-formed" },
		{ { "", "017:1:c,-,2:op,3:del,,", { "op", "txn" } }, -EBADMSG, "well-formed" },
		{ { "", "18446744073709551615:1:c,-,2:op,3:del,,", { "op", "txn" } },
		  -EBADMSG,
		  "well-formed" },
		{ { "", "18446744073709551616:1:c,-,2:op,3:del,,", { "op", "txn" } },
		  -EBADMSG,
		  "well-formed" },
		{ { "", "17:1:c,-,2:op,3:del,,,", { "op", "txn" } }, -EBADMSG, "well-formed" },
		{ { "", "15:-,-,2:op,3:del,,", { "op", "txn" } }, -EBADMSG, "well-formed" },
		{ { "", "13:1:c,-,2:op,-,,", { "op", "txn" } }, -EBADMSG, "well-formed" },
		{ { "", "11:1:c,-,2:op,,", { "op", "txn" } }, -EBADMSG, "well-formed" },
		{ { "", "4:1:c,,", { "op", "txn" } }, -EBADMSG, "well-formed" },
		{ { "", "8:1:c,1:v,,", { "op", "txn" } }, -EBADMSG, "no op header" },
		{ { "", "17:1:/,-,2:op,3:del,,", { "op", "txn" } }, -EBADMSG, "slash" },
		{ { "", "17:1:c,-,2:op,3:dig,,", { "op", "txn" } }, -ENOTSUP, "operation" },
		{ { "", "17:0:,-,2:op,4:tick,,", { "op", "txn" } }, -EBADMSG, "cannot be part" },
		{ { "", "17:0:,0:,2:op,3:txn,,", { "op", "txn" } }, -EBADMSG, "cannot be part" },
		{ { "", "22:1:c,-,2:op,3:del,2:no,,", { "op", "txn" } }, -EBADMSG, "well-formed" },
		{ { "", "23:1:c,-,2:op,3:del,2:no,0:,,", { "op", "txn" } },
		  -EBADMSG,
		  "well-formed" },
		{ { "", "28:1:c,-,2:op,3:del,2:no,3:xyz,,", { "op", "txn" } },
		  -EBADMSG,
		  "header is unknown" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct record rec = record_of(&rows[i].sample);
		struct event *ev = NULL;
		const char *why = "";
		int r = record_decode(&rec, &ev, &why);

		if (r != rows[i].want || ev || !why || !strstr(why, rows[i].why))
			fail_msg("%s: %d (\"%s\") instead of %d (\"%s\")", text_of(&rows[i].sample),
			         r, why ? why : "-", rows[i].want, rows[i].why);
		assert_row_equal(text_of(&rows[i].sample), record_decode(&rec, &ev, NULL),
		                 rows[i].want);
	}
}

static void test_headers_ranges_and_operations_are_limited(void **state)
{
	struct record rec = { .key = B("k"), .has_value = true, .value = { "v", 1 } };
	struct event *ev = NULL;
	const char *why = NULL;
	char ranges[(EVENT_RANGES_MAX + 1) * 12];
	char value[EVENT_RANGES_MAX + 1];
	char txn[(EVENT_OPS_MAX + 1) * 32];
	size_t len = 0;

	(void)state;
	/* Headers, including those of a foreign producer. */
	for (size_t i = 0; i < RECORD_HEADERS_MAX; i++)
		rec.headers[i] = (struct record_header){ B("x"), B("y") };
	rec.nheaders = RECORD_HEADERS_MAX;
	assert_int_equal(record_decode(&rec, &ev, &why), 0);
	event_free(ev);
	rec.nheaders = RECORD_HEADERS_MAX + 1;
	assert_int_equal(record_decode(&rec, &ev, &why), -EBADMSG);
	assert_non_null(strstr(why, "24 headers"));
	rec.nheaders = SIZE_MAX;
	assert_int_equal(record_decode(&rec, &ev, &why), -EBADMSG);

	/* Ranges. */
	memset(value, 'v', sizeof(value));
	rec.nheaders = 2;
	rec.headers[0] = (struct record_header){ B("op"), B("write") };
	for (int i = 0; i < EVENT_RANGES_MAX; i++)
		len += (size_t)snprintf(ranges + len, sizeof(ranges) - len, "%s%d+1", i ? "," : "",
		                        i);
	rec.headers[1] = (struct record_header){ B("ranges"), { ranges, len } };
	rec.value = (struct bytes){ value, EVENT_RANGES_MAX };
	assert_int_equal(record_decode(&rec, &ev, &why), 0);
	assert_int_equal(ev->nranges, EVENT_RANGES_MAX);
	event_free(ev);
	len += (size_t)snprintf(ranges + len, sizeof(ranges) - len, ",1+1");
	rec.headers[1].value.len = len;
	rec.value.len++;
	assert_int_equal(record_decode(&rec, &ev, &why), -EBADMSG);

	/* Operations. */
	len = 0;
	for (int i = 0; i < EVENT_OPS_MAX; i++)
		len += (size_t)snprintf(txn + len, sizeof(txn) - len, "17:1:c,-,2:op,3:del,,");
	rec.nheaders = 1;
	rec.headers[0] = (struct record_header){ B("op"), B("txn") };
	rec.value = (struct bytes){ txn, len };
	assert_int_equal(record_decode(&rec, &ev, &why), 0);
	assert_int_equal(ev->nops, EVENT_OPS_MAX);
	event_free(ev);
	len += (size_t)snprintf(txn + len, sizeof(txn) - len, "17:1:c,-,2:op,3:del,,");
	rec.value.len = len;
	assert_int_equal(record_decode(&rec, &ev, &why), -EBADMSG);
	assert_non_null(strstr(why, "1024"));
}

/* --- encoding, example by example --- */

static void assert_header(const struct record *rec, size_t i, const char *name, const char *value)
{
	assert_true(i < rec->nheaders);
	assert_int_equal(rec->headers[i].name.len, strlen(name));
	assert_memory_equal(rec->headers[i].name.data, name, strlen(name));
	assert_int_equal(rec->headers[i].value.len, strlen(value));
	assert_memory_equal(rec->headers[i].value.data, value, strlen(value));
}

static void test_every_field_becomes_a_header(void **state)
{
	static const struct event_range ranges[] = { { 0, 5 }, { UINT64_C(1) << 39, 3 } };
	const struct event ev = {
		.op = EVENT_WRITE,
		.cond = IF_VERSION,
		.ttl = TTL_UNTIL,
		.flags = EVENT_HAS_CUT | EVENT_HAS_MODE | EVENT_HAS_MTIME | EVENT_ATIME_NOW |
		         EVENT_RECURSE | EVENT_EVICT,
		.if_version = UINT64_MAX,
		.ttl_ms = 1769860800000,
		.proc = 255,
		.seq = 1,
		.ino = 2,
		.at = 3,
		.dir = 4,
		.to_dir = 5,
		.size = 6,
		.cut = 7,
		.mtime_ns = INT64_MIN,
		.mode = 0640,
		.time_ms = 99,
		.key = B("k"),
		.value = B("12345678"),
		.to = B("t"),
		.name = B("user.n"),
		.type = B("text/plain"),
		.idem = B("i"),
		.ranges = ranges,
		.nranges = 2,
	};
	struct record_out out;
	size_t i = 0;

	(void)state;
	assert_int_equal(record_encode(&ev, &out), 0);
	assert_true(out.rec.key.data == ev.key.data);
	assert_true(out.rec.value.data == ev.value.data);
	assert_true(out.rec.has_value);
	assert_int_equal(out.rec.time_ms, 99);
	assert_null(out.payload);
	assert_header(&out.rec, i++, "op", "write");
	assert_header(&out.rec, i++, "id", "00000000000000ff-1");
	assert_header(&out.rec, i++, "ttl", "until=1769860800000");
	assert_header(&out.rec, i++, "if", "version=18446744073709551615");
	assert_header(&out.rec, i++, "ino", "2");
	assert_header(&out.rec, i++, "at", "3");
	assert_header(&out.rec, i++, "dir", "4");
	assert_header(&out.rec, i++, "type", "text/plain");
	assert_header(&out.rec, i++, "to", "t");
	assert_header(&out.rec, i++, "to_dir", "5");
	assert_header(&out.rec, i++, "mode", "0640");
	assert_header(&out.rec, i++, "mtime", "-9223372036854775808");
	assert_header(&out.rec, i++, "atime", "now");
	assert_header(&out.rec, i++, "ranges", "0+5,549755813888+3");
	assert_header(&out.rec, i++, "cut", "7");
	assert_header(&out.rec, i++, "size", "6");
	assert_header(&out.rec, i++, "name", "user.n");
	assert_header(&out.rec, i++, "idem", "i");
	assert_header(&out.rec, i++, "flags", "recurse,evict");
	assert_int_equal(out.rec.nheaders, i);
	record_out_free(&out);
	record_out_free(&out); /* The second call does nothing. */
}

/* Small events have few headers, and null differs from empty. */
static void test_small_events_have_few_headers(void **state)
{
	struct event ev = { .op = EVENT_SET, .key = B("k") };
	struct record_out out;

	(void)state;
	assert_int_equal(record_encode(&ev, &out), 0);
	assert_int_equal(out.rec.nheaders, 1);
	assert_header(&out.rec, 0, "op", "set");
	assert_true(out.rec.has_value);
	assert_non_null(out.rec.value.data);
	assert_int_equal(out.rec.value.len, 0);
	record_out_free(&out);

	ev.op = EVENT_DEL;
	assert_int_equal(record_encode(&ev, &out), 0);
	assert_int_equal(out.rec.nheaders, 1);
	assert_false(out.rec.has_value);
	assert_null(out.rec.value.data);
	record_out_free(&out);

	ev.op = EVENT_TRUNCATE;
	assert_int_equal(record_encode(&ev, &out), 0);
	assert_int_equal(out.rec.nheaders, 2);
	assert_header(&out.rec, 1, "size", "0");
	record_out_free(&out);

	ev.op = EVENT_INCR;
	assert_int_equal(record_encode(&ev, &out), 0);
	assert_header(&out.rec, 1, "by", "0");
	record_out_free(&out);
}

static void test_transactions_become_netstrings(void **state)
{
	static const struct event ops[] = {
		{ .op = EVENT_SET, .cond = IF_ABSENT, .key = B("a/b"), .value = B("hello") },
		{ .op = EVENT_DEL, .key = B("c") },
		{ .op = EVENT_SET, .key = B("0123456789") },
	};
	static const char want[] = "39:3:a/b,5:hello,2:op,3:set,2:if,6:absent,,"
	                           "17:1:c,-,2:op,3:del,,"
	                           "28:10:0123456789,0:,2:op,3:set,,";
	const struct event ev = { .op = EVENT_TXN, .ops = ops, .nops = 3 };
	struct record_out out;

	(void)state;
	assert_int_equal(record_encode(&ev, &out), 0);
	assert_true(out.rec.has_value);
	assert_int_equal(out.rec.value.len, sizeof(want) - 1);
	assert_memory_equal(out.rec.value.data, want, sizeof(want) - 1);
	record_out_free(&out);
}

/* --- encoding and decoding --- */

static struct bytes pick_bytes(struct prng *prng, char *buf, size_t max, bool text)
{
	size_t len = prng_one_in(prng, 8) ? max : prng_below(prng, (uint32_t)max) + 1;

	for (size_t i = 0; i < len; i++)
		buf[i] = (char)(text ? 'a' + prng_below(prng, 26) : prng_below(prng, 256));
	return (struct bytes){ buf, len };
}

/* Return a number up to MAX; extreme values are more likely than others. */
static uint64_t pick_number(struct prng *prng, uint64_t max)
{
	switch (prng_below(prng, 4)) {
	case 0:
		return 0;
	case 1:
		return max;
	case 2:
		return prng_below(prng, 1000) % (max == UINT64_MAX ? max : max + 1);
	default:
		return max == UINT64_MAX ? prng_u64(prng) : prng_u64(prng) % (max + 1);
	}
}

/* Memory that one random event borrows from. */
struct event_memory {
	char key[64], to[64], name[64], type[EVENT_TYPE_MAX], idem[EVENT_IDEM_MAX], value[600];
	struct event_range ranges[40];
};

static void pick_event(struct prng *prng, bool nested, struct event_memory *memory,
                       struct event *ev)
{
	const uint64_t size_max = UINT64_C(1) << 40;

	memset(ev, 0, sizeof(*ev));
	do
		ev->op = (enum event_op)prng_below(prng, EVENT_OP_COUNT);
	while (ev->op == EVENT_TXN || (nested && !event_op_nests(ev->op)));
	ev->key = pick_bytes(prng, memory->key, sizeof(memory->key), true);
	ev->cond = (enum event_if)prng_below(prng, 4);
	ev->if_version = pick_number(prng, UINT64_MAX);
	ev->ttl = (enum event_ttl)prng_below(prng, 4);
	if (ev->op == EVENT_EXPIRE)
		ev->ttl = prng_one_in(prng, 2) ? TTL_SET : TTL_UNTIL;
	ev->ttl_ms = 1 + (int64_t)pick_number(prng, ev->ttl == TTL_UNTIL ?
	                                                    UINT64_C(253402300799998) :
	                                                    (uint64_t)TTL_MAX_MS - 1);
	ev->proc = pick_number(prng, UINT64_MAX);
	ev->seq = pick_number(prng, UINT64_MAX);
	ev->ino = pick_number(prng, UINT64_MAX);
	ev->at = pick_number(prng, UINT64_MAX);
	if (ev->op == EVENT_SKIP && !ev->at)
		ev->at = 1;
	ev->dir = pick_number(prng, UINT64_MAX);
	ev->to_dir = pick_number(prng, UINT64_MAX);
	ev->size = pick_number(prng, size_max);
	ev->cut = pick_number(prng, size_max);
	ev->by = (int64_t)pick_number(prng, UINT64_MAX);
	ev->mtime_ns = (int64_t)pick_number(prng, UINT64_MAX);
	ev->atime_ns = (int64_t)pick_number(prng, UINT64_MAX);
	ev->mode = (uint32_t)pick_number(prng, 07777);
	if (!nested)
		ev->time_ms = (int64_t)pick_number(prng, INT64_MAX);
	ev->flags = prng_below(prng, EVENT_SYMLINK << 1);
	if (ev->op == EVENT_CHMOD)
		ev->flags |= EVENT_HAS_MODE;
	if (ev->op == EVENT_SET) /* Random bytes are not a valid link target. */
		ev->flags &= ~(unsigned)EVENT_SYMLINK;
	if (ev->flags & EVENT_NOREPLACE)
		ev->flags &= ~(unsigned)EVENT_EXCHANGE;
	if (ev->flags & EVENT_XATTR_CREATE)
		ev->flags &= ~(unsigned)EVENT_XATTR_REPLACE;
	if (ev->flags & EVENT_HAS_MTIME)
		ev->flags &= ~(unsigned)EVENT_MTIME_NOW;
	if (ev->flags & EVENT_HAS_ATIME)
		ev->flags &= ~(unsigned)EVENT_ATIME_NOW;
	ev->value = pick_bytes(prng, memory->value, sizeof(memory->value), false);
	if (prng_one_in(prng, 4))
		ev->value.len = 0;
	if (ev->op == EVENT_RENAME || prng_one_in(prng, 2))
		ev->to = pick_bytes(prng, memory->to, sizeof(memory->to), true);
	memcpy(memory->name, "user.", 5);
	ev->name = pick_bytes(prng, memory->name + 5, 30, true);
	ev->name = (struct bytes){ memory->name, 5 + ev->name.len };
	if (prng_one_in(prng, 2))
		ev->type = pick_bytes(prng, memory->type, sizeof(memory->type), true);
	if (prng_one_in(prng, 2))
		ev->idem = pick_bytes(prng, memory->idem, sizeof(memory->idem), false);
	if (ev->op == EVENT_WRITE) {
		size_t left = ev->value.len;

		ev->ranges = memory->ranges;
		while (left) {
			struct event_range *r = &memory->ranges[ev->nranges++];

			r->len = ev->nranges == ARRAY_SIZE(memory->ranges) ?
			                 left :
			                 1 + prng_below(prng, (uint32_t)left);
			r->off = pick_number(prng, size_max - r->len);
			left -= r->len;
		}
	}
}

static void assert_round_trip(const struct event *ev)
{
	struct record_out out;
	struct event *back = NULL;
	const char *why = event_check(ev);
	const char *what;
	int r;

	if (why)
		fail_msg("the generator produced an invalid event: %s", why);
	assert_int_equal(record_encode(ev, &out), 0);
	r = record_decode(&out.rec, &back, &why);
	if (r)
		fail_msg("%s: %d, %s", event_op_text(ev->op), r, why);
	what = event_differs(ev, back);
	if (what)
		fail_msg("%s: %s differs", event_op_text(ev->op), what);
	record_out_free(&out);
	event_free(back);
}

static void test_random_events_survive_encoding(void **state)
{
	struct prng prng = { .seed = SEED };
	static struct event_memory memory;
	struct event ev;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		pick_event(&prng, false, &memory, &ev);
		assert_round_trip(&ev);
	}
}

static void test_random_transactions_survive_encoding(void **state)
{
	struct prng prng = { .seed = SEED + 1 };
	static struct event_memory spaces[20];
	static struct event ops[20];

	(void)state;
	for (int i = 0; i < 2000; i++) {
		struct event ev = { .op = EVENT_TXN, .key = B("note"), .ops = ops, .proc = 1 };

		ev.nops = 1 + prng_below(&prng, ARRAY_SIZE(ops));
		for (size_t k = 0; k < ev.nops; k++)
			pick_event(&prng, true, &spaces[k], &ops[k]);
		assert_round_trip(&ev);
	}
}

/* A record truncated anywhere is refused, or is another event; no byte past its end
 * is read (AddressSanitizer). */
static void test_truncated_records_are_refused(void **state)
{
	static const char txn[] = "39:3:a/b,5:hello,2:op,3:set,2:if,6:absent,,"
	                          "17:1:c,-,2:op,3:del,,";

	(void)state;
	for (size_t len = 0; len < sizeof(txn) - 1; len++) {
		char *copy = malloc(len ? len : 1);
		struct record rec = {
			.has_value = true,
			.value = { copy, len },
			.nheaders = 1,
			.headers = { { B("op"), B("txn") } },
		};
		struct event *ev = NULL;
		int r;

		assert_non_null(copy);
		memcpy(copy, txn, len);
		r = record_decode(&rec, &ev, NULL);
		assert_int_equal(r, len == 43 ? 0 : -EBADMSG);
		event_free(ev);
		free(copy);
	}
}

/* --- without memory --- */

static void test_failed_allocations_are_reported(void **state)
{
	static const struct event_range ranges[] = { { 0, 2 }, { 5, 3 } };
	static char large[2000];
	const struct event ops[] = {
		{ .op = EVENT_WRITE,
		  .key = B("k"),
		  .value = B("hello"),
		  .ranges = ranges,
		  .nranges = 2 },
		{ .op = EVENT_SET, .key = B("k"), .value = { large, sizeof(large) } },
		{ .op = EVENT_WRITE,
		  .key = B("k"),
		  .value = B("hello"),
		  .ranges = ranges,
		  .nranges = 2 },
	};
	const struct event ev = { .op = EVENT_TXN, .ops = ops, .nops = 3 };
	struct record_out out;
	struct event *back = NULL;
	const char *why = NULL;
	unsigned long total;

	(void)state;
	fault_alloc(0);
	assert_int_equal(record_encode(&ev, &out), 0);
	total = fault_end();
	assert_in_range(total, 5, 20);
	record_out_free(&out);
	for (unsigned long n = 1; n <= total; n++) {
		fault_alloc(n);
		assert_int_equal(record_encode(&ev, &out), -ENOMEM);
		fault_end();
	}

	assert_int_equal(record_encode(&ev, &out), 0);
	fault_alloc(0);
	assert_int_equal(record_decode(&out.rec, &back, &why), 0);
	total = fault_end();
	assert_int_equal(total, 4); /* The operations, ranges twice, the event. */
	event_free(back);
	back = NULL;
	for (unsigned long n = 1; n <= total; n++) {
		fault_alloc(n);
		assert_int_equal(record_decode(&out.rec, &back, &why), -ENOMEM);
		fault_end();
		assert_null(back);
		assert_string_equal(why, "out of memory");
	}
	record_out_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_valid_records_are_decoded),
		cmocka_unit_test(test_malformed_records_are_refused_with_a_reason),
		cmocka_unit_test(test_headers_ranges_and_operations_are_limited),
		cmocka_unit_test(test_every_field_becomes_a_header),
		cmocka_unit_test(test_small_events_have_few_headers),
		cmocka_unit_test(test_transactions_become_netstrings),
		cmocka_unit_test(test_random_events_survive_encoding),
		cmocka_unit_test(test_random_transactions_survive_encoding),
		cmocka_unit_test(test_truncated_records_are_refused),
		cmocka_unit_test(test_failed_allocations_are_reported),
	};

	return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
