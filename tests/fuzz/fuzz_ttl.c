/* Fuzzer of common/base/ttl.c: a parsed time is in its range, and its formatted text
 * parses to the same time. */
#include "tests/fuzz/fuzz.h"

#include "common/base/ttl.h"

#include <errno.h>
#include <string.h>

static void fuzz_ttl(const char *text, size_t len)
{
	int64_t ms = -1, back = -1;
	char buf[32];
	int r = ttl_parse(text, len, &ms);
	int n;

	MUST(r == 0 || r == -EINVAL || r == -ERANGE);
	if (r) {
		MUST(ms == -1);
		return;
	}
	MUST(ms >= 1 && ms <= TTL_MAX_MS);
	n = ttl_format(ms, buf, sizeof(buf));
	MUST(n > 0 && (size_t)n == strlen(buf));
	MUST(ttl_parse(buf, (size_t)n, &back) == 0);
	MUST(back >= ms && back - ms < 1000);
}

static void fuzz_moment(const char *text, size_t len)
{
	const int64_t first = INT64_C(-62167219200000), last = INT64_C(253402300799999);
	int64_t ms = -7, back = -7;
	char buf[32];
	int r = moment_parse(text, len, &ms);
	int n;

	MUST(r == 0 || r == -EINVAL);
	if (r) {
		MUST(ms == -7);
		return;
	}
	/* A time zone can move the time a day past the years of four digits. */
	MUST(ms >= first - 86400000 && ms <= last + 86400000);
	n = moment_format(ms, buf, sizeof(buf));
	MUST(n > 0 && (size_t)n == strlen(buf));
	if (ms >= first && ms <= last) {
		MUST(moment_parse(buf, (size_t)n, &back) == 0);
		MUST(back == ms);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char buf[40];
	int64_t ms;

	fuzz_ttl((const char *)data, size);
	fuzz_moment((const char *)data, size);
	/* Any number can be formatted. */
	if (size >= sizeof(ms)) {
		memcpy(&ms, data, sizeof(ms));
		MUST(moment_format(ms, buf, sizeof(buf)) < 32);
		MUST(ttl_format(ms, buf, sizeof(buf)) < 32);
	}
	return 0;
}
