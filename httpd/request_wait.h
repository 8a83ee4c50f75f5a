/* Waiting: suspends a request until the node calls back. */
#ifndef KEYDIR_HTTPD_REQUEST_WAIT_H
#define KEYDIR_HTTPD_REQUEST_WAIT_H

#include "common/node/node.h"

#include <microhttpd.h>

struct request;
struct server;

/* Result of a wait: a copy of struct outcome that outlives the callback. */
struct request_result {
	enum event_outcome code;
	bool created;
	uint64_t offset;
	uint64_t ino;
	uint64_t version;
	int64_t number;
	uint64_t size;       /* of the entry, afterwards */
	int64_t expiry_ms;   /* of the entry, afterwards; 0: never */
	uint64_t repeats;    /* offset of the event of the same Idempotency-Key; 0: none */
	struct feed_op *ops; /* txn; freed with the request */
	size_t nops;
};

/* Begin to wait. A step that wants to wait calls request_wait_start(), passes request_done and the
 * request to node_submit(), node_wait() ..., and returns what request_wait_end() returns. The
 * callback may come before that, from this thread or another: then NEXT runs at once and the
 * connection is not suspended. NEXT finds rq->result filled. If the server stops in the meantime,
 * NEXT finds OUTCOME_UNKNOWN for what may still happen. */
void request_wait_start(struct request *rq);
node_done request_done;
enum MHD_Result request_wait_end(struct request *rq, enum MHD_Result (*next)(struct request *rq));

/* Return whether the callback has come already; between start and end. */
bool request_wait_is_done(struct request *rq);
/* Continue a suspended request with NEXT, when MHD calls again. */
enum MHD_Result request_wait_over(struct request *rq);
/* End the wait of a suspended request whose client has left. */
void request_wait_drop(struct request *rq);

/* Resume all waiting requests, to be answered without their outcome. */
void request_abandon_all(struct server *server);

#endif
