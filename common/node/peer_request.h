/* Peer requests: requests of this node to another one over REST. */
#ifndef KEYDIR_PEER_REQUEST_H
#define KEYDIR_PEER_REQUEST_H

#include "common/node/peer_list.h"

#include <curl/curl.h>
#include <stddef.h>

/* What a node needs to send requests to its peers; the texts are borrowed. */
struct peer_access {
	const char *token; /* bearer token; NULL: none, or the file's */
	const char *
	        token_file; /* file whose first line is the token, read for each request; or NULL */
	const char *
	        ca_file; /* PEM file of CAs that may sign a peer's certificate; NULL: the system's */
};

/* Check that ACCESS can be used: its files can be read, and the token file has a token. Returns 0,
 * or -EINVAL with a sentence in WHY that names the option. */
int peer_access_check(const struct peer_access *access, char *why, size_t why_size);

/* Create a request for PATH of PEER; slashes at the end of its base URL are ignored. It uses no
 * proxy, whatever the environment says, and follows no redirection. The caller sets the write
 * callback and the time limits. ERROR, where curl writes error messages, must outlive the request.
 * Returns a handle for peer_request_free(), or NULL with a sentence in ERROR. Thread-safe. */
CURL *peer_request_new(const struct peer_access *access, const struct peer *peer, const char *path,
                       char error[CURL_ERROR_SIZE]);
void peer_request_free(CURL *request);
/* Run REQUEST. Returns 0 for status 200, or -EIO with a sentence in ERROR. */
int peer_request_run(CURL *request, char error[CURL_ERROR_SIZE]);

#endif
