/* Requests: the state of one HTTP request from its first line to its end. */
#ifndef KEYDIR_HTTPD_REQUEST_H
#define KEYDIR_HTTPD_REQUEST_H

#include "httpd/access.h"
#include "httpd/clients.h"
#include "httpd/http_metrics.h"
#include "httpd/json_text.h"
#include "httpd/request_body.h"
#include "httpd/request_headers.h"
#include "httpd/request_submit.h"
#include "httpd/request_wait.h"
#include "httpd/url.h"

#include <microhttpd.h>
#include <stdatomic.h>

struct key_poll;
struct request;
struct route;
struct server;

/* A step is a function that moves a request on, on the MHD thread of its
 * connection: it answers (respond.h), or starts to wait (request_wait.h) and
 * names the next step. What those return it returns to MHD. */

enum request_stage {
	REQUEST_NEW,      /* the handler was not called yet */
	REQUEST_BODY,     /* the body is being read */
	REQUEST_RUNNING,  /* the route's step runs, or a later one */
	REQUEST_GATHERED, /* its event is queued; MHD calls again in its next round */
	REQUEST_WAITING,  /* suspended: resumed by the node or by stopping */
	REQUEST_ANSWERED, /* a response is queued */
};

#define REQUEST_ID_MAX 128
#define REQUEST_SENT_UNKNOWN UINT64_MAX

struct request {
	struct server *server;
	struct MHD_Connection *conn;
	const struct route *route; /* NULL: no such path */
	enum http_route metric;    /* the route's, unless the handler knows better */
	enum http_method method;
	enum request_stage stage;
	unsigned status; /* of the answer; 0 before it */
	int64_t start_ns;
	enum MHD_Result (*next)(struct request *rq); /* the step that goes on after waiting */
	enum MHD_Result (*after_write)(struct request *rq); /* the step behind request_submit() */
	enum event_op op; /* of what was submitted, for that step */
	size_t nops;      /* txn: of it */
	struct request_headers headers;
	const char *method_text; /* as sent */
	uint64_t sent;           /* bytes of the answer's body; REQUEST_SENT_UNKNOWN: a stream */
	char id[40];             /* made by us, see request_id(); "": not yet */
	struct client *client;   /* the connection's record; may be NULL */
	bool refused;            /* libmicrohttpd answered it, with `status` */
	bool last;               /* the connection closes after the answer */
	bool waits;   /* counted among those that wait for changes; see client_wait_begin() */
	bool endless; /* the answer is a stream without an end: it takes as long as it takes */

	/* Who asks; see access.h. */
	struct tokens *tokens;     /* the table in force when it began; NULL: there are none */
	const struct token *token; /* in `tokens`; NULL: none known */

	struct url url; /* borrows from `target` */
	char *key;      /* decoded; where the route has one */
	size_t key_len;
	bool key_is_dir; /* it was written with a slash at its end */
	/* malloc'd: the key as it was sent where it is stored under another
	 * (long_key.h), else NULL */
	char *own_key;
	size_t own_key_len;

	char *idem; /* malloc'd: the Idempotency-Key with its scope; NULL: not needed */
	struct json_text prepared; /* made before a change, for the answer to it */

	char *body; /* malloc'd; NULL: empty */
	size_t body_len;
	size_t body_cap;            /* counted in the server's body_bytes */
	uint64_t announced;         /* Content-Length, or 0 */
	uint64_t discarded;         /* body bytes read and thrown away */
	bool defer;                 /* an answer waits until the body was read: */
	struct MHD_Response *early; /* this one */
	unsigned early_status;

	/* Waiting. A request is in REFS hands: MHD's and that of each callback
	 * that will still come; the last one frees it. */
	atomic_uint refs;
	atomic_int wait;               /* enum wait_state in request_wait.c */
	struct request_result arrived; /* written by the callback before `wait` */
	struct request_result result;  /* what the next step reads */
	struct request_result written; /* outcome of the write, see request_submit() */
	bool mount_pending;            /* a mount of the node may still show what was before */
	struct key_poll *poll;         /* GET ?wait= that has waited */
	int64_t wait_until_ms;         /* of GET ?wait= (monotonic); 0: it waits no more */
	bool abandoned;                /* no outcome came: the server stops */
	struct request *waiting_next;  /* links of the server's list; waiting_lock */
	struct request *waiting_prev;

	char target[]; /* raw request target, NUL-ended; then room for the key */
};

/* MHD's URI callback: a new request for the raw TARGET, or NULL. */
void *request_new(void *server, const char *target, struct MHD_Connection *conn);
/* MHD's handler. */
enum MHD_Result request_handle(void *server, struct MHD_Connection *conn, const char *url,
                               const char *method, const char *version, const char *upload_data,
                               size_t *upload_data_size, void **req);
/* MHD's end of a request: the answer was sent, or the client is gone. */
void request_completed(void *server, struct MHD_Connection *conn, void **req,
                       enum MHD_RequestTerminationCode how);

/* libmicrohttpd answers RQ itself, with STATUS; see refusals.h. */
void request_refused(struct request *rq, unsigned status);
/* The same for a request that MHD forgot; see client_request(). */
void request_forgotten(void *request);

/* One hand less (see `refs`); the last frees it. From any thread. */
void request_unref(struct request *rq);

#endif
