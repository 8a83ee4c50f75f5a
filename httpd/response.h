/* Responses: creates them and adds headers. */
#ifndef KEYDIR_HTTPD_RESPONSE_H
#define KEYDIR_HTTPD_RESPONSE_H

#include "common/store/volume_tag.h"

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RESPONSE_SIZE_UNKNOWN UINT64_MAX

/* The first functions create a response. They return NULL if memory runs out; respond_send() then
 * answers 503. All functions here are thread-safe. */

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

/* Return the body size of the response that this thread created last, once, then
 * RESPONSE_SIZE_UNKNOWN, as for a stream: MHD does not report it. A thread sends the response that
 * it creates before it creates the next. */
uint64_t response_take_size(void);

#endif
