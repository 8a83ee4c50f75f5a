/* Peers: what the other nodes say of themselves. */
#ifndef KEYDIR_HTTPD_PEERS_H
#define KEYDIR_HTTPD_PEERS_H

#include "common/node/peer_request.h"

#include <jansson.h>

struct peers;

/* Starts to ask each of URLS (as peer_list_new() takes them) for /v1/status every few
 * seconds, in a thread of its own, which looks up their names each time. URLS and ACCESS
 * are borrowed until peers_free(). With URLS NULL there are none and nothing is started.
 * 0 and *RET, or -errno. */
int peers_new(const char *urls, const struct peer_access *access, struct peers **ret);
/* Ends the thread; waits at most for the request or the look-up under way. NULL is fine. */
void peers_free(struct peers *peers);

/* A new JSON array with an object for each but the one that says that its id is OWN_ID:
 * "url", "reachable" and, if it is, "ready", "role", "offset", "lag", "lag_ms", "uptime",
 * "version" as it told, else "error". NULL without memory. Thread-safe; does not wait. */
json_t *peers_json(struct peers *peers, const char *own_id);

#endif
