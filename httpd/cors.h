/* CORS: which pages of other origins a browser may let use this server. */
#ifndef KEYDIR_HTTPD_CORS_H
#define KEYDIR_HTTPD_CORS_H

#include "httpd/request.h"

/* Is TEXT a value of --cors-origin: "*", or origins like https://app.example
 * joined by commas? */
bool cors_is_valid(const char *text);

/* True if the origin that RQ names may use this server. */
bool cors_allows(const struct request *rq);

/* Adds to an answer what lets the page that asked read it; nothing without
 * --cors-origin. */
void cors_add(const struct request *rq, struct MHD_Response *response);

/* Adds to the answer to OPTIONS what a browser asks for before a request that is
 * not simple. ALLOW: the methods. */
void cors_add_preflight(const struct request *rq, struct MHD_Response *response, const char *allow);

#endif
