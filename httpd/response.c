/* Responses: creates them and adds headers.
 *
 * The ownership of every response's bytes is decided here: MHD copies, MHD frees, or they are part
 * of the program; no response refers to a handler's stack.
 *
 * No state but the size of a thread's last response: thread-safe. */
#include "httpd/response.h"

#include "httpd/answer_memory.h"

#include <stdlib.h>
#include <string.h>

static _Thread_local uint64_t made_bytes = RESPONSE_SIZE_UNKNOWN;

uint64_t response_take_size(void)
{
	uint64_t bytes = made_bytes;
	made_bytes = RESPONSE_SIZE_UNKNOWN;
	return bytes;
}

struct MHD_Response *response_copy(const void *data, size_t len)
{
	made_bytes = len;
	/* The cast drops a const that MHD_RESPMEM_MUST_COPY respects. */
	return MHD_create_response_from_buffer(len, (void *)(uintptr_t)data, MHD_RESPMEM_MUST_COPY);
}

struct MHD_Response *response_owned(void *data, size_t len)
{
	made_bytes = len;
	struct MHD_Response *response = MHD_create_response_from_buffer(len, data,
	                                                                MHD_RESPMEM_MUST_FREE);
	if (!response)
		free(data);
	return response;
}

struct MHD_Response *response_counted(void *data, size_t len)
{
	made_bytes = len;
	struct MHD_Response *response = MHD_create_response_from_buffer_with_free_callback(
	        len, data, answer_memory_free);
	if (!response)
		answer_memory_free(data);
	return response;
}

struct MHD_Response *response_shared(const void *data, size_t len, void (*free_it)(void *arg),
                                     void *arg)
{
	made_bytes = len;
	/* The cast drops a const; the library only reads. */
	struct MHD_Response *response = MHD_create_response_from_buffer_with_free_callback_cls(
	        len, (void *)(uintptr_t)data, free_it, arg);
	if (!response)
		free_it(arg);
	return response;
}

struct MHD_Response *response_pieces(uint64_t len, size_t block, MHD_ContentReaderCallback read,
                                     void *arg, void (*free_it)(void *arg))
{
	made_bytes = len;
	struct MHD_Response *response = MHD_create_response_from_callback(len, block, read, arg,
	                                                                  free_it);
	if (!response)
		free_it(arg);
	return response;
}

struct MHD_Response *response_static(const void *data, size_t len)
{
	made_bytes = len;
	/* The cast drops a const that MHD_RESPMEM_PERSISTENT respects. */
	return MHD_create_response_from_buffer(len, (void *)(uintptr_t)data,
	                                       MHD_RESPMEM_PERSISTENT);
}

struct MHD_Response *response_empty(void)
{
	made_bytes = 0;
	return MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
}

/* Read nothing. Never called: a response to HEAD has no body. */
static ssize_t no_content(void *arg, uint64_t pos, char *buf, size_t max)
{
	(void)arg;
	(void)pos;
	(void)buf;
	(void)max;
	return MHD_CONTENT_READER_END_WITH_ERROR;
}

struct MHD_Response *response_size(uint64_t len)
{
	made_bytes = 0;
	return MHD_create_response_from_callback(len, 1, no_content, NULL, NULL);
}

/* MHD (seen with 0.9.75) sends the end of a chunked body ("0\r\n\r\n") also in response to HEAD,
 * which has no body: the client would take it for the beginning of its next response. So there are
 * no chunks, and the connection closes. */
struct MHD_Response *response_stream(void)
{
	struct MHD_Response *response = response_size(MHD_SIZE_UNKNOWN);
	if (response)
		MHD_set_response_options(response, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END);
	return response;
}

bool response_header_own(struct MHD_Response *response, const char *name, const char *value)
{
	return response && MHD_add_response_header(response, name, value) == MHD_YES;
}

bool response_header(struct MHD_Response *response, const char *name, const char *value)
{
	/* MHD refuses line breaks itself; other control characters are not allowed in a field value
	 * either (RFC 9110, 5.5). */
	for (const char *c = value; *c; c++)
		if ((unsigned char)*c < 0x20 ? *c != '\t' : *c == 0x7F)
			return false;
	return response_header_own(response, name, value);
}

/* Write VALUE in decimal at the end of BUF of 21 bytes, NUL-ended. */
static char *format_decimal(uint64_t value, char *buf)
{
	char *at = buf + 20;
	*at = '\0';
	do {
		*--at = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	return at;
}

bool response_header_u64(struct MHD_Response *response, const char *name, uint64_t value)
{
	char buf[21];
	return response_header_own(response, name, format_decimal(value, buf));
}

bool response_etag(struct MHD_Response *response, uint64_t version, const struct volume_tag *tag)
{
	char buf[24 + VOLUME_TAG_LEN];
	char *at = format_decimal(version, buf + 1);
	*--at = '"';
	memcpy(buf + 21, tag->text, tag->len);
	memcpy(buf + 21 + tag->len, "\"", 2);
	return response_header_own(response, "ETag", at);
}
