/* Peers: the status of the other nodes, polled. */
#ifndef KEYDIR_HTTPD_PEERS_H
#define KEYDIR_HTTPD_PEERS_H

#include "common/node/peer_request.h"

#include <jansson.h>

struct peers;

/* Start a thread that requests /v1/status of each of URLS (as for peer_list_new()) every few
 * seconds, resolving their names each time. URLS and ACCESS are borrowed until peers_free().
 * Without URLS (NULL) no thread is started. Returns 0 and *RET, or -errno. */
int peers_new(const char *urls, const struct peer_access *access, struct peers **ret);
/* Stop the thread; waits at most for the request or the lookup in flight. NULL is fine. */
void peers_free(struct peers *peers);

/* Return a new JSON array with an object per peer, except the one whose id is OWN_ID: "url",
 * "reachable" and, if it is, "ready", "role", "offset", "lag", "lag_ms", "uptime", "version" as it
 * reported them, else "error". NULL if memory runs out. Thread-safe; does not wait. */
json_t *peers_json(struct peers *peers, const char *own_id);

#endif
