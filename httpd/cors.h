/* CORS: which origins' pages may use this server from a browser. */
#ifndef KEYDIR_HTTPD_CORS_H
#define KEYDIR_HTTPD_CORS_H

#include "httpd/request.h"

/* Return whether TEXT is valid for --cors-origin: "*", or origins like https://app.example joined
 * by commas. */
bool cors_is_valid(const char *text);

/* Return whether the origin that RQ names may use this server. */
bool cors_allows(const struct request *rq);

/* Add the headers that let the page read the response; none without --cors-origin. */
void cors_add(const struct request *rq, struct MHD_Response *response);

/* Add the headers of a preflight response (OPTIONS), which a browser requests before a request that
 * is not simple. ALLOW: the methods. */
void cors_add_preflight(const struct request *rq, struct MHD_Response *response, const char *allow);

#endif
