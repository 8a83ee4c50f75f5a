/* Tests of httpd/change_ring.c: the ring returns what the feed would, or sends the
 * reader to the feed.
 *
 * LINK: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc */
#include "tests/unit/cmocka_all.h"

#include "tests/unit/fault.h"

#include "httpd/change_ring.h"
#include "httpd/change_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PLAIN (1U << CHANGE_PLAIN)
#define ENOUGH 40000

static const struct bytes none = { "", 0 };

static struct bytes text_bytes(const char *text)
{
	return (struct bytes){ text, strlen(text) };
}

/* An event that sets keys. */
struct sets {
	struct feed_event ev;
	struct feed_effect effects[3];
};

static struct feed_event *set_keys(struct sets *s, uint64_t offset, const char *a, const char *b,
                                   const char *c)
{
	const char *keys[] = { a, b, c };
	*s = (struct sets){ 0 };
	s->ev = (struct feed_event){ .offset = offset, .op = EVENT_SET, .effects = s->effects };
	for (size_t i = 0; i < ARRAY_SIZE(keys) && keys[i]; i++)
		s->effects[s->ev.neffects++] = (struct feed_effect){ .kind = FEED_DATA,
			                                             .ino = i + 1,
			                                             .key = text_bytes(keys[i]) };
	return &s->ev;
}

static struct change_ring *new_ring(void)
{
	struct change_ring *ring = NULL;
	assert_int_equal(change_ring_new(&ring), 0);
	return ring;
}

static void put_event(struct change_ring *ring, uint64_t from, uint64_t end,
                      const struct feed_event *ev, unsigned kinds)
{
	struct change_lines *lines = ev ? change_lines_new(ev, kinds, NULL) : NULL;
	assert_true(!ev || lines);
	change_ring_put(ring, from, end, &lines, ev ? 1 : 0);
}

/* Read into a buffer of SIZE bytes and check the result. */
static void check_read(struct change_ring *ring, const char *prefix, struct change_place *place,
                       size_t size, enum change_read want, struct bytes text)
{
	char *buf = malloc(size);
	size_t len = 12345;
	assert_non_null(buf);
	assert_int_equal(change_ring_read(ring, CHANGE_PLAIN, prefix, strlen(prefix), place, buf,
	                                  size, &len),
	                 want);
	assert_int_equal(len, text.len);
	assert_memory_equal(buf, text.data, len);
	free(buf);
}

/* Append the expected message of change I. */
static void append_message(struct json_text *t, const char *id, const struct feed_event *ev,
                           size_t i)
{
	json_text_raw(t, "id: ");
	json_text_raw(t, id);
	assert_int_equal(change_message(ev, i, NULL, t), 0);
}

static struct bytes text_of(const struct json_text *t)
{
	return (struct bytes){ t->data, t->len };
}

static void test_events_are_read_whole_and_in_order(void **state)
{
	struct change_ring *ring = new_ring();
	struct sets one, three;
	struct json_text all = { 0 }, first = { 0 }, of_a = { 0 }, rest = { 0 };
	struct change_place place = { .offset = 5 };
	(void)state;
	set_keys(&one, 5, "a/x", NULL, NULL);
	set_keys(&three, 7, "a/1", "b", "a/2");
	put_event(ring, 5, 6, &one.ev, PLAIN);
	put_event(ring, 6, 9, &three.ev, PLAIN);
	append_message(&first, "5", &one.ev, 0);
	append_message(&all, "5", &one.ev, 0);
	append_message(&all, "7.0", &three.ev, 0);
	append_message(&all, "7.1", &three.ev, 1);
	append_message(&all, "7", &three.ev, 2);
	check_read(ring, "", &place, ENOUGH, CHANGE_READ_SOME, text_of(&all));
	assert_int_equal(place.offset, 9);
	check_read(ring, "", &place, ENOUGH, CHANGE_READ_END, none);
	assert_int_equal(place.offset, 9);

	/* Whole events, as many as fit. */
	place = (struct change_place){ .offset = 5 };
	check_read(ring, "", &place, all.len - 1, CHANGE_READ_SOME, text_of(&first));
	assert_int_equal(place.offset, 6);
	check_read(ring, "", &place, 200, CHANGE_READ_FEED, none);
	assert_int_equal(place.offset, 6);
	place = (struct change_place){ .offset = 5 };
	check_read(ring, "", &place, first.len - 1, CHANGE_READ_FEED, none);
	assert_int_equal(place.offset, 5);

	/* The last message for a prefix has the event's own id. */
	append_message(&of_a, "5", &one.ev, 0);
	append_message(&of_a, "7.0", &three.ev, 0);
	append_message(&of_a, "7", &three.ev, 2);
	place = (struct change_place){ .offset = 5 };
	check_read(ring, "a", &place, ENOUGH, CHANGE_READ_SOME, text_of(&of_a));
	assert_int_equal(place.offset, 9);
	of_a.len = 0;
	append_message(&of_a, "7", &three.ev, 1);
	place = (struct change_place){ .offset = 5 };
	check_read(ring, "b", &place, ENOUGH, CHANGE_READ_SOME, text_of(&of_a));
	place = (struct change_place){ .offset = 5 };
	check_read(ring, "other", &place, ENOUGH, CHANGE_READ_END, none);
	assert_int_equal(place.offset, 9);

	/* From within an event. */
	append_message(&rest, "7.1", &three.ev, 1);
	append_message(&rest, "7", &three.ev, 2);
	place = (struct change_place){ .offset = 7, .index = 1 };
	check_read(ring, "", &place, ENOUGH, CHANGE_READ_SOME, text_of(&rest));
	place = (struct change_place){ .offset = 7, .index = 3 };
	check_read(ring, "", &place, ENOUGH, CHANGE_READ_END, none);

	json_text_clear(&all);
	json_text_clear(&first);
	json_text_clear(&of_a);
	json_text_clear(&rest);
	change_ring_free(ring);
}

static void test_a_reader_is_sent_to_the_feed_for_what_is_missing(void **state)
{
	struct change_ring *ring = new_ring();
	struct sets s;
	struct json_text t = { 0 };
	struct change_place place = { .offset = 9 };
	(void)state;
	/* A place before the first event; past the last one there is nothing to read. */
	put_event(ring, 10, 11, set_keys(&s, 10, "k", NULL, NULL), PLAIN);
	check_read(ring, "", &place, ENOUGH, CHANGE_READ_FEED, none);
	assert_int_equal(place.offset, 9);
	place.offset = 11;
	check_read(ring, "", &place, ENOUGH, CHANGE_READ_END, none);
	place.offset = 99;
	check_read(ring, "", &place, ENOUGH, CHANGE_READ_END, none);
	assert_int_equal(place.offset, 99);

	/* After a gap the ring starts again. */
	put_event(ring, 12, 13, set_keys(&s, 12, "k", NULL, NULL), PLAIN);
	place.offset = 10;
	check_read(ring, "", &place, ENOUGH, CHANGE_READ_FEED, none);
	append_message(&t, "12", &s.ev, 0);
	place.offset = 12;
	check_read(ring, "", &place, ENOUGH, CHANGE_READ_SOME, text_of(&t));

	/* A kind of message that no watcher asked for at the time. A reader whose
	 * prefix does not match is not affected. */
	put_event(ring, 13, 14, set_keys(&s, 13, "k", NULL, NULL), 1U << CHANGE_VALUES);
	place.offset = 13;
	check_read(ring, "", &place, ENOUGH, CHANGE_READ_FEED, none);
	assert_int_equal(place.offset, 13);
	check_read(ring, "other", &place, ENOUGH, CHANGE_READ_END, none);
	place.offset = 12;
	check_read(ring, "", &place, ENOUGH, CHANGE_READ_SOME, text_of(&t));
	assert_int_equal(place.offset, 13);
	json_text_clear(&t);
	change_ring_free(ring);
}

/* Check the reading of an event of N changes whose keys have LEN bytes. */
static void check_long(size_t n, size_t len, enum change_read want)
{
	struct change_ring *ring = new_ring();
	struct feed_effect *effects = calloc(n, sizeof(*effects));
	char *key = malloc(len), *buf = malloc(ENOUGH);
	struct change_place place = { .offset = 3 };
	size_t got;
	assert_true(effects && key && buf);
	memset(key, 'k', len);
	for (size_t i = 0; i < n; i++)
		effects[i] = (struct feed_effect){ .kind = FEED_DATA, .key = { key, len } };
	struct feed_event ev = { .offset = 3, .op = EVENT_TXN, .effects = effects, .neffects = n };
	put_event(ring, 3, 4, &ev, PLAIN);
	assert_int_equal(change_ring_read(ring, CHANGE_PLAIN, "", 0, &place, buf, ENOUGH, &got),
	                 want);
	/* The next event is there. */
	struct sets s;
	put_event(ring, 4, 5, set_keys(&s, 4, "k", NULL, NULL), PLAIN);
	place.offset = 4;
	assert_int_equal(change_ring_read(ring, CHANGE_PLAIN, "", 0, &place, buf, ENOUGH, &got),
	                 CHANGE_READ_SOME);
	free(effects);
	free(key);
	free(buf);
	change_ring_free(ring);
}

static void test_events_too_long_are_left_to_the_feed(void **state)
{
	(void)state;
	check_long(100, 20, CHANGE_READ_SOME);
	check_long(1, 4096, CHANGE_READ_SOME);
	check_long(400, 20, CHANGE_READ_FEED);
	check_long(20, 4000, CHANGE_READ_FEED);
	check_long(5000, 1, CHANGE_READ_FEED);

	/* A value too large to be worth reading. */
	struct sets s;
	set_keys(&s, 1, "k", NULL, NULL)->effects[0].size = UINT64_C(1) << 30;
	struct change_ring *ring = new_ring();
	struct change_place place = { .offset = 1 };
	char buf[1000];
	size_t len;
	put_event(ring, 1, 2, &s.ev, PLAIN | 1U << CHANGE_VALUES);
	assert_int_equal(
	        change_ring_read(ring, CHANGE_VALUES, "", 0, &place, buf, sizeof(buf), &len),
	        CHANGE_READ_FEED);
	assert_int_equal(
	        change_ring_read(ring, CHANGE_PLAIN, "", 0, &place, buf, sizeof(buf), &len),
	        CHANGE_READ_SOME);
	change_ring_free(ring);
}

/* The oldest events are dropped, by number and by bytes. */
static void test_the_oldest_events_are_dropped(void **state)
{
	static const size_t lens[] = { 1, 4000 };
	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(lens); k++) {
		struct change_ring *ring = new_ring();
		struct feed_effect effect = { .kind = FEED_DATA };
		size_t len, size = 2 * lens[k] + 300; /* Enough for about one message. */
		char *key = malloc(lens[k]), *buf = malloc(size);
		assert_true(key && buf);
		memset(key, 'k', lens[k]);
		effect.key = (struct bytes){ key, lens[k] };
		for (uint64_t i = 1; i <= 10000; i++) {
			struct feed_event ev = {
				.offset = i, .op = EVENT_SET, .effects = &effect, .neffects = 1
			};
			put_event(ring, i, i + 1, &ev, PLAIN);
		}
		uint64_t kept = 0;
		for (uint64_t i = 1; i <= 10000; i++) {
			struct change_place place = { .offset = i };
			enum change_read result = change_ring_read(ring, CHANGE_PLAIN, "", 0,
			                                           &place, buf, size, &len);
			/* No gap follows an event that is still there. */
			assert_int_equal(result, kept ? CHANGE_READ_SOME : result);
			kept += result == CHANGE_READ_SOME;
		}
		assert_in_range(kept, 100, 5000);
		free(key);
		free(buf);
		change_ring_free(ring);
	}
}

static void test_failed_allocations_are_survived(void **state)
{
	struct sets s;
	unsigned long made, n = 0, failed = 0;
	(void)state;
	set_keys(&s, 8, "one", "two", "three");
	do {
		fault_alloc(++n);
		struct change_lines *lines = change_lines_new(&s.ev, PLAIN, NULL);
		made = fault_end();
		struct change_ring *ring = new_ring();
		if (lines)
			change_ring_put(ring, 8, 9, &lines, 1);
		else
			failed++;
		change_ring_free(ring);
	} while (made >= n);
	assert_true(failed > 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_events_are_read_whole_and_in_order),
		cmocka_unit_test(test_a_reader_is_sent_to_the_feed_for_what_is_missing),
		cmocka_unit_test(test_events_too_long_are_left_to_the_feed),
		cmocka_unit_test(test_the_oldest_events_are_dropped),
		cmocka_unit_test(test_failed_allocations_are_survived),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
