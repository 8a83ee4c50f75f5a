/* Skip: have all nodes skip a record that stops them (EVENTS.md, skip).
 *
 * The order is given to one process with --skip-record. That process carries it out, whether or not
 * it is the one that applies, if the node is stopped at that record: some process reports the
 * fault, the store ends just before the record, and the record needs a newer version. The consumer
 * of each node skips the record (node/kafka_apply.c).
 *
 * No lock: the consumer's thread carries the order out; `pending` is atomic because the log's
 * thread sets it again when the record could not be logged. */
#include "common/node/skip.h"

#include "common/base/logger.h"
#include "common/node/internal.h"
#include "common/store/skipped.h"

#include <errno.h>

#define GET_MS 5000

void skip_init(struct skip_order *order, struct node *node, struct log_kafka *log)
{
	order->node = node;
	order->log = log;
	atomic_store(&order->pending, node->config.skip_record != 0);
}

static void skip_appended(void *arg, enum log_append how, uint64_t offset)
{
	struct skip_order *order = arg;
	unsigned long long skipped = order->node->config.skip_record;
	if (how == LOG_APPENDED) {
		logger(LOGGER_WARN,
		       "all nodes skip the record at offset %llu, as --skip-record says; logged at "
		       "offset %llu",
		       skipped, (unsigned long long)offset);
		return;
	}
	logger(LOGGER_WARN, "--skip-record %llu could not be logged; trying again", skipped);
	atomic_store(&order->pending, true);
}

/* Find out whether the record at OFFSET needs a newer version. Returns 1, 0 or -EAGAIN. */
static int is_unknown(struct log_kafka *log, uint64_t offset)
{
	struct event *ev;
	int r = log_kafka_get(log, offset, GET_MS, &ev);
	if (r == 0)
		event_free(ev);
	return r == -EAGAIN ? r : r == -ENOTSUP;
}

void skip_carry_out(struct skip_order *order, bool at_end)
{
	struct node *node = order->node;
	uint64_t offset = node->config.skip_record;
	struct txn *txn;
	if (!atomic_load(&order->pending) || txn_read(node->store, &txn) < 0)
		return;
	struct store_meta meta = *txn_meta(txn);
	txn_abort(txn);
	bool stopped = procs_faults(node->procs, NULL) & 1u << FAULT_LOG;
	if (!stopped && !at_end && (!meta.started || meta.applied < offset))
		return;
	int r = stopped && meta.started && meta.applied + 1 == offset ?
	                is_unknown(order->log, offset) :
	                0;
	if (r < 0)
		return;
	atomic_store(&order->pending, false);
	if (!r) {
		logger(LOGGER_WARN,
		       "--skip-record %llu is refused, nothing was logged: this node is not stopped "
		       "at that record; the newest that it has applied is at offset %llu",
		       (unsigned long long)offset, (unsigned long long)meta.applied);
		return;
	}
	struct event skip = { .op = EVENT_SKIP, .proc = node->proc, .at = offset };
	log_kafka_append(order->log, &skip, skip_appended, order);
}

uint64_t skip_count(struct node *node, uint64_t *ret_newest)
{
	struct store_skipped skipped = { 0 };
	struct txn *txn;
	if (txn_read(node->store, &txn) == 0) {
		store_skipped_get(txn, &skipped);
		txn_abort(txn);
	}
	*ret_newest = skipped.newest[0];
	return skipped.count;
}
