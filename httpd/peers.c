/* Peers.
 *
 * A console that looks at one node wants to see the others too, and a browser
 * may not reach them. So a thread asks each in turn, and an answer of /v1/status
 * shows what it found last. A peer that hangs holds up the others for two
 * seconds and nobody else. What a peer says is data of another machine: its size
 * is bounded, and of each member only the expected type is passed on.
 *
 * The lock protects the list of what was found and `stopping`. */
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

struct peer {
	char *url;
	char error[CURL_ERROR_SIZE]; /* why there is no answer; peers.lock */
	json_t *status;              /* what it said; NULL: nothing yet, or no more; peers.lock */
	struct peer *next;
};

struct peers {
	struct peer *first;
	const struct peer_access *access;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stopping;
};

struct answer {
	char *text;
	size_t len;
};

static size_t collect(char *data, size_t size, size_t n, void *arg)
{
	struct answer *a = arg;
	size_t more = size * n;
	if (more > ANSWER_MAX - a->len)
		return 0;
	memcpy(a->text + a->len, data, more);
	a->len += more;
	return more;
}

static int end_early(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	struct peers *peers = arg;
	(void)a;
	(void)b;
	(void)c;
	(void)d;
	pthread_mutex_lock(&peers->lock);
	bool stopping = peers->stopping;
	pthread_mutex_unlock(&peers->lock);
	return stopping;
}

static void pick(json_t *to, const char *name, const json_t *value, bool fits)
{
	if (fits)
		json_object_set(to, name, (json_t *)(uintptr_t)value);
}

/* What we pass on of a peer's status document; NULL if it is none. */
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
		pick(to, numbers[i], v, json_is_integer(v));
	}
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		const json_t *v = json_object_get(doc, texts[i]);
		pick(to, texts[i], v, json_is_string(v) && json_string_length(v) <= 255);
	}
	const json_t *ready = json_object_get(doc, "ready");
	pick(to, "ready", ready, json_is_boolean(ready));
	const json_t *log_up = json_object_get(log, "up");
	pick(to, "log_up", log_up, json_is_boolean(log_up));
	const json_t *lag = json_object_get(log, "lag");
	pick(to, "lag", lag, json_is_integer(lag));
	const json_t *lag_ms = json_object_get(log, "lag_ms");
	pick(to, "lag_ms", lag_ms, json_is_integer(lag_ms));
	json_decref(doc);
	return to;
}

/* Asks one: its status, or NULL and a text in ERROR (CURL_ERROR_SIZE bytes). */
static json_t *ask(struct peers *peers, const struct peer *peer, char *error)
{
	struct answer answer = { .text = malloc(ANSWER_MAX) };
	json_t *status = NULL;
	if (!answer.text) {
		snprintf(error, CURL_ERROR_SIZE, "out of memory");
		return NULL;
	}
	CURL *curl = peer_request_new(peers->access, peer->url, strlen(peer->url), "/v1/status",
	                              error);
	if (!curl)
		goto out;
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, ASK_TIMEOUT_MS);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, collect);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, end_early);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, peers);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	if (peer_request_run(curl, error) == 0) {
		status = pick_status(&answer);
		if (!status)
			snprintf(error, CURL_ERROR_SIZE, "its answer is no status");
	}
	curl_easy_cleanup(curl);
out:
	free(answer.text);
	return status;
}

static void *ask_all(void *arg)
{
	struct peers *peers = arg;
	char error[CURL_ERROR_SIZE];
	pthread_mutex_lock(&peers->lock);
	while (!peers->stopping) {
		struct timespec until = clock_mono_in(ASK_EVERY_MS);
		for (struct peer *peer = peers->first; peer && !peers->stopping;
		     peer = peer->next) {
			pthread_mutex_unlock(&peers->lock);
			json_t *status = ask(peers, peer, error);
			pthread_mutex_lock(&peers->lock);
			json_decref(peer->status);
			peer->status = status;
			memcpy(peer->error, error, sizeof(error));
		}
		while (!peers->stopping &&
		       pthread_cond_timedwait(&peers->wake, &peers->lock, &until) != ETIMEDOUT)
			;
	}
	pthread_mutex_unlock(&peers->lock);
	return NULL;
}

static void free_list(struct peers *peers)
{
	while (peers->first) {
		struct peer *peer = peers->first;
		peers->first = peer->next;
		json_decref(peer->status);
		free(peer->url);
		free(peer);
	}
	free(peers);
}

/* The list in the order of URLS. */
static int make_list(struct peers *peers, const char *urls)
{
	struct peer **end = &peers->first;
	for (;;) {
		size_t len = strcspn(urls, ",");
		if (len) {
			struct peer *peer = calloc(1, sizeof(*peer));
			if (!peer)
				return -ENOMEM;
			*end = peer;
			end = &peer->next;
			peer->url = strndup(urls, len);
			if (!peer->url)
				return -ENOMEM;
			snprintf(peer->error, sizeof(peer->error), "not asked yet");
		}
		if (!urls[len])
			return 0;
		urls += len + 1;
	}
}

int peers_new(const char *urls, const struct peer_access *access, struct peers **ret)
{
	*ret = NULL;
	if (!urls)
		return 0;
	struct peers *peers = calloc(1, sizeof(*peers));
	if (!peers)
		return -ENOMEM;
	peers->access = access;
	int r = make_list(peers, urls);
	if (r)
		goto err_list;
	pthread_mutex_init(&peers->lock, NULL);
	clock_cond_init(&peers->wake);
	r = -pthread_create(&peers->thread, NULL, ask_all, peers);
	if (r)
		goto err_lock;
	*ret = peers;
	return 0;
err_lock:
	pthread_cond_destroy(&peers->wake);
	pthread_mutex_destroy(&peers->lock);
err_list:
	free_list(peers);
	return r;
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
	pthread_cond_destroy(&peers->wake);
	pthread_mutex_destroy(&peers->lock);
	free_list(peers);
}

json_t *peers_json(struct peers *peers)
{
	json_t *list = json_array();
	if (!peers || !list)
		return list;
	pthread_mutex_lock(&peers->lock);
	for (const struct peer *peer = peers->first; peer; peer = peer->next) {
		json_t *row = json_pack("{s:s, s:b}", "url", peer->url, "reachable",
		                        peer->status != NULL);
		if (row && peer->status)
			json_object_update(row, peer->status);
		else if (row)
			json_object_set_new(row, "error", json_string(peer->error));
		json_array_append_new(list, row);
	}
	pthread_mutex_unlock(&peers->lock);
	return list;
}
