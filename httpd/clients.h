/* Clients: the connections, how long each may take, and which go first. */
#ifndef KEYDIR_HTTPD_CLIENTS_H
#define KEYDIR_HTTPD_CLIENTS_H

#include <microhttpd.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct clients;
struct client;

/* What a connection does. Only WORKING and WAITING may last. */
enum client_phase {
	CLIENT_IDLE,      /* no request line is here: keep-alive, a handshake, silence */
	CLIENT_RECEIVING, /* headers and body come in */
	CLIENT_WORKING,   /* it waits for our answer */
	CLIENT_WAITING,   /* it waits for a change, or follows a stream of changes */
	CLIENT_SENDING,   /* the answer goes out */
};

struct clients_config {
	uint64_t most;                /* connections that there may be at once, without a reserve */
	uint64_t waiting_most;        /* of them, those that may be CLIENT_WAITING */
	uint64_t waiting_per_address; /* of those, from one address; 0: no limit */
	int64_t idle_ms;              /* the longest CLIENT_IDLE of one that had a request */
	int64_t request_ms;           /* the longest RECEIVING, and SENDING, not counting a second
	                     * for each CLIENTS_BYTES_PER_S */
	void (*forgotten)(void *request); /* see client_request() */
	void (*released)(void *arg);      /* called after clients were released, on our thread */
	void *released_arg;
};

/* A client slower than this is taken for one that does not want to end. */
#define CLIENTS_BYTES_PER_S (UINT64_C(64) << 10)

/* Starts the thread that watches over them. 0 and *RET, or -errno. */
int clients_new(const struct clients_config *config, struct clients **ret);
/* Ends the thread; no connection may be left. NULL is fine. */
void clients_free(struct clients *clients);

/* MHD's callback for connections that come and go; CLIENTS is its argument. */
void clients_notify(void *clients, struct MHD_Connection *conn, void **socket_context,
                    enum MHD_ConnectionNotificationCode code);

/* The record of CONN: it lives as long as the connection; NULL without memory. */
struct client *client_of(struct MHD_Connection *conn);
/* Names the request that CLIENT (may be NULL) is at; NULL: none. Should the
 * connection be closed with one, `forgotten` is called for it, on the
 * connection's thread: libmicrohttpd (0.9.75) does not end every request that
 * it began, such as one with more cookies than fit. */
void client_request(struct client *client, void *request);
/* What client_request() named; on the connection's own thread. */
void *client_request_now(const struct client *client);
/* Says what CLIENT (may be NULL) does from now on. Cheap: no lock, no system
 * call. On the connection's own thread. */
void client_enter(struct client *client, enum client_phase phase);

/* Enters CLIENT_WAITING. Returns 0, or -EBUSY if too many wait, in all or from this
 * address; the phase is then as it was. CLIENT may be NULL. On the connection's own
 * thread, as client_wait_end(), which must be called before the connection closes. */
int client_wait_begin(struct client *client, struct MHD_Connection *conn);
void client_wait_end(struct client *client);
/* Returns a flag that is set when CLIENT is to be answered at once and its connection
 * closed after that, to make room or because it is gone. The flag lives as long as the
 * connection; NULL without a record. */
const atomic_bool *client_released(const struct client *client);
/* Returns true while more than `most` connections are open: those in the reserve, for
 * requests that look at the node. Costs one load. */
bool clients_is_full(const struct clients *clients);

/* The peer's address as text, without its port, into BUF; "-" if unknown. */
#define CLIENT_ADDRESS_SIZE INET6_ADDRSTRLEN
void client_address(struct MHD_Connection *conn, char *buf, size_t size);

/* Connections now, and those closed and why, in the Prometheus text format. */
void clients_metrics_write(const struct clients *clients, FILE *to);

#endif
