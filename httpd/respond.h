/* Respond: answers a request with a response and the common headers. */
#ifndef KEYDIR_HTTPD_RESPOND_H
#define KEYDIR_HTTPD_RESPOND_H

#include "httpd/json_text.h"
#include "httpd/request.h"
#include "httpd/response.h"

#include <jansson.h>

/* Each respond_* function below answers RQ, exactly once, and returns the handler's result for MHD.
 * It adds X-Keydir-Offset: OFFSET, or the node's offset for RESPOND_OFFSET_NOW. */
#define RESPOND_OFFSET_NOW UINT64_MAX

/* Add to RESPONSE (may be NULL) the headers that every answer with STATUS has. */
void respond_common(struct request *rq, unsigned status, uint64_t offset,
                    struct MHD_Response *response);
/* Queue RESPONSE (may be NULL) and release the caller's reference. */
enum MHD_Result respond_send(struct request *rq, unsigned status, uint64_t offset,
                             struct MHD_Response *response);
/* Send STATUS without a body. */
enum MHD_Result respond_empty(struct request *rq, unsigned status, uint64_t offset);
/* Send 200 with TEXT, which lives as long as the program. */
enum MHD_Result respond_plain(struct request *rq, const char *text);
/* Send a JSON document. Takes the caller's reference to JSON (NULL: memory ran out). FLAGS are
 * those of json_dumps(). */
enum MHD_Result respond_json(struct request *rq, unsigned status, uint64_t offset, json_t *json,
                             size_t flags);
/* Send 200 with a compact JSON document, as respond_json() does, and the ETag of VERSION. */
enum MHD_Result respond_json_etag(struct request *rq, uint64_t offset, json_t *json,
                                  uint64_t version, const struct volume_tag *tag);
/* Send text of TYPE, which is malloc'd and freed here. */
enum MHD_Result respond_text(struct request *rq, unsigned status, uint64_t offset, const char *type,
                             char *text, size_t len);

/* Send TEXT and free its memory, which is counted. */
enum MHD_Result respond_json_text(struct request *rq, unsigned status, uint64_t offset,
                                  const char *type, struct json_text *text);

#endif
