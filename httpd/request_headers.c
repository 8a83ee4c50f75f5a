/* Request headers: those that the server reads.
 *
 * The headers are read once, at the beginning, into a struct with a field for each that the server
 * uses: one pass through MHD's list instead of one per lookup. The values stay MHD's.
 *
 * Another reader of the request, such as a proxy in front of us, may interpret a malformed header
 * differently: as the length of a body that the other one takes for the next request. libmicrohttpd
 * (0.9.75) accepts a name with a blank or another character that names cannot have ("Content-Length
 * "), keeps a bare CR in the value, and appends the continuation of a folded line to the name:
 * "If-Match:", "*" becomes "If-Match*". All of these are detected here, and the request is refused
 * (RFC 9112, 5.1, 5.2 and 2.2).
 *
 * No lock: a request belongs to one MHD thread. */
#include "httpd/request_headers.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

static const struct header_row {
	const char *name;
	size_t len;
	size_t offset;
} header_rows[] = {
#define ROW(name, field)                                                                           \
	{                                                                                          \
		name, sizeof(name) - 1, offsetof(struct request_headers, field)                    \
	}
	ROW("If-Match", if_match),
	ROW("If-None-Match", if_none_match),
	ROW("If-Modified-Since", if_modified_since),
	ROW("If-Unmodified-Since", if_unmodified_since),
	ROW("If-Range", if_range),
	ROW("Range", range),
	ROW("Content-Type", content_type),
	ROW("Content-Length", content_length),
	ROW("Content-Encoding", content_encoding),
	ROW("Transfer-Encoding", transfer_encoding),
	ROW("Expect", expect),
	ROW("Idempotency-Key", idempotency_key),
	ROW("X-Keydir-Offset", offset),
	ROW("Cache-Control", cache_control),
	ROW("Authorization", authorization),
	ROW("X-Request-Id", request_id),
	ROW("Last-Event-ID", last_event_id),
	ROW("Accept", accept),
	ROW("Origin", origin),
	ROW("Sec-Fetch-Site", sec_fetch_site),
	ROW("X-Forwarded-For", forwarded_for),
	ROW("User-Agent", user_agent),
	ROW("Host", host),
#undef ROW
};

/* Return whether KEY is a token, as names must be (RFC 9110, 5.6.2). */
static bool is_token(const char *key, size_t len)
{
	static const bool allowed[256] = {
		['!'] = true,         ['#' ... '\''] = true, ['*'] = true,
		['+'] = true,         ['-'] = true,          ['.'] = true,
		['0' ... '9'] = true, ['A' ... 'Z'] = true,  ['^' ... 'z'] = true,
		['|'] = true,         ['~'] = true,
	};
	for (size_t i = 0; i < len; i++)
		if (!allowed[(unsigned char)key[i]])
			return false;
	return len > 0;
}

/* Return whether KEY is a known name with a folded value appended. Only names with a hyphen are
 * compared: a longer name that begins with one continues with a hyphen. */
static bool is_folded(const char *key, size_t len)
{
	for (size_t i = 0; i < sizeof(header_rows) / sizeof(header_rows[0]); i++) {
		const struct header_row *row = &header_rows[i];
		if (len > row->len && (key[0] | 0x20) == (row->name[0] | 0x20) &&
		    key[row->len] != '-' && strncasecmp(key, row->name, row->len) == 0 &&
		    memchr(row->name, '-', row->len))
			return true;
	}
	return false;
}

static enum MHD_Result take_header(void *arg, enum MHD_ValueKind kind, const char *key,
                                   size_t key_len, const char *value, size_t value_len)
{
	(void)kind;
	char *headers = arg;
	struct request_headers *all = arg;
	if (!is_token(key, key_len) || (value && memchr(value, '\r', value_len)))
		all->malformed = true;
	for (size_t i = 0; i < sizeof(header_rows) / sizeof(header_rows[0]); i++) {
		const struct header_row *row = &header_rows[i];
		if (row->len != key_len || strcasecmp(row->name, key) != 0)
			continue;
		const char **field = (const char **)(headers + row->offset);
		if (!*field)
			*field = value ? value : "";
		else if (field == &all->host || field == &all->content_length ||
		         field == &all->transfer_encoding)
			all->repeated = true;
		return MHD_YES;
	}
	if (is_folded(key, key_len))
		all->malformed = true;
	return MHD_YES;
}

int request_headers_read(struct MHD_Connection *conn, struct request_headers *ret)
{
	return MHD_get_connection_values_n(conn, MHD_HEADER_KIND, take_header, ret);
}
