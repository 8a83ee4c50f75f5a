/* Access: who may ask for what, decided before anything is looked up. */
#ifndef KEYDIR_HTTPD_ACCESS_H
#define KEYDIR_HTTPD_ACCESS_H

#include "httpd/tokens.h"

#include <microhttpd.h>
#include <stdint.h>
#include <stdio.h>

struct access;
struct request;

/* What a route asks for; part of its rows in router.c. A row that says nothing
 * asks for the most. */
enum access_need {
	ACCESS_ADMIN = 0, /* a token with admin on everything */
	ACCESS_OPEN,      /* nothing */
	ACCESS_MONITOR,   /* monitor, or any right on everything */
	ACCESS_READ,      /* read on the key in the path */
	ACCESS_WRITE,     /* write on the key in the path */
	ACCESS_TOKEN,     /* any token: the handler asks access_key() for each key */
};

/* Loads the tokens of FILE; NULL: there are none, and everyone may do all. 0
 * and *RET (access_free()), or -errno with a sentence in WHY. */
int access_new(const char *file, struct access **ret, char *why, size_t why_size);
/* No request may be left. NULL is fine. */
void access_free(struct access *access);
/* Reads the file again: requests that begin from now on are measured by it.
 * 0, or -errno with a sentence in WHY, and the old tokens stay. Thread-safe. */
int access_reload(struct access *access, char *why, size_t why_size);

/* Decides about a request whose route and key are known: true to go on. False
 * after an answer (401, 403, 421), with what the handler returns in *RET. Also
 * refuses a change that a foreign page had a browser send, and without tokens a
 * Host that is no name of this server. */
bool access_check(struct request *rq, enum MHD_Result *ret);
/* The same for one more key that a request names: in its parameters or body.
 * LEN 0 asks for everything. To be called for each before anything is done. */
bool access_key(struct request *rq, enum token_right right, const char *key, size_t len,
                enum MHD_Result *ret);
/* Does the token of RQ still have RIGHT on a key, by the table in force now? For
 * answers that go on for long (watchers). Thread-safe. */
bool access_holds(struct request *rq, enum token_right right, const char *key, size_t len);

/* The grants of the token of RQ, for those that want to show them; NULL for one
 * that may do everything because there are no tokens. */
const struct token_grant *access_grants(const struct request *rq);

/* Counters of refusals, in the Prometheus text format. Thread-safe. */
void access_metrics_write(FILE *to);

#endif
