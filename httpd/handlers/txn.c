/* Txn: POST /v1/txn, several operations, all or nothing.
 *
 * The whole list is one event of the log, so it is atomic on every node, and its preconditions are
 * decided where it is applied. The response has the outcome of each operation; if one failed, none
 * was done, and the problem document names it. */
#include "httpd/handlers.h"

#include "httpd/access.h"
#include "httpd/json_ops.h"
#include "httpd/problem.h"
#include "httpd/request_params.h"
#include "httpd/respond.h"
#include "httpd/server.h"
#include "httpd/value_text.h"

#include <errno.h>

static json_t *results_json(const struct request_result *w, const struct volume_tag *tag)
{
	json_t *list = json_array();
	for (size_t i = 0; i < w->nops; i++) {
		const struct feed_op *op = &w->ops[i];
		json_t *item = json_pack("{s:s}", "outcome", event_outcome_text(op->outcome));
		if (op->outcome == OUTCOME_OK) {
			json_object_set_new(item, "version", json_integer((json_int_t)op->version));
			json_object_set_new(item, "etag", value_json_etag(op->version, tag));
			json_object_set_new(item, "created", json_boolean(op->created));
			json_object_set_new(item, "number", json_integer(op->number));
		}
		json_array_append_new(list, item);
	}
	return list;
}

/* Return whether OUTCOME is a failed precondition (412) rather than an impossible change (409). */
static bool is_condition(enum event_outcome outcome)
{
	return outcome == OUTCOME_VERSION || outcome == OUTCOME_EXISTS ||
	       outcome == OUTCOME_NOT_FOUND;
}

static enum MHD_Result txn_done(struct request *rq)
{
	const struct request_result *w = &rq->written;
	struct volume_tag tag;
	server_volume_tag(rq->server, &tag);
	if (w->code == OUTCOME_OK)
		return respond_json(rq, 200, w->offset,
		                    json_pack("{s:o}", "results", results_json(w, &tag)),
		                    JSON_COMPACT);
	if (w->code != OUTCOME_TXN_FAILED || w->number < 0 || (size_t)w->number >= w->nops)
		return problem_outcome(rq, w, false);
	enum event_outcome failed = w->ops[w->number].outcome;
	enum problem what = is_condition(failed) ? PROBLEM_PRECONDITION : PROBLEM_CONFLICT;
	struct MHD_Response *response = problem_response(
	        rq, what,
	        json_pack("{s:I, s:o}", "failed", (json_int_t)w->number, "results",
	                  results_json(w, &tag)),
	        "Nothing was changed, because operation %lld failed: %s.", (long long)w->number,
	        event_outcome_text(failed));
	return respond_send(rq, is_condition(failed) ? 412 : 409, w->offset, response);
}

/* Check that the token allows every key, before any change. */
static bool may_write(struct request *rq, const struct json_ops *ops, enum MHD_Result *ret)
{
	for (size_t i = 0; i < ops->n; i++) {
		const struct event *ev = &ops->ops[i];
		if (!access_key(rq, TOKEN_WRITE, ev->key.data, ev->key.len, ret))
			return false;
		if (ev->to.len && !access_key(rq, TOKEN_WRITE, ev->to.data, ev->to.len, ret))
			return false;
	}
	return true;
}

enum MHD_Result handle_txn(struct request *rq)
{
	struct event txn = { .op = EVENT_TXN };
	struct json_ops ops = { 0 };
	enum MHD_Result ret;
	json_t *body = NULL;
	char why[256] = "";
	if (!request_params_idem(rq, &txn, &ret))
		return ret;
	int r = server_volume_tag(rq->server, &ops.tag);
	if (r)
		return problem_store(rq, r);
	r = json_ops_parse(rq->body ? rq->body : "", rq->body_len, JSON_OPS_VALUES_MAX, &body, why,
	                   sizeof(why));
	if (!r)
		r = json_ops_read(body, &ops, why, sizeof(why));
	if (r == -EINVAL) {
		ret = problem(rq, PROBLEM_BAD_BODY, RESPOND_OFFSET_NOW,
		              "The transaction is invalid: %s.", why);
	} else if (r) {
		ret = respond_send(rq, 503, RESPOND_OFFSET_NOW, NULL);
	} else if (may_write(rq, &ops, &ret)) {
		txn.ops = ops.ops;
		txn.nops = ops.n;
		ret = request_submit(rq, &txn, NULL, txn_done); /* this copies it */
	}
	json_ops_free(&ops);
	json_decref(body);
	return ret;
}
