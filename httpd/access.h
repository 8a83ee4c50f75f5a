/* Access: authorization of requests, decided before the store is read. */
#ifndef KEYDIR_HTTPD_ACCESS_H
#define KEYDIR_HTTPD_ACCESS_H

#include "httpd/tokens.h"

#include <microhttpd.h>
#include <stdint.h>
#include <stdio.h>

struct access;
struct request;

/* Right that a route requires; a column of the table in router.c. A row that does not set it
 * requires ACCESS_ADMIN. */
enum access_need {
	ACCESS_ADMIN = 0, /* admin on every key */
	ACCESS_OPEN,      /* no token */
	ACCESS_MONITOR,   /* monitor, or any right on every key */
	ACCESS_READ,      /* read on the key in the path */
	ACCESS_WRITE,     /* write on the key in the path */
	ACCESS_TOKEN,     /* any token; the handler calls access_key() for each key */
};

/* Load the tokens of FILE. Without a file (NULL) every client may do everything. Returns 0 and
 * *RET, to be freed with access_free(), or -errno with a sentence in WHY. */
int access_new(const char *file, struct access **ret, char *why, size_t why_size);
/* Free ACCESS, which no request may use any more. NULL is fine. */
void access_free(struct access *access);
/* Read the token file again. Requests that begin later are checked against the new tokens. Returns
 * 0, or -errno with a sentence in WHY; the old tokens then stay in force. Thread-safe. */
int access_reload(struct access *access, char *why, size_t why_size);

/* Check whether RQ, whose route and key are known, is authorized. Also refuses a change that a
 * browser sent for a page of another site and, without tokens, a Host that does not name this
 * server. Returns true if it is; else answers 401, 403 or 421, sets *RET to the handler's result
 * and returns false. */
bool access_check(struct request *rq, enum MHD_Result *ret);
/* Check one more key that the request names in its parameters or body, as access_check() does. LEN
 * 0 stands for all keys. Call it for every key before any change is made. */
bool access_key(struct request *rq, enum token_right right, const char *key, size_t len,
                enum MHD_Result *ret);
/* Return whether the token of RQ still grants RIGHT on a key in the table that is in force now. For
 * responses that last long (watchers). Thread-safe. */
bool access_holds(struct request *rq, enum token_right right, const char *key, size_t len);

/* Return the grants of RQ's token; NULL if there are no tokens, so that everything is granted. */
const struct token_grant *access_grants(const struct request *rq);

/* Write the counters of refusals in the Prometheus text format. Thread-safe. */
void access_metrics_write(FILE *to);

#endif
