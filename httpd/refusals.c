/* Refusals.
 *
 * What is no HTTP, or is more than the memory of a connection, never becomes a
 * request: libmicrohttpd (0.9.75) answers it with a line of HTML, and has no
 * option to change that. But it queues these answers as we do ours, by
 * MHD_queue_response(), and a function of that name in the program comes before
 * the library's. So the one below is called for the library's answers alone
 * (ours go straight to the real one), and answers with a problem document. A
 * library that was linked to call itself directly (-Bsymbolic-functions, as in
 * Ubuntu) never gets here: then these few answers stay HTML, of the same status.
 *
 * Between the headers and our handler the library goes on after it has refused,
 * and puts the headers of its answer before it a second time. So the document is
 * written to the connection here, and the library told that it could not be
 * queued: then it closes, which it would have done anyway. The answer is small,
 * and the socket's buffer empty.
 *
 * The client is often still sending. Closing on bytes that nobody read makes
 * the kernel reset the connection, which can destroy the answer on its way, so
 * what has come is read and thrown away first.
 *
 * `server` is written before the daemon's threads start and after they ended. */
#include "httpd/refusals.h"

#include "httpd/clients.h"
#include "httpd/limits.h"
#include "httpd/problem.h"
#include "httpd/request.h"
#include "httpd/respond.h"
#include "httpd/server.h"
#include "httpd/tls.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Bytes that are read and thrown away before a refusal. */
#define DRAIN_MAX (1 << 20)

static struct server *server;
static enum MHD_Result (*real_queue)(struct MHD_Connection *, unsigned, struct MHD_Response *);

int refusals_start(struct server *of)
{
	void *found = dlsym(RTLD_NEXT, "MHD_queue_response");
	if (!found)
		return -ENOSYS;
	memcpy(&real_queue, &found, sizeof(found));
	server = of;
	return 0;
}

void refusals_stop(void)
{
	server = NULL;
}

enum MHD_Result refusals_queue_own(struct MHD_Connection *conn, unsigned status,
                                   struct MHD_Response *response)
{
	return real_queue(conn, status, response);
}

static int socket_of(struct MHD_Connection *conn)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
	        conn, MHD_CONNECTION_INFO_CONNECTION_FD);
	return info ? (int)info->connect_fd : -1;
}

static void drain(struct MHD_Connection *conn)
{
	int fd = socket_of(conn);
	char dropped[4096];
	ssize_t n = 1;
	for (size_t sum = 0; sum < DRAIN_MAX && n > 0; sum += (size_t)n)
		n = recv(fd, dropped, sizeof(dropped), MSG_DONTWAIT);
}

/* The document for STATUS, which libmicrohttpd chose; NULL: nothing better than
 * its own answer. As problem_document(). */
static char *document(struct request *rq, unsigned status, size_t *ret_len,
                      struct MHD_Response **ret_headers)
{
	switch (status) {
	case MHD_HTTP_BAD_REQUEST:
		return problem_document(rq, PROBLEM_BAD_REQUEST, ret_len, ret_headers,
		                        "This is not HTTP/1.1 as it is written: the request line, "
		                        "a header, the length or a chunk of the body is malformed. "
		                        "The connection is closed.");
	case MHD_HTTP_CONTENT_TOO_LARGE:
		return problem_document(rq, PROBLEM_TOO_LARGE, ret_len, ret_headers,
		                        "The Content-Length is a number beyond all limits. Store "
		                        "less, or split the value over several keys.");
	case MHD_HTTP_URI_TOO_LONG:
		return problem_document(rq, PROBLEM_TARGET_TOO_LONG, ret_len, ret_headers,
		                        LIMITS_TARGET_TEXT, LIMITS_TARGET);
	case MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE:
		return problem_document(rq, PROBLEM_HEADERS_TOO_LARGE, ret_len, ret_headers,
		                        LIMITS_HEADERS_TEXT, LIMITS_HEADER_COUNT, LIMITS_HEADERS);
	case MHD_HTTP_HTTP_VERSION_NOT_SUPPORTED:
		return problem_document(rq, PROBLEM_VERSION, ret_len, ret_headers,
		                        "HTTP/1.1 and HTTP/1.0 are spoken here. Speak HTTP/1.1.");
	case MHD_HTTP_INTERNAL_SERVER_ERROR:
		return problem_document(rq, PROBLEM_INTERNAL, ret_len, ret_headers,
		                        "The HTTP library gave up on this request. Try again on a "
		                        "new connection.");
	default:
		return NULL;
	}
}

static enum MHD_Result write_header(void *to, enum MHD_ValueKind kind, const char *name,
                                    const char *value)
{
	(void)kind;
	fprintf(to, "%s: %s\r\n", name, value);
	return MHD_YES;
}

static void write_answer(struct MHD_Connection *conn, unsigned status, struct MHD_Response *headers,
                         const char *body, size_t len)
{
	char *text = NULL;
	size_t size = 0;
	FILE *to = open_memstream(&text, &size);
	if (!to)
		return;
	fprintf(to, "HTTP/1.1 %u %s\r\n", status, MHD_get_reason_phrase_for(status));
	MHD_get_response_headers(headers, write_header, to);
	fprintf(to, "Content-Length: %zu\r\nConnection: close\r\n\r\n", len);
	fwrite(body, 1, len, to);
	if (!fclose(to)) {
		if (server->settings->tls_cert)
			tls_send(conn, text, size);
		else
			send(socket_of(conn), text, size, MSG_DONTWAIT | MSG_NOSIGNAL);
	}
	free(text);
}

/* The library's own answers; see above. */
enum MHD_Result MHD_queue_response(struct MHD_Connection *conn, unsigned status,
                                   struct MHD_Response *response)
{
	/* Refused before there was a request, as by its first line: then this
	 * stands for it. */
	struct request none = { .server = server, .conn = conn, .refs = 1 };
	struct request *rq = client_request_now(client_of(conn));
	struct MHD_Response *headers = NULL;
	size_t len;
	char *text = document(rq ? rq : &none, status, &len, &headers);
	if (rq) {
		request_refused(rq, status);
	} else {
		http_metrics_begin();
		http_metrics_end(HTTP_ROUTE_OTHER, HTTP_METHOD_OTHER, status, 0);
	}
	drain(conn);
	if (!text || !headers) {
		free(text);
		return real_queue(conn, status, response);
	}
	respond_common(rq ? rq : &none, status, RESPOND_OFFSET_NOW, headers);
	write_answer(conn, status, headers, text, len);
	MHD_destroy_response(headers);
	free(text);
	return MHD_NO;
}
