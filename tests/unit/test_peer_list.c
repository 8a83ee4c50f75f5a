/* Tests of common/node/peer_list.c: which nodes --peers names. */
#include "cmocka_all.h"

#include "common/node/peer_list.h"

#include <stdbool.h>
#include <string.h>

static struct peer_list list_of(const char *urls, bool resolve)
{
	struct peer_list list;

	assert_int_equal(peer_list_new(urls, resolve, &list), 0);
	return list;
}

static void test_urls_are_taken_as_they_are(void **state)
{
	struct peer_list list = list_of("http://a:1,,https://b/x/,", true);

	(void)state;
	assert_int_equal(list.n, 2);
	assert_string_equal(list.peers[0].url, "http://a:1");
	assert_string_equal(list.peers[0].base, "http://a:1");
	assert_null(list.peers[0].address);
	assert_null(list.peers[0].error);
	assert_string_equal(list.peers[1].url, "https://b/x/");
	peer_list_free(&list);
	assert_int_equal(list.n, 0);
	list = list_of("", true);
	assert_int_equal(list.n, 0);
	list = list_of(NULL, true);
	assert_int_equal(list.n, 0);
	peer_list_free(&list);
}

static void test_a_name_stands_for_its_addresses(void **state)
{
	static const struct {
		const char *given, *url, *base, *address;
	} rows[] = {
		{ "dns+http://127.0.0.1:80", "http://127.0.0.1:80", "http://127.0.0.1:80",
		  "127.0.0.1" },
		{ "dns+https://127.0.0.2", "https://127.0.0.2", "https://127.0.0.2", "127.0.0.2" },
		{ "dns+http://127.0.0.3:8080/below", "http://127.0.0.3:8080/below",
		  "http://127.0.0.3:8080/below", "127.0.0.3" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct peer_list list = list_of(rows[i].given, true);
		assert_int_equal(list.n, 1);
		assert_string_equal(list.peers[0].url, rows[i].url);
		assert_string_equal(list.peers[0].base, rows[i].base);
		assert_string_equal(list.peers[0].address, rows[i].address);
		assert_null(list.peers[0].error);
		peer_list_free(&list);
	}
	/* An address that another URL has already given is listed once. */
	struct peer_list list = list_of("http://127.0.0.1:9,dns+http://127.0.0.1:9", true);
	assert_int_equal(list.n, 1);
	peer_list_free(&list);
}

static void test_a_name_without_address_is_an_error(void **state)
{
	static const char *const given[] = { "dns+http://nothing.invalid:80", "dns+",
		                             "dns+http://" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(given); i++) {
		struct peer_list list = list_of(given[i], true);
		assert_int_equal(list.n, 1);
		assert_string_equal(list.peers[0].url, given[i]);
		assert_null(list.peers[0].address);
		assert_true(strlen(list.peers[0].error) > 0);
		peer_list_free(&list);
	}
}

static void test_without_resolving_a_name_is_one_peer(void **state)
{
	struct peer_list list = list_of("dns+http://127.0.0.1:80,http://b", false);

	(void)state;
	assert_int_equal(list.n, 2);
	assert_string_equal(list.peers[0].url, "dns+http://127.0.0.1:80");
	assert_string_equal(list.peers[0].error, "not asked yet");
	assert_null(list.peers[1].error);
	peer_list_free(&list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_urls_are_taken_as_they_are),
		cmocka_unit_test(test_a_name_stands_for_its_addresses),
		cmocka_unit_test(test_a_name_without_address_is_an_error),
		cmocka_unit_test(test_without_resolving_a_name_is_one_peer),
	};

	return cmocka_run_group_tests_name("peer_list", tests, NULL, NULL);
}
