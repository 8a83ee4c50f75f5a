/* Request checks: everything checked before the body is read.
 *
 * The order is: is it valid HTTP, which route, which client, and only then the details of the
 * request, so that an unauthorized client learns nothing about this node. Each check answers the
 * requests that it refuses.
 *
 * No lock: a request belongs to one MHD thread. */
#include "httpd/request_check.h"

#include "httpd/cors.h"
#include "httpd/limits.h"
#include "httpd/long_key.h"
#include "httpd/problem.h"
#include "httpd/request.h"
#include "httpd/respond.h"
#include "httpd/router.h"
#include "httpd/server.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Each check returns true to go on. Otherwise it answered RQ, set *RET to the handler's result for
 * MHD, and returns false. */

/* Check the request target and the limits. */
static bool target_valid(struct request *rq, const char *version, int nheaders,
                         enum MHD_Result *ret)
{
	if (!limits_check(rq, version, nheaders, ret))
		return false;
	if (rq->method == HTTP_OPTIONS && strcmp(rq->target, "*") == 0) {
		struct MHD_Response *response = response_empty();
		response_header(response, "Allow", "GET, HEAD, PUT, POST, DELETE, OPTIONS");
		*ret = respond_send(rq, 204, RESPOND_OFFSET_NOW, response);
		return false;
	}
	if (!rq->url.path) {
		*ret = problem(rq, PROBLEM_BAD_REQUEST, RESPOND_OFFSET_NOW,
		               "The request target must be a path that begins with a slash.");
		return false;
	}
	if (strchr(rq->target, ' ')) {
		*ret = problem(rq, PROBLEM_BAD_REQUEST, RESPOND_OFFSET_NOW,
		               "There is a space in the request target. Write it as %%20.");
		return false;
	}
	return true;
}

/* Answer a method that the route does not have, and OPTIONS, which lists those that it has. */
static enum MHD_Result no_method(struct request *rq)
{
	char allow[64];
	router_allow(rq->route, allow, sizeof(allow));
	bool flask = rq->route->metric == HTTP_ROUTE_PYCACHE; /* as Flask answers */
	if (flask)
		snprintf(allow + strlen(allow), sizeof(allow) - strlen(allow), ", OPTIONS");
	if (rq->method == HTTP_OPTIONS) {
		struct MHD_Response *response = response_empty();
		response_header(response, "Allow", allow);
		cors_add_preflight(rq, response, allow);
		return respond_send(rq, flask ? 200 : 204, RESPOND_OFFSET_NOW, response);
	}
	struct MHD_Response *response = problem_response(
	        rq, PROBLEM_METHOD, NULL,
	        rq->route->metric == HTTP_ROUTE_LIST ?
	                "The root directory can be listed but not changed: this path takes %s. "
	                "Name a key below it." :
	                "This path takes %s.",
	        allow);
	response_header(response, "Allow", allow);
	return respond_send(rq, 405, RESPOND_OFFSET_NOW, response);
}

/* Replace repeated slashes in a path below /api/ by one, where Flask redirects to that path. */
static void merge_slashes(struct request *rq)
{
	static const char top[] = "api/";
	const char *path = rq->url.path;
	size_t slashes = strspn(path, "/"); /* The target ends with a NUL. */
	if (strncmp(path + slashes, top, sizeof(top) - 1) == 0)
		rq->url.path_len = url_merge_slashes(rq->target + (path - rq->target),
		                                     rq->url.path_len);
}

/* Find the route and the method: *RET_METHOD. */
static bool route_exists(struct request *rq, const struct route_method **ret_method,
                         enum MHD_Result *ret)
{
	merge_slashes(rq);
	rq->route = router_find(rq->url.path, rq->url.path_len);
	if (!rq->route) {
		*ret = problem(rq, PROBLEM_NO_ROUTE, RESPOND_OFFSET_NOW,
		               "Nothing is served at this path. Keys are at /v1/kv/KEY.");
		return false;
	}
	rq->metric = rq->route->metric;
	*ret_method = router_method(rq->route, rq->method);
	if (*ret_method)
		return true;
	*ret = no_method(rq);
	return false;
}

/* Check that RQ may use its connection: the last ones are reserved for requests that inspect the
 * node. */
static bool room_left(struct request *rq, enum MHD_Result *ret)
{
	if (!clients_is_full(rq->server->clients) || rq->route->metric == HTTP_ROUTE_OPS)
		return true;
	rq->last = true;
	*ret = problem(rq, PROBLEM_BUSY, RESPOND_OFFSET_NOW,
	               "All connections are in use (--connections). Try again in a moment, or "
	               "try another node.");
	return false;
}

/* Check the key, if the route has one. */
static bool key_valid(struct request *rq, enum MHD_Result *ret)
{
	if (!rq->route->has_key)
		return true;
	size_t skip = strlen(rq->route->path);
	if (skip > rq->url.path_len)
		skip = rq->url.path_len; /* This is the route without its final slash. */
	const char *raw = rq->url.path + skip;
	size_t len = rq->url.path_len - skip;
	const char *why = rq->route->metric == HTTP_ROUTE_PYCACHE ?
	                          long_key_decode(rq, raw, len) :
	                          url_decode_key(raw, len, rq->key, &rq->key_len, &rq->key_is_dir);
	if (!why)
		return true;
	*ret = problem(rq, PROBLEM_BAD_KEY, RESPOND_OFFSET_NOW,
	               "The key is not valid: %s. A key is names of 1 to 255 bytes joined by "
	               "slashes, 4096 bytes at most, none of them \".\" or \"..\"; other bytes are "
	               "percent-encoded.",
	               why);
	return false;
}

/* Check that each parameter is one of PARAMS. */
static bool params_known(struct request *rq, const char *const *params, enum MHD_Result *ret)
{
	size_t len;
	char known[128] = "";
	const char *name = url_unknown_param(&rq->url, params, &len);
	if (!name)
		return true;
	for (const char *const *p = params; *p; p++) {
		size_t at = strlen(known);
		snprintf(known + at, sizeof(known) - at, "%s%s", at ? ", " : "", *p);
	}
	/* Quote the name only if it is a word: other bytes of a client stay out of the text. */
	bool word = len && len <= 32;
	for (size_t i = 0; i < len && word; i++)
		word = isalnum((unsigned char)name[i]) || name[i] == '_' || name[i] == '-';
	*ret = problem(rq, PROBLEM_BAD_PARAMETER, RESPOND_OFFSET_NOW,
	               "There is a query parameter that this request does not have%s%.*s. %s%s.",
	               word ? ": " : "", word ? (int)len : 0, name,
	               *known ? "It may have: " : "It has none", known);
	return false;
}

/* Check that no parameter of PARAMS is repeated: it would be a guess which one counts. */
static bool params_single(struct request *rq, const char *const *params, enum MHD_Result *ret)
{
	const char *name = url_repeated_param(&rq->url, params);
	if (!name)
		return true;
	*ret = problem(rq, PROBLEM_BAD_PARAMETER, RESPOND_OFFSET_NOW,
	               "The query parameter %s is repeated. Send it once.", name);
	return false;
}

/* Check that flags have no value, or a boolean one. */
static bool flags_valid(struct request *rq, const char *const *params, enum MHD_Result *ret)
{
	static const char *const flags[] = { "consistent", "recurse",  "directories", "values",
		                             "noreplace",  "exchange", "reads" };
	for (; *params; params++) {
		for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
			if (strcmp(*params, flags[i]) != 0 || url_flag_is_valid(&rq->url, *params))
				continue;
			*ret = problem(rq, PROBLEM_BAD_PARAMETER, RESPOND_OFFSET_NOW,
			               "%s is a flag: send it without a value, as in ?%s, or "
			               "with 1, true, 0 or false.",
			               *params, *params);
			return false;
		}
	}
	return true;
}

/* Check that the announced body, if one is expected, can be stored. */
static bool body_valid(struct request *rq, const struct route_method *method, enum MHD_Result *ret)
{
	if (!method->body_max)
		return true;
	if (rq->headers.content_encoding &&
	    strcasecmp(rq->headers.content_encoding, "identity") != 0) {
		*ret = problem(rq, PROBLEM_ENCODING, RESPOND_OFFSET_NOW,
		               "The Content-Encoding of a body is not stored, so clients could "
		               "not decode the value. Send the bytes unencoded.");
		return false;
	}
	if (rq->announced > request_body_max(rq)) {
		*ret = request_body_too_large(rq);
		return false;
	}
	return true;
}

/* Check that the node can serve the request now. */
static bool node_able(struct request *rq, const struct route_method *method, enum MHD_Result *ret)
{
	struct node *node = rq->server->node;
	if (method->store == STORE_CHANGED && node_apply_stalled(node)) {
		struct node_status status;
		node_status(node, &status);
		*ret = problem(rq, PROBLEM_NOT_READY, RESPOND_OFFSET_NOW,
		               "This node cannot apply changes now, so nothing was changed: %s. "
		               "Try another one.",
		               status.why);
		return false;
	}
	/* Changes are not refused here: their outcome is decided when they are applied. */
	if (method->store == STORE_SHOWN && !node_can_read(node)) {
		*ret = problem(rq, PROBLEM_NOT_READY, RESPOND_OFFSET_NOW,
		               "This node is still catching up with the log, so its data is old. "
		               "Try another node, or try again later.");
		return false;
	}
	return true;
}

enum MHD_Result request_check(struct request *rq, const char *version, int nheaders)
{
	enum MHD_Result refused;
	const struct route_method *method;
	if (!target_valid(rq, version, nheaders, &refused) ||
	    !route_exists(rq, &method, &refused) || !room_left(rq, &refused) ||
	    !key_valid(rq, &refused) || !access_check(rq, &refused))
		return refused;
	if (!method->params)
		rq->url.query_len = 0;
	if (rq->url.query_len && (!params_known(rq, method->params, &refused) ||
	                          !params_single(rq, method->params, &refused) ||
	                          !flags_valid(rq, method->params, &refused)))
		return refused;
	if (!body_valid(rq, method, &refused) || !node_able(rq, method, &refused))
		return refused;
	return MHD_YES;
}
