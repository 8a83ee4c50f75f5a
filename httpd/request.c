/* Requests.
 *
 * MHD calls request_handle() again and again for one request: at its headers,
 * for each piece of its body, at its end, and after each resume. The stage
 * says which of these a call is. All of it, and all route steps, run on the
 * one MHD thread that the connection belongs to, so a request needs no lock of
 * its own.
 *
 * Only request_done() comes from other threads (the node's). It hands over
 * through two fields: `arrived`, which it alone writes, and then `wait`. Who
 * changes `wait` away from WAIT_SUSPENDED resumes the connection: exactly one
 * of the callback and request_abandon_all(). After being abandoned, a request
 * lives on until its callback came: `refs`.
 *
 * A change on the embedded log costs a commit, so the changes of all requests that
 * an MHD thread finds in one round share one: the handler only queues the event
 * and returns, with no answer and nothing suspended. MHD then calls it again
 * (microhttpd.h says so of MHD_AccessHandlerCallback), in its next round, which
 * begins with the requests that are left from this one; the first of them applies
 * what was queued, and the others find their outcome. A lone request pays a look at
 * its epoll set for that, two system calls less than being suspended and resumed. An
 * MHD that called again at once would only lose the sharing.
 *
 * MHD closes the connection after an answer that is given at the headers, so
 * answers wait for the request's end, which comes at once without a body. A
 * body that is refused is still read up to DRAIN_MAX and thrown away before the
 * answer goes out: most clients write everything before they read, and closing
 * on unread data destroys the answer on its way. Only a client that said
 * "Expect: 100-continue", or that announces more, is answered at once. */
#include "httpd/request.h"

#include "common/clock.h"
#include "common/logger.h"
#include "httpd/access_log.h"
#include "httpd/cors.h"
#include "httpd/handlers.h"
#include "httpd/key_wait.h"
#include "httpd/limits.h"
#include "httpd/problem.h"
#include "httpd/refusals.h"
#include "httpd/respond.h"
#include "httpd/router.h"
#include "httpd/server.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Bytes of a refused body that are read, beyond the largest value. */
#define DRAIN_MAX (UINT64_C(16) << 20)
/* How long a request with X-Keydir-Offset or ?consistent waits. */
#define OFFSET_WAIT_MS 5000

enum wait_state {
	WAIT_NONE,
	WAIT_STARTED,   /* handed to the node, not suspended yet */
	WAIT_SUSPENDED, /* whoever ends this state resumes */
	WAIT_DONE,      /* `arrived` is filled */
	WAIT_ABANDONED, /* resumed without an outcome; the callback will find this */
};

static const struct header_row {
	const char *name;
	size_t len;
	size_t offset;
} header_rows[] = {
#define ROW(name, field)                                                                           \
	{                                                                                          \
		name, sizeof(name) - 1, offsetof(struct request_headers, field)                    \
	}
	ROW("If-Match", if_match),
	ROW("If-None-Match", if_none_match),
	ROW("If-Modified-Since", if_modified_since),
	ROW("If-Unmodified-Since", if_unmodified_since),
	ROW("If-Range", if_range),
	ROW("Range", range),
	ROW("Content-Type", content_type),
	ROW("Content-Length", content_length),
	ROW("Content-Encoding", content_encoding),
	ROW("Transfer-Encoding", transfer_encoding),
	ROW("Expect", expect),
	ROW("Idempotency-Key", idempotency_key),
	ROW("X-Keydir-Offset", offset),
	ROW("Authorization", authorization),
	ROW("X-Request-Id", request_id),
	ROW("Last-Event-ID", last_event_id),
	ROW("Accept", accept),
	ROW("Origin", origin),
	ROW("Sec-Fetch-Site", sec_fetch_site),
	ROW("X-Forwarded-For", forwarded_for),
	ROW("User-Agent", user_agent),
	ROW("Host", host),
#undef ROW
};

void *request_new(void *server, const char *target, struct MHD_Connection *conn)
{
	size_t len = strlen(target);
	/* the key, decoded, is never longer than the target */
	/* malloc: calloc passes by what this thread has freed (glibc) */
	struct request *rq = malloc(sizeof(*rq) + 2 * (len + 1));
	if (!rq)
		return NULL;
	*rq = (struct request){
		.server = server,
		.conn = conn,
		.start_ns = clock_mono_ns(),
		.refs = 1,
		.client = client_of(conn),
		.metric = HTTP_ROUTE_OTHER,
		.method = HTTP_METHOD_OTHER,
	};
	client_request(rq->client, rq);
	client_enter(rq->client, CLIENT_RECEIVING);
	memcpy(rq->target, target, len + 1);
	/* MHD would now take the query apart and give each parameter memory of the
	 * connection, then hang (0.9.75) where there is too little. We have the
	 * query, so for MHD it ends at its question mark. */
	const char *mark = memchr(target, '?', len);
	if (mark)
		*(char *)(uintptr_t)(mark + 1) = '\0';
	rq->key = rq->target + len + 1;
	http_metrics_begin();
	return rq;
}

static void request_unref(struct request *rq)
{
	if (atomic_fetch_sub(&rq->refs, 1) != 1)
		return;
	if (rq->body_cap)
		atomic_fetch_sub(&rq->server->body_bytes, rq->body_cap);
	if (rq->early)
		MHD_destroy_response(rq->early);
	tokens_unref(rq->tokens);
	key_wait_free(rq->poll);
	free(rq->arrived.ops);
	free(rq->result.ops);
	free(rq->written.ops);
	free(rq->body);
	free(rq);
}

/* --- waiting --------------------------------------------------------------- */

void request_wait_start(struct request *rq)
{
	atomic_fetch_add(&rq->refs, 1);
	atomic_store(&rq->wait, WAIT_STARTED);
}

static void copy_outcome(struct request_result *to, const struct outcome *out)
{
	*to = (struct request_result){
		.code = out->code,
		.created = out->created,
		.offset = out->offset,
		.ino = out->ino,
		.version = out->version,
		.number = out->number,
	};
	const struct feed_event *feed = out->feed;
	if (!feed)
		return;
	to->repeats = feed->repeats;
	for (size_t i = 0; i < feed->neffects; i++) {
		const struct feed_effect *effect = &feed->effects[i];
		if (effect->ino == out->ino && effect->kind != FEED_REMOVED &&
		    effect->kind != FEED_EXPIRED && effect->kind != FEED_EVICTED) {
			to->size = effect->size;
			to->expiry_ms = effect->expiry_ms;
		}
	}
	if (feed->nops) {
		to->ops = malloc(feed->nops * sizeof(*to->ops));
		if (to->ops) {
			memcpy(to->ops, feed->ops, feed->nops * sizeof(*to->ops));
			to->nops = feed->nops;
		}
	}
}

void request_done(void *arg, const struct outcome *out)
{
	struct request *rq = arg;
	copy_outcome(&rq->arrived, out);
	int was = WAIT_STARTED;
	if (!atomic_compare_exchange_strong(&rq->wait, &was, WAIT_DONE) && was == WAIT_SUSPENDED &&
	    atomic_compare_exchange_strong(&rq->wait, &was, WAIT_DONE))
		MHD_resume_connection(rq->conn);
	request_unref(rq);
}

static void list_add(struct request *rq)
{
	struct server *server = rq->server;
	pthread_mutex_lock(&server->waiting_lock);
	rq->waiting_prev = NULL;
	rq->waiting_next = server->waiting;
	if (server->waiting)
		server->waiting->waiting_prev = rq;
	server->waiting = rq;
	pthread_mutex_unlock(&server->waiting_lock);
}

static void list_remove(struct request *rq)
{
	struct server *server = rq->server;
	pthread_mutex_lock(&server->waiting_lock);
	if (rq->waiting_prev)
		rq->waiting_prev->waiting_next = rq->waiting_next;
	else
		server->waiting = rq->waiting_next;
	if (rq->waiting_next)
		rq->waiting_next->waiting_prev = rq->waiting_prev;
	pthread_mutex_unlock(&server->waiting_lock);
}

/* Ends the waiting of a suspended request without its outcome. */
static void abandon(struct request *rq)
{
	int was = WAIT_SUSPENDED;
	if (atomic_compare_exchange_strong(&rq->wait, &was, WAIT_ABANDONED))
		MHD_resume_connection(rq->conn);
}

void request_abandon_all(struct server *server)
{
	/* no MHD call while the lock is held: a few at a time, each kept alive */
	struct request *some[64];
	size_t n;
	do {
		n = 0;
		pthread_mutex_lock(&server->waiting_lock);
		for (struct request *rq = server->waiting; rq && n < 64; rq = rq->waiting_next) {
			if (atomic_load(&rq->wait) == WAIT_SUSPENDED) {
				atomic_fetch_add(&rq->refs, 1);
				some[n++] = rq;
			}
		}
		pthread_mutex_unlock(&server->waiting_lock);
		for (size_t i = 0; i < n; i++) {
			abandon(some[i]);
			request_unref(some[i]);
		}
	} while (n);
}

/* Takes over what the callback brought. */
static void take_result(struct request *rq)
{
	free(rq->result.ops);
	rq->result = rq->arrived;
	rq->arrived.ops = NULL;
	rq->abandoned = false;
}

enum MHD_Result request_wait_end(struct request *rq, enum MHD_Result (*next)(struct request *rq))
{
	if (atomic_load(&rq->wait) == WAIT_DONE) {
		take_result(rq);
		return next(rq);
	}
	rq->next = next;
	rq->stage = REQUEST_WAITING;
	list_add(rq);
	MHD_suspend_connection(rq->conn);
	int was = WAIT_STARTED;
	if (!atomic_compare_exchange_strong(&rq->wait, &was, WAIT_SUSPENDED))
		MHD_resume_connection(rq->conn); /* it was done meanwhile */
	else if (atomic_load(&rq->server->abandoning))
		abandon(rq); /* request_abandon_all() may have missed it */
	return MHD_YES;
}

/* The connection was resumed. */
static enum MHD_Result wait_over(struct request *rq)
{
	list_remove(rq);
	rq->stage = REQUEST_RUNNING;
	if (atomic_load(&rq->wait) == WAIT_DONE) {
		take_result(rq);
	} else {
		/* `arrived` may be written at any time, so it is left alone */
		free(rq->result.ops);
		rq->result = (struct request_result){ .code = OUTCOME_UNKNOWN };
		rq->abandoned = true;
	}
	return rq->next(rq);
}

/* --- the end --------------------------------------------------------------- */

static void log_request(const struct request *rq, int64_t latency_ns)
{
	logger(LOGGER_DEBUG, "request method=%s path=%.*s status=%u us=%lld",
	       rq->method_text ? rq->method_text : "-", (int)rq->url.path_len,
	       rq->url.path ? rq->url.path : "", rq->status, (long long)(latency_ns / 1000));
}

static void end(struct request *rq, bool gone)
{
	client_request(rq->client, NULL);
	if (rq->stage == REQUEST_WAITING) /* resumed, but the client was gone */
		list_remove(rq);
	if (rq->stage == REQUEST_GATHERED) /* the client is gone, its event is not */
		node_flush(rq->server->node);
	client_enter(rq->client, CLIENT_IDLE);
	int64_t latency_ns = clock_mono_ns() - rq->start_ns;
	http_metrics_end(rq->metric, rq->method, gone ? 0 : rq->status, latency_ns);
	access_log_write(rq->server->access_log, rq, gone, latency_ns);
	if (rq->server->settings->debug)
		log_request(rq, latency_ns);
	request_unref(rq);
}

void request_completed(void *server, struct MHD_Connection *conn, void **req,
                       enum MHD_RequestTerminationCode how)
{
	(void)server;
	(void)conn;
	struct request *rq = *req;
	*req = NULL;
	if (rq)
		end(rq, how != MHD_REQUEST_TERMINATED_COMPLETED_OK && !rq->refused);
}

void request_refused(struct request *rq, unsigned status)
{
	rq->status = status;
	rq->refused = true;
	client_enter(rq->client, CLIENT_SENDING);
}

void request_forgotten(void *request)
{
	struct request *rq = request;
	end(rq, !rq->refused);
}

/* --- writing --------------------------------------------------------------- */

/* How long an answer waits for mounts of this node: they need microseconds, more
 * where many processes want the processor (100 ms were too short then), and one that
 * hangs must not hold up REST for ever. */
#define ACK_WAIT_MS 1000

/* Did the event at OFFSET do what RQ wants? Of one that changed nothing only the
 * operation is known. */
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
	bool named = !first->neffects || rq->op == EVENT_TXN;
	for (size_t i = 0; i < first->neffects && !named; i++)
		named = first->effects[i].key.len == rq->key_len &&
		        !memcmp(first->effects[i].key.data, rq->key, rq->key_len);
	free(first);
	return same && named;
}

static enum MHD_Result acknowledged(struct request *rq)
{
	return rq->after_write(rq);
}

static enum MHD_Result written(struct request *rq)
{
	free(rq->written.ops);
	rq->written = rq->result;
	rq->result = (struct request_result){ 0 };
	if (rq->written.repeats && !is_same_change(rq, rq->written.repeats))
		return problem(rq, PROBLEM_KEY_REUSED, rq->written.offset,
		               "This Idempotency-Key was used for another change, at offset %llu, "
		               "so nothing was changed now. Use a new one for each change, and the "
		               "same only to repeat a request.",
		               (unsigned long long)rq->written.repeats);
	if (rq->written.code != OUTCOME_OK)
		return rq->after_write(rq);
	request_wait_start(rq);
	node_wait_acked(rq->server->node, rq->written.offset, ACK_WAIT_MS, request_done, rq);
	return request_wait_end(rq, acknowledged);
}

enum MHD_Result request_submit(struct request *rq, const struct event *ev, void *owned,
                               enum MHD_Result (*next)(struct request *rq))
{
	rq->after_write = next;
	rq->op = ev->op;
	rq->nops = ev->op == EVENT_TXN ? ev->nops : 0;
	request_wait_start(rq);
	if (!node_submit_later(rq->server->node, ev, owned, request_done, rq))
		return request_wait_end(rq, written);
	rq->stage = REQUEST_GATHERED;
	return MHD_YES;
}

/* The other requests of the round have come. The first one of them to be here
 * applies the events of all. */
static enum MHD_Result gathered(struct request *rq)
{
	if (atomic_load(&rq->wait) != WAIT_DONE)
		node_flush(rq->server->node);
	rq->stage = REQUEST_RUNNING;
	return request_wait_end(rq, written);
}

/* --- waiting for an offset ------------------------------------------------- */

static enum MHD_Result run_route(struct request *rq)
{
	return router_method(rq->route, rq->method)->run(rq);
}

static enum MHD_Result offset_reached(struct request *rq)
{
	switch (rq->result.code) {
	case OUTCOME_OK:
		return run_route(rq);
	case OUTCOME_UNKNOWN:
		if (rq->abandoned)
			return problem(rq, PROBLEM_STOPPING, RESPOND_OFFSET_NOW,
			               "This node is stopping. Ask another one.");
		return problem(rq, PROBLEM_BEHIND, RESPOND_OFFSET_NOW,
		               "This node has not reached the offset asked for within %d seconds. "
		               "Ask again, or ask another node.",
		               OFFSET_WAIT_MS / 1000);
	default:
		return problem_outcome(rq, &rq->result, false);
	}
}

/* Waits for what X-Keydir-Offset or ?consistent asks for, then runs the route. */
static enum MHD_Result run(struct request *rq)
{
	struct node *node = rq->server->node;
	rq->stage = REQUEST_RUNNING;
	client_enter(rq->client, CLIENT_WORKING);
	if (rq->headers.offset) {
		char *end;
		errno = 0;
		uint64_t offset = strtoull(rq->headers.offset, &end, 10);
		if (end == rq->headers.offset || *end || errno || offset > INT64_MAX ||
		    rq->headers.offset[0] == '-')
			return problem(rq, PROBLEM_BAD_REQUEST, RESPOND_OFFSET_NOW,
			               "X-Keydir-Offset must be a whole number: the one that an "
			               "earlier answer had in this header.");
		if (offset > node_offset(node)) {
			request_wait_start(rq);
			node_wait(node, offset, OFFSET_WAIT_MS, request_done, rq);
			return request_wait_end(rq, offset_reached);
		}
	} else if (rq->url.query_len && url_flag(&rq->url, "consistent")) {
		request_wait_start(rq);
		node_barrier(node, OFFSET_WAIT_MS, request_done, rq);
		return request_wait_end(rq, offset_reached);
	}
	return run_route(rq);
}

/* --- the body -------------------------------------------------------------- */

char *request_take_body(struct request *rq)
{
	char *body = rq->body;
	if (rq->body_cap)
		atomic_fetch_sub(&rq->server->body_bytes, rq->body_cap);
	rq->body = NULL;
	rq->body_len = rq->body_cap = 0;
	return body;
}

static void drop_body(struct request *rq)
{
	free(request_take_body(rq));
}

/* Makes room for NEED bytes of body: 0, -ENOMEM, or -EBUSY if all bodies
 * together are too many. */
static int body_room(struct request *rq, size_t need, size_t most)
{
	struct server *server = rq->server;
	if (need <= rq->body_cap)
		return 0;
	size_t cap = rq->body_cap * 2;
	if (cap < need)
		cap = need;
	if (cap > most)
		cap = most;
	uint64_t more = cap - rq->body_cap;
	if (atomic_fetch_add(&server->body_bytes, more) + more > server->body_bytes_max) {
		atomic_fetch_sub(&server->body_bytes, more);
		return -EBUSY;
	}
	char *body = realloc(rq->body, cap);
	if (!body) {
		atomic_fetch_sub(&server->body_bytes, more);
		return -ENOMEM;
	}
	rq->body = body;
	rq->body_cap = cap;
	return 0;
}

static enum MHD_Result refuse_too_large(struct request *rq)
{
	return problem(rq, PROBLEM_TOO_LARGE, RESPOND_OFFSET_NOW,
	               "A request body may have up to %llu bytes here (--max-value). Store less, "
	               "or split the value over several keys.",
	               (unsigned long long)node_get_config(rq->server->node)->max_value);
}

/* The body's next bytes. */
static enum MHD_Result body_data(struct request *rq, const char *data, size_t len)
{
	size_t most = node_get_config(rq->server->node)->max_value;
	if (rq->early || !router_method(rq->route, rq->method)->takes_body) {
		rq->discarded += len;
		/* who sends without end loses the connection, not only the answer */
		return rq->discarded > most + DRAIN_MAX ? MHD_NO : MHD_YES;
	}
	if (len > most - rq->body_len) {
		drop_body(rq);
		rq->discarded += len;
		return refuse_too_large(rq);
	}
	/* the length announced is taken on trust up to a bound: no copying for
	 * usual values, no memory for those that only announce */
	size_t need = rq->body_len + len;
	if (!rq->body_cap && rq->announced > need && rq->announced <= 1 << 20)
		need = rq->announced;
	int r = body_room(rq, need, most);
	if (r) {
		drop_body(rq);
		rq->discarded += len;
		return problem(rq, PROBLEM_BUSY, RESPOND_OFFSET_NOW,
		               r == -EBUSY ? "Too many request bodies are being read at once. Try "
		                             "again in a moment." :
		                             "Out of memory. Try again in a moment.");
	}
	memcpy(rq->body + rq->body_len, data, len);
	rq->body_len += len;
	return MHD_YES;
}

static enum MHD_Result body_end(struct request *rq)
{
	if (!rq->early)
		return run(rq);
	struct MHD_Response *response = rq->early;
	rq->early = NULL;
	rq->stage = REQUEST_ANSWERED;
	client_enter(rq->client, CLIENT_SENDING);
	enum MHD_Result r = refusals_queue_own(rq->conn, rq->early_status, response);
	MHD_destroy_response(response);
	return r;
}

/* --- the beginning --------------------------------------------------------- */

static enum MHD_Result take_header(void *arg, enum MHD_ValueKind kind, const char *key,
                                   size_t key_len, const char *value, size_t value_len)
{
	(void)kind;
	(void)value_len;
	char *headers = arg;
	for (size_t i = 0; i < sizeof(header_rows) / sizeof(header_rows[0]); i++) {
		const struct header_row *row = &header_rows[i];
		if (row->len != key_len || strcasecmp(row->name, key) != 0)
			continue;
		const char **field = (const char **)(headers + row->offset);
		struct request_headers *all = arg;
		if (!*field)
			*field = value ? value : "";
		else if (field == &all->host || field == &all->content_length ||
		         field == &all->transfer_encoding)
			all->repeated = true;
		break;
	}
	return MHD_YES;
}

/* Refuses a parameter that is none of PARAMS. False after an answer. */
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
	/* named only if it is a word: what a client sends has no place in a text */
	bool word = len && len <= 32;
	for (size_t i = 0; i < len && word; i++)
		word = isalnum((unsigned char)name[i]) || name[i] == '_' || name[i] == '-';
	*ret = problem(rq, PROBLEM_BAD_PARAMETER, RESPOND_OFFSET_NOW,
	               "There is a query parameter that this request does not have%s%.*s. %s%s.",
	               word ? ": " : "", word ? (int)len : 0, name,
	               *known ? "It may have: " : "It has none", known);
	return false;
}

/* Flags have no value, or one that says yes or no. False after an answer. */
static bool flags_valid(struct request *rq, const char *const *params, enum MHD_Result *ret)
{
	static const char *const flags[] = { "consistent", "recurse",  "values",
		                             "noreplace",  "exchange", "reads" };
	for (; *params; params++) {
		for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
			if (strcmp(*params, flags[i]) != 0 || url_flag_is_valid(&rq->url, *params))
				continue;
			*ret = problem(rq, PROBLEM_BAD_PARAMETER, RESPOND_OFFSET_NOW,
			               "%s is a flag: it is there, as in ?%s, or not; or it is 1, "
			               "true, 0 or false.",
			               *params, *params);
			return false;
		}
	}
	return true;
}

/* Whether METHOD answers what is in the store. */
static bool shows(const struct route_method *method)
{
	return method->need == ACCESS_READ || method->run == handle_mget ||
	       method->run == handle_watch;
}

/* Everything that can be said before the body. MHD_YES without an answer means
 * go on. */
static enum MHD_Result check(struct request *rq, const char *version, int headers)
{
	enum MHD_Result refused;
	bool is_path = url_split(rq->target, strlen(rq->target), &rq->url);
	if (!limits_check(rq, version, headers, &refused))
		return refused;
	if (rq->method == HTTP_OPTIONS && !strcmp(rq->target, "*")) {
		struct MHD_Response *response = response_empty();
		response_header(response, "Allow", "GET, HEAD, PUT, POST, DELETE, OPTIONS");
		return respond_send(rq, 204, RESPOND_OFFSET_NOW, response);
	}
	if (!is_path)
		return problem(rq, PROBLEM_BAD_REQUEST, RESPOND_OFFSET_NOW,
		               "The request target must be a path that begins with a slash.");
	if (strchr(rq->target, ' '))
		return problem(rq, PROBLEM_BAD_REQUEST, RESPOND_OFFSET_NOW,
		               "There is a space in the request target. Write it as %%20.");
	rq->route = router_find(rq->url.path, rq->url.path_len);
	if (!rq->route)
		return problem(rq, PROBLEM_NO_ROUTE, RESPOND_OFFSET_NOW,
		               "Nothing is served at this path. Keys are at /v1/kv/KEY.");
	rq->metric = rq->route->metric;
	const struct route_method *method = router_method(rq->route, rq->method);
	if (!method) {
		char allow[64];
		router_allow(rq->route, allow, sizeof(allow));
		bool ask = rq->method == HTTP_OPTIONS;
		struct MHD_Response *response =
		        ask ? response_empty() :
		              problem_response(rq, PROBLEM_METHOD, NULL,
		                               rq->route->metric == HTTP_ROUTE_LIST ?
		                                       "The root directory stays as it is and "
		                                       "can only be listed: this path takes %s. "
		                                       "Name a key below it." :
		                                       "This path takes %s.",
		                               allow);
		response_header(response, "Allow", allow);
		if (ask)
			cors_add_preflight(rq, response, allow);
		return respond_send(rq, ask ? 204 : 405, RESPOND_OFFSET_NOW, response);
	}
	if (rq->route->has_key) {
		size_t skip = strlen(rq->route->path);
		if (skip > rq->url.path_len)
			skip = rq->url.path_len; /* the route without its last slash */
		const char *why = url_decode_key(rq->url.path + skip, rq->url.path_len - skip,
		                                 rq->key, &rq->key_len, &rq->key_is_dir);
		if (why)
			return problem(
			        rq, PROBLEM_BAD_KEY, RESPOND_OFFSET_NOW,
			        "The key is not valid: %s. A key is names of 1 to 255 bytes joined by slashes, "
			        "4096 bytes at most, none of them \".\" or \"..\"; other "
			        "bytes are percent-encoded.",
			        why);
	}
	if (!access_check(rq, &refused))
		return refused;
	if (method->params && rq->url.query_len && !params_known(rq, method->params, &refused))
		return refused;
	if (rq->url.query_len && method->params && !flags_valid(rq, method->params, &refused))
		return refused;
	if (rq->headers.content_encoding && method->takes_body &&
	    strcasecmp(rq->headers.content_encoding, "identity") != 0)
		return problem(rq, PROBLEM_ENCODING, RESPOND_OFFSET_NOW,
		               "A body is stored as it comes and without its Content-Encoding "
		               "nobody could read it. Send the bytes themselves.");
	if (method->takes_body && rq->announced > node_get_config(rq->server->node)->max_value)
		return refuse_too_large(rq);
	bool changes = rq->method != HTTP_GET && rq->method != HTTP_HEAD && !shows(method);
	if (changes && node_must_wait(rq->server->node)) {
		struct node_status status;
		node_status(rq->server->node, &status);
		return problem(
		        rq, PROBLEM_NOT_READY, RESPOND_OFFSET_NOW,
		        "This node cannot apply changes now, so nothing was changed: %s. Ask "
		        "another one.",
		        status.why);
	}
	/* Not so for changes: what becomes of them is decided where they are applied. */
	if (shows(method) && !node_may_show(rq->server->node))
		return problem(rq, PROBLEM_NOT_READY, RESPOND_OFFSET_NOW,
		               "This node is still catching up with the log, and what it has is "
		               "old. Ask another one, or again later.");
	return MHD_YES;
}

static enum MHD_Result begin(struct request *rq, const char *method, const char *version)
{
	rq->method_text = method;
	rq->method = router_parse_method(method);
	int n = MHD_get_connection_values_n(rq->conn, MHD_HEADER_KIND, take_header, &rq->headers);
	if (rq->headers.content_length)
		rq->announced = strtoull(rq->headers.content_length, NULL, 10);
	bool has_body = rq->announced || rq->headers.transfer_encoding;
	uint64_t most = node_get_config(rq->server->node)->max_value + DRAIN_MAX;
	rq->stage = REQUEST_BODY;
	rq->defer = rq->announced <= most && !(has_body && rq->headers.expect);
	enum MHD_Result r = check(rq, version, n);
	rq->defer = true;
	return r;
}

enum MHD_Result request_handle(void *server, struct MHD_Connection *conn, const char *url,
                               const char *method, const char *version, const char *upload_data,
                               size_t *upload_data_size, void **req)
{
	(void)server;
	(void)conn;
	(void)url;
	struct request *rq = *req;
	enum MHD_Result r;
	if (!rq)
		return MHD_NO; /* no memory for it */
	switch (rq->stage) {
	case REQUEST_NEW:
		return begin(rq, method, version);
	case REQUEST_BODY:
		if (!*upload_data_size) {
			rq->defer = false;
			return body_end(rq);
		}
		r = body_data(rq, upload_data, *upload_data_size);
		*upload_data_size = 0;
		return r;
	case REQUEST_GATHERED:
		return gathered(rq);
	case REQUEST_WAITING:
		return wait_over(rq);
	case REQUEST_RUNNING:
	case REQUEST_ANSWERED:
		break;
	}
	*upload_data_size = 0;
	return MHD_YES;
}
