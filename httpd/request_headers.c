/* Request headers.
 *
 * They are read once, at the beginning, into a struct with a field for each that
 * something looks at: one pass through MHD's list instead of one for each question.
 * The values stay MHD's.
 *
 * No lock: a request belongs to one MHD thread. */
#include "httpd/request_headers.h"

#include <stddef.h>
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

static enum MHD_Result take(void *arg, enum MHD_ValueKind kind, const char *key, size_t key_len,
                            const char *value, size_t value_len)
{
	(void)kind;
	(void)value_len;
	char *headers = arg;
	for (size_t i = 0; i < sizeof(header_rows) / sizeof(header_rows[0]); i++) {
		const struct header_row *row = &header_rows[i];
		if (row->len != key_len || strcasecmp(row->name, key) != 0)
			continue;
		const char **field = (const char **)(headers + row->offset);
		struct request_headers *all = arg;
		if (!*field)
			*field = value ? value : "";
		else if (field == &all->host || field == &all->content_length ||
		         field == &all->transfer_encoding)
			all->repeated = true;
		break;
	}
	return MHD_YES;
}

int request_headers_read(struct MHD_Connection *conn, struct request_headers *ret)
{
	return MHD_get_connection_values_n(conn, MHD_HEADER_KIND, take, ret);
}
