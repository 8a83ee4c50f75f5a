/* Refusals: problem documents in place of libmicrohttpd's own responses.
 *
 * A connection's bytes that are not HTTP, or exceed the memory of a connection, never become a
 * request: libmicrohttpd (0.9.75) answers them with a line of HTML, and has no option to change
 * that. mhd_queue.c intercepts these responses, and refuse_request() answers with a problem
 * document instead. Where they cannot be intercepted, they stay HTML, with the same status.
 *
 * After a refusal between the headers and our handler, the library goes on, and puts the headers of
 * its response before it a second time. So the document is written to the connection here, and the
 * library is informed that it could not be queued: then it closes the connection, as it would
 * anyway. The response is small, and the socket's buffer is empty.
 *
 * The client is often still sending. If the connection closes with unread data, the kernel resets
 * it, which can destroy the response in transit, so received data is read and discarded first.
 *
 * `server` is written before the daemon's threads start and after they ended. */
#include "httpd/refusals.h"

#include "httpd/clients.h"
#include "httpd/limits.h"
#include "httpd/mhd_queue.h"
#include "httpd/problem.h"
#include "httpd/request.h"
#include "httpd/respond.h"
#include "httpd/server.h"
#include "httpd/tls.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

/* Bytes that are read and discarded before a refusal. */
#define DRAIN_MAX (1 << 20)

static struct server *server;

static int socket_of(struct MHD_Connection *conn)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
	        conn, MHD_CONNECTION_INFO_CONNECTION_FD);
	return info ? (int)info->connect_fd : -1;
}

static void drain_socket(struct MHD_Connection *conn)
{
	int fd = socket_of(conn);
	char dropped[4096];
	ssize_t n = 1;
	for (size_t sum = 0; sum < DRAIN_MAX && n > 0; sum += (size_t)n)
		n = recv(fd, dropped, sizeof(dropped), MSG_DONTWAIT);
}

/* Create the document for STATUS, which libmicrohttpd chose, like problem_document(). NULL: send the
 * library's own response. */
static char *refusal_document(struct request *rq, unsigned status, size_t *ret_len,
                              struct MHD_Response **ret_headers)
{
	switch (status) {
	case MHD_HTTP_BAD_REQUEST:
		return problem_document(rq, PROBLEM_BAD_REQUEST, ret_len, ret_headers,
		                        "This is not valid HTTP/1.1: the request line, a header, "
		                        "the length or a chunk of the body is malformed. The "
		                        "connection is closed.");
	case MHD_HTTP_CONTENT_TOO_LARGE:
		return problem_document(rq, PROBLEM_TOO_LARGE, ret_len, ret_headers,
		                        "The Content-Length exceeds all limits. Store less, or "
		                        "split the value over several keys.");
	case MHD_HTTP_URI_TOO_LONG:
		return problem_document(rq, PROBLEM_TARGET_TOO_LONG, ret_len, ret_headers,
		                        LIMITS_TARGET_TEXT, LIMITS_TARGET);
	case MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE:
		return problem_document(rq, PROBLEM_HEADERS_TOO_LARGE, ret_len, ret_headers,
		                        LIMITS_HEADERS_TEXT, LIMITS_HEADER_COUNT, LIMITS_HEADERS);
	case MHD_HTTP_HTTP_VERSION_NOT_SUPPORTED:
		return problem_document(rq, PROBLEM_VERSION, ret_len, ret_headers,
		                        "This server supports HTTP/1.1 and HTTP/1.0. Use "
		                        "HTTP/1.1.");
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

static void write_response(struct MHD_Connection *conn, unsigned status,
                           struct MHD_Response *headers, const char *body, size_t len)
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

/* Answer in place of libmicrohttpd, which refuses a request with STATUS and RESPONSE. */
static enum MHD_Result refuse_request(struct MHD_Connection *conn, unsigned status,
                                      struct MHD_Response *response)
{
	/* Stands for the request if it was refused before it existed, as by its first line. */
	struct request none = { .server = server, .conn = conn, .refs = 1 };
	struct request *rq = client_request_now(client_of(conn));
	struct MHD_Response *headers = NULL;
	size_t len;
	char *text = refusal_document(rq ? rq : &none, status, &len, &headers);
	if (rq) {
		request_refused(rq, status);
	} else {
		http_metrics_begin();
		http_metrics_end(HTTP_ROUTE_OTHER, HTTP_METHOD_OTHER, status, 0);
	}
	drain_socket(conn);
	if (!text || !headers) {
		free(text);
		return mhd_queue(conn, status, response);
	}
	respond_common(rq ? rq : &none, status, RESPOND_OFFSET_NOW, headers);
	write_response(conn, status, headers, text, len);
	MHD_destroy_response(headers);
	free(text);
	return MHD_NO;
}

int refusals_start(struct server *of)
{
	server = of;
	return mhd_queue_init(refuse_request);
}

void refusals_stop(void)
{
	server = NULL;
}
