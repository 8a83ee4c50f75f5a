/* Write: PUT and DELETE of a key or directory.
 *
 * Both are one event. Its outcome is decided while it is applied, so a handler only builds the
 * event, and its second step turns the outcome into a response. */
#include "httpd/handlers.h"

#include "common/base/max_age.h"
#include "httpd/problem.h"
#include "httpd/request_params.h"
#include "httpd/respond.h"
#include "httpd/server.h"

#include <stdio.h>
#include <string.h>

/* A long Location would not fit into the connection's memory; without one, the place is the
 * request's own URL (RFC 9110, 15.3.2). */
#define LOCATION_MAX 2048

static void add_location(struct request *rq, struct MHD_Response *response)
{
	if (URL_ENCODED_MAX(rq->key_len) > LOCATION_MAX)
		return;
	char text[LOCATION_MAX + sizeof("/v1/kv//")] = "/v1/kv/";
	size_t n = strlen(text);
	n += url_encode(rq->key, rq->key_len, text + n);
	if (rq->key_is_dir)
		text[n++] = '/';
	text[n] = '\0';
	response_header(response, "Location", text);
}

static enum MHD_Result put_done(struct request *rq)
{
	struct request_result *w = &rq->written;
	request_result_of_set(w);
	if (w->code != OUTCOME_OK)
		return problem_outcome(rq, w, request_params_is_conditional(rq));
	struct volume_tag tag;
	server_volume_tag(rq->server, &tag);
	struct MHD_Response *response = response_empty();
	/* The value is stored as it came, so its validator may be sent (RFC 9110, 9.3.4). */
	response_etag(response, w->version, &tag);
	if (w->created)
		add_location(rq, response);
	return respond_send(rq, w->created ? 201 : 200, w->offset, response);
}

/* Submit SET, a PUT whose writer allows HTTP caches to keep the value. */
static enum MHD_Result put_with_max_age(struct request *rq, const struct event *set,
                                        uint32_t max_age_s)
{
	static const struct bytes name = { MAX_AGE_ATTR, sizeof(MAX_AGE_ATTR) - 1 };
	char text[sizeof(MAX_AGE_PREFIX) + 10];
	int len = snprintf(text, sizeof(text), MAX_AGE_PREFIX "%u", max_age_s);
	return request_submit_with_xattr(rq, set, name, (struct bytes){ text, (size_t)len },
	                                 put_done);
}

/* Create a directory: no value, no type, no TTL. */
static enum MHD_Result put_directory(struct request *rq, struct event *ev)
{
	enum MHD_Result ret;
	bool given;
	if (!request_params_ttl(rq, ev, false, &given, &ret))
		return ret;
	if (given)
		return problem(rq, PROBLEM_BAD_PARAMETER, RESPOND_OFFSET_NOW,
		               "A directory is created without a TTL. Set one with POST "
		               "?op=expire&ttl= afterwards.");
	if (rq->body_len)
		return problem(rq, PROBLEM_BAD_BODY, RESPOND_OFFSET_NOW,
		               "A path with a final slash creates a directory, which has no "
		               "value. Omit the slash to store a key.");
	ev->op = EVENT_MKDIR;
	return request_submit(rq, ev, NULL, put_done);
}

enum MHD_Result handle_put(struct request *rq)
{
	struct event ev = { .op = EVENT_SET };
	enum MHD_Result ret;
	bool given;
	if (!request_params_key(rq, &ev, &ret) || !request_params_condition(rq, &ev, &ret) ||
	    !request_params_idem(rq, &ev, &ret))
		return ret;
	if (rq->key_is_dir)
		return put_directory(rq, &ev);
	if (!request_params_ttl(rq, &ev, true, &given, &ret) || !request_params_type(rq, &ev, &ret))
		return ret;
	/* no-cache and no-store are the default for values, and browsers send max-age=0 with
	 * requests that have nothing to do with the value. */
	const char *cache_control = rq->headers.cache_control;
	uint32_t max_age_s;
	if (cache_control && !max_age_parse(cache_control, strlen(cache_control), &max_age_s)) {
		ev.value = (struct bytes){ rq->body ? rq->body : "", rq->body_len };
		return put_with_max_age(rq, &ev, max_age_s);
	}
	size_t len = rq->body_len;
	char *body = request_take_body(rq);
	ev.value = (struct bytes){ body ? body : "", len };
	return request_submit(rq, &ev, body, put_done);
}

static enum MHD_Result delete_done(struct request *rq)
{
	const struct request_result *w = &rq->written;
	if (w->code == OUTCOME_OK)
		return respond_empty(rq, 204, w->offset);
	if (w->code == OUTCOME_NOT_DIR && rq->key_is_dir)
		return problem(
		        rq, PROBLEM_NOT_A_DIRECTORY_READ, w->offset,
		        "This, or a name in its path, is a key and not a directory. Omit the "
		        "final slash to delete a key.");
	if (w->code == OUTCOME_NOT_DIR) /* nothing exists below a key */
		return problem(rq, PROBLEM_NOT_FOUND, w->offset,
		               "A name in the path is a key, so there is nothing below it.");
	return problem_outcome(rq, w, request_params_is_conditional(rq));
}

enum MHD_Result handle_delete(struct request *rq)
{
	struct event ev = { .op = EVENT_DEL };
	enum MHD_Result ret;
	if (!request_params_key(rq, &ev, &ret) || !request_params_condition(rq, &ev, &ret) ||
	    !request_params_idem(rq, &ev, &ret))
		return ret;
	if (url_flag(&rq->url, "recurse"))
		ev.flags |= EVENT_RECURSE;
	else if (rq->key_is_dir)
		ev.op = EVENT_RMDIR;
	return request_submit(rq, &ev, NULL, delete_done);
}
