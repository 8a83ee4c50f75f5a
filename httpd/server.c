/* Server: starts and stops libmicrohttpd for a node.
 *
 * libmicrohttpd runs a small pool of threads, each with its own epoll set and connections; a
 * connection stays on its thread. A client costs memory, never a thread: requests that wait for the
 * log are suspended. All resources that clients use are limited here: connections (in all and per
 * address), silence, the memory of one connection's headers, of all bodies together, and of all
 * responses (answer_memory.c); clients.c limits the time of a request.
 *
 * MHD's own decoding of URLs is replaced by a function that does nothing (url.c says why). Its
 * complaints about single connections are logged as debugging output.
 *
 * Stop: MHD aborts the program if it is stopped with a suspended connection, so all waiting
 * requests are resumed first, and no request may wait from then on (`abandoning`). */
#include "httpd/server.h"

#include "common/base/clock.h"
#include "common/base/logger.h"
#include "common/store/view.h"
#include "httpd/access_log.h"
#include "httpd/answer_memory.h"
#include "httpd/hosts.h"
#include "httpd/limits.h"
#include "httpd/peers.h"
#include "httpd/refusals.h"
#include "httpd/request.h"
#include "httpd/spool.h"
#include "httpd/tls.h"
#include "httpd/watch_hub.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* Limit of all request bodies being read: at least this much, and enough for several of the
 * largest. */
#define BODIES_MIN (UINT64_C(256) << 20)
#define BODIES_LARGEST 8
/* Open files other than connections: the store, the log, epoll. */
#define OTHER_FILES 256

static void log_from_mhd(void *arg, const char *fmt, va_list args)
{
	char text[512];
	(void)arg;
	vsnprintf(text, sizeof(text), fmt, args);
	size_t len = strlen(text);
	if (len && text[len - 1] == '\n')
		text[len - 1] = '\0';
	logger(LOGGER_DEBUG, "http: %s", text);
}

/* Leave URLs and parameters undecoded. */
static size_t unescape_nothing(void *arg, struct MHD_Connection *conn, char *text)
{
	(void)arg;
	(void)conn;
	return strlen(text);
}

/* Connections in addition to --connections, per thread: requests that inspect the node are served
 * on them when all others are taken. */
#define RESERVE_PER_THREAD 16
/* With fewer connections the server does not start. */
#define CONNECTIONS_MIN 16

/* Raise the limit of open files for *CONNECTIONS and RESERVE more, or lower *CONNECTIONS, with a
 * warning, to as many as fit. Returns 0, or -EMFILE with a sentence in WHY if too few fit. */
static int raise_files(uint64_t *connections, uint64_t reserve, char *why, size_t why_size)
{
	struct rlimit limit;
	rlim_t want = *connections + reserve + OTHER_FILES;
	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= want)
		return 0;
	/* Root may raise the hard limit too. */
	struct rlimit more = { want, want < limit.rlim_max ? limit.rlim_max : want };
	if (!setrlimit(RLIMIT_NOFILE, &more))
		return 0;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	/* Leave half of a low limit to other files: they are fewer than OTHER_FILES. */
	uint64_t files = limit.rlim_cur;
	uint64_t other = files / 2 < OTHER_FILES ? files / 2 : OTHER_FILES;
	if (files < other + reserve + CONNECTIONS_MIN) {
		uint64_t needed = 2 * (reserve + CONNECTIONS_MIN);
		snprintf(why, why_size,
		         "the limit of open files is %llu, and at least %llu are needed: raise it "
		         "(ulimit -n, or LimitNOFILE= of the unit), or lower --threads",
		         (unsigned long long)files, (unsigned long long)needed);
		return -EMFILE;
	}
	uint64_t fit = files - other - reserve;
	logger(LOGGER_WARN,
	       "the limit of open files allows fewer connections wanted=%llu allowed=%llu",
	       (unsigned long long)*connections, (unsigned long long)fit);
	*connections = fit;
	return 0;
}

static int listen_on(const struct settings *settings, char *why, size_t why_size)
{
	int fd = socket(settings->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1;
	if (fd < 0)
		goto err;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	/* Connections inherit these (tcp(7)): if the machine of a client that waits for a change
	 * vanishes, that is noticed after two minutes. */
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &(int){ 60 }, sizeof(int));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &(int){ 15 }, sizeof(int));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &(int){ 4 }, sizeof(int));
	if (bind(fd, (const struct sockaddr *)&settings->address, settings->address_len) ||
	    listen(fd, SOMAXCONN))
		goto err;
	return fd;
err:;
	int err = errno;
	snprintf(why, why_size, "--listen %s: %s", settings->listen, strerror(err));
	if (fd >= 0)
		close(fd);
	return -err;
}

static struct MHD_Daemon *start_daemon(struct server *server, uint64_t connections)
{
	const struct settings *s = server->settings;
	struct MHD_OptionItem options[] = {
		{ MHD_OPTION_LISTEN_SOCKET, server->listen_fd, NULL },
		{ MHD_OPTION_CONNECTION_LIMIT, (intptr_t)connections, NULL },
		{ MHD_OPTION_CONNECTION_TIMEOUT, (intptr_t)(s->idle_timeout_ms / 1000), NULL },
		{ MHD_OPTION_CONNECTION_MEMORY_LIMIT, (intptr_t)LIMITS_CONNECTION_MEMORY, NULL },
		{ MHD_OPTION_PER_IP_CONNECTION_LIMIT, (intptr_t)s->per_address, NULL },
		{ MHD_OPTION_UNESCAPE_CALLBACK, (intptr_t)unescape_nothing, NULL },
		{ MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)request_new, server },
		{ MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)request_completed, server },
		{ MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)clients_notify, server->clients },
#if MHD_VERSION >= 0x00097701
		/* Refuse a blank in the request's target, which would be answered with a
		 * redirect, and a header over several lines. Older versions of the library
		 * refuse the first always, and request_headers.c finds the second. */
		{ MHD_OPTION_CLIENT_DISCIPLINE_LVL, 1, NULL },
#endif
		/* MHD logs a complaint about a pool of one thread. */
		{ s->threads > 1 ? MHD_OPTION_THREAD_POOL_SIZE : MHD_OPTION_END,
		  (intptr_t)s->threads, NULL },
		{ MHD_OPTION_END, 0, NULL },
	};
	char priorities[] = TLS_PRIORITIES;
	struct MHD_OptionItem tls_options[] = {
		{ MHD_OPTION_HTTPS_CERT_CALLBACK, 0, tls_callback() },
		{ MHD_OPTION_HTTPS_PRIORITIES, 0, priorities },
		{ MHD_OPTION_END, 0, NULL },
	};
	unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME |
	                 MHD_USE_ERROR_LOG;
	if (s->address.ss_family == AF_INET6)
		flags |= MHD_USE_IPv6;
	if (s->tls_cert)
		flags |= MHD_USE_TLS;
	return MHD_start_daemon(flags, 0, NULL, NULL, request_handle, server,
	                        MHD_OPTION_EXTERNAL_LOGGER, log_from_mhd, NULL, MHD_OPTION_ARRAY,
	                        options, s->tls_cert ? MHD_OPTION_ARRAY : MHD_OPTION_END,
	                        tls_options, MHD_OPTION_END);
}

int server_new(struct node *node, struct watch_hub *hub, const struct settings *settings,
               struct server **ret, char *why, size_t why_size)
{
	struct server *server = calloc(1, sizeof(*server));
	uint64_t connections = settings->connections;
	int r;
	if (!server) {
		snprintf(why, why_size, "out of memory");
		return -ENOMEM;
	}
	server->node = node;
	server->hub = hub;
	server->settings = settings;
	server->started_ms = clock_wall_ms();
	server->body_bytes_max = BODIES_LARGEST * node_get_config(node)->max_value;
	if (server->body_bytes_max < BODIES_MIN)
		server->body_bytes_max = BODIES_MIN;
	answer_memory_limit(settings->answer_memory);
	pthread_mutex_init(&server->waiting_lock, NULL);

	server->spools = spools_new(node);
	if (!server->spools) {
		r = -ENOMEM;
		snprintf(why, why_size, "out of memory");
		goto err_free;
	}
	uint64_t reserve = RESERVE_PER_THREAD * settings->threads;
	r = raise_files(&connections, reserve, why, why_size);
	if (r)
		goto err_free;
	r = access_new(settings->tokens, &server->access, why, why_size);
	if (r)
		goto err_free;
	r = hosts_new(settings, &server->hosts);
	if (r) {
		snprintf(why, why_size, "out of memory");
		goto err_access;
	}
	if (settings->tls_cert) {
		r = tls_load(settings->tls_cert, settings->tls_key, why, why_size);
		if (r)
			goto err_hosts;
	}
	r = access_log_open(settings->access_log, &server->access_log, why, why_size);
	if (r)
		goto err_tls;
	struct clients_config limits = {
		.most = connections,
		.idle_ms = settings->idle_timeout_ms,
		.request_ms = settings->request_timeout_ms,
		.waiting_most = (connections + 1) / 2,
		.waiting_per_address = (settings->per_address + 1) / 2,
		.forgotten = request_forgotten,
		.released = watch_hub_check_over,
		.released_arg = hub,
	};
	r = clients_new(&limits, &server->clients);
	if (r) {
		snprintf(why, why_size, "cannot start the thread for connections: %s",
		         strerror(-r));
		goto err_log;
	}
	r = peers_new(settings->node.peers, &settings->node.peer_access, &server->peers);
	if (r) {
		snprintf(why, why_size, "cannot start the thread for peers: %s", strerror(-r));
		goto err_clients;
	}
	server->listen_fd = listen_on(settings, why, why_size);
	if (server->listen_fd < 0) {
		r = server->listen_fd;
		goto err_peers;
	}
	r = refusals_start(server);
	if (r) {
		snprintf(why, why_size, "libmicrohttpd is not a shared library");
		goto err_close;
	}
	server->daemon = start_daemon(server, connections + reserve);
	if (!server->daemon) {
		r = -EIO;
		snprintf(why, why_size,
		         "the HTTP server does not start; --log-level=debug says why");
		goto err_refusals;
	}
	*ret = server;
	return 0;
err_refusals:
	refusals_stop();
err_close:
	close(server->listen_fd);
err_peers:
	peers_free(server->peers);
err_clients:
	clients_free(server->clients);
err_log:
	access_log_close(server->access_log);
err_tls:
	tls_free();
err_hosts:
	hosts_free(server->hosts);
err_access:
	access_free(server->access);
err_free:
	spools_free(server->spools);
	pthread_mutex_destroy(&server->waiting_lock);
	free(server);
	return r;
}

void server_reload(struct server *server)
{
	const struct settings *s = server->settings;
	char why[512];
	if (access_reload(server->access, why, sizeof(why)))
		logger(LOGGER_ERROR, "tokens not read, the old ones stay: %s", why);
	if (access_log_reopen(server->access_log, why, sizeof(why)))
		logger(LOGGER_ERROR, "access log not reopened, the old file stays: %s", why);
	if (!s->tls_cert)
		return;
	if (tls_load(s->tls_cert, s->tls_key, why, sizeof(why)))
		logger(LOGGER_ERROR, "certificate not read, the old one stays: %s", why);
	else
		logger(LOGGER_INFO, "certificate read file=%s", s->tls_cert);
}

static void pause_ms(long ms)
{
	struct timespec t = { .tv_nsec = ms * 1000000 };
	nanosleep(&t, NULL);
}

/* Wait until no request is in flight, or FOR_MS have passed. */
static void await_idle(int64_t for_ms)
{
	int64_t end_ms = clock_mono_ms() + for_ms;
	while (http_metrics_active() && clock_mono_ms() < end_ms)
		pause_ms(2);
}

static bool some_wait(struct server *server)
{
	pthread_mutex_lock(&server->waiting_lock);
	bool some = server->waiting != NULL;
	pthread_mutex_unlock(&server->waiting_lock);
	return some || watch_hub_waiting(server->hub) || atomic_load(&server->snapshots_waiting);
}

void server_stop(struct server *server, int64_t grace_ms)
{
	atomic_store(&server->draining, true);
	MHD_quiesce_daemon(server->daemon);
	watch_hub_close(server->hub);
	await_idle(grace_ms);
	atomic_store(&server->abandoning, true);
	spools_stop(server->spools);
	do {
		request_abandon_all(server);
		pause_ms(1);
	} while (some_wait(server));
	await_idle(200); /* Let the requests just resumed finish. */
	MHD_stop_daemon(server->daemon);
	refusals_stop();
	close(server->listen_fd);
	peers_free(server->peers);
	clients_free(server->clients);
	tls_free();
}

void server_free(struct server *server)
{
	if (!server)
		return;
	spools_free(server->spools);
	access_free(server->access);
	hosts_free(server->hosts);
	access_log_close(server->access_log);
	pthread_mutex_destroy(&server->waiting_lock);
	free(server);
}

_Static_assert(VOLUME_TAG_LEN == 1 + sizeof(uint64_t), "a tag's digits fit a word");

int server_volume_tag(struct server *server, struct volume_tag *ret)
{
	struct view view;
	/* A volume keeps its name, so the tag is read once: a change is then answered without a
	 * snapshot of its own. */
	uint64_t digits = atomic_load(&server->tag_digits);
	*ret = (struct volume_tag){ 0 };
	if (digits) {
		ret->len = VOLUME_TAG_LEN;
		ret->text[0] = '-';
		memcpy(ret->text + 1, &digits, sizeof(digits));
		return 0;
	}
	int r = view_open(node_store(server->node), &view);
	if (r)
		return r;
	view_tag(&view, ret);
	view_close(&view);
	if (ret->len) {
		memcpy(&digits, ret->text + 1, sizeof(digits));
		atomic_store(&server->tag_digits, digits);
	}
	return 0;
}

void server_address(const struct server *server, char *buf, size_t size)
{
	struct sockaddr_storage address;
	socklen_t len = sizeof(address);
	char text[INET6_ADDRSTRLEN] = "?";
	memset(&address, 0, sizeof(address));
	getsockname(server->listen_fd, (struct sockaddr *)&address, &len);
	if (address.ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&address;
		inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text));
		snprintf(buf, size, "[%s]:%u", text, ntohs(in6->sin6_port));
	} else {
		const struct sockaddr_in *in = (const struct sockaddr_in *)&address;
		inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text));
		snprintf(buf, size, "%s:%u", text, ntohs(in->sin_port));
	}
}
