/* Handlers: what each route does. One file each, named after it. */
#ifndef KEYDIR_HTTPD_HANDLERS_H
#define KEYDIR_HTTPD_HANDLERS_H

#include "httpd/request.h"

/* handle_key.c: GET and HEAD of a key; of a directory they list. */
request_step handle_key;
/* handle_list.c: a page of a directory. */
request_step handle_list;
/* handle_write.c */
request_step handle_put;
request_step handle_delete;
/* handle_op.c: POST ?op= */
request_step handle_op;
/* handle_status.c */
request_step handle_status;
request_step handle_healthz;
request_step handle_readyz;
request_step handle_metrics;
/* handle_pycache.c */
request_step handle_pycache_get;
request_step handle_pycache_post;
request_step handle_pycache_delete;
request_step handle_pycache_health;

#endif
