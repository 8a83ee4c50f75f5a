/* Tests of httpd/watch_hub.c: threads that watch while others write get each event of
 * the feed once, in order. */
#include "tests/unit/cmocka_all.h"

#include "tests/unit/child.h"
#include "tests/unit/node_fixture.h"
#include "tests/unit/prng.h"

#include "common/base/clock.h"
#include "httpd/change_text.h"
#include "httpd/watch_hub.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVENTS 3000
#define LAST_KEY "the-last"
#define PATIENCE_MS 60000
#define BUF 4000

struct watcher {
	struct watch watch;
	struct node *node;
	const char *prefix;
	bool slow; /* starts after the last change, from the first offset */
	unsigned pause_every;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t woken;
	unsigned wakes; /* protected by lock */
	enum watch_news news;
	struct change_place next;
	struct json_text text;
	unsigned waits;
	unsigned looks_away;
	const char *fault;
};

static void on_wake(struct watch *watch, enum watch_news news)
{
	struct watcher *w = (struct watcher *)watch;
	pthread_mutex_lock(&w->lock);
	w->wakes++;
	w->news = news;
	pthread_cond_signal(&w->woken);
	pthread_mutex_unlock(&w->lock);
}

static void free_nothing(struct watch *watch)
{
	(void)watch; /* The test owns the watcher. */
}

/* Format the feed's changes for PREFIX from PLACE on, and advance PLACE past them. */
static bool read_feed(struct node *node, const char *prefix, struct change_place *place,
                      struct json_text *text)
{
	struct view view;
	struct bytes row;
	uint64_t found;
	size_t len = strlen(prefix);
	if (view_open(node_store(node), &view))
		return false;
	struct volume_tag tag;
	view_tag(&view, &tag);
	while (!store_feed_next(view.txn, place->offset, &found, &row)) {
		struct feed_event *ev;
		if (feed_decode(found, row, &ev))
			break;
		size_t last = ev->neffects;
		for (size_t i = 0; i < ev->neffects; i++)
			if (change_concerns(ev, i, prefix, len))
				last = i;
		for (size_t i = 0; last < ev->neffects && i <= last; i++) {
			if (!change_concerns(ev, i, prefix, len))
				continue;
			json_text_raw(text, "id: ");
			json_text_u64(text, ev->offset);
			json_text_raw(text, tag.text);
			if (i != last) {
				json_text_raw(text, ".");
				json_text_u64(text, i);
			}
			change_message(ev, i, NULL, text);
		}
		free(ev);
		*place = (struct change_place){ .offset = found + 1 };
	}
	view_close(&view);
	return !text->failed;
}

static bool is_over(const struct watcher *w)
{
	return w->text.len && memmem(w->text.data, w->text.len, LAST_KEY, strlen(LAST_KEY));
}

static void *watch_changes(void *arg)
{
	struct watcher *w = arg;
	char buf[BUF];
	size_t len;
	while (!is_over(w) && !w->fault) {
		watch_served(&w->watch);
		if (w->next.offset < w->watch.from)
			w->next = (struct change_place){ .offset = w->watch.from };
		enum change_read result = watch_read(&w->watch, &w->next, buf, sizeof(buf), &len);
		if (result == CHANGE_READ_SOME) {
			json_text_append(&w->text, buf, len);
			if (w->pause_every && w->waits % w->pause_every == 0)
				until_over(until_end()); /* Sleep briefly. */
			continue;
		}
		if (result == CHANGE_READ_FEED) {
			size_t before = w->text.len;
			w->looks_away++;
			if (!read_feed(w->node, w->prefix, &w->next, &w->text))
				w->fault = "the feed cannot be read";
			if (w->text.len > before)
				continue;
		}
		w->waits++;
		unsigned seen = w->wakes;
		if (!watch_wait(&w->watch, w->next.offset, clock_mono_ms() + PATIENCE_MS))
			continue;
		pthread_mutex_lock(&w->lock);
		while (w->wakes == seen)
			pthread_cond_wait(&w->woken, &w->lock);
		if (w->wakes != seen + 1)
			w->fault = "it was woken twice";
		if (w->news != WATCH_CHANGE)
			w->fault = "nobody told it";
		pthread_mutex_unlock(&w->lock);
	}
	return NULL;
}

static void start_watcher(struct watcher *w, struct watch_hub *hub, struct node *node)
{
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->woken, NULL);
	w->node = node;
	w->watch = (struct watch){ .wake = on_wake, .free_it = free_nothing, .reads = true };
	assert_int_equal(watch_add(hub, &w->watch, w->prefix, strlen(w->prefix)), 0);
	assert_int_equal(pthread_create(&w->thread, NULL, watch_changes, w), 0);
}

static struct bytes text_bytes(const char *text)
{
	return (struct bytes){ text, strlen(text) };
}

/* Make a random change. */
static void make_change(struct node *node, struct prng *prng)
{
	static const char *const dirs[] = { "a", "a/b", "a/b/c", "d" };
	char key[40], to[40];
	const char *dir = dirs[prng_below(prng, ARRAY_SIZE(dirs))];
	snprintf(key, sizeof(key), "%s/k%u", dir, (unsigned)prng_below(prng, 5));
	snprintf(to, sizeof(to), "%s/k%u", dirs[prng_below(prng, ARRAY_SIZE(dirs))],
	         (unsigned)prng_below(prng, 5));
	switch (prng_below(prng, 12)) {
	case 0:
		DO(node, .op = EVENT_DEL, .key = text_bytes(key));
		break;
	case 1:
		DO(node, .op = EVENT_RENAME, .key = text_bytes(key), .to = text_bytes(to));
		break;
	case 2:
		DO(node, .op = EVENT_DEL, .flags = EVENT_RECURSE, .key = text_bytes(dir));
		break;
	default:
		DO(node, .op = EVENT_SET, .key = text_bytes(key), .value = text_bytes(to));
	}
}

/* Write one event that concerns every watcher. */
static void write_last_keys(struct node *node)
{
	static const char *const keys[] = { "a/b/c/" LAST_KEY, "d/" LAST_KEY, "quiet/" LAST_KEY };
	struct event ops[ARRAY_SIZE(keys)];
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		ops[i] = (struct event){ .op = EVENT_SET,
			                 .key = text_bytes(keys[i]),
			                 .value = text_bytes("v") };
	EXPECT_DO(node, OK, .op = EVENT_TXN, .ops = ops, .nops = ARRAY_SIZE(keys));
}

static void pass_to_hub(void *arg, const struct feed_event *ev)
{
	watch_hub_follow(arg, ev, false);
}

static int set_up(void **state)
{
	struct node_fixture *fixture = node_fixture_new();
	struct watch_hub *hub;
	assert_int_equal(watch_hub_new(&hub), 0);
	fixture->follower.hook = pass_to_hub;
	fixture->follower.hook_arg = hub;
	fixture->node = node_fixture_open(&fixture->config);
	assert_int_equal(watch_hub_start(hub, fixture->node), 0);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct node_fixture *fixture = *state;
	struct watch_hub *hub = fixture->follower.hook_arg;
	int r = node_fixture_tear_down(state);
	watch_hub_free(hub);
	return r;
}

static void test_every_watcher_reads_every_change_once(void **state)
{
	struct node_fixture *fixture = *state;
	struct watch_hub *hub = fixture->follower.hook_arg;
	struct watcher watchers[] = {
		{ .prefix = "" },
		{ .prefix = "", .pause_every = 3 },
		{ .prefix = "a" },
		{ .prefix = "a/b", .pause_every = 1 },
		{ .prefix = "a/b" },
		{ .prefix = "a/b/c" },
		{ .prefix = "d" },
		{ .prefix = "quiet" },
		{ .prefix = "", .slow = true },
		{ .prefix = "a/b", .slow = true },
	};
	struct prng prng = { .seed = 4711 };
	EXPECT_DO(fixture->node, OK, .op = EVENT_SET, .key = text_bytes("first"));
	uint64_t begin = node_offset(fixture->node) + 1;
	for (size_t i = 0; i < ARRAY_SIZE(watchers); i++) {
		watchers[i].next.offset = begin;
		if (!watchers[i].slow)
			start_watcher(&watchers[i], hub, fixture->node);
	}
	for (int i = 0; i < EVENTS; i++)
		make_change(fixture->node, &prng);
	write_last_keys(fixture->node);
	for (size_t i = 0; i < ARRAY_SIZE(watchers); i++) {
		struct watcher *w = &watchers[i];
		struct json_text want = { 0 };
		struct change_place place = { .offset = begin };
		if (w->slow)
			start_watcher(w, hub, fixture->node);
		pthread_join(w->thread, NULL);
		if (w->fault)
			fail_msg("%zu, \"%s\": %s", i, w->prefix, w->fault);
		assert_true(read_feed(fixture->node, w->prefix, &place, &want));
		assert_int_equal(w->text.len, want.len);
		assert_memory_equal(w->text.data, want.data, want.len);
		assert_true(w->looks_away > 0 || !w->slow);
		json_text_clear(&want);
		json_text_clear(&w->text);
		watch_remove(&w->watch);
		pthread_cond_destroy(&w->woken);
		pthread_mutex_destroy(&w->lock);
	}
	assert_int_equal(watch_hub_count(hub), 0);
	assert_int_equal(watch_hub_waiting(hub), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_every_watcher_reads_every_change_once, set_up,
		                                tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
