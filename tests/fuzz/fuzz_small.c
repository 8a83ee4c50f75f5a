/* Fuzzer of the small parsers without a fuzzer of their own: token files, cursors of
 * listings, conditions, ranges and dates, queries, and the JSON of transactions,
 * whose events must survive a copy. The first byte of an input chooses the parser. */
#include "tests/fuzz/fuzz.h"

#include "httpd/conditions.h"
#include "httpd/json_ops.h"
#include "httpd/page.h"
#include "httpd/tokens.h"
#include "httpd/url.h"

#include <jansson.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void fuzz_tokens(const char *text, size_t size)
{
	static int fd = -1;
	char path[40], why[512];
	struct tokens *tokens;

	if (fd < 0)
		fd = memfd_create("tokens", MFD_CLOEXEC);
	MUST(ftruncate(fd, 0) == 0 && pwrite(fd, text, size, 0) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (tokens_load(path, &tokens, why, sizeof(why)) < 0)
		return;
	const struct token *found = tokens_find(tokens, text, size);
	if (found)
		token_allows(found, TOKEN_WRITE, text, size);
	tokens_unref(tokens);
}

static void fuzz_cursor(const char *text, size_t size)
{
	struct page_cursor cursor, again;
	char written[PAGE_CURSOR_TEXT];

	if (page_cursor_read(text, size, &cursor) < 0)
		return;
	page_cursor_write(&cursor, written);
	MUST(page_cursor_read(written, strlen(written), &again) == 0);
	MUST(again.len == cursor.len && again.inside == cursor.inside &&
	     memcmp(again.path, cursor.path, cursor.len) == 0);
}

static void fuzz_headers(const char *text, size_t size)
{
	static const struct volume_tag tag = { VOLUME_TAG_LEN, "-0123abcd" };
	struct condition_tags tags;
	uint64_t first = 0, len = 0, total = size ? (unsigned char)text[0] * 7u : 0;
	char date[CONDITIONS_DATE_SIZE];
	int64_t seconds;

	if (conditions_tags(text, &tag, &tags) == 0) {
		MUST(tags.n <= CONDITIONS_TAGS_MAX);
		conditions_match(&tags, 5, true);
	}
	if (conditions_range(text, total, &first, &len) == RANGE_PART)
		MUST(len && first < total && len <= total - first);
	if (conditions_date_parse(text, &seconds) == 0)
		conditions_date_format(seconds, date);
}

static void fuzz_ops(const char *text, size_t size)
{
	struct json_ops ops = { 0 };
	char why[256] = "";
	json_t *body = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);

	if (!body)
		return;
	if (json_ops_read(body, &ops, why, sizeof(why)) == 0) {
		struct event txn = { .op = EVENT_TXN, .ops = ops.ops, .nops = ops.n };
		if (!event_check(&txn)) {
			struct event *copy = event_dup(&txn);
			MUST(copy && copy->nops == ops.n);
			event_free(copy);
		}
	}
	json_ops_free(&ops);
	json_decref(body);
}

static void fuzz_query(const char *text, size_t size)
{
	struct url url;
	const char *value;
	size_t n;
	char *buf = malloc(size + 1);

	MUST(buf);
	if (url_split(text, size, &url)) {
		if (url_param(&url, "to", &value, &n))
			MUST(url_decode_value(value, n, buf) <= (long)n);
		url_flag(&url, "recurse");
	}
	free(buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const readers[])(const char *, size_t) = {
		fuzz_tokens, fuzz_cursor, fuzz_headers, fuzz_ops, fuzz_query,
	};

	if (!size)
		return 0;
	size_t n = size - 1;
	char *text = malloc(n + 1); /* No longer, so that a read past the end is detected. */
	MUST(text);
	memcpy(text, data + 1, n);
	text[n] = '\0';
	readers[data[0] % (sizeof(readers) / sizeof(readers[0]))](text, n);
	free(text);
	return 0;
}
