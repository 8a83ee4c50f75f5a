/* Tests of httpd/tokens.c. */
#include "tests/unit/cmocka_all.h"

#include "httpd/tokens.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[] = "/dev/shm/keydir-tokens.XXXXXX";

static int make_file(void **state)
{
	(void)state;
	int fd = mkstemp(path);
	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

static int remove_file(void **state)
{
	(void)state;
	return unlink(path);
}

static int load_text(const void *text, size_t len, struct tokens **ret, char *why, size_t size)
{
	FILE *to = fopen(path, "we");
	assert_non_null(to);
	assert_int_equal(fwrite(text, 1, len, to), len);
	assert_int_equal(fclose(to), 0);
	return tokens_load(path, ret, why, size);
}

static struct tokens *load_good(const char *text)
{
	struct tokens *tokens = NULL;
	char why[256] = "";
	if (load_text(text, strlen(text), &tokens, why, sizeof(why)))
		fail_msg("%s", why);
	return tokens;
}

static void secret_of(const char *name, char *buf, size_t size)
{
	snprintf(buf, size, "token-of-%s-0123456789", name);
}

static void add_line(char *text, size_t size, const char *name, const char *right,
                     const char *prefix)
{
	char secret[128];
	char hash[TOKEN_HASH_SIZE];
	size_t at = strlen(text);
	secret_of(name, secret, sizeof(secret));
	assert_int_equal(token_hash(secret, strlen(secret), hash), 0);
	assert_true((size_t)snprintf(text + at, size - at, "%s %s %s %s\n", name, hash, right,
	                             prefix) < size - at);
}

static const struct token *find_token(const struct tokens *tokens, const char *name)
{
	char secret[128];
	secret_of(name, secret, sizeof(secret));
	return tokens_find(tokens, secret, strlen(secret));
}

static void test_hashes_match_sha256sum(void **state)
{
	char hash[TOKEN_HASH_SIZE];
	(void)state;
	/* The digits are those of sha256sum. */
	assert_int_equal(token_hash("abcdefghijklmnop", 16, hash), 0);
	assert_string_equal(
	        hash, "sha256:f39dac6cbaba535e2c207cd0cd8f154974223c848f727f98b3564cea569b41cf");
	assert_int_equal(token_hash("abcdefghijklmno", 15, hash), -EINVAL);
	assert_int_equal(token_hash("abcdefghijklmno\0", 16, hash), -EINVAL);
	assert_int_equal(token_hash("abcdefghijklmno\n", 16, hash), -EINVAL);
	assert_int_equal(token_hash("-._~+/=AZaz09-._", 16, hash), 0);
}

static void test_rights_hold_below_their_prefix(void **state)
{
	static const struct {
		const char *name;
		enum token_right right;
		const char *key;
		bool want;
	} rows[] = {
		{ "mon", TOKEN_MONITOR, "", true },     { "mon", TOKEN_READ, "", false },
		{ "mon", TOKEN_READ, "a", false },      { "mon", TOKEN_NONE, "a", true },
		{ "all", TOKEN_MONITOR, "", true },     { "all", TOKEN_READ, "", true },
		{ "all", TOKEN_READ, "a/b/c", true },   { "all", TOKEN_WRITE, "a", false },
		{ "app", TOKEN_MONITOR, "", false },    { "app", TOKEN_READ, "app", true },
		{ "app", TOKEN_WRITE, "app", true },    { "app", TOKEN_WRITE, "app/x/y", true },
		{ "app", TOKEN_WRITE, "apps", false },  { "app", TOKEN_WRITE, "ap", false },
		{ "app", TOKEN_WRITE, "x/app", false }, { "app", TOKEN_ADMIN, "app", false },
		{ "app", TOKEN_READ, "other/b", true }, { "app", TOKEN_WRITE, "other/b", false },
		{ "app", TOKEN_READ, "other", false },  { "app", TOKEN_READ, "a b/\xFF", true },
		{ "app", TOKEN_READ, "a b", false },    { "root", TOKEN_ADMIN, "", true },
		{ "root", TOKEN_ADMIN, "any", true },   { "root", TOKEN_MONITOR, "", true },
		{ "own", TOKEN_ADMIN, "mine/x", true }, { "own", TOKEN_ADMIN, "", false },
		{ "own", TOKEN_MONITOR, "", false },
	};
	char text[8192] = "";
	(void)state;
	add_line(text, sizeof(text), "mon", "monitor", "/");
	add_line(text, sizeof(text), "app", "write", "/app/");
	add_line(text, sizeof(text), "all", "read", "//");
	add_line(text, sizeof(text), "app", "read", "other/b");
	add_line(text, sizeof(text), "app", "read", "a%20b/%ff");
	add_line(text, sizeof(text), "root", "admin", "/");
	add_line(text, sizeof(text), "own", "admin", "mine");
	struct tokens *tokens = load_good(text);
	assert_int_equal(tokens_count(tokens), 5);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct token *token = find_token(tokens, rows[i].name);
		assert_non_null(token);
		assert_string_equal(token->name, rows[i].name);
		/* No NUL after the key: AddressSanitizer detects a read past its end. */
		size_t len = strlen(rows[i].key);
		char *key = malloc(len ? len : 1);
		assert_non_null(key);
		memcpy(key, rows[i].key, len);
		if (token_allows(token, rows[i].right, key, len) != rows[i].want)
			fail_msg("%s %s %s", rows[i].name, token_right_text(rows[i].right),
			         rows[i].key);
		free(key);
	}
	assert_null(find_token(tokens, "nobody"));
	assert_null(tokens_find(tokens, "", 0));
	tokens_unref(tokens);
}

static void test_up_to_1000_tokens_are_found(void **state)
{
	size_t size = 256 * (TOKENS_MAX + 2);
	char *text = calloc(1, size);
	char name[32];
	struct tokens *tokens;
	char why[256];
	(void)state;
	assert_non_null(text);
	for (int i = 0; i < TOKENS_MAX; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		add_line(text + strlen(text), size - strlen(text), name, "read", "/");
	}
	tokens = load_good(text);
	for (int i = 0; i < TOKENS_MAX; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		assert_string_equal(find_token(tokens, name)->name, name);
	}
	struct tokens *again = load_good(text);
	assert_ptr_equal(tokens_same(again, find_token(tokens, "n77")), find_token(again, "n77"));
	tokens_unref(again);
	tokens_unref(tokens);
	add_line(text + strlen(text), size - strlen(text), "more", "read", "/");
	assert_int_equal(load_text(text, strlen(text), &tokens, why, sizeof(why)), -EINVAL);
	assert_non_null(strstr(why, ":1001: there are more than 1000"));
	free(text);
}

static void test_tokens_live_until_the_last_reference(void **state)
{
	char text[1024] = "";
	(void)state;
	add_line(text, sizeof(text), "a", "read", "/");
	struct tokens *tokens = load_good(text);
	struct tokens *other = tokens_ref(tokens);
	tokens_unref(tokens);
	assert_non_null(find_token(other, "a")); /* Still valid. */
	tokens_unref(other);
	tokens_unref(NULL);
	assert_null(tokens_ref(NULL));
}

/* Damaged files either load or are refused with an error. */
static void test_damaged_files_are_refused_or_loaded(void **state)
{
	char good[1024] = "# a comment\n\n";
	(void)state;
	add_line(good, sizeof(good), "one", "read", "/a%20b/");
	add_line(good, sizeof(good), "two", "write", "c");
	size_t len = strlen(good);
	unsigned seed = 7;
	int refused = 0;
	for (int i = 0; i < 3000; i++) {
		char bad[1024];
		char why[256] = "";
		struct tokens *tokens = NULL;
		memcpy(bad, good, len);
		for (int n = rand_r(&seed) % 3; n >= 0; n--)
			bad[(size_t)rand_r(&seed) % len] = (char)rand_r(&seed);
		int r = load_text(bad, (size_t)rand_r(&seed) % len + 1, &tokens, why, sizeof(why));
		if (r) {
			assert_int_equal(r, -EINVAL);
			assert_null(tokens);
			assert_non_null(strstr(why, path));
			refused++;
		}
		tokens_unref(tokens);
	}
	assert_in_range(refused, 1000, 2999);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hashes_match_sha256sum),
		cmocka_unit_test(test_rights_hold_below_their_prefix),
		cmocka_unit_test(test_up_to_1000_tokens_are_found),
		cmocka_unit_test(test_tokens_live_until_the_last_reference),
		cmocka_unit_test(test_damaged_files_are_refused_or_loaded),
	};
	return cmocka_run_group_tests(tests, make_file, remove_file);
}
