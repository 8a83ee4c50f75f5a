/* watch_load: fan-out from one writer to many watchers.
 *
 *     watch_load keydir PORT WATCHERS SECONDS    PUTs, watched by GET /v1/watch
 *     watch_load redis PORT WATCHERS SECONDS     PUBLISH, to SUBSCRIBEs
 *     watch_load bare WATCHERS SECONDS           a process that only writes to as many
 *             sockets: the minimum of work
 *
 * Prints how many changes per second were delivered to all watchers together. A
 * change has 100 bytes. At most WINDOW changes are in flight, so that no change is
 * dropped and all watchers keep up. One thread. */
#include "tests/bench/dial.h"
#include "tests/bench/samples.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define WINDOW 32
#define BYTES 100
#define EVENTS 256
#define READ_BYTES (256 << 10)
#define GIVE_UP_US 20e6
#define WARM_UP 0.2 /* part of the time */

struct watcher {
	int fd;
	bool in_line; /* a line has begun */
};

struct load {
	int writer, epoll;
	char *request; /* makes a change */
	size_t request_len;
	char first; /* first byte of the one line that each change has */
	struct watcher *watchers;
	uint64_t n;
	uint64_t sent;
	uint64_t delivered;
	pid_t bare; /* the bare process, or 0 */
};

static void die(const char *what, const char *why)
{
	fprintf(stderr, "watch_load: %s: %s\n", what, why);
	exit(1);
}

static void send_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);
		if (n <= 0)
			die("send", strerror(errno));
		data += n;
		len -= (size_t)n;
	}
}

/* Read until TEXT arrived. */
static void read_until(int fd, const char *text)
{
	char buf[4096];
	size_t have = 0;
	while (have < sizeof(buf) - 1) {
		ssize_t n = read(fd, buf + have, sizeof(buf) - 1 - have);
		if (n <= 0)
			die("answer", n ? strerror(errno) : "the connection was closed");
		have += (size_t)n;
		buf[have] = '\0';
		if (strstr(buf, text))
			return;
	}
	die("answer", buf);
}

/* --- the bare writer --- */

/* For each byte from CONTROL, write a line to each of FDS; bytes that arrive together
 * are handled together. */
static void write_bare(int control, const int *fds, uint64_t n)
{
	static char lines[WINDOW * (BYTES + 1)];
	char bytes[WINDOW];
	ssize_t got;
	memset(lines, 'v', sizeof(lines));
	for (size_t i = 0; i < WINDOW; i++) {
		lines[i * (BYTES + 1)] = 'i';
		lines[i * (BYTES + 1) + BYTES] = '\n';
	}
	while ((got = read(control, bytes, sizeof(bytes))) > 0)
		for (uint64_t i = 0; i < n; i++)
			send_all(fds[i], lines, (size_t)got * (BYTES + 1));
}

/* Start the bare writer. The connections are TCP, like those of the others. */
static void start_bare(struct load *load)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	int on = 1;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int *fds = calloc(load->n + 1, sizeof(*fds));
	if (!fds || listener < 0 || bind(listener, (struct sockaddr *)&address, len) ||
	    listen(listener, 1) || getsockname(listener, (struct sockaddr *)&address, &len))
		die("listen", strerror(errno));
	for (uint64_t i = 0; i <= load->n; i++) {
		int fd = dial_loopback(ntohs(address.sin_port));
		if (i < load->n)
			load->watchers[i].fd = fd;
		else
			load->writer = fd;
		fds[i] = accept(listener, NULL, NULL);
		if (fds[i] < 0)
			die("accept", strerror(errno));
		setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	}
	close(listener);
	load->bare = fork();
	if (load->bare < 0)
		die("fork", strerror(errno));
	if (load->bare == 0) {
		close(load->writer); /* Closing it ends the process. */
		write_bare(fds[load->n], fds, load->n);
		_exit(0);
	}
	for (uint64_t i = 0; i <= load->n; i++)
		close(fds[i]);
	free(fds);
}

/* --- Keydir and Redis --- */

/* LEN is the result of asprintf(). */
static void set_request(struct load *load, int len)
{
	if (len < 0)
		die("start", strerror(ENOMEM));
	load->request_len = (size_t)len;
}

static void start_keydir(struct load *load, uint16_t port, const char *value)
{
	static const char watch[] =
	        "GET /v1/watch?prefix=watched/ HTTP/1.1\r\nHost: localhost\r\n\r\n";
	load->first = 'i'; /* The line begins with "id:". */
	load->writer = dial_loopback(port);
	set_request(load, asprintf(&load->request,
	                           "PUT /v1/kv/watched/key HTTP/1.1\r\nHost: localhost\r\n"
	                           "Content-Length: %d\r\n\r\n%s",
	                           BYTES, value));
	for (uint64_t i = 0; i < load->n; i++) {
		load->watchers[i].fd = dial_loopback(port);
		send_all(load->watchers[i].fd, watch, strlen(watch));
		read_until(load->watchers[i].fd, ": watching from");
	}
}

static void start_redis(struct load *load, uint16_t port, const char *value)
{
	static const char subscribe[] = "SUBSCRIBE watched\r\n";
	load->first = '*';
	load->writer = dial_loopback(port);
	set_request(load, asprintf(&load->request,
	                           "*3\r\n$7\r\nPUBLISH\r\n$7\r\nwatched\r\n$%d\r\n%s\r\n", BYTES,
	                           value));
	for (uint64_t i = 0; i < load->n; i++) {
		load->watchers[i].fd = dial_loopback(port);
		send_all(load->watchers[i].fd, subscribe, strlen(subscribe));
		read_until(load->watchers[i].fd, ":1\r\n");
	}
}

/* --- the run --- */

static void add_watcher(struct load *load, int fd, struct watcher *watcher)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = watcher };
	if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, fd, &ev))
		die("epoll", strerror(errno));
}

static void receive_data(struct load *load, struct watcher *w)
{
	static char buf[READ_BYTES]; /* There is one thread. */
	ssize_t n = read(w ? w->fd : load->writer, buf, sizeof(buf));
	if (n <= 0)
		die("receive", n ? strerror(errno) : "the connection was closed");
	if (!w)
		return; /* The writer's responses do not count, only deliveries to watchers. */
	for (const char *at = buf, *end = buf + n; at < end;) {
		load->delivered += !w->in_line && *at == load->first;
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		w->in_line = !newline;
		at = newline ? newline + 1 : end;
	}
}

static void run_load(struct load *load, double seconds)
{
	struct epoll_event events[EVENTS];
	double begin = samples_now(), from = begin + seconds * 1e6 * WARM_UP, now, last = begin;
	uint64_t before = 0;
	bool counting = false;
	while ((now = samples_now()) < from + seconds * 1e6) {
		if (!counting && now >= from) {
			counting = true;
			from = now;
			before = load->delivered;
		}
		while (load->sent * load->n < load->delivered + WINDOW * load->n) {
			send_all(load->writer, load->request, load->request_len);
			load->sent++;
		}
		int n = epoll_wait(load->epoll, events, EVENTS, 1000);
		for (int i = 0; i < n; i++)
			receive_data(load, events[i].data.ptr);
		if (n > 0)
			last = now;
		else if (now - last > GIVE_UP_US)
			die("run", "no more data");
	}
	printf("%.9g\n", (double)(load->delivered - before) / (now - from) * 1e6);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	bool bare = argc == 4 && strcmp(what, "bare") == 0;
	bool keydir = argc == 5 && strcmp(what, "keydir") == 0;
	bool redis = argc == 5 && strcmp(what, "redis") == 0;
	if (!bare && !keydir && !redis) {
		fprintf(stderr,
		        "usage: watch_load keydir PORT | redis PORT | bare    WATCHERS SECONDS\n");
		return 2;
	}
	struct load load = { .n = strtoull(argv[argc - 2], NULL, 10), .first = 'i' };
	double seconds = strtod(argv[argc - 1], NULL);
	uint16_t port = (uint16_t)strtoul(argv[2], NULL, 10);
	struct rlimit files = { 3 * load.n + 64, 3 * load.n + 64 };
	struct rlimit now;
	if (!getrlimit(RLIMIT_NOFILE, &now) && now.rlim_cur < files.rlim_cur) {
		if (now.rlim_max > files.rlim_max)
			files.rlim_max = now.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	signal(SIGPIPE, SIG_IGN);
	char value[BYTES + 1];
	memset(value, 'v', BYTES);
	value[BYTES] = '\0';
	load.watchers = calloc(load.n, sizeof(*load.watchers));
	load.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (!load.n || !load.watchers || load.epoll < 0)
		die("WATCHERS", "must be at least one, and not too many");
	if (bare) {
		start_bare(&load);
		load.request = strdup("x");
		load.request_len = 1;
	} else if (keydir) {
		start_keydir(&load, port, value);
	} else {
		start_redis(&load, port, value);
	}
	add_watcher(&load, load.writer, NULL);
	for (uint64_t i = 0; i < load.n; i++)
		add_watcher(&load, load.watchers[i].fd, &load.watchers[i]);
	run_load(&load, seconds);
	if (load.bare) {
		kill(load.bare, SIGKILL);
		waitpid(load.bare, NULL, 0);
	}
	free(load.request);
	free(load.watchers);
	return 0;
}
