/* Record: decodes a record of a log into an event. The format is EVENTS.md, version 1.
 *
 * The decoder reads bytes that anyone with access to the log may have written. So it trusts
 * no length and no number, allocates in proportion to its input, and returns only events
 * that event_check() accepts. It works on a struct on the stack that borrows from the
 * record; a final event_dup() makes a copy that owns its bytes. Every node must reach the
 * same result, so only the record's bytes decide. Content that this version cannot
 * interpret (-ENOTSUP) is detected before anything is rejected as malformed.
 *
 * No state; thread-safe. */
#include "common/event/record_format.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct bytes header_names[] = {
#define X(id, text) { text, sizeof(text) - 1 },
	RECORD_HEADERS(X)
#undef X
};

static const struct {
	enum event_flag flag;
	const char *word;
} flag_words[] = {
#define X(flag, word) { flag, word },
	RECORD_FLAGS(X)
#undef X
};

#define FLAG_WORDS (sizeof(flag_words) / sizeof(flag_words[0]))

static struct bytes bytes_behind(struct bytes b, size_t n)
{
	/* An empty header may have a NULL pointer, to which nothing may be added. */
	return n ? (struct bytes){ (const char *)b.data + n, b.len - n } : b;
}

/* --- numbers as text --- */

static bool parse_u64(struct bytes b, uint64_t *ret)
{
	const char *c = b.data;
	uint64_t number = 0;

	if (b.len == 0)
		return false;
	for (size_t i = 0; i < b.len; i++) {
		unsigned digit = (unsigned)(unsigned char)c[i] - '0';

		if (digit > 9 || number > (UINT64_MAX - digit) / 10)
			return false;
		number = number * 10 + digit;
	}
	*ret = number;
	return true;
}

static bool parse_i64(struct bytes b, int64_t *ret)
{
	bool negative = bytes_start(b, "-");
	uint64_t number;

	if (!parse_u64(negative ? bytes_behind(b, 1) : b, &number))
		return false;
	if (number > (uint64_t)INT64_MAX + negative)
		return false;
	*ret = negative ? (int64_t)(0 - number) : (int64_t)number;
	return true;
}

static bool parse_octal(struct bytes b, uint32_t *ret)
{
	const char *c = b.data;
	uint32_t number = 0;

	if (b.len == 0 || b.len > 8)
		return false;
	for (size_t i = 0; i < b.len; i++) {
		if (c[i] < '0' || c[i] > '7')
			return false;
		number = number * 8 + (uint32_t)(c[i] - '0');
	}
	*ret = number;
	return true;
}

static bool parse_hex64(struct bytes b, uint64_t *ret)
{
	const char *c = b.data;
	uint64_t number = 0;

	if (b.len != 16)
		return false;
	for (size_t i = 0; i < b.len; i++) {
		unsigned digit;

		if (c[i] >= '0' && c[i] <= '9')
			digit = (unsigned)(c[i] - '0');
		else if (c[i] >= 'a' && c[i] <= 'f')
			digit = (unsigned)(c[i] - 'a') + 10;
		else
			return false;
		number = number << 4 | digit;
	}
	*ret = number;
	return true;
}

/* Take the part of REST before SEP, or all of it. */
static struct bytes take_part(struct bytes *rest, char sep, bool *ret_last)
{
	const char *data = rest->data;
	const char *end = rest->len ? memchr(data, sep, rest->len) : NULL;
	struct bytes part = { data, end ? (size_t)(end - data) : rest->len };

	*ret_last = !end;
	*rest = bytes_behind(*rest, end ? part.len + 1 : part.len);
	return part;
}

/* --- decoding --- */

void record_release(struct event *ev)
{
	free((void *)ev->ranges);
	for (size_t i = 0; i < ev->nops; i++)
		record_release((struct event *)&ev->ops[i]);
	free((void *)ev->ops);
}

static int refuse_record(const char **ret_why, const char *why)
{
	*ret_why = why;
	return -EBADMSG;
}

/* Return whether a header has no meaning for Keydir: tracing and private headers. */
static bool is_ignored(struct bytes name)
{
	return bytes_start(name, "x-") || bytes_start(name, "X-") ||
	       bytes_are(name, "traceparent") || bytes_are(name, "tracestate") ||
	       bytes_are(name, "baggage") || bytes_are(name, "b3");
}

static bool find_header(struct bytes name, enum header *ret)
{
	for (int i = 0; i < HEADER_COUNT; i++) {
		/* Not bytes_equal(): no name is empty, and every header of a record is compared
		 * with all of them. */
		if (name.len == header_names[i].len &&
		    memcmp(name.data, header_names[i].data, name.len) == 0) {
			*ret = (enum header)i;
			return true;
		}
	}
	return false;
}

static int parse_id(struct bytes text, struct event *ev)
{
	const char *c = text.data;

	if (text.len < 18 || c[16] != '-')
		return -EBADMSG;
	if (!parse_hex64((struct bytes){ c, 16 }, &ev->proc) ||
	    !parse_u64(bytes_behind(text, 17), &ev->seq))
		return -EBADMSG;
	return 0;
}

static int parse_ttl(struct bytes text, struct event *ev)
{
	static const char until[] = "until=";

	if (bytes_are(text, "keep")) {
		ev->ttl = TTL_KEEP;
		return 0;
	}
	if (bytes_start(text, until)) {
		ev->ttl = TTL_UNTIL;
		text = bytes_behind(text, sizeof(until) - 1);
	} else {
		ev->ttl = TTL_SET;
	}
	return parse_i64(text, &ev->ttl_ms) ? 0 : -EBADMSG;
}

static int parse_if(struct bytes text, struct event *ev)
{
	static const char version[] = "version=";

	if (bytes_are(text, "absent")) {
		ev->cond = IF_ABSENT;
	} else if (bytes_are(text, "present")) {
		ev->cond = IF_PRESENT;
	} else if (bytes_start(text, version)) {
		ev->cond = IF_VERSION;
		if (!parse_u64(bytes_behind(text, sizeof(version) - 1), &ev->if_version))
			return -EBADMSG;
	} else {
		return -EBADMSG;
	}
	return 0;
}

static int parse_inode(struct bytes text, uint64_t *ret)
{
	return parse_u64(text, ret) && *ret ? 0 : -EBADMSG;
}

static int parse_time(struct bytes text, unsigned flag_given, unsigned flag_now, struct event *ev,
                      int64_t *ret_ns)
{
	if (bytes_are(text, "now")) {
		ev->flags |= flag_now;
		return 0;
	}
	ev->flags |= flag_given;
	return parse_i64(text, ret_ns) ? 0 : -EBADMSG;
}

static int parse_ranges(struct bytes text, struct event *ev)
{
	const char *c = text.data;
	struct event_range *ranges;
	size_t n = 1;
	bool last;

	for (size_t i = 0; i < text.len; i++)
		n += c[i] == ',';
	if (n > EVENT_RANGES_MAX)
		return -EBADMSG;
	ranges = calloc(n, sizeof(*ranges));
	if (!ranges)
		return -ENOMEM;
	ev->ranges = ranges;
	ev->nranges = n;
	for (size_t i = 0; i < n; i++) {
		struct bytes len = take_part(&text, ',', &last);
		struct bytes off = take_part(&len, '+', &last);

		if (!parse_u64(off, &ranges[i].off) || !parse_u64(len, &ranges[i].len))
			return -EBADMSG;
	}
	return 0;
}

static int parse_flags(struct bytes text, struct event *ev)
{
	bool last = false;

	while (!last) {
		struct bytes word = take_part(&text, ',', &last);
		size_t i = 0;

		while (i < FLAG_WORDS && !bytes_are(word, flag_words[i].word))
			i++;
		if (i == FLAG_WORDS)
			return -EBADMSG;
		ev->flags |= flag_words[i].flag;
	}
	return 0;
}

/* Parse one header into EV. Returns 0, -EBADMSG or -ENOMEM. */
static int parse_header(enum header header, struct bytes text, struct event *ev)
{
	switch (header) {
	case HEADER_OP: /* parsed before */
	case HEADER_V:
		return 0;
	case HEADER_ID:
		return parse_id(text, ev);
	case HEADER_TTL:
		return parse_ttl(text, ev);
	case HEADER_IF:
		return parse_if(text, ev);
	case HEADER_INO:
		return parse_inode(text, &ev->ino);
	case HEADER_AT:
		return parse_inode(text, &ev->at);
	case HEADER_DIR:
		return parse_inode(text, &ev->dir);
	case HEADER_TO_DIR:
		return parse_inode(text, &ev->to_dir);
	case HEADER_TYPE:
		ev->type = text;
		return 0;
	case HEADER_TO:
		ev->to = text;
		return 0;
	case HEADER_NAME:
		ev->name = text;
		return 0;
	case HEADER_IDEM:
		ev->idem = text;
		return 0;
	case HEADER_BY:
		return parse_i64(text, &ev->by) ? 0 : -EBADMSG;
	case HEADER_MODE:
		ev->flags |= EVENT_HAS_MODE;
		return parse_octal(text, &ev->mode) ? 0 : -EBADMSG;
	case HEADER_MTIME:
		return parse_time(text, EVENT_HAS_MTIME, EVENT_MTIME_NOW, ev, &ev->mtime_ns);
	case HEADER_ATIME:
		return parse_time(text, EVENT_HAS_ATIME, EVENT_ATIME_NOW, ev, &ev->atime_ns);
	case HEADER_RANGES:
		return parse_ranges(text, ev);
	case HEADER_CUT:
		ev->flags |= EVENT_HAS_CUT;
		return parse_u64(text, &ev->cut) ? 0 : -EBADMSG;
	case HEADER_SIZE:
		return parse_u64(text, &ev->size) ? 0 : -EBADMSG;
	case HEADER_FLAGS:
		return parse_flags(text, ev);
	case HEADER_COUNT:
		break;
	}
	return -EBADMSG;
}

static const struct bytes *header_named(const struct record *rec, enum header header)
{
	for (size_t i = 0; i < rec->nheaders; i++) {
		if (bytes_equal(rec->headers[i].name, header_names[header]))
			return &rec->headers[i].value;
	}
	return NULL;
}

/* Check for content that this version cannot interpret: a later format version or an
 * unknown operation. An unknown header or flag is not such a case: all headers and flags of
 * version 1 are known, and new ones require a higher `v`. */
static int check_known(const struct record *rec, const struct bytes *op, struct event *ev,
                       const char **ret_why)
{
	const struct bytes *version = header_named(rec, HEADER_V);
	uint64_t number = RECORD_VERSION;

	if (version && (!parse_u64(*version, &number) || number == 0))
		return refuse_record(ret_why, "the header v is not a number from 1");
	if (number > RECORD_VERSION) {
		*ret_why = "the record's format version is unknown to this program";
		return -ENOTSUP;
	}
	if (event_op_parse(op->data ? op->data : "", op->len, &ev->op) != 0) {
		*ret_why = "the record's operation is unknown to this program";
		return -ENOTSUP;
	}
	return 0;
}

static int parse_headers(const struct record *rec, struct event *ev, unsigned *ret_seen,
                         const char **ret_why)
{
	/* The fault for each header whose text is invalid. */
	static const char *const faults[] = {
#define X(id, text) "the header " text " is not valid",
		RECORD_HEADERS(X)
#undef X
		        "a header is not valid",
	};
	unsigned seen = 0;
	enum header header = HEADER_COUNT;

	for (size_t i = 0; i < rec->nheaders; i++) {
		int r;

		if (!find_header(rec->headers[i].name, &header)) {
			if (is_ignored(rec->headers[i].name))
				continue;
			return refuse_record(ret_why,
			                     "a header is unknown (private headers start with x-)");
		}
		if (seen & 1U << header)
			return refuse_record(ret_why, "a header is given twice");
		seen |= 1U << header;
		r = parse_header(header, rec->headers[i].value, ev);
		if (r == -EBADMSG)
			*ret_why = faults[header];
		if (r)
			return r;
	}
	*ret_seen = seen;
	return 0;
}

/* Take one string `LEN:bytes,` off REST; set *RET_NULL for `-,`. */
static bool take_string(struct bytes *rest, struct bytes *ret, bool *ret_null)
{
	const char *c = rest->data;
	size_t digits = 0;
	uint64_t len;

	if (bytes_start(*rest, "-,")) {
		*ret = (struct bytes){ "", 0 };
		*ret_null = true;
		*rest = bytes_behind(*rest, 2);
		return true;
	}
	while (digits < rest->len && c[digits] >= '0' && c[digits] <= '9')
		digits++;
	if (digits == rest->len || c[digits] != ':' || (digits > 1 && c[0] == '0') ||
	    !parse_u64((struct bytes){ c, digits }, &len))
		return false;
	*rest = bytes_behind(*rest, digits + 1);
	if (len >= rest->len || ((const char *)rest->data)[len] != ',')
		return false;
	*ret = (struct bytes){ rest->data, (size_t)len };
	*ret_null = false;
	*rest = bytes_behind(*rest, (size_t)len + 1);
	return true;
}

/* Take one string that must not be null. */
static bool take_text(struct bytes *rest, struct bytes *ret)
{
	bool is_null;

	return take_string(rest, ret, &is_null) && !is_null;
}

/* Parse a sub-record: key, value, then names and values of headers. */
static bool parse_sub_record(struct bytes text, struct record *ret)
{
	bool is_null;

	memset(ret, 0, sizeof(*ret));
	if (!take_text(&text, &ret->key) || !take_string(&text, &ret->value, &is_null))
		return false;
	ret->has_value = !is_null;
	while (text.len) {
		struct record_header *header = &ret->headers[ret->nheaders];

		if (ret->nheaders == RECORD_HEADERS_MAX || !take_text(&text, &header->name) ||
		    !take_text(&text, &header->value))
			return false;
		ret->nheaders++;
	}
	return true;
}

static int decode_into(const struct record *rec, bool nested, struct event *ev,
                       const char **ret_why);

static int parse_ops(struct bytes value, struct event *ev, const char **ret_why)
{
	static const char why[] = "the operations of the transaction are not well-formed";
	struct bytes rest = value;
	struct bytes text;
	struct event *ops;
	size_t n = 0;

	for (; rest.len; n++) {
		if (n == EVENT_OPS_MAX)
			return refuse_record(ret_why,
			                     "the transaction has more than 1024 operations");
		if (!take_text(&rest, &text))
			return refuse_record(ret_why, why);
	}
	if (n == 0)
		return refuse_record(ret_why, "the transaction has no operation");
	ops = calloc(n, sizeof(*ops));
	if (!ops)
		return -ENOMEM;
	ev->ops = ops;
	rest = value;
	for (size_t i = 0; i < n; i++) {
		struct record sub;
		int r;

		take_text(&rest, &text);
		if (!parse_sub_record(text, &sub))
			return refuse_record(ret_why, why);
		ev->nops = i + 1;
		r = decode_into(&sub, true, &ops[i], ret_why);
		if (r)
			return r;
	}
	return 0;
}

/* Decode REC into EV (zeroed), which borrows from it. The caller must call
 * record_release(EV), whatever is returned. */
static int decode_into(const struct record *rec, bool nested, struct event *ev,
                       const char **ret_why)
{
	const struct bytes *op = header_named(rec, HEADER_OP);
	unsigned seen = 0;
	int r;

	ev->time_ms = rec->time_ms;
	ev->key = rec->key;
	if (rec->has_value)
		ev->value = rec->value;
	if (!op && nested)
		return refuse_record(ret_why, "an operation of the transaction has no op header");
	if (!op) {
		ev->op = rec->has_value ? EVENT_SET : EVENT_DEL;
		return 0;
	}
	r = check_known(rec, op, ev, ret_why);
	if (r)
		return r;
	if (nested && !event_op_nests(ev->op))
		return refuse_record(ret_why,
		                     "an operation of the transaction cannot be part of one");
	if (ev->op == EVENT_INCR)
		ev->by = 1;
	r = parse_headers(rec, ev, &seen, ret_why);
	if (r)
		return r;
	if (!rec->has_value && record_needs_value(ev->op))
		return refuse_record(ret_why, "the operation needs a value, and the value is null");
	if (ev->op == EVENT_TRUNCATE && !(seen & 1U << HEADER_SIZE))
		return refuse_record(ret_why, "the header size is missing");
	if (ev->op == EVENT_TXN) {
		ev->value = (struct bytes){ "", 0 };
		return parse_ops(rec->value, ev, ret_why);
	}
	return 0;
}

int record_read(const struct record *rec, struct event *ret, const char **ret_why)
{
	const char *why = NULL;
	int r;

	memset(ret, 0, sizeof(*ret));
	if (rec->nheaders > RECORD_HEADERS_MAX)
		r = refuse_record(&why, "the record has more than 24 headers");
	else
		r = decode_into(rec, false, ret, &why);
	if (!r) {
		why = event_check(ret);
		if (why)
			r = -EBADMSG;
	}
	if (r)
		record_release(ret);
	if (r == -ENOMEM)
		why = "out of memory";
	if (r && ret_why)
		*ret_why = why;
	return r;
}

int record_decode(const struct record *rec, struct event **ret, const char **ret_why)
{
	struct event ev;
	int r = record_read(rec, &ev, ret_why);

	if (r)
		return r;
	*ret = event_dup(&ev);
	record_release(&ev);
	if (!*ret && ret_why)
		*ret_why = "out of memory";
	return *ret ? 0 : -ENOMEM;
}
