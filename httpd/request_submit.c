/* Submission: applies the change of a request and waits for its outcome.
 *
 * A change on the embedded log costs a commit, so the changes of all requests that an MHD thread
 * handles in one round share one: the handler only queues the event and returns, without a response
 * and without suspending the connection. MHD then calls it again (see MHD_AccessHandlerCallback in
 * microhttpd.h) in its next round, which begins with the requests left from this one; the first of
 * them applies the queue, and the others find their outcome. For that a lone request pays one more
 * poll of the epoll set, two system calls less than to be suspended and resumed. If MHD called
 * again at once, only the sharing would be lost.
 *
 * A response then waits for the mounts of this node (request_submit.h).
 *
 * No lock: a request belongs to one MHD thread. */
#include "httpd/request_submit.h"

#include "common/event/feed.h"
#include "common/store/view.h"
#include "httpd/problem.h"
#include "httpd/request.h"
#include "httpd/server.h"

#include <stdlib.h>
#include <string.h>

/* Longest wait for the mounts of this node: they need microseconds, or more on a busy machine, and
 * a mount that hangs must not block REST forever. */
#define ACK_WAIT_MS 1000

/* Return whether the event at OFFSET is the change that RQ requests. For an event that changed
 * nothing only the operation is known; entries that expired with it are ignored. */
static bool is_same_change(struct request *rq, uint64_t offset)
{
	struct view view;
	struct bytes row;
	struct feed_event *first = NULL;
	if (view_open(node_store(rq->server->node), &view))
		return true;
	if (!store_feed_get(view.txn, offset, &row) && feed_decode(offset, row, &first))
		first = NULL;
	view_close(&view);
	if (!first)
		return true;
	bool same = first->op == rq->op && first->nops == rq->nops;
	bool changed = false;
	bool named = false;
	for (size_t i = 0; i < first->neffects && !named; i++) {
		const struct feed_effect *effect = &first->effects[i];
		if (effect->kind == FEED_EXPIRED)
			continue;
		changed = true;
		named = effect->key.len == rq->key_len &&
		        memcmp(effect->key.data, rq->key, rq->key_len) == 0;
	}
	free(first);
	return same && (named || !changed || rq->op == EVENT_TXN);
}

static enum MHD_Result mounts_acknowledged(struct request *rq)
{
	rq->mount_pending = rq->result.code != OUTCOME_OK;
	return rq->after_write(rq);
}

static enum MHD_Result event_applied(struct request *rq)
{
	free(rq->written.ops);
	rq->written = rq->result;
	rq->result = (struct request_result){ 0 };
	if (rq->written.repeats && !is_same_change(rq, rq->written.repeats))
		return problem(rq, PROBLEM_KEY_REUSED, rq->written.offset,
		               "This Idempotency-Key was used for another change, at offset "
		               "%llu, so nothing was changed now. Use a new one for each change, "
		               "and the same one only to repeat a request.",
		               (unsigned long long)rq->written.repeats);
	if (rq->written.code != OUTCOME_OK)
		return rq->after_write(rq);
	request_wait_start(rq);
	node_wait_acked(rq->server->node, rq->written.offset, ACK_WAIT_MS, request_done, rq);
	return request_wait_end(rq, mounts_acknowledged);
}

enum MHD_Result request_submit(struct request *rq, const struct event *ev, void *owned,
                               enum MHD_Result (*next)(struct request *rq))
{
	rq->after_write = next;
	rq->op = ev->op;
	rq->nops = ev->op == EVENT_TXN ? ev->nops : 0;
	request_wait_start(rq);
	if (!node_submit_later(rq->server->node, ev, owned, request_done, rq))
		return request_wait_end(rq, event_applied);
	rq->stage = REQUEST_GATHERED;
	return MHD_YES;
}

enum MHD_Result request_submit_with_xattr(struct request *rq, const struct event *set,
                                          struct bytes name, struct bytes value,
                                          enum MHD_Result (*next)(struct request *rq))
{
	struct event ops[] = {
		*set,
		{ .op = EVENT_SETXATTR, .key = set->key, .name = name, .value = value },
	};
	struct event txn = { .op = EVENT_TXN, .idem = set->idem, .ops = ops, .nops = 2 };
	ops[0].idem = (struct bytes){ 0 };
	return request_submit(rq, &txn, NULL, next);
}

void request_result_of_set(struct request_result *result)
{
	if (result->code == OUTCOME_OK && result->nops) {
		result->created = result->ops[0].created;
		result->version = result->ops[result->nops - 1].version;
	} else if (result->code == OUTCOME_TXN_FAILED && result->number >= 0 &&
	           (size_t)result->number < result->nops) {
		result->code = result->ops[result->number].outcome;
	}
}

enum MHD_Result request_submit_round(struct request *rq)
{
	/* The other requests of the round have arrived. The first of them to get here applies the
	 * events of all. */
	if (!request_wait_is_done(rq))
		node_flush(rq->server->node);
	rq->stage = REQUEST_RUNNING;
	return request_wait_end(rq, event_applied);
}
