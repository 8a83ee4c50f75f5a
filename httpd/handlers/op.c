/* Op: POST ?op=, changes that must not be repeated blindly.
 *
 * append, incr, rename and similar operations have a different result when repeated, so they are
 * POST, which no proxy repeats; with an Idempotency-Key a client can repeat them, and gets the
 * first response again. Each operation has a row: how its event is built, and which parameters it
 * takes in addition to ?op=. */
#include "httpd/handlers.h"

#include "common/base/clock.h"
#include "common/base/key.h"
#include "httpd/problem.h"
#include "httpd/request_params.h"
#include "httpd/respond.h"
#include "httpd/server.h"
#include "httpd/value_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Fill EV; return false after an answer, as in request_params.h. */
typedef bool make_event(struct request *rq, struct event *ev, enum MHD_Result *ret);

static bool make_append(struct request *rq, struct event *ev, enum MHD_Result *ret)
{
	bool given;
	ev->value = (struct bytes){ rq->body ? rq->body : "", rq->body_len };
	return request_params_ttl(rq, ev, false, &given, ret);
}

static bool make_incr(struct request *rq, struct event *ev, enum MHD_Result *ret)
{
	const char *raw;
	size_t len;
	char text[32];
	bool given;
	ev->by = 1;
	if (url_param(&rq->url, "by", &raw, &len)) {
		char *end = text;
		long n = len && len < sizeof(text) ? url_decode_value(raw, len, text) : -1;
		errno = 0;
		if (n > 0) {
			text[n] = '\0';
			ev->by = strtoll(text, &end, 10);
		}
		if (n <= 0 || *end || errno ||
		    (text[0] != '-' && (text[0] < '0' || text[0] > '9'))) {
			*ret = problem(rq, PROBLEM_BAD_PARAMETER, RESPOND_OFFSET_NOW,
			               "by must be a 64-bit integer, as in ?op=incr&by=-5.");
			return false;
		}
	}
	return request_params_ttl(rq, ev, false, &given, ret);
}

static bool make_expire(struct request *rq, struct event *ev, enum MHD_Result *ret)
{
	bool given;
	if (!request_params_ttl(rq, ev, false, &given, ret))
		return false;
	if (!given)
		*ret = problem(
		        rq, PROBLEM_BAD_PARAMETER, RESPOND_OFFSET_NOW,
		        "?op=expire needs a ttl, as in ?op=expire&ttl=90s. ?op=persist makes "
		        "the key permanent.");
	return given;
}

static bool make_persist(struct request *rq, struct event *ev, enum MHD_Result *ret)
{
	(void)rq;
	(void)ev;
	(void)ret;
	return true;
}

/* The target is decoded after the key: the buffer has room for the whole raw request target, which
 * holds both, and decoding never makes text longer. */
static bool make_rename(struct request *rq, struct event *ev, enum MHD_Result *ret)
{
	const char *raw;
	size_t len;
	if (!url_param(&rq->url, "to", &raw, &len)) {
		*ret = problem(rq, PROBLEM_BAD_PARAMETER, RESPOND_OFFSET_NOW,
		               "?op=rename needs the new key, as in ?op=rename&to=new/key.");
		return false;
	}
	if (url_flag(&rq->url, "noreplace"))
		ev->flags |= EVENT_NOREPLACE;
	if (url_flag(&rq->url, "exchange"))
		ev->flags |= EVENT_EXCHANGE;
	char *to = rq->key + rq->key_len;
	long to_len = url_decode_value(raw, len, to);
	if (to_len > 0 && to[to_len - 1] == '/')
		to_len--; /* as in the path of a directory */
	enum key_fault fault = to_len < 0 ? KEY_NUL : key_check(to, (size_t)to_len);
	if (fault) {
		*ret = problem(rq, PROBLEM_BAD_PARAMETER, RESPOND_OFFSET_NOW,
		               "The parameter to is not a valid key: %s.", key_fault_text(fault));
		return false;
	}
	ev->to = (struct bytes){ to, (size_t)to_len };
	return access_key(rq, TOKEN_WRITE, to, (size_t)to_len, ret);
}

static const struct op_row {
	const char *name;
	enum event_op op;
	make_event *make;
	bool has_body;
	const char *params[4]; /* in addition to op */
} rows[] = {
	{ "append", EVENT_APPEND, make_append, true, { "ttl" } },
	{ "incr", EVENT_INCR, make_incr, false, { "by", "ttl" } },
	{ "expire", EVENT_EXPIRE, make_expire, false, { "ttl" } },
	{ "persist", EVENT_PERSIST, make_persist, false, { NULL } },
	{ "rename", EVENT_RENAME, make_rename, false, { "to", "noreplace", "exchange" } },
};

static const struct op_row *find_row(const struct request *rq)
{
	const char *op;
	size_t len;
	if (!url_param(&rq->url, "op", &op, &len))
		return NULL;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strlen(rows[i].name) == len && memcmp(rows[i].name, op, len) == 0)
			return &rows[i];
	return NULL;
}

static bool takes_param(const struct op_row *row, const char *name)
{
	for (size_t i = 0; i < 4 && row->params[i]; i++)
		if (strcmp(row->params[i], name) == 0)
			return true;
	return false;
}

static enum MHD_Result op_done(struct request *rq)
{
	const struct request_result *w = &rq->written;
	if (w->code != OUTCOME_OK)
		return problem_outcome(rq, w, request_params_is_conditional(rq));
	enum event_op op = rq->op;
	struct volume_tag tag;
	server_volume_tag(rq->server, &tag);
	json_t *doc = json_pack("{s:s, s:I, s:b}", "op", event_op_text(op), "version",
	                        (json_int_t)w->version, "created", w->created);
	if (op == EVENT_INCR)
		json_object_set_new(doc, "value", json_integer(w->number));
	if (op == EVENT_APPEND)
		json_object_set_new(doc, "size", json_integer((json_int_t)w->size));
	if (op != EVENT_RENAME && w->expiry_ms) {
		int64_t left_ms = w->expiry_ms - clock_wall_ms();
		json_object_set_new(doc, "ttl",
		                    json_integer(left_ms > 0 ? (left_ms + 999) / 1000 : 0));
	}
	return respond_json_etag(rq, w->offset, doc, w->version, &tag);
}

enum MHD_Result handle_op(struct request *rq)
{
	static const char *const optional[] = { "by", "ttl", "to", "noreplace", "exchange" };
	struct event ev = { 0 };
	enum MHD_Result ret;
	const char *value;
	size_t len;
	const struct op_row *row = find_row(rq);
	if (!row)
		return problem(rq, PROBLEM_BAD_PARAMETER, RESPOND_OFFSET_NOW,
		               "POST to a key needs ?op= with append, incr, expire, persist or "
		               "rename. To store a value use PUT.");
	for (size_t i = 0; i < sizeof(optional) / sizeof(optional[0]); i++)
		if (url_param(&rq->url, optional[i], &value, &len) &&
		    !takes_param(row, optional[i]))
			return problem(rq, PROBLEM_BAD_PARAMETER, RESPOND_OFFSET_NOW,
			               "?op=%s does not take %s.", row->name, optional[i]);
	if (rq->body_len && !row->has_body)
		return problem(rq, PROBLEM_BAD_BODY, RESPOND_OFFSET_NOW,
		               "?op=%s takes no body; its arguments are query parameters.",
		               row->name);
	if (rq->key_is_dir && row->op != EVENT_RENAME)
		return problem(rq, PROBLEM_IS_DIRECTORY, RESPOND_OFFSET_NOW,
		               "A path with a final slash names a directory, which only the "
		               "operation rename supports. Omit the slash for a key.");
	ev.op = row->op;
	rq->op = row->op;
	if (!request_params_key(rq, &ev, &ret) || !request_params_condition(rq, &ev, &ret) ||
	    !request_params_idem(rq, &ev, &ret) || !row->make(rq, &ev, &ret))
		return ret;
	return request_submit(rq, &ev, row->has_body ? request_take_body(rq) : NULL, op_done);
}
