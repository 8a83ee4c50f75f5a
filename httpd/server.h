/* Server: starts and stops libmicrohttpd for a node. */
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
struct spools;
struct watch_hub;

struct server {
	struct node *node;
	struct watch_hub *hub;
	const struct settings *settings;
	struct MHD_Daemon *daemon;
	struct access *access;
	struct hosts *hosts; /* names under which clients may address the server */
	struct clients *clients;
	struct peers *peers;           /* NULL: none */
	struct access_log *access_log; /* NULL: no access log */
	int listen_fd;                 /* stays open until server_stop() has ended */
	int64_t started_ms;            /* wall clock */
	_Atomic uint64_t body_bytes;   /* total of all bodies being collected */
	uint64_t body_bytes_max;
	_Atomic uint64_t tag_digits;  /* the volume's tag without its dash; 0: not known yet */
	struct spools *spools;        /* files from which snapshots are sent */
	atomic_int snapshots_waiting; /* snapshots whose connection is suspended */
	atomic_bool draining;         /* stopping: connections close after their response */
	atomic_bool abandoning;       /* stopping: requests may no longer wait */

	/* Suspended requests, a doubly linked list. */
	pthread_mutex_t waiting_lock; /* protects `waiting` and its links */
	struct request *waiting;
};

/* Bind to SETTINGS->listen, and start serving NODE, whose changes HUB follows. All must outlive
 * server_stop(). Returns 0 and *RET, or -errno with a sentence in WHY. */
int server_new(struct node *node, struct watch_hub *hub, const struct settings *settings,
               struct server **ret, char *why, size_t why_size);

/* Reload the files of --tokens, --tls-cert and --tls-key, and reopen that of --access-log. Failures
 * are logged as errors, and the previous content stays in force. */
void server_reload(struct server *server);

/* Stop serving: no new connections; requests in flight may finish within GRACE_MS; those still
 * waiting for the log are then answered 504; connections are closed. The node must still be open;
 * close it next: its last callbacks still use the server. */
void server_stop(struct server *server, int64_t grace_ms);
/* Free a stopped server whose node is closed. NULL is fine. */
void server_free(struct server *server);

/* Get the tag of the volume; empty before it has a name. Returns 0, or -errno as view_open(), with
 * an empty tag. Thread-safe. */
int server_volume_tag(struct server *server, struct volume_tag *ret);

/* Write the address listened on as text ("127.0.0.1:8080") into BUF. */
void server_address(const struct server *server, char *buf, size_t size);

#endif
