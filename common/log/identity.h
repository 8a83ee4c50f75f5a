/* Identities of log records: whether a log is still the one that a store was built from. */
#ifndef KEYDIR_LOG_IDENTITY_H
#define KEYDIR_LOG_IDENTITY_H

#include "common/event/event.h"
#include "common/store/log_rows.h"

/* Distinguishes the record at an offset from any other record that could be there. */
struct log_identity {
	uint64_t offset;
	int64_t time_ms; /* the broker's timestamp */
	uint64_t sum;    /* checksum of the record's contents */
};

/* The records that a store remembers: the newest one of the last commit and, at increasing
 * distances, older ones. at[N] is the first record that ended a commit at or after the newest
 * multiple of 2^N, so that if two logs were the same up to an offset, that offset can be found. */
#define LOG_IDENTITY_LEVELS 24
struct log_identities {
	struct log_identity at[LOG_IDENTITY_LEVELS]; /* at[0]: the newest */
	/* The newest record that the log was seen to have some time after it was applied. Later
	 * records may belong to another log, if the change has not been detected yet. */
	struct log_identity sure;
};

/* Return a checksum of a record that was decoded to EV (NULL: malformed). Only both ends of a value
 * are included: together with the length, the time and the submitter's id that is enough to
 * distinguish records that differ by accident, and costs the same for every value. Thread-safe. */
uint64_t log_identity_sum(const struct event *ev, int64_t time_ms, size_t value_bytes);
bool log_identity_equal(const struct log_identity *a, const struct log_identity *b);

/* Read the records that the store remembers. Returns 0, -ENOENT (none yet), or -EIO. */
int log_identity_load(struct txn *txn, struct log_identities *ret);
/* Remember ID as the newest record applied, and SURE, in the write transaction that applied ID.
 * Returns 0, -ENOSPC or -EIO. */
int log_identity_note(struct txn *txn, const struct log_identity *id,
                      const struct log_identity *sure);

#endif
