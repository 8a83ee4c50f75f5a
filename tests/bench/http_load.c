/* http_load: send HTTP requests as fast as they are answered, from one thread.
 * Requests are prepared in advance, so that the load costs about as much as
 * redis-benchmark's.
 *
 *     http_load [-m METHOD] [-b BYTES | -t BODY] [-k KEYS] [-l] URL CONNECTIONS SECONDS
 *
 * {key} in URL's path or in BODY becomes 12 digits, one of KEYS numbers at random for
 * each request. Each connection sends a request, reads its response and sends the
 * next. Prints the responses per second; with -l the 50th, 99th and 99.9th percentile
 * and the maximum of their times in us. A response other than 2xx, or a closed
 * connection, fails the run. URL is http://ADDRESS:PORT/PATH. */
#include "tests/bench/dial.h"
#include "tests/bench/samples.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define DIGITS 12
#define PLACE "{key}"
#define HEAD_MAX 8192
#define READ_BYTES (256 << 10)
#define EVENTS 512
/* part of the time that is not counted, for connections and caches to warm up */
#define WARM_UP 0.1
#define DRAIN_US 10e6

/* The request that all connections send: HEAD, which includes a body with the key,
 * then BODY. */
struct request {
	char *head;
	size_t head_len;
	size_t places[4]; /* offsets of DIGITS in the head */
	size_t nplaces;
	char *body;
	size_t body_len;
};

struct connection {
	int fd;
	char *head; /* its own copy, with the key filled in */
	size_t sent;
	double begun;
	char start[HEAD_MAX]; /* start of the response, until the headers are complete */
	size_t have;
	uint64_t left; /* bytes of the response body still to come; valid if `in_body` */
	bool in_body;
	bool wants_out;
};

struct load {
	struct request request;
	int epoll;
	uint64_t keys;
	uint64_t random;
	uint64_t answers;
	size_t under_way;
	bool timed;
	bool counting;
	bool ending; /* send no new requests */
	struct samples samples;
};

static void die(const char *what, const char *why)
{
	fprintf(stderr, "http_load: %s: %s\n", what, why);
	exit(1);
}

static void *must(void *memory)
{
	if (!memory)
		die("start", strerror(ENOMEM));
	return memory;
}

/* --- the request --- */

/* Append TEXT to the head, with zeros in the place of each {key}. */
static void head_add(struct request *rq, const char *text)
{
	const char *place;
	while ((place = strstr(text, PLACE))) {
		if (rq->nplaces == sizeof(rq->places) / sizeof(rq->places[0]))
			die("{key}", "occurs too often");
		memcpy(rq->head + rq->head_len, text, (size_t)(place - text));
		rq->head_len += (size_t)(place - text);
		rq->places[rq->nplaces++] = rq->head_len;
		memset(rq->head + rq->head_len, '0', DIGITS);
		rq->head_len += DIGITS;
		text = place + strlen(PLACE);
	}
	memcpy(rq->head + rq->head_len, text, strlen(text));
	rq->head_len += strlen(text);
}

/* Return the length of TEXT with its {key}s replaced by digits. */
static size_t expanded_length(const char *text)
{
	size_t len = strlen(text);
	while ((text = strstr(text, PLACE))) {
		len += DIGITS - strlen(PLACE);
		text += strlen(PLACE);
	}
	return len;
}

static void request_make(struct request *rq, const char *method, const char *path, const char *host,
                         const char *body, size_t bytes)
{
	char line[128];
	bool keyed = body && strstr(body, PLACE);
	bool has_body = body || strcmp(method, "GET") != 0;
	rq->body_len = keyed ? 0 : body ? strlen(body) : bytes;
	rq->body = must(malloc(rq->body_len + 1));
	if (body && !keyed)
		memcpy(rq->body, body, rq->body_len);
	else
		memset(rq->body, 'v', rq->body_len);
	size_t room = strlen(method) + strlen(host) + 4 * DIGITS + sizeof(line) + 64;
	rq->head = must(malloc(room + strlen(path) + (keyed ? strlen(body) : 0)));
	head_add(rq, method);
	head_add(rq, " ");
	head_add(rq, path);
	head_add(rq, " HTTP/1.1\r\nHost: ");
	head_add(rq, host);
	if (has_body) {
		snprintf(line, sizeof(line), "\r\nContent-Length: %zu",
		         keyed ? expanded_length(body) : rq->body_len);
		head_add(rq, line);
	}
	head_add(rq, "\r\n\r\n");
	if (keyed)
		head_add(rq, body);
}

static uint64_t next_random(struct load *load)
{
	load->random ^= load->random << 13; /* xorshift64 (Marsaglia, 2003). */
	load->random ^= load->random >> 7;
	load->random ^= load->random << 17;
	return load->random;
}

static void fill_key(struct load *load, struct connection *c)
{
	uint64_t n = next_random(load) % load->keys;
	char digits[DIGITS + 1];
	for (size_t i = DIGITS; i--; n /= 10)
		digits[i] = (char)('0' + n % 10);
	for (size_t i = 0; i < load->request.nplaces; i++)
		memcpy(c->head + load->request.places[i], digits, DIGITS);
}

/* --- a connection --- */

static void watch_connection(struct load *load, struct connection *c, bool out, int op)
{
	struct epoll_event ev = { .events = out ? EPOLLIN | EPOLLOUT : EPOLLIN, .data.ptr = c };
	if (epoll_ctl(load->epoll, op, c->fd, &ev))
		die("epoll", strerror(errno));
	c->wants_out = out;
}

/* Send as much as possible without waiting. */
static void send_on(struct load *load, struct connection *c)
{
	const struct request *rq = &load->request;
	size_t whole = rq->head_len + rq->body_len;
	while (c->sent < whole) {
		ssize_t n;
		if (c->sent < rq->head_len) {
			struct iovec parts[2] = { { c->head + c->sent, rq->head_len - c->sent },
				                  { rq->body, rq->body_len } };
			n = writev(c->fd, parts, rq->body_len ? 2 : 1);
		} else {
			n = write(c->fd, rq->body + (c->sent - rq->head_len), whole - c->sent);
		}
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0)
			die("send", strerror(errno));
		c->sent += (size_t)n;
	}
	if ((c->sent < whole) != c->wants_out)
		watch_connection(load, c, c->sent < whole, EPOLL_CTL_MOD);
}

static void send_request(struct load *load, struct connection *c)
{
	c->sent = 0;
	c->have = 0;
	c->in_body = false;
	load->under_way++;
	if (load->request.nplaces)
		fill_key(load, c);
	if (load->timed)
		c->begun = samples_now();
	send_on(load, c);
}

/* The headers in START are complete, and END is at their last newline: check them and
 * find the length of the body. */
static void take_head(struct connection *c, const char *end)
{
	int status = (int)strtol(c->start + strlen("HTTP/1.1 "), NULL, 10);
	if (status < 200 || status > 299)
		die("answer", c->start);
	const char *line = c->start;
	c->left = 0;
	bool known = status == 204;
	while (!known && (line = memchr(line, '\n', (size_t)(end - line)))) {
		line++;
		if (strncasecmp(line, "Content-Length:", 15) != 0)
			continue;
		c->left = strtoull(line + 15, NULL, 10);
		known = true;
	}
	if (!known)
		die("response without Content-Length", c->start);
	c->in_body = true;
}

static void response_done(struct load *load, struct connection *c)
{
	if (load->counting) {
		load->answers++;
		if (load->timed)
			samples_add(&load->samples, samples_now() - c->begun);
	}
	load->under_way--;
	if (!load->ending)
		send_request(load, c);
}

/* Process received bytes. */
static void take_bytes(struct load *load, struct connection *c, const char *data, size_t len)
{
	while (!c->in_body && len) {
		size_t n = len < HEAD_MAX - 1 - c->have ? len : HEAD_MAX - 1 - c->have;
		if (!n)
			die("answer", "its headers are too long");
		size_t before = c->have;
		memcpy(c->start + c->have, data, n);
		c->have += n;
		c->start[c->have] = '\0';
		const char *end = strstr(c->start, "\r\n\r\n");
		if (!end)
			return;
		size_t used = (size_t)(end + 4 - c->start) - before;
		take_head(c, end + 3);
		data += used;
		len -= used;
	}
	if (len > c->left)
		die("response longer than its Content-Length", c->start);
	c->left -= len;
	if (c->in_body && !c->left)
		response_done(load, c);
}

static void receive_response(struct load *load, struct connection *c)
{
	static char buf[READ_BYTES]; /* There is one thread. */
	ssize_t n = read(c->fd, buf, sizeof(buf));
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0)
		die("receive", n ? strerror(errno) : "the connection was closed");
	take_bytes(load, c, buf, (size_t)n);
}

static void connection_open(struct load *load, struct connection *c,
                            const struct sockaddr_in *address)
{
	c->fd = dial(address);
	c->head = must(malloc(load->request.head_len));
	memcpy(c->head, load->request.head, load->request.head_len);
	if (fcntl(c->fd, F_SETFL, O_NONBLOCK))
		die("connect", strerror(errno));
	watch_connection(load, c, false, EPOLL_CTL_ADD);
}

/* --- the run --- */

static void poll_connections(struct load *load)
{
	struct epoll_event events[EVENTS];
	int n = epoll_wait(load->epoll, events, EVENTS, 1000);
	for (int i = 0; i < n; i++) {
		struct connection *c = events[i].data.ptr;
		if (events[i].events & EPOLLOUT)
			send_on(load, c);
		if (events[i].events & ~(unsigned)EPOLLOUT)
			receive_response(load, c);
	}
}

static void run_load(struct load *load, double seconds)
{
	double from = samples_now() + seconds * 1e6 * WARM_UP;
	double now;
	while ((now = samples_now()) < from + seconds * 1e6) {
		if (!load->counting && now >= from) {
			load->counting = true;
			from = now;
		}
		poll_connections(load);
	}
	load->counting = false;
	if (!load->timed)
		printf("%.9g\n", (double)load->answers / (now - from) * 1e6);
	/* Let the server finish its responses. */
	load->ending = true;
	while (load->under_way) {
		if (samples_now() > now + DRAIN_US)
			die("end", "some requests were never answered");
		poll_connections(load);
	}
}

static const char *split_url(const char *url, struct sockaddr_in *ret_address, char *host,
                             size_t host_size)
{
	static const char scheme[] = "http://";
	const char *from = url + strlen(scheme);
	const char *path = strncmp(url, scheme, strlen(scheme)) == 0 ? strchr(from, '/') : NULL;
	char address[64];
	if (!path || (size_t)(path - from) >= sizeof(address))
		die(url, "is not http://ADDRESS:PORT/PATH");
	memcpy(address, from, (size_t)(path - from));
	address[path - from] = '\0';
	snprintf(host, host_size, "%s", address);
	char *colon = strchr(address, ':');
	if (colon)
		*colon = '\0';
	*ret_address = (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)(colon ? strtoul(colon + 1, NULL, 10) : 80)),
	};
	if (inet_pton(AF_INET, address, &ret_address->sin_addr) != 1)
		die(url, "has no IPv4 address");
	return path;
}

int main(int argc, char **argv)
{
	struct load load = { .keys = 100000, .random = UINT64_C(88172645463325252) };
	const char *method = "GET";
	const char *body = NULL;
	size_t bytes = 0;
	int option;
	while ((option = getopt(argc, argv, "m:b:t:k:l")) != -1) {
		if (option == 'm')
			method = optarg;
		else if (option == 'b')
			bytes = strtoul(optarg, NULL, 10);
		else if (option == 't')
			body = optarg;
		else if (option == 'k')
			load.keys = strtoull(optarg, NULL, 10);
		else if (option == 'l')
			load.timed = true;
		else
			argc = 0;
	}
	if (argc - optind != 3 || !load.keys) {
		fprintf(stderr, "usage: http_load [-m METHOD] [-b BYTES | -t BODY] [-k KEYS] [-l] "
		                "URL CONNECTIONS SECONDS\n");
		return 2;
	}
	struct sockaddr_in address;
	char host[64];
	const char *path = split_url(argv[optind], &address, host, sizeof(host));
	size_t n = strtoul(argv[optind + 1], NULL, 10);
	double seconds = strtod(argv[optind + 2], NULL);
	if (!n || seconds <= 0)
		die(argv[optind + 1], "is not a number of connections, or the time is 0");
	request_make(&load.request, method, path, host, body, bytes);
	load.epoll = epoll_create1(EPOLL_CLOEXEC);
	struct connection *connections = must(calloc(n, sizeof(*connections)));
	for (size_t i = 0; i < n; i++)
		connection_open(&load, &connections[i], &address);
	for (size_t i = 0; i < n; i++)
		send_request(&load, &connections[i]);
	run_load(&load, seconds);
	for (size_t i = 0; i < n; i++) {
		close(connections[i].fd);
		free(connections[i].head);
	}
	free(connections);
	free(load.request.head);
	free(load.request.body);
	close(load.epoll);
	return load.timed ? samples_print_tail(&load.samples) : 0;
}
