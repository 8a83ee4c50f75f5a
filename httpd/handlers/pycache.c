/* PyCache: the interface of PyCache, /api/cache/<key>/ and /api/health/.
 *
 * PyCache's clients work unchanged, so paths, statuses, messages and the envelope are PyCache's. A
 * value is stored as an ordinary key: the JSON text exactly as it was sent, with type
 * application/json, so that it can also be read and written through a mount and /v1/kv. A value
 * that was written there and is not JSON is returned as a JSON string, if it is UTF-8, without the
 * newline that echo leaves; other bytes are a problem.
 *
 * The envelope is written around the stored text rather than around its parse: numbers keep all
 * their digits and members their order. JSON is what Python's json module accepts, including NaN
 * and Infinity.
 *
 * Other files do the rest: request_check.c ignores the query and repeated slashes, problem.c adds
 * the envelope's members to errors, long_key.c derives names for keys of more than 255 bytes.
 * tests/pycache/ compares all of it with a Flask application.
 *
 * There are two deliberate differences: a write is answered when it is done (PyCache answers when
 * it was sent), and the health route reports the broker's real state. */
#include "httpd/handlers.h"

#include "common/base/key.h"
#include "httpd/json_check.h"
#include "httpd/json_text.h"
#include "httpd/long_key.h"
#include "httpd/problem.h"
#include "httpd/request_params.h"
#include "httpd/respond.h"
#include "httpd/server.h"
#include "httpd/value_text.h"

#include <errno.h>
#include <string.h>

/* Largest value, in bytes, that is returned here. It is checked and copied as a whole by a thread
 * that serves other clients too. */
#define VALUE_MAX (UINT64_C(64) << 20)

/* Return an empty envelope, for the errors that PyCache's clients check. */
static json_t *empty_envelope(const char *message)
{
	return json_pack("{s:s, s:{}}", "message", message, "payload");
}

/* Write {"message": ..., "payload": {"key": ..., "value": ...}}; without VALUE the payload is
 * empty. VALUE is JSON text. */
static void write_envelope(const struct request *rq, const char *message, const char *value,
                           size_t value_len, struct json_text *t)
{
	json_text_raw(t, "{\"message\": \"");
	json_text_raw(t, message);
	json_text_raw(t, "\", \"payload\": {");
	if (value) {
		json_text_raw(t, "\"key\": ");
		if (rq->own_key)
			json_text_string(t, rq->own_key, rq->own_key_len);
		else
			json_text_string(t, rq->key, rq->key_len);
		json_text_raw(t, ", \"value\": ");
		json_text_append(t, value, value_len);
	}
	json_text_raw(t, "}}\n");
}

/* Send 200 with such an envelope. */
static enum MHD_Result send_envelope(struct request *rq, uint64_t offset, const char *message,
                                     const char *value, size_t value_len)
{
	struct json_text t = { .counted = true };
	write_envelope(rq, message, value, value_len, &t);
	int err = t.failed;
	if (!err)
		return respond_json_text(rq, 200, offset, "application/json", &t);
	json_text_clear(&t);
	return problem_store(rq, err);
}

static bool needs_key(struct request *rq, enum MHD_Result *ret)
{
	if (rq->key_len)
		return true;
	*ret = problem(rq, PROBLEM_NO_ROUTE, RESPOND_OFFSET_NOW,
	               "Name a key, as in /api/cache/KEY/.");
	return false;
}

/* Trim blanks around JSON text. */
static void trim_blanks(const char **text, size_t *len)
{
	while (*len && memchr(" \t\r\n", **text, 4)) {
		(*text)++;
		(*len)--;
	}
	while (*len && memchr(" \t\r\n", (*text)[*len - 1], 4))
		(*len)--;
}

/* --- GET ------------------------------------------------------------------- */

static enum MHD_Result answer_value(struct request *rq, uint64_t offset, const char *value,
                                    size_t len)
{
	static const char message[] = "Cache key get success";
	struct json_check check;
	const char *text = value;
	size_t text_len = len;
	trim_blanks(&text, &text_len);
	if (json_check_python(text, text_len, &check))
		return send_envelope(rq, offset, message, text, text_len);
	if (!json_text_is_utf8(value, len))
		return respond_send(
		        rq, 409, offset,
		        problem_response(rq, PROBLEM_CONFLICT,
		                         empty_envelope("Cache key get failed"),
		                         "The value is neither JSON nor text. Read it at "
		                         "/v1/kv/KEY."));
	struct json_text quoted = { .counted = true };
	if (len && value[len - 1] == '\n')
		len--;
	json_text_string(&quoted, value, len);
	int err = quoted.failed;
	enum MHD_Result r = err ? problem_store(rq, err) :
	                          send_envelope(rq, offset, message, quoted.data, quoted.len);
	json_text_clear(&quoted);
	return r;
}

enum MHD_Result handle_pycache_get(struct request *rq)
{
	struct view view;
	struct entry e;
	enum MHD_Result ret;
	struct json_text value = { .counted = true };
	if (!needs_key(rq, &ret))
		return ret;
	int r = view_open(node_store(rq->server->node), &view);
	if (r)
		return problem_store(rq, r);
	uint64_t offset = view_offset(&view);
	r = view_key(&view, rq->key, rq->key_len, &e);
	bool missing = r == -ENOENT || r == -ENOTDIR || (!r && entry_is_dir(&e));
	bool too_large = !r && !missing && e.size > VALUE_MAX;
	if (!r && !missing && !too_large) {
		r = value_read(&view, &e, &value);
		node_touch(rq->server->node, e.ino, view.now_ms);
	}
	view_close(&view);
	if (missing)
		ret = send_envelope(rq, offset, "Cache key get success", NULL, 0);
	else if (too_large)
		ret = problem(rq, PROBLEM_TOO_LARGE, offset,
		              "The value has more than %llu bytes. Read it at /v1/kv/KEY.",
		              (unsigned long long)VALUE_MAX);
	else if (r)
		ret = problem_store(rq, r);
	else
		ret = answer_value(rq, offset, value.data, value.len);
	json_text_clear(&value);
	return ret;
}

/* --- POST ------------------------------------------------------------------ */

/* Return whether PyCache's schema accepts VALUE: a number, a string of one character or more, an
 * object, or a list of one element or more. */
static bool is_cache_item(const struct json_check *value)
{
	return value->kind == JSON_KIND_NUMBER || value->kind == JSON_KIND_OBJECT ||
	       (value->kind != JSON_KIND_WORD && !value->empty);
}

static enum MHD_Result post_done(struct request *rq)
{
	struct request_result *w = &rq->written;
	request_result_of_set(w);
	if (w->code != OUTCOME_OK)
		return problem_outcome(rq, w, false);
	return respond_json_text(rq, 201, w->offset, "application/json", &rq->prepared);
}

static enum MHD_Result refuse_body(struct request *rq, const struct json_check *check)
{
	json_t *more = empty_envelope("Invalid request body");
	struct MHD_Response *response =
	        check->why ? problem_response(rq, PROBLEM_BAD_BODY, more,
	                                      "The body is not JSON: at byte %zu %s.", check->at,
	                                      check->why) :
	                     problem_response(rq, PROBLEM_BAD_BODY, more,
	                                      "The body must be a number, a string of at least one "
	                                      "character, an object, or a list of at least one "
	                                      "element.");
	return respond_send(rq, 400, RESPOND_OFFSET_NOW, response);
}

/* Submit SET, whose key is a derived one, together with the original name. */
static enum MHD_Result submit_long(struct request *rq, const struct event *set)
{
	static const struct bytes attribute = { LONG_KEY_ATTRIBUTE,
		                                sizeof(LONG_KEY_ATTRIBUTE) - 1 };
	size_t start = key_name_start(rq->own_key, rq->own_key_len);
	struct bytes name = { rq->own_key + start, rq->own_key_len - start };
	return request_submit_with_xattr(rq, set, attribute, name, post_done);
}

enum MHD_Result handle_pycache_post(struct request *rq)
{
	static const char type[] = "application/json";
	struct event ev = { .op = EVENT_SET, .type = { type, sizeof(type) - 1 } };
	struct json_check check;
	enum MHD_Result ret;
	if (!needs_key(rq, &ret) || !request_params_idem(rq, &ev, &ret))
		return ret;
	const char *text = rq->body ? rq->body : "";
	size_t len = rq->body_len;
	static const char mark[] = "\xEF\xBB\xBF"; /* a byte order mark; Python skips it */
	if (len >= 3 && memcmp(text, mark, 3) == 0) {
		text += 3;
		len -= 3;
	}
	if (!json_check_python(text, len, &check) || !is_cache_item(&check))
		return refuse_body(rq, &check);
	trim_blanks(&text, &len);
	/* The response repeats the value. Build it first: when the change is done, memory may be
	 * short. */
	rq->prepared.counted = true;
	write_envelope(rq, "Cache key set success", text, len, &rq->prepared);
	if (rq->prepared.failed)
		return problem_store(rq, rq->prepared.failed);
	ev.key = (struct bytes){ rq->key, rq->key_len };
	ev.value = (struct bytes){ text, len };
	if (rq->own_key)
		return submit_long(rq, &ev);
	/* TEXT lies in the body, which now belongs to the event. */
	return request_submit(rq, &ev, request_take_body(rq), post_done);
}

/* --- DELETE ---------------------------------------------------------------- */

static enum MHD_Result delete_done(struct request *rq)
{
	const struct request_result *w = &rq->written;
	/* A key that did not exist is deleted, too. */
	if (w->code != OUTCOME_OK && w->code != OUTCOME_NOT_FOUND && w->code != OUTCOME_NOT_DIR)
		return problem_outcome(rq, w, false);
	return send_envelope(rq, w->offset ? w->offset : RESPOND_OFFSET_NOW, "Cache key expired",
	                     NULL, 0);
}

enum MHD_Result handle_pycache_delete(struct request *rq)
{
	struct event ev = { .op = EVENT_DEL };
	enum MHD_Result ret;
	if (!needs_key(rq, &ret) || !request_params_idem(rq, &ev, &ret))
		return ret;
	ev.key = (struct bytes){ rq->key, rq->key_len };
	return request_submit(rq, &ev, NULL, delete_done);
}

/* --- health ---------------------------------------------------------------- */

enum MHD_Result handle_pycache_health(struct request *rq)
{
	struct node_status status;
	node_status(rq->server->node, &status);
	json_t *doc = json_pack("{s:s, s:{s:s}}", "message",
	                        status.log_up ? "It works!!!" : "The message broker is unreachable",
	                        "payload", "message_broker", status.log_up ? "ok" : "unavailable");
	return respond_json(rq, status.log_up ? 200 : 503, RESPOND_OFFSET_NOW, doc, 0);
}
