/* Handlers: one function per route and method, in a file named after the route. */
#ifndef KEYDIR_HTTPD_HANDLERS_H
#define KEYDIR_HTTPD_HANDLERS_H

#include "httpd/request.h"

/* handlers/key.c: GET and HEAD of a key; a directory is listed. */
enum MHD_Result handle_key(struct request *rq);
/* handlers/txn.c: several operations, all or nothing. */
enum MHD_Result handle_txn(struct request *rq);
/* handlers/mget.c: many keys from one snapshot. */
enum MHD_Result handle_mget(struct request *rq);
/* handlers/watch.c: a stream of changes. */
enum MHD_Result handle_watch(struct request *rq);
/* handlers/list.c: a page of a directory. */
enum MHD_Result handle_list(struct request *rq);
/* handlers/write.c */
enum MHD_Result handle_put(struct request *rq);
enum MHD_Result handle_delete(struct request *rq);
/* handlers/op.c: POST ?op= */
enum MHD_Result handle_op(struct request *rq);
/* handlers/status.c */
enum MHD_Result handle_status(struct request *rq);
enum MHD_Result handle_healthz(struct request *rq);
enum MHD_Result handle_readyz(struct request *rq);
enum MHD_Result handle_metrics(struct request *rq);
/* handlers/console.c: the page at `/` and its files */
enum MHD_Result handle_console(struct request *rq);
/* handlers/snapshot.c */
enum MHD_Result handle_snapshot(struct request *rq);
/* handlers/openapi.c: the API's description */
enum MHD_Result handle_openapi(struct request *rq);
/* handlers/pycache.c */
enum MHD_Result handle_pycache_get(struct request *rq);
enum MHD_Result handle_pycache_post(struct request *rq);
enum MHD_Result handle_pycache_delete(struct request *rq);
enum MHD_Result handle_pycache_health(struct request *rq);

#endif
