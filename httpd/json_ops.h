/* JSON operations: parses the body of a transaction or a batch read. */
#ifndef KEYDIR_HTTPD_JSON_OPS_H
#define KEYDIR_HTTPD_JSON_OPS_H

#include "common/event/event.h"
#include "common/store/volume_tag.h"

#include <jansson.h>

/* Values that a body can need: the array, and each operation with its members. */
#define JSON_OPS_VALUES_MAX (1 + EVENT_OPS_MAX * (1 + JSON_OPS_MEMBERS_MAX))
#define JSON_OPS_MEMBERS_MAX 12

/* Memory decoded for the operations of one body; it lives until json_ops_free(). Start with {0}. */
struct json_ops {
	struct volume_tag tag; /* the volume's, for entity tags in "if"; set by the caller */
	struct event *ops;
	size_t n;
	void **blocks;
	size_t nblocks;
};

/* Parse a JSON body of LEN bytes with at most MOST values. Both limits are checked before anything
 * is built, so that memory is proportional to what the body may hold. Returns 0 and *RET, a
 * reference that the caller drops; -EINVAL with a sentence in WHY (without its full stop); -ENOMEM.
 */
int json_ops_parse(const char *body, size_t len, size_t most, json_t **ret, char *why,
                   size_t why_size);

/* Convert a JSON array of operations. Its texts are borrowed from LIST, which must outlive OUT.
 * Returns 0; -EINVAL with a sentence in WHY (without its full stop) that names the operation;
 * -ENOMEM. */
int json_ops_read(const json_t *list, struct json_ops *out, char *why, size_t why_size);
void json_ops_free(struct json_ops *ops);

/* Read the key of ITEM: the member NAME as text, or PATH_NAME percent-encoded, decoded into memory
 * of OUT where needed. *RET is empty if both are missing. Returns 0; -EINVAL with *RET_WHY
 * (static); -ENOMEM. */
int json_ops_key(const json_t *item, const char *name, const char *path_name, struct json_ops *out,
                 struct bytes *ret, const char **ret_why);

#endif
