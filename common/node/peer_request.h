/* Peer requests: how this node asks another one over REST. */
#ifndef KEYDIR_PEER_REQUEST_H
#define KEYDIR_PEER_REQUEST_H

#include "common/node/peer_list.h"

#include <curl/curl.h>
#include <stddef.h>

/* What a node needs to ask its peers; the texts are borrowed. */
struct peer_access {
	const char *token;      /* bearer token; NULL: none, or that of the file */
	const char *token_file; /* has one in its first line, read for each request; NULL: none */
	const char *ca_file;    /* PEM: who may sign a peer's certificate; NULL: the system's */
};

/* Check that ACCESS can be used: its files can be read, the token's holds one. 0 or
 * -EINVAL with a sentence in WHY that names the option. */
int peer_access_check(const struct peer_access *access, char *why, size_t why_size);

/* Make a request for PATH of PEER; slashes at the end of its base URL do not count. It
 * asks no proxy, whatever the environment says, and follows no redirection. The caller
 * sets what becomes of the body and the time limits. ERROR is where curl puts what went
 * wrong, and outlives the request. Returns a handle for peer_request_free(), or NULL with a
 * sentence in ERROR. Thread-safe. */
CURL *peer_request_new(const struct peer_access *access, const struct peer *peer, const char *path,
                       char error[CURL_ERROR_SIZE]);
void peer_request_free(CURL *request);
/* Run REQUEST. Returns 0 for status 200, or -EIO with a sentence in ERROR. */
int peer_request_run(CURL *request, char error[CURL_ERROR_SIZE]);

#endif
