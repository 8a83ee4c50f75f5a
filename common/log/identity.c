/* Identities of log records: whether a log is still the one that a store was built from.
 *
 * A log that lost its newest records and then got others uses the same offsets again. A node that
 * continued at its own offset would permanently differ from all nodes that read the log later. A
 * log changes only at its end: if it still has the same record at the newest offset applied, all
 * earlier records are the same, too. So comparing one record is enough to continue, if the log
 * could not change undetected since that record was read. A replacement may be
 * noticed only after records of the new log were applied. So a second record (`sure`), which the
 * log was seen to have after it was applied, is compared too. The other records show up to which offset the two logs are the same.
 *
 * The row is written once per commit, not per record: a replay only has to compute a checksum of
 * about 100 bytes for each record.
 *
 * No state. */
#include "common/log/identity.h"

#include <errno.h>
#include <string.h>

#define ENDS 32 /* bytes at each end of a value that are included */

/* Multiplying by an odd number loses no information; the shift brings high bits down. The constant
 * is 2^64 divided by the golden ratio (Knuth, volume 3, 6.4). */
static uint64_t mix(uint64_t sum, uint64_t word)
{
	sum = (sum ^ word) * UINT64_C(0x9e3779b97f4a7c15);
	return sum ^ sum >> 29;
}

static uint64_t mix_bytes(uint64_t sum, const char *data, size_t len)
{
	uint64_t word;
	sum = mix(sum, len);
	for (; len >= sizeof(word); data += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, data, sizeof(word));
		sum = mix(sum, word);
	}
	word = 0;
	if (len)
		memcpy(&word, data, len);
	return mix(sum, word);
}

uint64_t log_identity_sum(const struct event *ev, int64_t time_ms, size_t value_bytes)
{
	uint64_t sum = mix((uint64_t)time_ms, value_bytes);
	if (!ev)
		return sum;
	sum = mix(sum, (uint64_t)ev->op);
	sum = mix(sum, ev->proc);
	sum = mix(sum, ev->seq);
	sum = mix_bytes(sum, ev->key.data, ev->key.len);
	if (ev->value.len <= 2 * ENDS)
		return mix_bytes(sum, ev->value.data, ev->value.len);
	sum = mix_bytes(sum, ev->value.data, ENDS);
	return mix_bytes(sum, (const char *)ev->value.data + ev->value.len - ENDS, ENDS);
}

bool log_identity_equal(const struct log_identity *a, const struct log_identity *b)
{
	return a->offset == b->offset && a->time_ms == b->time_ms && a->sum == b->sum;
}

int log_identity_load(struct txn *txn, struct log_identities *ret)
{
	struct bytes row;
	int r = store_log_get(txn, &row);
	if (r == 0 && row.len != sizeof(*ret))
		r = -EIO;
	if (r == 0)
		memcpy(ret, row.data, sizeof(*ret));
	return r;
}

int log_identity_note(struct txn *txn, const struct log_identity *id,
                      const struct log_identity *sure)
{
	struct log_identities all;
	int r = log_identity_load(txn, &all);
	if (r == -EIO)
		return r;
	uint64_t before = r == 0 ? all.at[0].offset : 0;
	for (int level = 0; level < LOG_IDENTITY_LEVELS; level++) {
		if (r == -ENOENT || before >> level != id->offset >> level)
			all.at[level] = *id;
	}
	all.sure = *sure;
	return store_log_put(txn, (struct bytes){ &all, sizeof(all) });
}
