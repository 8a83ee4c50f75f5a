/* Fuzzer of the record codec: any record of a log decodes to an event that passes
 * event_check(), or to an error. An event encodes to a record that decodes to the
 * same event and encodes to the same bytes.
 *
 * Input: a line with the key, a line "name=value" for each header, an empty line, and
 * the value. Without the empty line the value is null. */
#include "tests/fuzz/fuzz.h"

#include "common/event/record.h"
#include "tests/unit/event_equal.h"

#include <errno.h>
#include <string.h>

/* Remove a line from the front of REST; return false without a newline. */
static bool take_line(struct bytes *rest, struct bytes *ret)
{
	const char *start = rest->data;
	const char *end = rest->len ? memchr(start, '\n', rest->len) : NULL;

	if (!end)
		return false;
	*ret = (struct bytes){ start, (size_t)(end - start) };
	*rest = (struct bytes){ end + 1, rest->len - ret->len - 1 };
	return true;
}

static void make_record(const uint8_t *data, size_t size, struct record *rec)
{
	struct bytes rest = { data, size };
	struct bytes line;

	memset(rec, 0, sizeof(*rec));
	rec->time_ms = 1;
	if (!take_line(&rest, &rec->key)) {
		rec->key = rest;
		return;
	}
	while (take_line(&rest, &line)) {
		const char *start = line.data;
		const char *equals = line.len ? memchr(start, '=', line.len) : NULL;
		struct record_header *header;
		size_t len = equals ? (size_t)(equals - start) : line.len;

		if (line.len == 0) {
			rec->has_value = true;
			rec->value = rest;
			return;
		}
		if (rec->nheaders++ >= RECORD_HEADERS_MAX)
			continue;
		header = &rec->headers[rec->nheaders - 1];
		header->name = (struct bytes){ start, len };
		if (equals && line.len > len + 1)
			header->value = (struct bytes){ equals + 1, line.len - len - 1 };
	}
}

static bool same_record(const struct record *a, const struct record *b)
{
	if (!bytes_equal(a->key, b->key) || !bytes_equal(a->value, b->value) ||
	    a->has_value != b->has_value || a->nheaders != b->nheaders)
		return false;
	for (size_t i = 0; i < a->nheaders; i++) {
		if (!bytes_equal(a->headers[i].name, b->headers[i].name) ||
		    !bytes_equal(a->headers[i].value, b->headers[i].value))
			return false;
	}
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct record rec;
	struct record_out out, again;
	struct event *ev = NULL, *back = NULL;
	const char *why = NULL;
	int r;

	make_record(data, size, &rec);
	r = record_decode(&rec, &ev, &why);
	MUST(r == 0 || r == -EBADMSG || r == -ENOTSUP);
	if (r) {
		MUST(!ev && why && *why);
		return 0;
	}
	MUST(event_check(ev) == NULL);
	MUST(record_encode(ev, &out) == 0);
	MUST(record_decode(&out.rec, &back, &why) == 0);
	MUST(event_differs(ev, back) == NULL);
	MUST(record_encode(back, &again) == 0);
	MUST(same_record(&out.rec, &again.rec));
	record_out_free(&out);
	record_out_free(&again);
	event_free(ev);
	event_free(back);
	return 0;
}
