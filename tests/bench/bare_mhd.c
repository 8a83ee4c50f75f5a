/* bare_mhd: a minimal libmicrohttpd server, to compare keydir-httpd with.
 *
 *     bare_mhd PORT THREADS BYTES
 *
 * Answers every GET with the same BYTES bytes; reads the body of every PUT and
 * answers 200. No router, no store, no headers of its own. It measures the cost of
 * the library in its fastest form: a pool of threads with epoll, one response that is
 * created once. Listens on 127.0.0.1, ends on SIGTERM. */
#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bare {
	struct MHD_Response *value;
	struct MHD_Response *done;
};

static enum MHD_Result answer(void *arg, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **state)
{
	static int begun;
	struct bare *bare = arg;
	(void)url;
	(void)version;
	(void)upload;
	if (!*state) {
		*state = &begun;
		return MHD_YES;
	}
	if (*upload_size) {
		*upload_size = 0;
		return MHD_YES;
	}
	bool put = strcmp(method, MHD_HTTP_METHOD_PUT) == 0;
	return MHD_queue_response(connection, MHD_HTTP_OK, put ? bare->done : bare->value);
}

static void print_error(void *arg, const char *fmt, va_list args)
{
	(void)arg;
	vfprintf(stderr, fmt, args);
}

int main(int argc, char **argv)
{
	if (argc != 4) {
		fprintf(stderr, "usage: bare_mhd PORT THREADS BYTES\n");
		return 2;
	}
	unsigned port = (unsigned)strtoul(argv[1], NULL, 10);
	unsigned threads = (unsigned)strtoul(argv[2], NULL, 10);
	size_t size = strtoul(argv[3], NULL, 10);
	sigset_t ends;
	int signal_no;
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	char *value = malloc(size + 1);
	if (!value)
		return 1;
	memset(value, 'x', size);
	struct bare bare = {
		.value = MHD_create_response_from_buffer(size, value, MHD_RESPMEM_PERSISTENT),
		.done = MHD_create_response_from_buffer(0, value, MHD_RESPMEM_PERSISTENT),
	};
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	unsigned how = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_TURBO | MHD_USE_ERROR_LOG;
	struct MHD_Daemon *daemon = NULL;
	if (bare.value && bare.done)
		/* MHD refuses a pool of one thread. */
		daemon = MHD_start_daemon(
		        how, (uint16_t)port, NULL, NULL, answer, &bare, MHD_OPTION_EXTERNAL_LOGGER,
		        print_error, NULL, MHD_OPTION_SOCK_ADDR, &address,
		        MHD_OPTION_CONNECTION_LIMIT, 10000U, MHD_OPTION_LISTEN_BACKLOG_SIZE, 1024U,
		        MHD_OPTION_THREAD_POOL_SIZE, threads > 1 ? threads : 0U, MHD_OPTION_END);
	if (!daemon) {
		fprintf(stderr, "bare_mhd: cannot listen on port %u\n", port);
		return 1;
	}
	sigwait(&ends, &signal_no);
	MHD_stop_daemon(daemon);
	MHD_destroy_response(bare.value);
	MHD_destroy_response(bare.done);
	free(value);
	return 0;
}
