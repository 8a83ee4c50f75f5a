/* Records: an event as a log stores it (key, value, text headers). EVENTS.md. */
#ifndef KEYDIR_RECORD_H
#define KEYDIR_RECORD_H

#include "common/event/event.h"

#define RECORD_HEADERS_MAX 24
#define RECORD_VERSION 1 /* of the format: the newest that is known */

struct record_header {
	struct bytes name;
	struct bytes value;
};

/* A record: borrowed bytes. has_value tells an empty value from a null one. A
 * record that had more headers than fit has nheaders > RECORD_HEADERS_MAX (what
 * the array holds does not matter then); decoding it gives -EBADMSG. */
struct record {
	struct bytes key;
	struct bytes value;
	bool has_value;
	int64_t time_ms;
	struct record_header headers[RECORD_HEADERS_MAX];
	size_t nheaders;
};

/* A record made from an event: the texts that its headers point to live in
 * `text`; `payload` is malloc'd only where the value had to be built (txn). */
struct record_out {
	struct record rec;
	char *text;
	void *payload;
};

/* Encodes EV. Key and value of OUT->rec borrow from EV, so EV must outlive it.
 * EV must pass event_check(). Returns 0 or -ENOMEM; record_out_free() releases
 * on success. Thread-safe. */
int record_encode(const struct event *ev, struct record_out *out);
void record_out_free(struct record_out *out);

/* Decodes REC. Returns 0 and a new event that owns its bytes (event_free());
 * -EBADMSG for a malformed record (to be rejected while applying), also when
 * event_check() refuses what it says; -ENOTSUP for an operation or a format
 * version that this program does not know (the node must stop), or -ENOMEM. On
 * failure *RET_WHY (may be NULL) is a static text that says why.
 * A record without an `op` header is a plain change: a value sets the key, a
 * null value deletes it; other headers of a foreign producer are ignored.
 * Thread-safe. */
int record_decode(const struct record *rec, struct event **ret, const char **ret_why);
/* The same into the caller's *RET, which borrows the record's bytes and must not
 * outlive them; record_release(RET) frees what it has beside, after 0 only. */
int record_read(const struct record *rec, struct event *ret, const char **ret_why);
void record_release(struct event *ev);

#endif
