/* Peer list: the nodes that --peers names. */
#ifndef KEYDIR_NODE_PEER_LIST_H
#define KEYDIR_NODE_PEER_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct peer {
	char *url;     /* base URL, as log messages and responses show it */
	char *base;    /* base URL of requests, with the name for Host and certificate */
	char *address; /* address to connect to, in brackets if it is IPv6; NULL: any of the name */
	char *error;   /* why no request can be sent to it, or NULL */
};

struct peer_list {
	struct peer *peers;
	size_t n;
};

/* List the nodes that URLS (base URLs, comma-separated; NULL: none) names, in that order. A URL
 * with the prefix "dns+", as in dns+http://nodes:8080, stands for one node at each address that its
 * name has now; a name without an address gives one peer with an error. With RESOLVE false, such a
 * URL gives one peer that has not been resolved, with an error. Returns 0 or -ENOMEM. The caller
 * frees *RET with peer_list_free(). Thread-safe. Blocks as long as the system's resolver does. */
int peer_list_new(const char *urls, bool resolve, struct peer_list *ret);
/* Free a list of peer_list_new(). A zeroed list is fine. */
void peer_list_free(struct peer_list *list);

#endif
