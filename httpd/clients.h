/* Clients: deadlines of connections, and which are closed first when there are too many. */
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

/* State of a connection. Only WORKING and WAITING have no deadline. */
enum client_phase {
	CLIENT_IDLE,      /* no request line yet: keep-alive, a handshake, silence */
	CLIENT_RECEIVING, /* headers and body arrive */
	CLIENT_WORKING,   /* the client waits for our response */
	CLIENT_WAITING,   /* the client waits for a change, or follows a stream of changes */
	CLIENT_SENDING,   /* the response is sent */
};

struct clients_config {
	uint64_t most;                /* open connections at most, without the reserve */
	uint64_t waiting_most;        /* of them, CLIENT_WAITING at most */
	uint64_t waiting_per_address; /* of those, from one address at most; 0: no limit */
	int64_t idle_ms;    /* longest CLIENT_IDLE of a connection that has had a request */
	int64_t request_ms; /* longest RECEIVING, and SENDING, plus a second for each
	                               * CLIENTS_BYTES_PER_S */
	void (*forgotten)(void *request); /* see client_request() */
	void (*released)(void *arg);      /* called on our thread after clients were released */
	void *released_arg;
};

/* A client below this rate is treated as one that stalls on purpose. */
#define CLIENTS_BYTES_PER_S (UINT64_C(64) << 10)

/* Start the thread that enforces the deadlines. Returns 0 and *RET, or -errno. */
int clients_new(const struct clients_config *config, struct clients **ret);
/* Stop the thread and free CLIENTS; no connection may be open. NULL is fine. */
void clients_free(struct clients *clients);

/* Note that a connection opened or closed. This is MHD's callback; CLIENTS is its argument. */
void clients_notify(void *clients, struct MHD_Connection *conn, void **socket_context,
                    enum MHD_ConnectionNotificationCode code);

/* Return the record of CONN; it lives as long as the connection. NULL if there was no memory for
 * it. */
struct client *client_of(struct MHD_Connection *conn);
/* Set the request that CLIENT (may be NULL) is processing; NULL: none. If the connection closes
 * while one is set, `forgotten` is called for it, on the connection's thread: libmicrohttpd
 * (0.9.75) does not end every request that it began, such as one with more cookies than fit. */
void client_request(struct client *client, void *request);
/* Return the request that client_request() set; call it on the connection's own thread. */
void *client_request_now(const struct client *client);
/* Set the state of CLIENT (may be NULL). Cheap: no lock, no system call. Call it on the
 * connection's own thread. */
void client_enter(struct client *client, enum client_phase phase);

/* Enter CLIENT_WAITING. Returns 0, or -EBUSY if too many clients wait, in all or from this address;
 * the state is then unchanged. CLIENT may be NULL. Call it on the connection's own thread, like
 * client_wait_end(), which must be called before the connection closes. */
int client_wait_begin(struct client *client, struct MHD_Connection *conn);
void client_wait_end(struct client *client);
/* Return a flag that is set when CLIENT must be answered at once and its connection closed after
 * that, to make room or because the client has gone. The flag lives as long as the connection; NULL
 * without a record. */
const atomic_bool *client_released(const struct client *client);
/* Return whether more than `most` connections are open: those in the reserve, for requests that
 * inspect the node. Costs one load. */
bool clients_is_full(const struct clients *clients);

/* Write the peer's address without its port into BUF; "-" if unknown. */
#define CLIENT_ADDRESS_SIZE INET6_ADDRSTRLEN
void client_address(struct MHD_Connection *conn, char *buf, size_t size);

/* Write the number of connections, and of closed ones by reason, in the Prometheus text format. */
void clients_metrics_write(const struct clients *clients, FILE *to);

#endif
