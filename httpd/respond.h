/* Responses: made, given their common headers, and queued. */
#ifndef KEYDIR_HTTPD_RESPOND_H
#define KEYDIR_HTTPD_RESPOND_H

#include "httpd/json_text.h"
#include "httpd/request.h"

#include <jansson.h>

/* Each of the respond_* functions below answers RQ, exactly once, and returns
 * what the handler returns to MHD. X-Keydir-Offset is added: OFFSET, or where
 * the node is now for RESPOND_OFFSET_NOW. */
#define RESPOND_OFFSET_NOW UINT64_MAX

/* --- making responses ------------------------------------------------------
 * NULL without memory; respond_send() then answers with 503. */

/* LEN bytes copied from DATA. */
struct MHD_Response *response_copy(const void *data, size_t len);
/* LEN bytes of the malloc'd DATA, which is freed, also on failure. */
struct MHD_Response *response_owned(void *data, size_t len);
/* The LEN bytes at DATA, a block of answer_memory.h, which is freed, also on failure. */
struct MHD_Response *response_counted(void *data, size_t len);
/* The LEN bytes at DATA, which stay until FREE_IT is called with ARG, also on failure. */
struct MHD_Response *response_shared(const void *data, size_t len, void (*free_it)(void *arg),
                                     void *arg);
/* LEN bytes that READ gives in pieces of BLOCK bytes or less, as libmicrohttpd's
 * MHD_ContentReaderCallback; FREE_IT is called with ARG at the end, also on failure. */
struct MHD_Response *response_pieces(uint64_t len, size_t block, MHD_ContentReaderCallback read,
                                     void *arg, void (*free_it)(void *arg));
/* LEN bytes of DATA that last as long as the program. */
struct MHD_Response *response_static(const void *data, size_t len);
/* For HEAD: says LEN, sends nothing. */
struct MHD_Response *response_size(uint64_t len);
/* For HEAD of a stream: says no length, sends nothing, ends the connection. */
struct MHD_Response *response_stream(void);
/* No body. */
struct MHD_Response *response_empty(void);

/* Adds a header; RESPONSE may be NULL. A VALUE that no header can carry (a line
 * break, another control character) is left out and false returned. */
bool response_header(struct MHD_Response *response, const char *name, const char *value);
/* The same for a VALUE of our own making, which is not looked at. */
bool response_header_own(struct MHD_Response *response, const char *name, const char *value);
bool response_header_u64(struct MHD_Response *response, const char *name, uint64_t value);
/* Adds ETag: "VERSION-TAG". */
bool response_etag(struct MHD_Response *response, uint64_t version, const struct volume_tag *tag);

/* --- answering ------------------------------------------------------------- */

/* Adds to RESPONSE (may be NULL) the headers that every answer of STATUS has. */
void respond_common(struct request *rq, unsigned status, uint64_t offset,
                    struct MHD_Response *response);
/* Queues RESPONSE (may be NULL) and gives it up. */
enum MHD_Result respond_send(struct request *rq, unsigned status, uint64_t offset,
                             struct MHD_Response *response);
/* STATUS without a body. */
enum MHD_Result respond_empty(struct request *rq, unsigned status, uint64_t offset);
/* 200 with TEXT, which lives as long as the program. */
enum MHD_Result respond_plain(struct request *rq, const char *text);
/* A JSON document; JSON (may be NULL: no memory) is given up. FLAGS are those
 * of json_dumps(). */
enum MHD_Result respond_json(struct request *rq, unsigned status, uint64_t offset, json_t *json,
                             size_t flags);
/* 200 with a compact JSON document, as above, and the ETag of VERSION. */
enum MHD_Result respond_json_etag(struct request *rq, uint64_t offset, json_t *json,
                                  uint64_t version, const struct volume_tag *tag);
/* Text of TYPE, malloc'd and given up. */
enum MHD_Result respond_text(struct request *rq, unsigned status, uint64_t offset, const char *type,
                             char *text, size_t len);

/* What was written to TEXT, whose memory is counted and given up. */
enum MHD_Result respond_json_text(struct request *rq, unsigned status, uint64_t offset,
                                  const char *type, struct json_text *text);

#endif
