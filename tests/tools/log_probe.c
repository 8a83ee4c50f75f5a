/* log_probe: use the Kafka log (common/log/kafka.h) by hand, without a node.
 *
 *     log_probe [-X NAME=VALUE]... [-t SECONDS] [-w SECONDS] URL VERB ...
 *
 * -t limits the time of the verb, -w is the write timeout.
 *
 *     check               check the topic: print "first FIRST end END", and a warning
 *                         on a line of its own
 *     end                 print the end
 *     get OFFSET          print "op key value" of the record
 *     load N              append N numbers, 100 in flight at a time, and print how many
 *                         ended how; then read the log and fail unless each appended
 *                         number is there once, in order and at its reported offset,
 *                         and no number that was reported as not appended
 *     append BYTES        append one value of that size, print how it ended
 *     follow FROM UNTIL   print "offset key value" until the position is UNTIL
 *     transaction commit|abort|hold   a foreign producer's transaction of one record;
 *                         hold prints "open" and aborts when its input ends
 *
 * An error is printed as "error ERRNO: why", with exit status 1. */
#include "common/base/clock.h"
#include "common/log/kafka.h"

#include <errno.h>
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WINDOW 100
#define SETTINGS_MAX 20

static const char *url;
static const char *settings[SETTINGS_MAX];
static size_t nsettings;
static int64_t timeout_ms = 10000;
static struct log_kafka *the_log;

static int print_error(int r, const char *why)
{
	char last[256];

	log_kafka_errors(the_log, last, sizeof(last));
	printf("error %s: %s\n", strerrorname_np(r < 0 ? -r : r), why && *why ? why : last);
	return 1;
}

static int probe_check(void)
{
	struct log_kafka_topic topic;
	char why[600];
	int64_t start_ms = clock_mono_ms();
	int r = log_kafka_check(the_log, timeout_ms, true, &topic, why, sizeof(why));

	fprintf(stderr, "took %" PRId64 " ms\n", clock_mono_ms() - start_ms);
	if (r)
		return print_error(r, why);
	printf("first %" PRIu64 " end %" PRIu64 "\n", topic.first, topic.end);
	if (*why)
		printf("%s\n", why);
	return 0;
}

static int probe_end(void)
{
	uint64_t end;
	int r = log_kafka_end(the_log, timeout_ms, &end);

	if (r)
		return print_error(r, NULL);
	printf("%" PRIu64 "\n", end);
	return 0;
}

static int probe_get(uint64_t offset)
{
	struct event *ev;
	int r = log_kafka_get(the_log, offset, timeout_ms, &ev);

	if (r)
		return print_error(r, NULL);
	printf("%s %.*s %.*s\n", event_op_text(ev->op), (int)ev->key.len,
	       (const char *)ev->key.data, (int)ev->value.len, (const char *)ev->value.data);
	event_free(ev);
	return 0;
}

/* --- load --- */

static const char *const outcome_names[] = { "appended", "not-appended", "unknown", "too-large" };

struct number {
	_Atomic int calls;
	enum log_append how;
	uint64_t offset;
	uint64_t seen;    /* how often it was read from the log */
	uint64_t seen_at; /* offset of the latest time */
};

static struct number *numbers;
static size_t nnumbers;
static _Atomic size_t under_way;

static void on_done(void *arg, enum log_append how, uint64_t offset)
{
	struct number *n = arg;

	n->how = how;
	n->offset = offset;
	n->calls++;
	under_way--;
}

static void append_number(size_t i)
{
	char text[24];
	struct event ev = { .op = EVENT_SET, .proc = 1, .seq = i + 1, .key = { "number", 6 } };

	ev.value = (struct bytes){ text, (size_t)snprintf(text, sizeof(text), "%zu", i) };
	while (under_way >= WINDOW)
		usleep(100);
	under_way++;
	log_kafka_append(the_log, &ev, on_done, &numbers[i]);
}

static size_t last_seen;
static bool disorder;

static int check_number(void *arg, const struct log_record *rec)
{
	char text[24] = "";
	struct record raw;
	size_t i;

	(void)arg;
	log_record_raw(rec, &raw);
	memcpy(text, raw.value.data, raw.value.len < 23 ? raw.value.len : 23);
	i = strtoul(text, NULL, 10);
	if (i >= nnumbers)
		return -EBADMSG;
	if (last_seen && i <= last_seen)
		disorder = true;
	last_seen = i;
	numbers[i].seen++;
	numbers[i].seen_at = rec->offset;
	return 0;
}

static int read_all(void)
{
	uint64_t end;
	int err = log_kafka_end(the_log, timeout_ms, &end);

	if (!err)
		err = log_kafka_follow(the_log, 0, end);
	while (!err && log_kafka_position(the_log) < end) {
		int r = log_kafka_poll(the_log, 100, 1000, check_number, NULL);

		if (r == -ESTALE) /* A broker has returned, or another one leads. */
			err = log_kafka_follow(the_log, log_kafka_position(the_log), end);
		else if (r < 0 && r != -EAGAIN)
			err = r;
	}
	log_kafka_unfollow(the_log);
	return err;
}

static int judge_numbers(void)
{
	size_t count[4] = { 0 }, bad = 0;

	for (size_t i = 0; i < nnumbers; i++) {
		const struct number *n = &numbers[i];
		const char *what = NULL;

		count[n->how]++;
		if (n->calls != 1)
			what = "was not told once";
		else if (n->how == LOG_APPENDED && n->seen != 1)
			what = "was appended, but is not there once";
		else if (n->how == LOG_APPENDED && n->offset != LOG_NO_OFFSET &&
		         n->offset != n->seen_at)
			what = "is not where it was said to be";
		else if (n->how == LOG_UNKNOWN && n->seen > 1)
			what = "is there more than once";
		else if ((n->how == LOG_NOT_APPENDED || n->how == LOG_TOO_LARGE) && n->seen)
			what = "is there, although it should not";
		if (what && bad++ < 10)
			printf("number %zu (%s, offset %" PRIu64 ", seen %" PRIu64 " times) %s\n",
			       i, outcome_names[n->how], n->offset, n->seen, what);
	}
	for (size_t i = 0; i < 4; i++)
		printf("%s%s %zu", i ? " " : "", outcome_names[i], count[i]);
	printf("\n");
	if (disorder)
		printf("out of order\n");
	return bad || disorder;
}

static int probe_load(size_t n)
{
	int r;

	numbers = calloc(n, sizeof(*numbers));
	if (!numbers)
		return print_error(ENOMEM, NULL);
	nnumbers = n;
	for (size_t i = 0; i < n; i++)
		append_number(i);
	while (under_way)
		usleep(1000);
	r = read_all();
	return r ? print_error(r, NULL) : judge_numbers();
}

static int probe_append(size_t size)
{
	char *value = malloc(size + 1);
	struct number n = { .calls = 0 };
	struct event ev = { .op = EVENT_SET, .proc = 1, .seq = 1, .key = { "k", 1 } };

	if (!value)
		return print_error(ENOMEM, NULL);
	memset(value, 'x', size);
	ev.value = (struct bytes){ value, size };
	under_way++;
	log_kafka_append(the_log, &ev, on_done, &n);
	while (!n.calls)
		usleep(1000);
	free(value);
	printf("%s\n", outcome_names[n.how]);
	return n.how != LOG_APPENDED;
}

/* --- follow --- */

static int print_record(void *arg, const struct log_record *rec)
{
	struct record raw;

	(void)arg;
	log_record_raw(rec, &raw);
	printf("%" PRIu64 " %.*s %.*s\n", rec->offset, (int)raw.key.len, (const char *)raw.key.data,
	       raw.has_value ? (int)raw.value.len : 6,
	       raw.has_value ? (const char *)raw.value.data : "(null)");
	return 0;
}

static int probe_follow(uint64_t from, uint64_t until)
{
	int64_t until_ms = clock_mono_ms() + timeout_ms;
	int err = log_kafka_follow(the_log, from, 0);

	while (!err && log_kafka_position(the_log) < until) {
		int r = log_kafka_poll(the_log, 100, 100, print_record, NULL);

		if (r == -ESTALE)
			err = log_kafka_follow(the_log, log_kafka_position(the_log), 0);
		else if (r < 0 && r != -EAGAIN)
			err = r;
		else if (clock_mono_ms() > until_ms)
			err = -ETIMEDOUT;
	}
	printf("position %" PRIu64 "\n", log_kafka_position(the_log));
	return err ? print_error(err, NULL) : 0;
}

/* Write a transaction as a foreign producer does. */
static int probe_transaction(bool commit, bool hold)
{
	static const char value[] = "v";
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	const char *brokers = url + strlen("kafka://"), *topic = strrchr(brokers, '/') + 1;
	char *list = strndup(brokers, (size_t)(topic - 1 - brokers)), text[256];
	rd_kafka_error_t *error;
	rd_kafka_t *rk;

	rd_kafka_conf_set(conf, "bootstrap.servers", list, text, sizeof(text));
	rd_kafka_conf_set(conf, "transactional.id", "foreign", text, sizeof(text));
	free(list);
	rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
	if (!rk)
		return print_error(EIO, text);
	error = rd_kafka_init_transactions(rk, (int)timeout_ms);
	if (!error)
		error = rd_kafka_begin_transaction(rk);
	if (!error)
		rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_KEY("foreign", 7),
		                  RD_KAFKA_V_VALUE((void *)value, 1), RD_KAFKA_V_PARTITION(0),
		                  RD_KAFKA_V_END);
	if (!error)
		rd_kafka_flush(rk, (int)timeout_ms);
	if (!error && hold) {
		puts("open");
		while (getchar() != EOF)
			;
	}
	if (!error)
		error = commit ? rd_kafka_commit_transaction(rk, (int)timeout_ms) :
		                 rd_kafka_abort_transaction(rk, (int)timeout_ms);
	if (error)
		return print_error(EIO, rd_kafka_error_string(error));
	rd_kafka_destroy(rk);
	return 0;
}

static int usage(void)
{
	fputs("usage: log_probe [-X NAME=VALUE]... [-t SECONDS] [-w SECONDS] URL VERB\n"
	      "VERB: check | end | get OFFSET | load N | append BYTES | follow FROM UNTIL |\n"
	      "      transaction commit|abort|hold\n",
	      stderr);
	return 2;
}

static int run_verb(int argc, char **argv)
{
	const char *verb = argv[0], *arg = argc > 1 ? argv[1] : "";

	if (strcmp(verb, "check") == 0)
		return probe_check();
	if (strcmp(verb, "end") == 0)
		return probe_end();
	if (strcmp(verb, "get") == 0)
		return probe_get(strtoull(arg, NULL, 10));
	if (strcmp(verb, "load") == 0)
		return probe_load(strtoull(arg, NULL, 10));
	if (strcmp(verb, "append") == 0)
		return probe_append(strtoull(arg, NULL, 10));
	if (strcmp(verb, "follow") == 0 && argc > 2)
		return probe_follow(strtoull(arg, NULL, 10), strtoull(argv[2], NULL, 10));
	if (strcmp(verb, "transaction") == 0)
		return probe_transaction(strcmp(arg, "commit") == 0, strcmp(arg, "hold") == 0);
	return usage();
}

int main(int argc, char **argv)
{
	struct log_kafka_config config = { .settings = settings,
		                           .max_value = 1 << 20,
		                           .write_timeout_ms = 10000 };
	char why[600] = "";
	int option, status;

	setvbuf(stdout, NULL, _IOLBF, 0);
	while ((option = getopt(argc, argv, "+X:t:w:")) != -1) {
		if (option == 'X' && nsettings < SETTINGS_MAX)
			settings[nsettings++] = optarg;
		else if (option == 't')
			timeout_ms = 1000 * strtol(optarg, NULL, 10);
		else if (option == 'w')
			config.write_timeout_ms = 1000 * strtol(optarg, NULL, 10);
		else
			return usage();
	}
	if (argc - optind < 2)
		return usage();
	config.url = url = argv[optind];
	config.nsettings = nsettings;
	if (log_kafka_open(&config, &the_log, why, sizeof(why))) {
		printf("error EINVAL: %s\n", why);
		return 1;
	}
	status = run_verb(argc - optind - 1, argv + optind + 1);
	log_kafka_close(the_log, 1000);
	free(numbers);
	return status;
}
