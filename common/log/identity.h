/* Identities of log records: whether a log is still the one that a store came from. */
#ifndef KEYDIR_LOG_IDENTITY_H
#define KEYDIR_LOG_IDENTITY_H

#include "common/event/event.h"
#include "common/store/log_rows.h"

/* What tells the record at an offset from any other that could stand there. */
struct log_identity {
	uint64_t offset;
	int64_t time_ms; /* the broker's timestamp */
	uint64_t sum;    /* of what the record says */
};

/* A store remembers the newest record of the last commit and, at growing distances,
 * older ones: at[N] is the first that a commit ended with behind the newest multiple
 * of 2^N, so that two logs that were one once can be told apart, and where they part. */
#define LOG_IDENTITY_LEVELS 24
struct log_identities {
	struct log_identity at[LOG_IDENTITY_LEVELS]; /* at[0]: the newest */
	/* The newest that the log was asked for after it was applied, and still had: what
	 * comes after it may be of another log if nobody noticed the change at once. */
	struct log_identity sure;
};

/* Return a checksum of a record: EV is what it was decoded to (NULL: malformed). Of
 * values only both ends are looked at: with the length, the time and the submitter's
 * id that is enough to tell records apart by accident, and costs the same for all.
 * Thread-safe. */
uint64_t log_identity_sum(const struct event *ev, int64_t time_ms, size_t value_bytes);
bool log_identity_equal(const struct log_identity *a, const struct log_identity *b);

/* Read what the store remembers. 0, -ENOENT (nothing yet), -EIO. */
int log_identity_load(struct txn *txn, struct log_identities *ret);
/* Remember ID as the newest record applied, in the write transaction that applied it,
 * and SURE. 0, -ENOSPC, -EIO. */
int log_identity_note(struct txn *txn, const struct log_identity *id,
                      const struct log_identity *sure);

#endif
