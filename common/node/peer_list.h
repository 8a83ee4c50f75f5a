/* Peer list: the nodes that --peers names. */
#ifndef KEYDIR_NODE_PEER_LIST_H
#define KEYDIR_NODE_PEER_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct peer {
	char *url;     /* base URL as logs and answers show it */
	char *base;    /* base URL to ask: it has the name that Host and certificate need */
	char *address; /* connect to this one, in brackets if it is IPv6; NULL: to any of the name */
	char *error;   /* why it cannot be asked; NULL: it can */
};

struct peer_list {
	struct peer *peers;
	size_t n;
};

/* List the nodes that URLS (base URLs, comma-separated; NULL: none) names, in that order.
 * One that begins with "dns+", as in dns+http://nodes:8080, stands for a node at each
 * address that its name has now; a name without an address is one peer with an error.
 * With RESOLVE false such a URL is one peer that has not been looked up, with an error.
 * Returns 0, or -ENOMEM. The caller frees *RET with peer_list_free(). Thread-safe. Blocks
 * for as long as the system's resolver does. */
int peer_list_new(const char *urls, bool resolve, struct peer_list *ret);
/* Free what peer_list_new() made. One of zeros is fine. */
void peer_list_free(struct peer_list *list);

#endif
