/* Key wait: long polling of one key with GET ?wait=.
 *
 * The wait is a watch of the hub (watch_hub.h) on one key. When the hub wakes it, the whole GET
 * runs again with its conditions; if the client already has the resulting state, it waits again,
 * until its time is over. So the response is always that of a plain GET at that moment.
 *
 * The poll belongs to the request and is unregistered with it. */
#include "httpd/key_wait.h"

#include "common/base/clock.h"
#include "common/base/ttl.h"
#include "httpd/problem.h"
#include "httpd/respond.h"
#include "httpd/server.h"
#include "httpd/watch_hub.h"

#include <stdlib.h>

struct key_poll {
	struct watch watch;
	struct request *rq;
	enum MHD_Result (*again)(struct request *rq);
};

bool key_wait_may_begin(struct request *rq, enum MHD_Result *ret)
{
	rq->waits = !client_wait_begin(rq->client, rq->conn);
	if (rq->waits)
		return true;
	*ret = problem(rq, PROBLEM_BUSY, RESPOND_OFFSET_NOW,
	               "Too many clients wait for changes here, in all or from your address "
	               "(half of --connections, and of --connections-per-address). Try again "
	               "later, without ?wait=, or on another node.");
	return false;
}

bool key_wait_read(struct request *rq, enum MHD_Result *ret)
{
	const char *raw;
	size_t len;
	int64_t ms;
	if (!url_param(&rq->url, "wait", &raw, &len))
		return true;
	if (ttl_parse(raw, len, &ms) || ms > KEY_WAIT_MAX_MS) {
		*ret = problem(rq, PROBLEM_BAD_PARAMETER, RESPOND_OFFSET_NOW,
		               "wait must be a time up to %ds, as in ?wait=30s.",
		               KEY_WAIT_MAX_MS / 1000);
		return false;
	}
	rq->wait_until_ms = clock_mono_ms() + ms;
	return true;
}

bool key_wait_wanted(const struct request *rq)
{
	return rq->wait_until_ms && clock_mono_ms() < rq->wait_until_ms;
}

static void poll_wake(struct watch *watch, enum watch_news news)
{
	struct key_poll *poll = (struct key_poll *)watch;
	struct outcome out = { .code = news == WATCH_CHANGE ? OUTCOME_OK : OUTCOME_UNKNOWN };
	request_done(poll->rq, &out);
}

static void poll_free(struct watch *watch)
{
	free(watch);
}

void key_wait_free(struct key_poll *poll)
{
	if (poll)
		watch_remove(&poll->watch);
}

static enum MHD_Result poll_over(struct request *rq)
{
	watch_served(&rq->poll->watch);
	client_enter(rq->client, CLIENT_WORKING);
	if (rq->result.code != OUTCOME_OK)
		rq->wait_until_ms = 0; /* The time is over, or the server is stopping. */
	return rq->poll->again(rq);
}

enum MHD_Result key_wait(struct request *rq, uint64_t offset,
                         enum MHD_Result (*again)(struct request *rq))
{
	if (!rq->poll) {
		enum MHD_Result refused;
		if (!key_wait_may_begin(rq, &refused))
			return refused;
		struct key_poll *poll = calloc(1, sizeof(*poll));
		if (!poll)
			return respond_send(rq, 503, RESPOND_OFFSET_NOW, NULL);
		poll->rq = rq;
		poll->watch.over = client_released(rq->client);
		poll->watch.wake = poll_wake;
		poll->watch.free_it = poll_free;
		if (watch_add(rq->server->hub, &poll->watch, rq->key, rq->key_len)) {
			free(poll);
			return respond_send(rq, 503, RESPOND_OFFSET_NOW, NULL);
		}
		rq->poll = poll;
	}
	rq->poll->again = again;
	client_enter(rq->client, CLIENT_WAITING);
	request_wait_start(rq);
	if (!watch_wait(&rq->poll->watch, offset, rq->wait_until_ms)) {
		/* The key has changed already, or waiting has ended for all. */
		bool over = watch_hub_is_closing(rq->server->hub) ||
		            watch_is_over(&rq->poll->watch);
		poll_wake(&rq->poll->watch, over ? WATCH_TIME : WATCH_CHANGE);
	}
	return request_wait_end(rq, poll_over);
}
