/* Tests of common/node/snapshot.c: fetching a store from a peer. A snapshot that is
 * truncated, damaged or of another volume is discarded, and never ends this process.
 * The peer is a process of the test, with prepared answers. */
#include "tests/unit/cmocka_all.h"

#include "common/base/crc64.h"
#include "common/node/snapshot.h"
#include "common/store/store.h"
#include "tests/unit/child.h"
#include "tests/unit/fixture.h"
#include "tests/unit/prng.h"
#include "tests/unit/temp_dir.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define ANSWER_MAX (4 << 20)
#define NKEYS 1500

/* The peer's answer, shared with its process. */
struct answer {
	int status;
	size_t len;      /* Content-Length of the answer */
	size_t send_len; /* bytes sent before the connection ends */
	int asked;       /* number of requests */
	char request[4096];
	unsigned char body[ANSWER_MAX];
};

static struct answer *answer;
static char peer[64];
static pid_t peer_pid;
static int listener;
static unsigned char *good; /* a whole snapshot */
static size_t good_len;

/* --- the peer --- */

static void answer_one(int fd)
{
	char head[256];
	size_t len = 0, done;
	ssize_t n;

	while (len < sizeof(answer->request) - 1 && !strstr(answer->request, "\r\n\r\n")) {
		n = read(fd, answer->request + len, sizeof(answer->request) - 1 - len);
		if (n <= 0)
			return;
		len += (size_t)n;
		answer->request[len] = '\0';
	}
	answer->asked++;
	int head_len = snprintf(head, sizeof(head),
	                        "HTTP/1.1 %d x\r\nContent-Length: %zu\r\n"
	                        "Connection: close\r\n\r\n",
	                        answer->status, answer->len);
	CHILD_CHECK(write(fd, head, (size_t)head_len) == head_len);
	for (done = 0; done < answer->send_len; done += (size_t)n) {
		n = send(fd, answer->body + done, answer->send_len - done, MSG_NOSIGNAL);
		if (n <= 0)
			return;
	}
}

static void serve_answers(void *arg)
{
	(void)arg;
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		if (fd < 0)
			continue;
		answer->request[0] = '\0';
		answer_one(fd);
		close(fd);
	}
}

/* Make the peer answer with LEN bytes of BODY. */
static void set_answer(const void *body, size_t len)
{
	assert_true(len <= ANSWER_MAX);
	memcpy(answer->body, body, len);
	answer->status = 200;
	answer->len = answer->send_len = len;
	answer->asked = 0;
}

/* --- a valid snapshot --- */

static void append_trailer(unsigned char *file, size_t len)
{
	snapshot_trailer(len, crc64(0, file, len), file + len);
}

static void make_good(void)
{
	struct fixture fixture;
	char path[4096], key[64];
	struct stat st;
	static char big[20000];

	fixture_init(&fixture);
	assert_int_equal(fixture_apply(&fixture, &(struct event){ .op = EVENT_FORMAT,
	                                                          .name = B("volume-1") }),
	                 0);
	for (int i = 0; i < NKEYS; i++) {
		snprintf(key, sizeof(key), "dir%d/key%d", i % 7, i);
		assert_int_equal(
		        fixture_apply(&fixture, &(struct event){ .op = EVENT_SET,
		                                                 .key = { key, strlen(key) },
		                                                 .value = { key, strlen(key) } }),
		        0);
	}
	assert_int_equal(fixture_apply(&fixture, &(struct event){ .op = EVENT_SET,
	                                                          .key = B("big"),
	                                                          .value = { big, sizeof(big) } }),
	                 0);
	snprintf(path, sizeof(path), "%s/copy", fixture.dir);
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	assert_int_equal(store_copy_fd(fixture.store, fd), 0);
	assert_int_equal(fstat(fd, &st), 0);
	good_len = (size_t)st.st_size + SNAPSHOT_TRAILER_BYTES;
	good = malloc(good_len);
	assert_non_null(good);
	assert_int_equal(pread(fd, good, (size_t)st.st_size, 0), st.st_size);
	append_trailer(good, (size_t)st.st_size);
	close(fd);
	fixture_free(&fixture);
}

static int set_up(void **state)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	socklen_t len = sizeof(addr);

	(void)state;
	make_good();
	answer = child_share(sizeof(*answer));
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(listener, 8), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&addr, &len), 0);
	snprintf(peer, sizeof(peer), "http://127.0.0.1:%d", ntohs(addr.sin_port));
	peer_pid = child_start(serve_answers, NULL);
	unsetenv("http_proxy");
	unsetenv("all_proxy");
	unsetenv("ALL_PROXY");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	child_kill(peer_pid);
	close(listener);
	free(good);
	return 0;
}

/* --- fetching --- */

static const char *misfit; /* text for fits_volume() to report; NULL: the snapshot fits */
static char volume[40];    /* volume that fits_volume() was called with */

static int fits_volume(void *arg, const struct store_meta *meta, char *why, size_t why_size)
{
	(void)arg;
	snprintf(volume, sizeof(volume), "%s", meta->volume);
	if (misfit)
		snprintf(why, why_size, "%s", misfit);
	return misfit ? -EINVAL : 0;
}

static int fetch_snapshot(const char *peers, const char *dir, char *why)
{
	struct snapshot_source source = { .peers = peers,
		                          .access.token = "secret",
		                          .fits = fits_volume };
	struct store_place *place;

	assert_int_equal(store_place_begin(dir, &place, NULL, 0), 0);
	int r = snapshot_fetch(&source, place, why, 512);
	store_place_close(place);
	return r;
}

static bool is_there(const char *dir, const char *name)
{
	char path[4096];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return stat(path, &st) == 0;
}

/* Expect the peer's answer to be refused with a sentence that contains TEXT, leaving
 * no files. */
static void expect_refused(const char *text)
{
	char why[512], *dir = temp_dir_new();

	assert_int_equal(fetch_snapshot(peer, dir, why), 0);
	if (!strstr(why, text))
		fail_msg("\"%s\" is not in: %s", text, why);
	assert_int_equal(answer->asked, 1);
	assert_false(is_there(dir, "data.mdb"));
	assert_false(is_there(dir, "snapshot.part"));
	assert_false(is_there(dir, "snapshot.copy"));
	temp_dir_remove(dir);
}

static int count_key(void *arg, const char *table, struct bytes key, struct bytes value)
{
	(void)key, (void)value;
	*(int *)arg += strcmp(table, "inodes") == 0;
	return 0;
}

/* Open and read the store in DIR; return its number of inodes. */
static int count_inodes(const char *dir)
{
	struct store_config config = { .dir = dir };
	struct store *store;
	struct txn *txn;
	int n = 0;

	CHILD_CHECK(store_open(&config, &store, NULL, 0) == 0);
	CHILD_CHECK(txn_read(store, &txn) == 0);
	CHILD_CHECK(store_each_row(txn, count_key, &n) == 0);
	txn_abort(txn);
	store_close(store);
	return n;
}

static void open_and_read(void *dir)
{
	count_inodes(dir);
}

static void test_a_snapshot_is_fetched_once(void **state)
{
	char why[512], *dir = temp_dir_new(), peers[256];

	(void)state;
	set_answer(good, good_len);
	assert_int_equal(fetch_snapshot(peer, dir, why), 1);
	assert_string_equal(volume, "volume-1");
	assert_int_equal(count_inodes(dir), 1 + 7 + NKEYS + 1);
	assert_false(is_there(dir, "snapshot.part"));
	assert_non_null(strstr(answer->request, "GET /v1/snapshot "));
	assert_non_null(strstr(answer->request, "Authorization: Bearer secret"));
	/* The store exists now, so no peer is asked. */
	assert_int_equal(fetch_snapshot(peer, dir, why), 0);
	assert_string_equal(why, "");
	assert_int_equal(answer->asked, 1);
	temp_dir_remove(dir);
	/* A peer that does not answer is skipped; slashes at the end and empty names
	 * are ignored. */
	dir = temp_dir_new();
	snprintf(peers, sizeof(peers), "http://127.0.0.1:1,,%s//,", peer);
	assert_int_equal(fetch_snapshot(peers, dir, why), 1);
	assert_true(is_there(dir, "data.mdb"));
	temp_dir_remove(dir);
}

/* The installed store consists of the peer's rows, without any other bytes of its
 * file. */
static void test_only_the_rows_are_copied(void **state)
{
	static const char mark[] = "left by a stranger";
	const size_t len = good_len - SNAPSHOT_TRAILER_BYTES, room = 1 << 20;
	char why[512], path[4096], *dir = temp_dir_new(), *file = malloc(room);
	bool found = false;

	(void)state;
	assert_non_null(file);
	set_answer(good, good_len);
	for (size_t i = 0; i < 4096; i++)
		answer->body[len + i] = (unsigned char)mark[i % sizeof(mark)];
	append_trailer(answer->body, len + 4096);
	answer->len = answer->send_len = good_len + 4096;
	assert_int_equal(fetch_snapshot(peer, dir, why), 1);
	assert_int_equal(count_inodes(dir), 1 + 7 + NKEYS + 1);
	snprintf(path, sizeof(path), "%s/data.mdb", dir);
	int fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	ssize_t n = read(fd, file, room);
	assert_true(n > (ssize_t)len / 2);
	found = memmem(file, (size_t)n, mark, sizeof(mark)) != NULL;
	close(fd);
	free(file);
	temp_dir_remove(dir);
	assert_false(found);
}

/* Files left by a killed process do not matter. */
static void test_leftovers_of_a_killed_process_are_replaced(void **state)
{
	char why[512], path[4096], *dir = temp_dir_new();
	static const char *const names[] = { "data.mdb", "lock.mdb" };

	(void)state;
	snprintf(path, sizeof(path), "%s/snapshot.part", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/snapshot.part/%s", dir, names[i]);
		int fd = open(path, O_WRONLY | O_CREAT, 0600);
		assert_true(fd >= 0);
		for (int k = 0; k < 100; k++)
			assert_int_equal(write(fd, good, 8192), 8192);
		close(fd);
	}
	set_answer(good, good_len);
	assert_int_equal(fetch_snapshot(peer, dir, why), 1);
	assert_int_equal(count_inodes(dir), 1 + 7 + NKEYS + 1);
	temp_dir_remove(dir);
}

/* In a directory that others can write to, a planted link does not lead to another
 * file. */
static void test_planted_links_are_not_followed(void **state)
{
	static const char *const names[] = { "snapshot.part", "snapshot.copy" };
	char why[512], path[4096], *dir = temp_dir_new(), *other = temp_dir_new();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		assert_int_equal(symlink(other, path), 0);
	}
	snprintf(path, sizeof(path), "%s/data.mdb", other);
	int fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	close(fd);
	set_answer(good, good_len);
	assert_int_equal(fetch_snapshot(peer, dir, why), 1);
	assert_true(is_there(other, "data.mdb"));
	temp_dir_remove(other);
	temp_dir_remove(dir);
}

static void test_other_answers_are_refused(void **state)
{
	static const int statuses[] = { 404, 500, 503 };
	char text[32];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
		set_answer(good, good_len);
		answer->status = statuses[i];
		snprintf(text, sizeof(text), "it answers %d", statuses[i]);
		expect_refused(text);
	}
	set_answer(good, good_len);
	answer->status = 401;
	expect_refused("it answers 401: see --peer-token");
	set_answer("", 0);
	expect_refused("no snapshot");
	set_answer("<html>It works!</html> and some more", 36);
	expect_refused("no snapshot");
	/* A redirection is not followed, and is not a snapshot. */
	set_answer("", 0);
	answer->status = 302;
	expect_refused("it answers 302");
}

static void test_truncated_snapshots_are_refused(void **state)
{
	(void)state;
	for (size_t part = 0; part < 16; part++) {
		size_t len = good_len * part / 16;

		/* The connection ends too early. */
		set_answer(good, good_len);
		answer->send_len = len;
		expect_refused("");
		/* The peer, or a proxy, ends the answer here. */
		set_answer(good, len);
		expect_refused("no snapshot");
	}
	for (size_t less = 1; less <= SNAPSHOT_TRAILER_BYTES + 1; less++) {
		set_answer(good, good_len - less);
		expect_refused("no snapshot");
	}
}

static void test_changed_bits_are_detected(void **state)
{
	(void)state;
	for (size_t i = 0; i < 200; i++) {
		size_t at = (good_len - SNAPSHOT_TRAILER_BYTES) * i / 200 + i % 8;

		set_answer(good, good_len);
		answer->body[at] ^= (unsigned char)(1u << i % 8);
		expect_refused("its checksum differs");
	}
	/* In the trailer. */
	for (size_t i = 1; i <= SNAPSHOT_TRAILER_BYTES; i++) {
		set_answer(good, good_len);
		answer->body[good_len - i] ^= 1;
		expect_refused(i <= 16 ? "its checksum differs" : "no snapshot");
	}
	/* A page was left out, and the length matches. */
	set_answer(good, good_len);
	memmove(answer->body + 8192, answer->body + 12288, good_len - 12288);
	answer->len = answer->send_len = good_len - 4096;
	expect_refused("its checksum differs");
}

/* The peer's own file is damaged: the checksum matches, but LMDB gets pages that it
 * never wrote. The snapshot is refused, or the damage affects no reader. */
static void test_damaged_pages_are_refused_or_harmless(void **state)
{
	struct prng prng = { .seed = 1 };
	size_t len = good_len - SNAPSHOT_TRAILER_BYTES, pages = len / 4096;
	int refused = 0, died = 0, taken = 0;

	(void)state;
	for (int i = 0; i < 200; i++) {
		char why[512], *dir = temp_dir_new();
		size_t page = prng_below(&prng, (uint32_t)pages);

		set_answer(good, good_len);
		/* The page's header, its pointers, or any byte. */
		for (int k = 0; k < 1 + i % 4; k++) {
			size_t in_page = prng_below(&prng, i % 3 == 0 ? 16 :
			                                   i % 3 == 1 ? 64 :
			                                                4096);
			answer->body[4096 * page + in_page] = (unsigned char)prng_below(&prng, 256);
		}
		append_trailer(answer->body, len);
		int r = fetch_snapshot(peer, dir, why);
		assert_int_equal(is_there(dir, "data.mdb"), r);
		assert_false(is_there(dir, "snapshot.part"));
		if (r == 1) {
			taken++;
			child_join(child_start(open_and_read, dir));
		} else {
			assert_int_equal(r, 0);
			refused++;
			died += strstr(why, "ended with signal") != NULL;
		}
		temp_dir_remove(dir);
	}
	print_message("refused %d (%d by a crash of the child), accepted %d\n", refused, died,
	              taken);
	/* Without real damage this test would prove nothing. */
	assert_true(refused > 50);
	assert_true(died > 5);
}

/* Rows that can be read, but whose totals are wrong. */
static void test_wrong_totals_are_refused(void **state)
{
	size_t len = good_len - SNAPSHOT_TRAILER_BYTES;
	unsigned char *at;

	(void)state;
	set_answer(good, good_len);
	/* The number of keys in the store's meta row. */
	uint64_t nkeys = NKEYS + 1, wrong = NKEYS;
	bool found = false;
	for (at = answer->body; at + sizeof(nkeys) <= answer->body + len; at += 2) {
		uint64_t dirs = 7;
		if (memcmp(at, &nkeys, sizeof(nkeys)) == 0 &&
		    memcmp(at + 8, &dirs, sizeof(dirs)) == 0) {
			memcpy(at, &wrong, sizeof(wrong));
			found = true;
		}
	}
	assert_true(found);
	append_trailer(answer->body, len);
	expect_refused("the store is damaged");
}

/* Set the row of the store's format in the answer. */
static void set_format(uint32_t format)
{
	static const char key[] = "format";
	size_t len = good_len - SNAPSHOT_TRAILER_BYTES;
	unsigned char *row = memmem(answer->body, len, key, strlen(key));

	assert_non_null(row);
	memcpy(row + strlen(key), &format, sizeof(format));
	append_trailer(answer->body, len);
}

static void test_other_formats_are_named(void **state)
{
	(void)state;
	set_answer(good, good_len);
	set_format(3);
	expect_refused("the store has format 3, and keydir " KEYDIR_VERSION
	               " reads format 2 only: use a newer version");
	/* The format of the stream. */
	set_answer(good, good_len);
	answer->body[good_len - SNAPSHOT_TRAILER_BYTES + 7] = '2';
	expect_refused("the snapshot has format 2, and keydir " KEYDIR_VERSION
	               " reads format 1 only");
}

static void test_a_snapshot_that_does_not_fit_is_refused(void **state)
{
	(void)state;
	set_answer(good, good_len);
	misfit = "it belongs to another volume";
	expect_refused("it belongs to another volume");
	misfit = NULL;
}

static void test_a_full_file_system_is_reported(void **state)
{
	char why[512], *dir = temp_dir_small(128 << 10);

	(void)state;
	if (!dir)
		skip();
	set_answer(good, good_len);
	assert_true(good_len > 128 << 10);
	assert_int_equal(fetch_snapshot(peer, dir, why), 0);
	assert_string_not_equal(why, "");
	assert_false(is_there(dir, "data.mdb"));
	assert_false(is_there(dir, "snapshot.part"));
	temp_dir_remove(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_snapshot_is_fetched_once),
		cmocka_unit_test(test_only_the_rows_are_copied),
		cmocka_unit_test(test_leftovers_of_a_killed_process_are_replaced),
		cmocka_unit_test(test_planted_links_are_not_followed),
		cmocka_unit_test(test_other_answers_are_refused),
		cmocka_unit_test(test_truncated_snapshots_are_refused),
		cmocka_unit_test(test_changed_bits_are_detected),
		cmocka_unit_test(test_damaged_pages_are_refused_or_harmless),
		cmocka_unit_test(test_wrong_totals_are_refused),
		cmocka_unit_test(test_other_formats_are_named),
		cmocka_unit_test(test_a_snapshot_that_does_not_fit_is_refused),
		cmocka_unit_test(test_a_full_file_system_is_reported),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
