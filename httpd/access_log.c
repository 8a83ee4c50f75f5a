/* Access log: one JSON object per request.
 *
 * A line is built in memory and written with one write(2) to a descriptor in append mode, so lines
 * of several threads never mix. A line that cannot be written (a full disk) is counted and dropped;
 * the server goes on.
 *
 * Text from clients is written as escaped, truncated JSON strings: it can neither forge a line nor
 * make one longer than a pipe accepts in one piece. A token is never written, only its name in the
 * token file.
 *
 * access_log_reopen() puts the new file under the old descriptor with dup3(), atomically for
 * writers, so there is no lock. */
#include "httpd/access_log.h"

#include "common/base/clock.h"
#include "common/base/logger.h"
#include "common/base/ttl.h"
#include "httpd/json_text.h"
#include "httpd/request.h"
#include "httpd/response.h"
#include "httpd/server.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

/* Longest text of a client; a line stays below PIPE_BUF (4096) even if all of its bytes are
 * escaped. */
#define TEXT_MAX 120
#define PATH_TEXT_MAX 240

struct access_log {
	int fd;
	char *file; /* NULL: a standard stream */
};

static _Atomic uint64_t lost;
static atomic_bool told; /* the current run of failures was logged */

/* --- request ids ----------------------------------------------------------- */

static pthread_once_t seeded = PTHREAD_ONCE_INIT;
static uint64_t seed;
static _Atomic uint64_t counter;

static void make_seed(void)
{
	if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
		seed = (uint64_t)clock_wall_ms() << 20 ^ (uint64_t)getpid();
}

static bool is_id(const char *text)
{
	size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	                          "-._:+/=");
	return len && !text[len] && len <= REQUEST_ID_MAX;
}

bool request_id_is_given(const struct request *rq)
{
	return rq->headers.request_id && is_id(rq->headers.request_id);
}

const char *request_id(struct request *rq)
{
	if (request_id_is_given(rq))
		return rq->headers.request_id;
	if (!rq->id[0]) {
		pthread_once(&seeded, make_seed);
		snprintf(rq->id, sizeof(rq->id), "%016llx-%llx", (unsigned long long)seed,
		         (unsigned long long)atomic_fetch_add_explicit(&counter, 1,
		                                                       memory_order_relaxed));
	}
	return rq->id;
}

/* --- open ------------------------------------------------------------------ */

static int open_file(const char *file, char *why, size_t why_size)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0640);
	if (fd < 0) {
		int err = errno;
		snprintf(why, why_size, "--access-log %s: %s", file, strerror(err));
		return -err;
	}
	return fd;
}

int access_log_open(const char *where, struct access_log **ret, char *why, size_t why_size)
{
	*ret = NULL;
	if (strcmp(where, "off") == 0)
		return 0;
	struct access_log *log = calloc(1, sizeof(*log));
	if (!log)
		goto err_memory;
	if (strcmp(where, "stdout") == 0 || strcmp(where, "stderr") == 0) {
		log->fd = strcmp(where, "stdout") == 0 ? STDOUT_FILENO : STDERR_FILENO;
	} else {
		log->file = strdup(where);
		if (!log->file)
			goto err_memory;
		log->fd = open_file(where, why, why_size);
		if (log->fd < 0) {
			int r = log->fd;
			free(log->file);
			free(log);
			return r;
		}
	}
	*ret = log;
	return 0;
err_memory:
	free(log);
	snprintf(why, why_size, "out of memory");
	return -ENOMEM;
}

int access_log_reopen(struct access_log *log, char *why, size_t why_size)
{
	if (!log || !log->file)
		return 0;
	int fd = open_file(log->file, why, why_size);
	if (fd < 0)
		return fd;
	int r = dup3(fd, log->fd, O_CLOEXEC) < 0 ? -errno : 0;
	if (r)
		snprintf(why, why_size, "--access-log %s: %s", log->file, strerror(-r));
	close(fd);
	return r;
}

void access_log_close(struct access_log *log)
{
	if (!log)
		return;
	if (log->file)
		close(log->fd);
	free(log->file);
	free(log);
}

/* --- write ----------------------------------------------------------------- */

static void write_member(struct json_text *t, const char *name, const char *text, size_t len,
                         size_t most)
{
	json_text_raw(t, ",\"");
	json_text_raw(t, name);
	json_text_raw(t, "\":");
	json_text_string(t, text, len < most ? len : most);
}

static void write_number(struct json_text *t, const char *name, uint64_t n)
{
	json_text_raw(t, ",\"");
	json_text_raw(t, name);
	json_text_raw(t, "\":");
	json_text_u64(t, n);
}

static void write_text(struct json_text *t, const char *name, const char *text)
{
	if (text)
		write_member(t, name, text, strlen(text), TEXT_MAX);
}

void access_log_write(struct access_log *log, const struct request *rq, bool gone,
                      int64_t latency_ns)
{
	struct json_text t = { 0 };
	char text[CLIENT_ADDRESS_SIZE];
	char seconds[40];
	char moment[32];
	if (!log)
		return;
	moment_format(clock_wall_ms(), moment, sizeof(moment));
	json_text_raw(&t, "{\"time\":\"");
	json_text_raw(&t, moment);
	json_text_raw(&t, "\"");
	/* Only this thread uses a request that has ended, so its id may be created now. */
	const char *id = request_id((struct request *)(uintptr_t)rq);
	write_member(&t, "id", id, strlen(id), REQUEST_ID_MAX);
	client_address(rq->conn, text, sizeof(text));
	write_member(&t, "address", text, strlen(text), sizeof(text));
	write_text(&t, "forwarded_for", rq->headers.forwarded_for);
	write_text(&t, "method", rq->method_text ? rq->method_text : "-");
	if (rq->url.path)
		write_member(&t, "path", rq->url.path, rq->url.path_len, PATH_TEXT_MAX);
	/* Log the query as sent: a route that ignores it has none in rq->url. */
	const char *query = strchr(rq->target, '?');
	if (query && query[1])
		write_member(&t, "query", query + 1, strlen(query + 1), TEXT_MAX);
	write_text(&t, "route", http_metrics_route(rq->metric));
	write_number(&t, "status", gone ? 0 : rq->status);
	snprintf(seconds, sizeof(seconds), ",\"seconds\":%lld.%06lld",
	         (long long)(latency_ns / 1000000000), (long long)(latency_ns / 1000 % 1000000));
	json_text_raw(&t, seconds);
	if (rq->announced)
		write_number(&t, "bytes_in", rq->announced);
	if (rq->sent != RESPONSE_SIZE_UNKNOWN)
		write_number(&t, "bytes_out", rq->sent);
	if (rq->token)
		write_text(&t, "token", rq->token->name);
	write_text(&t, "user_agent", rq->headers.user_agent);
	json_text_raw(&t, "}\n");
	ssize_t n = -1;
	if (!t.failed)
		do
			n = write(log->fd, t.data, t.len);
		while (n < 0 && errno == EINTR);
	if (n == (ssize_t)t.len && n >= 0) {
		atomic_store_explicit(&told, false, memory_order_relaxed);
	} else {
		atomic_fetch_add_explicit(&lost, 1, memory_order_relaxed);
		if (!atomic_exchange_explicit(&told, true, memory_order_relaxed))
			logger(LOGGER_WARN, "access log: lines are lost: %s",
			       n < 0 ? strerror(t.failed ? ENOMEM : errno) : "cut short");
	}
	json_text_clear(&t);
}

void access_log_metrics_write(FILE *to)
{
	fprintf(to,
	        "# HELP keydir_access_log_lost_total Lines of the access log that could not be "
	        "written\n"
	        "# TYPE keydir_access_log_lost_total counter\n"
	        "keydir_access_log_lost_total %llu\n",
	        (unsigned long long)atomic_load_explicit(&lost, memory_order_relaxed));
}
