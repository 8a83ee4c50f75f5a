/* Request parameters: builds an event from the headers and parameters of a change.
 *
 * A precondition is decided while the event is applied, so the headers must become the one
 * condition that an event can carry. Where the headers say more (several tags, a date), they are
 * checked against this node's current version: if they hold, the event requires exactly that
 * version, so that a change in between is still found when it is applied. */
#include "httpd/request_params.h"

#include "common/base/ttl.h"
#include "httpd/conditions.h"
#include "httpd/problem.h"
#include "httpd/respond.h"
#include "httpd/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool request_params_key(struct request *rq, struct event *ev, enum MHD_Result *ret)
{
	if (!rq->key_len) {
		*ret = problem(rq, PROBLEM_IS_DIRECTORY, RESPOND_OFFSET_NOW,
		               "This is the root directory, which cannot be changed. Name a key "
		               "below /v1/kv/.");
		return false;
	}
	ev->key = (struct bytes){ rq->key, rq->key_len };
	return true;
}

bool request_params_is_conditional(const struct request *rq)
{
	const struct request_headers *h = &rq->headers;
	return h->if_match || h->if_none_match || h->if_unmodified_since;
}

/* Get the version and mtime of the current entry. Returns 0, -ENOENT (also for a path below a key),
 * or another -errno. */
static int read_current(struct request *rq, uint64_t *ret_version, int64_t *ret_mtime_ns)
{
	struct view view;
	struct entry e;
	int r = view_open(node_store(rq->server->node), &view);
	if (r)
		return r;
	r = view_key(&view, rq->key, rq->key_len, &e);
	if (!r) {
		*ret_version = e.version;
		*ret_mtime_ns = e.mtime_ns;
	}
	view_close(&view);
	return r == -ENOTDIR ? -ENOENT : r;
}

/* Refuse RQ, whose precondition fails on this node. With an Idempotency-Key the event is logged all
 * the same, to fail where it is applied: the current entry may be the result of the client's first
 * attempt, and then the response is that attempt's. */
static bool refuse_condition(struct request *rq, struct event *ev, enum MHD_Result *ret)
{
	if (rq->headers.idempotency_key) {
		ev->cond = IF_VERSION;
		ev->if_version = CONDITIONS_NO_VERSION;
		return true;
	}
	*ret = problem(rq, PROBLEM_PRECONDITION, RESPOND_OFFSET_NOW,
	               "The entry does not match the precondition. Read it again, and repeat the "
	               "change with its new ETag.");
	return false;
}

static bool answer_bad_tags(struct request *rq, const char *header, enum MHD_Result *ret)
{
	*ret = problem(rq, PROBLEM_BAD_CONDITION, RESPOND_OFFSET_NOW,
	               "%s must be * or a list of at most %d quoted entity tags, as in %s: \"42\".",
	               header, CONDITIONS_TAGS_MAX, header);
	return false;
}

/* Parse the tags TEXT of HEADER. Returns false after an answer. */
static bool read_tags(struct request *rq, const char *header, const char *text,
                      struct condition_tags *tags, enum MHD_Result *ret)
{
	struct volume_tag tag;
	int r = server_volume_tag(rq->server, &tag);
	if (r) {
		*ret = problem_store(rq, r);
		return false;
	}
	return !conditions_tags(text, &tag, tags) || answer_bad_tags(rq, header, ret);
}

static bool if_match(struct request *rq, struct event *ev, enum MHD_Result *ret)
{
	struct condition_tags tags;
	uint64_t version;
	int64_t mtime_ns;
	if (!read_tags(rq, "If-Match", rq->headers.if_match, &tags, ret))
		return false;
	if (tags.any) {
		ev->cond = IF_PRESENT;
		return true;
	}
	ev->cond = IF_VERSION;
	if (tags.n == 1 && !tags.weak[0]) {
		ev->if_version = tags.versions[0];
		return true;
	}
	int r = read_current(rq, &version, &mtime_ns);
	if (r && r != -ENOENT) {
		*ret = problem_store(rq, r);
		return false;
	}
	if (r || !conditions_match(&tags, version, true))
		return refuse_condition(rq, ev, ret);
	ev->if_version = version;
	return true;
}

static bool if_unmodified_since(struct request *rq, struct event *ev, enum MHD_Result *ret)
{
	uint64_t version;
	int64_t mtime_ns, date_s;
	/* An invalid date is ignored (RFC 9110, 13.1.4). */
	if (conditions_date_parse(rq->headers.if_unmodified_since, &date_s))
		return true;
	int r = read_current(rq, &version, &mtime_ns);
	if (r == -ENOENT)
		return true;
	if (r) {
		*ret = problem_store(rq, r);
		return false;
	}
	if (mtime_ns / 1000000000 > date_s)
		return refuse_condition(rq, ev, ret);
	ev->cond = IF_VERSION;
	ev->if_version = version;
	return true;
}

static bool if_none_match(struct request *rq, struct event *ev, enum MHD_Result *ret)
{
	struct condition_tags tags;
	uint64_t version;
	int64_t mtime_ns;
	if (!read_tags(rq, "If-None-Match", rq->headers.if_none_match, &tags, ret))
		return false;
	if (tags.any) {
		if (ev->cond != IF_NONE) /* The key would have to exist and not to exist. */
			return refuse_condition(rq, ev, ret);
		ev->cond = IF_ABSENT;
		return true;
	}
	int r = read_current(rq, &version, &mtime_ns);
	if (r == -ENOENT)
		return true;
	if (r) {
		*ret = problem_store(rq, r);
		return false;
	}
	if (conditions_match(&tags, version, false))
		return refuse_condition(rq, ev, ret);
	if (ev->cond != IF_VERSION) {
		ev->cond = IF_VERSION;
		ev->if_version = version;
	}
	return true;
}

bool request_params_condition(struct request *rq, struct event *ev, enum MHD_Result *ret)
{
	const struct request_headers *h = &rq->headers;
	if (h->if_match && !if_match(rq, ev, ret))
		return false;
	if (!h->if_match && h->if_unmodified_since && !if_unmodified_since(rq, ev, ret))
		return false;
	return !h->if_none_match || if_none_match(rq, ev, ret);
}

bool request_params_ttl(struct request *rq, struct event *ev, bool keep_allowed, bool *ret_given,
                        enum MHD_Result *ret)
{
	const char *raw;
	size_t len;
	char text[64];
	*ret_given = url_param(&rq->url, "ttl", &raw, &len);
	if (!*ret_given)
		return true;
	long n = len < sizeof(text) ? url_decode_value(raw, len, text) : -1;
	if (n == 4 && keep_allowed && memcmp(text, "keep", 4) == 0) {
		ev->ttl = TTL_KEEP;
		return true;
	}
	int r = n < 0 ? -EINVAL : ttl_parse(text, (size_t)n, &ev->ttl_ms);
	if (!r) {
		ev->ttl = TTL_SET;
		return true;
	}
	*ret = problem(rq, PROBLEM_BAD_PARAMETER, RESPOND_OFFSET_NOW,
	               r == -ERANGE ?
	                       "The ttl is longer than 100 years. Omit it for a key that does "
	                       "not expire%s." :
	                       "The ttl must be a positive integer with a unit of ms, s, m, h or "
	                       "d (seconds without one), as in ?ttl=90s%s.",
	               keep_allowed ? "; ?ttl=keep keeps the key's current one" : "");
	return false;
}

bool request_params_idem(struct request *rq, struct event *ev, enum MHD_Result *ret)
{
	const char *idem = rq->headers.idempotency_key;
	if (!idem)
		return true;
	/* Names of tokens have no blank, so the scope ends at the first one. */
	const char *name = rq->token ? rq->token->name : NULL;
	size_t scope = name ? strlen(name) + 1 : 0;
	size_t len = strlen(idem);
	if (!len || len > EVENT_IDEM_MAX - scope) {
		*ret = problem(rq, PROBLEM_BAD_REQUEST, RESPOND_OFFSET_NOW,
		               "Idempotency-Key must have 1 to %zu bytes, for example a UUID.",
		               EVENT_IDEM_MAX - scope);
		return false;
	}
	ev->idem = (struct bytes){ idem, len };
	if (!name)
		return true;
	rq->idem = malloc(scope + len);
	if (!rq->idem) {
		*ret = respond_send(rq, 503, RESPOND_OFFSET_NOW, NULL);
		return false;
	}
	memcpy(rq->idem, name, scope - 1);
	rq->idem[scope - 1] = ' ';
	memcpy(rq->idem + scope, idem, len);
	ev->idem = (struct bytes){ rq->idem, scope + len };
	return true;
}

bool request_params_type(struct request *rq, struct event *ev, enum MHD_Result *ret)
{
	/* The default type, and the type that curl sends with every --data: neither is worth
	 * storing. */
	static const char *const no_types[] = { "application/octet-stream",
		                                "application/x-www-form-urlencoded" };
	const char *type = rq->headers.content_type;
	if (!type || !*type)
		return true;
	for (size_t i = 0; i < sizeof(no_types) / sizeof(no_types[0]); i++)
		if (strcasecmp(type, no_types[i]) == 0)
			return true;
	size_t len = strlen(type);
	if (len > EVENT_TYPE_MAX) {
		*ret = problem(rq, PROBLEM_BAD_REQUEST, RESPOND_OFFSET_NOW,
		               "Content-Type may have up to %d bytes.", EVENT_TYPE_MAX);
		return false;
	}
	ev->type = (struct bytes){ type, len };
	return true;
}
