/* JSON operations: what the body of a transaction or a batch read says. */
#ifndef KEYDIR_HTTPD_JSON_OPS_H
#define KEYDIR_HTTPD_JSON_OPS_H

#include "common/event/event.h"
#include "common/store/volume_tag.h"

#include <jansson.h>

/* Values that a body can need: the array; of each operation, it and its members. */
#define JSON_OPS_VALUES_MAX (1 + EVENT_OPS_MAX * (1 + JSON_OPS_MEMBERS_MAX))
#define JSON_OPS_MEMBERS_MAX 12

/* Bytes that were decoded for the operations of one body: they live until
 * json_ops_free(). Start with {0}. */
struct json_ops {
	struct volume_tag tag; /* of the volume: set by the caller, for entity tags in "if" */
	struct event *ops;
	size_t n;
	void **blocks;
	size_t nblocks;
};

/* Parses a JSON body of LEN bytes in which there may be MOST values. Both are checked
 * before anything is built, so that a body takes memory in proportion to what it may
 * hold. Returns 0 and *RET, which the caller gives up; -EINVAL with a sentence in WHY
 * (without its full stop); -ENOMEM. */
int json_ops_parse(const char *body, size_t len, size_t most, json_t **ret, char *why,
                   size_t why_size);

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
