/* The server: libmicrohttpd with the node behind it, started and stopped. */
#ifndef KEYDIR_HTTPD_SERVER_H
#define KEYDIR_HTTPD_SERVER_H

#include "common/node/node.h"
#include "common/store/volume_tag.h"
#include "httpd/settings.h"

#include <pthread.h>
#include <stdatomic.h>

struct access;
struct access_log;
struct clients;
struct hosts;
struct peers;
struct request;
struct watch_hub;

struct server {
	struct node *node;
	struct watch_hub *hub;
	const struct settings *settings;
	struct MHD_Daemon *daemon;
	struct access *access;
	struct hosts *hosts; /* names that requests may come under */
	struct clients *clients;
	struct peers *peers;           /* NULL: none */
	struct access_log *access_log; /* NULL: none is written */
	int listen_fd;                 /* stays open until server_stop() has ended */
	int64_t started_ms;            /* wall clock */
	_Atomic uint64_t body_bytes;   /* of bodies being collected, in all */
	uint64_t body_bytes_max;
	_Atomic uint64_t tag_digits;  /* the volume's tag without its dash; 0: not known yet */
	atomic_int snapshots;         /* being sent */
	atomic_int snapshots_waiting; /* of those, whose connection is suspended */
	atomic_bool draining;         /* stopping: connections close after their answer */
	atomic_bool abandoning;       /* stopping: nothing may wait any more */

	/* Requests that are suspended, a doubly linked list. */
	pthread_mutex_t waiting_lock; /* protects `waiting` and its links */
	struct request *waiting;
};

/* Binds and listens on SETTINGS->listen, and starts serving NODE, whose changes
 * HUB follows. All must outlive server_stop(). 0 and *RET, or -errno with a
 * sentence in WHY. */
int server_new(struct node *node, struct watch_hub *hub, const struct settings *settings,
               struct server **ret, char *why, size_t why_size);

/* Reads the files again that --tokens, --tls-cert and --tls-key name, and opens
 * that of --access-log anew. What fails is logged as an error, and what was in
 * force stays. */
void server_reload(struct server *server);

/* Stops: no new connections; what is under way is finished within GRACE_MS,
 * what still waits for the log is then answered 504; connections are closed.
 * The node must still be open; close it next: its last callbacks still use the
 * server. */
void server_stop(struct server *server, int64_t grace_ms);
/* Frees a stopped server whose node is closed. NULL is fine. */
void server_free(struct server *server);

/* The tag of the volume as it is now; empty before it has a name. 0, or -errno as
 * view_open(), with an empty tag. Thread-safe. */
int server_volume_tag(struct server *server, struct volume_tag *ret);

/* The address listened on, as text ("127.0.0.1:8080"), into BUF. */
void server_address(const struct server *server, char *buf, size_t size);

#endif
