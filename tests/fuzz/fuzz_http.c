/* Fuzzer of the whole path of a request: the input is everything that a client sends
 * on one connection, to a real server (libmicrohttpd's threads, the node, the store)
 * in this process.
 *
 * Nothing may crash or leak. Every response must be HTTP and have X-Keydir-Offset,
 * and every error must be a problem document that describes the error. The server
 * must still answer a plain request after the input. */
#include "tests/fuzz/fuzz.h"

#include "common/base/logger.h"
#include "httpd/server.h"
#include "httpd/watch_hub.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <jansson.h>
#include <microhttpd.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER_MAX (1 << 20)
#define SILENCE_MS 30   /* without a byte, the connection is idle */
#define HEALTH_MS 20000 /* limit for a plain request, with sanitizers, on a busy machine */
#define CLEAN_EVERY 512 /* number of inputs after which the store is emptied */
#define INPUT_MAX 65536

static char store[] = "/dev/shm/keydir-fuzz.XXXXXX";
static struct settings settings;
static struct server *server;
/* The library also lets us make its own responses, see httpd/mhd_queue.c. */
static bool all_responses_ours;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void remove_store(void)
{
	nftw(store, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Start a server with one thread and a small quota, on loopback and a port that the
 * kernel chooses. Inputs do not use the port. */
static void start_server(void)
{
	static char *argv[] = { "fuzz",        "--store",     store, "--listen",
		                "127.0.0.1:0", "--size",      "8M",  "--max-value",
		                "64K",         "--threads",   "1",   "--connections",
		                "5000",        "--heartbeat", "1s" };
	struct node_config config = { 0 };
	struct watch_hub *hub;
	struct node *node;
	char why[NODE_WHY_MAX] = "";
	MUST(mkdtemp(store));
	atexit(remove_store);
	if (settings_load(&settings, (int)(sizeof(argv) / sizeof(argv[0])), argv, why, sizeof(why)))
		fprintf(stderr, "%s\n", why);
	MUST(!why[0]);
	logger_init("fuzz", LOGGER_ERROR, false);
	signal(SIGPIPE, SIG_IGN);
	MUST(!node_options_config(&settings.node, &config, why, sizeof(why)));
	MUST(!watch_hub_new(&hub));
	config.follow = watch_hub_follow;
	config.follow_arg = hub;
	MUST(!node_open(&config, &node, why, sizeof(why)));
	MUST(!watch_hub_start(hub, node));
	MUST(!server_new(node, hub, &settings, &server, why, sizeof(why)));
}

/* Send DATA on a new connection and collect the response, until the server closes the
 * connection or is silent for SILENCE_MS. Return the length of the response. */
static size_t send_and_receive(const void *data, size_t size, char *answer, int silence_ms)
{
	struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int ends[2];
	size_t sent = 0, got = 0;
	MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends));
	if (MHD_add_connection(server->daemon, ends[1], (struct sockaddr *)&from, sizeof(from)) !=
	    MHD_YES) {
		close(ends[0]); /* Too many connections are waiting: MHD has closed the other end. */
		return 0;
	}
	for (;;) {
		struct pollfd p = { .fd = ends[0], .events = POLLIN };
		if (sent < size)
			p.events |= POLLOUT;
		if (poll(&p, 1, silence_ms) <= 0)
			break;
		if (p.revents & POLLOUT) {
			ssize_t n = send(ends[0], (const char *)data + sent, size - sent,
			                 MSG_NOSIGNAL);
			if (n > 0)
				sent += (size_t)n;
			else if (errno != EAGAIN)
				size = sent;
			if (sent == size)
				shutdown(ends[0], SHUT_WR);
		}
		if (p.revents & (POLLIN | POLLHUP | POLLERR)) {
			ssize_t n = recv(ends[0], answer + got, ANSWER_MAX - got, 0);
			if (n > 0)
				got += (size_t)n;
			if (n == 0 || (n < 0 && errno != EAGAIN) || got == ANSWER_MAX)
				break;
		}
	}
	close(ends[0]);
	return got;
}

/* Return the value of header NAME in the headers that end at END, and its length in
 * RET_LEN; NULL if it is missing. */
static const char *find_header(const char *head, const char *end, const char *name, size_t *ret_len)
{
	size_t len = strlen(name);
	for (const char *line = memmem(head, (size_t)(end - head), "\r\n", 2); line && line < end;
	     line = memmem(line + 2, (size_t)(end - line - 2), "\r\n", 2)) {
		const char *at = line + 2;
		if ((size_t)(end - at) > len && strncasecmp(at, name, len) == 0 && at[len] == ':') {
			at += len + 1;
			while (*at == ' ')
				at++;
			const char *stop = memmem(at, (size_t)(end - at) + 2, "\r\n", 2);
			*ret_len = (size_t)(stop - at);
			return at;
		}
	}
	return NULL;
}

static void check_problem(const char *body, size_t len, unsigned status)
{
	json_t *doc = json_loadb(body, len, JSON_REJECT_DUPLICATES, NULL);
	MUST(doc);
	const char *type = json_string_value(json_object_get(doc, "type"));
	MUST(type && strncmp(type, "urn:keydir:problem:", 19) == 0);
	MUST(json_string_length(json_object_get(doc, "title")) > 0);
	MUST(json_string_length(json_object_get(doc, "detail")) > 10);
	MUST(json_integer_value(json_object_get(doc, "status")) == status);
	json_decref(doc);
}

/* Check the first response on the connection. */
static void check_answer(char *answer, size_t got, bool is_head)
{
	unsigned status;
	size_t len, type_len;
	if (got < 12)
		return; /* Closed without a response, or cut off by the client. */
	answer[got] = '\0';
	while (strncmp(answer, "HTTP/1.1 100", 12) == 0) {
		char *next = memmem(answer, got, "\r\n\r\n", 4);
		if (!next)
			return;
		got -= (size_t)(next + 4 - answer);
		answer = next + 4;
	}
	if (got < 12)
		return;
	MUST(strncmp(answer, "HTTP/1.", 7) == 0);
	status = (unsigned)strtoul(answer + 9, NULL, 10);
	MUST(status >= 200 && status < 600);
	char *end = memmem(answer, got, "\r\n\r\n", 4);
	if (!end)
		return;
	if (!find_header(answer, end, "X-Keydir-Offset", &len)) {
		MUST(!all_responses_ours);
		return;
	}
	MUST(status != 500);
	const char *length = find_header(answer, end, "Content-Length", &len);
	const char *type = find_header(answer, end, "Content-Type", &type_len);
	if (status < 400 || is_head || !length)
		return;
	MUST(type && type_len == strlen("application/problem+json"));
	MUST(memcmp(type, "application/problem+json", type_len) == 0);
	size_t size = strtoul(length, NULL, 10);
	if (size <=
	    got - (size_t)(end + 4 - answer)) /* Otherwise the client stopped reading too early. */
		check_problem(end + 4, size, status);
}

/* Every CLEAN_EVERY inputs, check that the server is alive and remove all keys. */
static void empty_store(char *answer)
{
	static unsigned inputs;
	static const char health[] =
	        "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
	static const char list[] =
	        "GET /v1/kv/?limit=10000 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
	size_t got;
	if (++inputs % CLEAN_EVERY)
		return;
	got = send_and_receive(health, strlen(health), answer, HEALTH_MS);
	MUST(got > 12 && strncmp(answer, "HTTP/1.1 200", 12) == 0);
	got = send_and_receive(list, strlen(list), answer, HEALTH_MS);
	answer[got] = '\0';
	char *names = strdup(answer);
	MUST(names);
	for (char *at = names; (at = strstr(at, "\"path\":\"")); at++) {
		char request[16384], path[13000];
		snprintf(path, sizeof(path), "%.*s", (int)strcspn(at + 8, "\""), at + 8);
		if (!*path)
			continue; /* The entry of the listed directory. */
		snprintf(
		        request, sizeof(request),
		        "DELETE /v1/kv/%s?recurse HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
		        path);
		send_and_receive(request, strlen(request), answer, HEALTH_MS);
	}
	free(names);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	static const char put[] =
	        "PUT /v1/kv/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nv";
	static char answer[ANSWER_MAX + 1];
	start_server();
	/* A server that answers nothing would make the fuzzer useless. */
	MUST(send_and_receive(put, strlen(put), answer, HEALTH_MS) > 12);
	MUST(strncmp(answer, "HTTP/1.1 201", 12) == 0);
	static const char other[] = "GET / HTTP/9.9\r\n\r\n";
	size_t got = send_and_receive(other, strlen(other), answer, HEALTH_MS);
	all_responses_ours = memmem(answer, got, "problem+json", 12) != NULL;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char answer[ANSWER_MAX + 1];
	if (!size || size > INPUT_MAX)
		return 0;
	while (size && (*data == '\r' || *data == '\n')) { /* Permitted before a request. */
		data++;
		size--;
	}
	size_t got = send_and_receive(data, size, answer, SILENCE_MS);
	check_answer(answer, got, size > 5 && memcmp(data, "HEAD ", 5) == 0);
	empty_store(answer);
	return 0;
}
