/* Responses: creates them, adds the common headers, and queues them. */
#ifndef KEYDIR_HTTPD_RESPOND_H
#define KEYDIR_HTTPD_RESPOND_H

#include "httpd/json_text.h"
#include "httpd/request.h"

#include <jansson.h>

/* Each respond_* function below answers RQ, exactly once, and returns the handler's result for MHD.
 * It adds X-Keydir-Offset: OFFSET, or the node's offset for RESPOND_OFFSET_NOW. */
#define RESPOND_OFFSET_NOW UINT64_MAX

/* --- creating responses ----------------------------------------------------
 * Each returns NULL if memory runs out; respond_send() then answers 503. */

/* Create a response with a copy of the LEN bytes at DATA. */
struct MHD_Response *response_copy(const void *data, size_t len);
/* Create a response with the LEN bytes of the malloc'd DATA, which is freed, also on failure. */
struct MHD_Response *response_owned(void *data, size_t len);
/* Create a response with the LEN bytes at DATA, a block of answer_memory.h, which is freed, also on
 * failure. */
struct MHD_Response *response_counted(void *data, size_t len);
/* Create a response with the LEN bytes at DATA, which stay valid until FREE_IT is called with ARG,
 * also on failure. */
struct MHD_Response *response_shared(const void *data, size_t len, void (*free_it)(void *arg),
                                     void *arg);
/* Create a response of LEN bytes that READ, an MHD_ContentReaderCallback, provides in pieces of at
 * most BLOCK bytes; FREE_IT is called with ARG at the end, also on failure. */
struct MHD_Response *response_pieces(uint64_t len, size_t block, MHD_ContentReaderCallback read,
                                     void *arg, void (*free_it)(void *arg));
/* Create a response with LEN bytes of DATA that last as long as the program. */
struct MHD_Response *response_static(const void *data, size_t len);
/* Create a response to HEAD that states LEN and has no body. */
struct MHD_Response *response_size(uint64_t len);
/* Create a response to HEAD of a stream: states no length, has no body, closes the connection. */
struct MHD_Response *response_stream(void);
/* Create a response without a body. */
struct MHD_Response *response_empty(void);

/* Add a header; RESPONSE may be NULL. A VALUE that a header cannot carry (a line break, another
 * control character) is left out and false returned. */
bool response_header(struct MHD_Response *response, const char *name, const char *value);
/* Add a header like response_header(), with a VALUE of our own, which is not checked. */
bool response_header_own(struct MHD_Response *response, const char *name, const char *value);
bool response_header_u64(struct MHD_Response *response, const char *name, uint64_t value);
/* Add ETag: "VERSION-TAG". */
bool response_etag(struct MHD_Response *response, uint64_t version, const struct volume_tag *tag);

/* --- sending --------------------------------------------------------------- */

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
