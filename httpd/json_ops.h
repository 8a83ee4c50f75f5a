/* JSON operations: what the body of a transaction or a batch read says. */
#ifndef KEYDIR_HTTPD_JSON_OPS_H
#define KEYDIR_HTTPD_JSON_OPS_H

#include "common/event.h"

#include <jansson.h>

/* Bytes that were decoded for the operations of one body: they live until
 * json_ops_free(). Start with {0}. */
struct json_ops {
	struct event *ops;
	size_t n;
	void **blocks;
	size_t nblocks;
};

/* Reads a JSON array of operations. Its texts are borrowed from LIST, which must
 * outlive OUT. 0; -EINVAL with a sentence in WHY (without its full stop) that
 * names the operation; -ENOMEM. */
int json_ops_read(const json_t *list, struct json_ops *out, char *why, size_t why_size);
void json_ops_free(struct json_ops *ops);

/* Reads the key of ITEM: its member NAME as text, or PATH_NAME percent-encoded,
 * into memory of OUT where that is needed. *RET is empty if there is neither.
 * 0; -EINVAL with *RET_WHY (static); -ENOMEM. */
int json_ops_key(const json_t *item, const char *name, const char *path_name, struct json_ops *out,
                 struct bytes *ret, const char **ret_why);

#endif
