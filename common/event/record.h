/* Record: an event as stored in a log (key, value, text headers); see EVENTS.md. */
#ifndef KEYDIR_RECORD_H
#define KEYDIR_RECORD_H

#include "common/event/event.h"

#define RECORD_HEADERS_MAX 24
#define RECORD_VERSION 1 /* newest version of the format that this program knows */

struct record_header {
	struct bytes name;
	struct bytes value;
};

/* A record; it borrows its bytes. has_value distinguishes an empty value from a null one.
 * If a record had more headers than fit, nheaders exceeds RECORD_HEADERS_MAX and the
 * contents of the array are unspecified; decoding such a record returns -EBADMSG. */
struct record {
	struct bytes key;
	struct bytes value;
	bool has_value;
	int64_t time_ms;
	struct record_header headers[RECORD_HEADERS_MAX];
	size_t nheaders;
};

/* A record encoded from an event. `text` holds the texts that its headers point to;
 * `payload` is allocated only if the value had to be built (txn). */
struct record_out {
	struct record rec;
	char *text;
	void *payload;
};

/* Encode EV. The key and value of OUT->rec borrow from EV, so EV must outlive it. EV must
 * pass event_check(). Returns 0, or -ENOMEM; after 0 the caller calls record_out_free().
 * Thread-safe. */
int record_encode(const struct event *ev, struct record_out *out);
void record_out_free(struct record_out *out);

/* Decode REC. Returns 0 and a new event that owns its bytes (event_free()); -EBADMSG for a
 * malformed record, which must be rejected while applying, also if event_check() refuses
 * the event; -ENOTSUP for an operation or format version that this program does not know,
 * in which case the node must stop; or -ENOMEM. On failure *RET_WHY (may be NULL) is a
 * static text that describes the reason.
 *
 * A record without an `op` header is a plain change: a value sets the key, a null value
 * deletes it. Other headers of a foreign producer are ignored. Thread-safe. */
int record_decode(const struct record *rec, struct event **ret, const char **ret_why);
/* Decode REC as above into the caller's *RET, which borrows the record's bytes and must not
 * outlive them. After 0, and only then, call record_release(RET) to free what it owns. */
int record_read(const struct record *rec, struct event *ret, const char **ret_why);
void record_release(struct event *ev);

#endif
