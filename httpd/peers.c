/* Peers: the status of the other nodes, polled.
 *
 * A console that shows one node wants to show the others too, and a browser may not reach them. So
 * a thread polls each in turn, and the response of /v1/status includes its latest results. A peer
 * that hangs delays the polling of the others by two seconds and nothing else. The response of a
 * peer is foreign data: its size is bounded, and each member is passed on only if it has the
 * expected type.
 *
 * The lock protects the list of results and `stopping`. */
#include "httpd/peers.h"

#include "common/base/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ASK_EVERY_MS 5000
#define ASK_TIMEOUT_MS 2000L
#define ANSWER_MAX (64 << 10)

/* Latest result of polling a peer. */
struct found {
	char error[CURL_ERROR_SIZE]; /* why there was no response */
	json_t *status; /* its status document; NULL if unreachable or not polled yet */
};

struct peers {
	const char *urls;
	const struct peer_access *access;
	struct peer_list list; /* changed only by the thread, under the lock */
	struct found *found;   /* one for each peer in the list; under the lock */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stopping;
};

struct answer {
	char *text;
	size_t len;
};

static size_t collect_body(char *data, size_t size, size_t n, void *arg)
{
	struct answer *a = arg;
	size_t more = size * n;
	if (more > ANSWER_MAX - a->len)
		return 0;
	memcpy(a->text + a->len, data, more);
	a->len += more;
	return more;
}

static bool is_stopping(struct peers *peers)
{
	pthread_mutex_lock(&peers->lock);
	bool stopping = peers->stopping;
	pthread_mutex_unlock(&peers->lock);
	return stopping;
}

static int end_early(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	(void)a;
	(void)b;
	(void)c;
	(void)d;
	return is_stopping(arg);
}

static void pick_member(json_t *to, const char *name, const json_t *value, bool fits)
{
	if (fits)
		json_object_set(to, name, (json_t *)(uintptr_t)value);
}

/* Copy the members of a peer's status document that we pass on; NULL if it is not one. */
static json_t *pick_status(const struct answer *answer)
{
	json_t *doc = json_loadb(answer->text, answer->len, 0, NULL);
	json_t *to = json_is_object(doc) ? json_object() : NULL;
	static const char *const numbers[] = { "offset", "log_end", "uptime" };
	static const char *const texts[] = { "id", "node", "role", "version", "volume", "why" };
	const json_t *log = json_object_get(doc, "log");
	if (!to) {
		json_decref(doc);
		return NULL;
	}
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		const json_t *v = json_object_get(doc, numbers[i]);
		pick_member(to, numbers[i], v, json_is_integer(v));
	}
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		const json_t *v = json_object_get(doc, texts[i]);
		pick_member(to, texts[i], v, json_is_string(v) && json_string_length(v) <= 255);
	}
	const json_t *ready = json_object_get(doc, "ready");
	pick_member(to, "ready", ready, json_is_boolean(ready));
	const json_t *log_up = json_object_get(log, "up");
	pick_member(to, "log_up", log_up, json_is_boolean(log_up));
	const json_t *lag = json_object_get(log, "lag");
	pick_member(to, "lag", lag, json_is_integer(lag));
	const json_t *lag_ms = json_object_get(log, "lag_ms");
	pick_member(to, "lag_ms", lag_ms, json_is_integer(lag_ms));
	json_decref(doc);
	return to;
}

/* Request the status of a peer. Returns it, or NULL and a text in ERROR (CURL_ERROR_SIZE bytes). */
static json_t *request_status(struct peers *peers, const struct peer *peer, char *error)
{
	struct answer answer = { .text = malloc(ANSWER_MAX) };
	json_t *status = NULL;
	if (!answer.text) {
		snprintf(error, CURL_ERROR_SIZE, "out of memory");
		return NULL;
	}
	CURL *curl = peer_request_new(peers->access, peer, "/v1/status", error);
	if (!curl)
		goto out;
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, ASK_TIMEOUT_MS);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, collect_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, end_early);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, peers);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	if (peer_request_run(curl, error) == 0) {
		status = pick_status(&answer);
		if (!status)
			snprintf(error, CURL_ERROR_SIZE, "its response is not a status document");
	}
	peer_request_free(curl);
out:
	free(answer.text);
	return status;
}

static void free_found(struct found *found, size_t n)
{
	for (size_t i = 0; i < n; i++)
		json_decref(found[i].status);
	free(found);
}

/* Build the list of peers again. Peers that were in the old list keep their results. Returns 0, or
 * -ENOMEM without a change. */
static int list_anew(struct peers *peers, bool resolve)
{
	struct peer_list list = { 0 }, old;
	int r = peer_list_new(peers->urls, resolve, &list);
	struct found *found = r ? NULL : calloc(list.n ? list.n : 1, sizeof(*found));
	if (!found) {
		peer_list_free(&list);
		return -ENOMEM;
	}
	pthread_mutex_lock(&peers->lock);
	for (size_t i = 0; i < list.n; i++) {
		snprintf(found[i].error, sizeof(found[i].error), "not asked yet");
		for (size_t j = 0; j < peers->list.n; j++)
			if (strcmp(list.peers[i].url, peers->list.peers[j].url) == 0) {
				memcpy(&found[i], &peers->found[j], sizeof(found[i]));
				json_incref(found[i].status);
				break;
			}
	}
	old = peers->list;
	free_found(peers->found, old.n);
	peers->list = list;
	peers->found = found;
	pthread_mutex_unlock(&peers->lock);
	peer_list_free(&old);
	return 0;
}

static void *ask_all(void *arg)
{
	struct peers *peers = arg;
	char error[CURL_ERROR_SIZE];
	while (!is_stopping(peers)) {
		struct timespec until = clock_mono_in(ASK_EVERY_MS);
		list_anew(peers, true); /* If memory runs out, keep the old list. */
		for (size_t i = 0; i < peers->list.n && !is_stopping(peers); i++) {
			json_t *status = request_status(peers, &peers->list.peers[i], error);
			pthread_mutex_lock(&peers->lock);
			json_decref(peers->found[i].status);
			peers->found[i].status = status;
			memcpy(peers->found[i].error, error, sizeof(error));
			pthread_mutex_unlock(&peers->lock);
		}
		pthread_mutex_lock(&peers->lock);
		while (!peers->stopping &&
		       pthread_cond_timedwait(&peers->wake, &peers->lock, &until) != ETIMEDOUT)
			;
		pthread_mutex_unlock(&peers->lock);
	}
	return NULL;
}

static void free_peers(struct peers *peers)
{
	free_found(peers->found, peers->list.n);
	peer_list_free(&peers->list);
	pthread_cond_destroy(&peers->wake);
	pthread_mutex_destroy(&peers->lock);
	free(peers);
}

int peers_new(const char *urls, const struct peer_access *access, struct peers **ret)
{
	*ret = NULL;
	if (!urls)
		return 0;
	struct peers *peers = calloc(1, sizeof(*peers));
	if (!peers)
		return -ENOMEM;
	peers->urls = urls;
	peers->access = access;
	pthread_mutex_init(&peers->lock, NULL);
	clock_cond_init(&peers->wake);
	int r = list_anew(peers, false);
	if (!r)
		r = -pthread_create(&peers->thread, NULL, ask_all, peers);
	if (r) {
		free_peers(peers);
		return r;
	}
	*ret = peers;
	return 0;
}

void peers_free(struct peers *peers)
{
	if (!peers)
		return;
	pthread_mutex_lock(&peers->lock);
	peers->stopping = true;
	pthread_cond_signal(&peers->wake);
	pthread_mutex_unlock(&peers->lock);
	pthread_join(peers->thread, NULL);
	free_peers(peers);
}

/* Return whether STATUS is of the node with this ID. */
static bool is_of(json_t *status, const char *id)
{
	const char *its = json_string_value(json_object_get(status, "id"));
	return its && strcmp(its, id) == 0;
}

json_t *peers_json(struct peers *peers, const char *own_id)
{
	json_t *list = json_array();
	if (!peers || !list)
		return list;
	pthread_mutex_lock(&peers->lock);
	for (size_t i = 0; i < peers->list.n; i++) {
		const struct found *found = &peers->found[i];
		if (is_of(found->status, own_id))
			continue;
		json_t *row = json_pack("{s:s, s:b}", "url", peers->list.peers[i].url, "reachable",
		                        found->status != NULL);
		if (row && found->status)
			json_object_update(row, found->status);
		else if (row)
			json_object_set_new(row, "error", json_string(found->error));
		json_array_append_new(list, row);
	}
	pthread_mutex_unlock(&peers->lock);
	return list;
}
