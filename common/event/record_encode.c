/* Record: encodes an event into a record of a log. The format is EVENTS.md, version 1.
 *
 * All texts of headers that are not in the event go into one buffer, allocated with the
 * maximum size of each, so encoding costs one allocation. Key, value and byte strings are
 * borrowed. Only the value of a transaction is built: its operations are records of the
 * same form inside length-prefixed strings. record_decode() reads the result back to the
 * same event.
 *
 * No state; thread-safe. */
#include "common/event/record_format.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct bytes header_names[] = {
#define X(id, text) { text, sizeof(text) - 1 },
	RECORD_HEADERS(X)
#undef X
};

/* The longest text of a number, and of a range, with its separator and NUL. */
#define NUMBER_MAX 48
#define RANGE_MAX 48
#define FLAGS_MAX 64 /* length of all flag words together */

/* The headers written so far; their texts follow one another in `text`. */
struct writer {
	struct record *rec;
	char *at;
	char *end;
};

static void put_header(struct writer *w, enum header header, struct bytes value)
{
	struct record_header *h = &w->rec->headers[w->rec->nheaders++];

	h->name = header_names[header];
	h->value = value;
}

/* Add a header unless VALUE is empty. */
static void put_bytes(struct writer *w, enum header header, struct bytes value)
{
	if (value.len)
		put_header(w, header, value);
}

/* Append formatted text; the buffer is large enough. */
__attribute__((format(printf, 2, 3))) static void write_text(struct writer *w, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(w->at, (size_t)(w->end - w->at), fmt, args);
	va_end(args);
	assert(n >= 0 && n < w->end - w->at);
	w->at += n;
}

/* Add the header whose text was written since START. */
static void put_written(struct writer *w, enum header header, const char *start)
{
	put_header(w, header, (struct bytes){ start, (size_t)(w->at - start) });
}

static void put_u64(struct writer *w, enum header header, uint64_t number)
{
	const char *start = w->at;

	write_text(w, "%" PRIu64, number);
	put_written(w, header, start);
}

static void put_inode(struct writer *w, enum header header, uint64_t ino)
{
	if (ino)
		put_u64(w, header, ino);
}

static void put_id(struct writer *w, const struct event *ev)
{
	const char *start = w->at;

	if (ev->proc == 0 && ev->seq == 0)
		return;
	write_text(w, "%016" PRIx64 "-%" PRIu64, ev->proc, ev->seq);
	put_written(w, HEADER_ID, start);
}

static void put_ttl(struct writer *w, const struct event *ev)
{
	const char *start = w->at;

	switch (ev->ttl) {
	case TTL_NONE:
		return;
	case TTL_KEEP:
		write_text(w, "keep");
		break;
	case TTL_SET:
		write_text(w, "%" PRId64, ev->ttl_ms);
		break;
	case TTL_UNTIL:
		write_text(w, "until=%" PRId64, ev->ttl_ms);
		break;
	}
	put_written(w, HEADER_TTL, start);
}

static void put_if(struct writer *w, const struct event *ev)
{
	const char *start = w->at;

	switch (ev->cond) {
	case IF_NONE:
		return;
	case IF_ABSENT:
		write_text(w, "absent");
		break;
	case IF_PRESENT:
		write_text(w, "present");
		break;
	case IF_VERSION:
		write_text(w, "version=%" PRIu64, ev->if_version);
		break;
	}
	put_written(w, HEADER_IF, start);
}

static void put_time(struct writer *w, enum header header, bool given, bool now, int64_t ns)
{
	const char *start = w->at;

	if (given)
		write_text(w, "%" PRId64, ns);
	else if (now)
		write_text(w, "now");
	else
		return;
	put_written(w, header, start);
}

static void put_ranges(struct writer *w, const struct event *ev)
{
	const char *start = w->at;

	if (ev->nranges == 0)
		return;
	for (size_t i = 0; i < ev->nranges; i++)
		write_text(w, "%s%" PRIu64 "+%" PRIu64, i ? "," : "", ev->ranges[i].off,
		           ev->ranges[i].len);
	put_written(w, HEADER_RANGES, start);
}

static void put_flags(struct writer *w, const struct event *ev)
{
	const char *start = w->at;

#define X(flag, word)                                                                              \
	if (ev->flags & (flag))                                                                    \
		write_text(w, "%s%s", w->at == start ? "" : ",", word);
	RECORD_FLAGS(X)
#undef X
	if (w->at != start)
		put_written(w, HEADER_FLAGS, start);
}

static void put_headers(struct writer *w, const struct event *ev)
{
	const char *op = event_op_text(ev->op);
	const char *start;

	put_header(w, HEADER_OP, (struct bytes){ op, strlen(op) });
	put_id(w, ev);
	put_ttl(w, ev);
	put_if(w, ev);
	put_inode(w, HEADER_INO, ev->ino);
	put_inode(w, HEADER_AT, ev->at);
	put_inode(w, HEADER_DIR, ev->dir);
	put_bytes(w, HEADER_TYPE, ev->type);
	put_bytes(w, HEADER_TO, ev->to);
	put_inode(w, HEADER_TO_DIR, ev->to_dir);
	if (ev->op == EVENT_INCR) {
		start = w->at;
		write_text(w, "%" PRId64, ev->by);
		put_written(w, HEADER_BY, start);
	}
	if (ev->flags & EVENT_HAS_MODE) {
		start = w->at;
		write_text(w, "%04" PRIo32, ev->mode);
		put_written(w, HEADER_MODE, start);
	}
	put_time(w, HEADER_MTIME, ev->flags & EVENT_HAS_MTIME, ev->flags & EVENT_MTIME_NOW,
	         ev->mtime_ns);
	put_time(w, HEADER_ATIME, ev->flags & EVENT_HAS_ATIME, ev->flags & EVENT_ATIME_NOW,
	         ev->atime_ns);
	put_ranges(w, ev);
	if (ev->flags & EVENT_HAS_CUT)
		put_u64(w, HEADER_CUT, ev->cut);
	if (ev->size || ev->op == EVENT_TRUNCATE)
		put_u64(w, HEADER_SIZE, ev->size);
	put_bytes(w, HEADER_NAME, ev->name);
	put_bytes(w, HEADER_IDEM, ev->idem);
	put_flags(w, ev);
}

/* A growing buffer. */
struct buffer {
	char *data;
	size_t len;
	size_t capacity;
};

static int buffer_reserve(struct buffer *buf, size_t more)
{
	size_t capacity = buf->capacity ? buf->capacity : 256;
	char *data;

	if (buf->data && more <= buf->capacity - buf->len)
		return 0;
	while (capacity - buf->len < more)
		capacity *= 2;
	data = realloc(buf->data, capacity);
	if (!data)
		return -ENOMEM;
	buf->data = data;
	buf->capacity = capacity;
	return 0;
}

/* Return the size of the string `LEN:bytes,` for LEN bytes. */
static size_t string_size(size_t len)
{
	size_t digits = 1;

	for (size_t rest = len; rest >= 10; rest /= 10)
		digits++;
	return digits + 1 + len + 1;
}

/* Append to BUF; the caller has reserved the space. */
static void append_head(struct buffer *buf, size_t len)
{
	buf->len += (size_t)snprintf(buf->data + buf->len, buf->capacity - buf->len, "%zu:", len);
}

static void append_string(struct buffer *buf, struct bytes text)
{
	append_head(buf, text.len);
	if (text.len)
		memcpy(buf->data + buf->len, text.data, text.len);
	buf->len += text.len;
	buf->data[buf->len++] = ',';
}

static int append_sub_record(struct buffer *buf, const struct record *rec)
{
	size_t len = string_size(rec->key.len);

	len += rec->has_value ? string_size(rec->value.len) : 2;
	for (size_t i = 0; i < rec->nheaders; i++)
		len += string_size(rec->headers[i].name.len) +
		       string_size(rec->headers[i].value.len);
	/* One byte more for the NUL that snprintf() writes. */
	if (buffer_reserve(buf, string_size(len) + 1) != 0)
		return -ENOMEM;
	append_head(buf, len);
	append_string(buf, rec->key);
	if (rec->has_value) {
		append_string(buf, rec->value);
	} else {
		memcpy(buf->data + buf->len, "-,", 2);
		buf->len += 2;
	}
	for (size_t i = 0; i < rec->nheaders; i++) {
		append_string(buf, rec->headers[i].name);
		append_string(buf, rec->headers[i].value);
	}
	buf->data[buf->len++] = ',';
	return 0;
}

static int encode_ops(const struct event *ev, struct buffer *ret)
{
	struct buffer buf = { 0 };

	for (size_t i = 0; i < ev->nops; i++) {
		struct record_out sub;
		int r = record_encode(&ev->ops[i], &sub);

		if (!r) {
			r = append_sub_record(&buf, &sub.rec);
			record_out_free(&sub);
		}
		if (r) {
			free(buf.data);
			return r;
		}
	}
	*ret = buf;
	return 0;
}

int record_encode(const struct event *ev, struct record_out *out)
{
	struct record_out made = { .rec = { .key = ev->key, .time_ms = ev->time_ms } };
	size_t size = HEADER_COUNT * NUMBER_MAX + FLAGS_MAX + ev->nranges * RANGE_MAX;
	struct buffer ops = { 0 };
	struct writer w = { 0 };

	made.text = malloc(size);
	if (!made.text)
		return -ENOMEM;
	made.rec.value = ev->value;
	if (ev->op == EVENT_TXN) {
		if (encode_ops(ev, &ops) != 0) {
			free(made.text);
			return -ENOMEM;
		}
		made.payload = ops.data;
		made.rec.value = (struct bytes){ ops.data, ops.len };
	}
	made.rec.has_value = made.rec.value.len || record_needs_value(ev->op);
	/* librdkafka distinguishes an empty value from a null one by its pointer. */
	if (made.rec.value.len == 0)
		made.rec.value.data = made.rec.has_value ? "" : NULL;
	w = (struct writer){ &made.rec, made.text, made.text + size };
	put_headers(&w, ev);
	*out = made;
	return 0;
}

void record_out_free(struct record_out *out)
{
	free(out->text);
	free(out->payload);
	out->text = NULL;
	out->payload = NULL;
}
