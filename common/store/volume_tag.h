/* Volume tags: a short form of a volume's id, for what outlives the volume. */
#ifndef KEYDIR_VOLUME_TAG_H
#define KEYDIR_VOLUME_TAG_H

#include "common/store/txn.h"

#include <stdbool.h>
#include <stddef.h>

/* "-" and 8 hex digits behind a version or an offset; empty before the volume has a
 * name. */
#define VOLUME_TAG_LEN 9
struct volume_tag {
	size_t len; /* VOLUME_TAG_LEN or 0 */
	char text[VOLUME_TAG_LEN + 1];
};

/* The tag of the volume that META is of: the same on all its nodes. Thread-safe. */
void volume_tag(const struct store_meta *meta, struct volume_tag *ret);

/* May TEXT of LEN bytes stand behind a number of TAG's volume? It is empty, for a number
 * alone is taken as one of this volume, or the tag. */
bool volume_tag_fits(const struct volume_tag *tag, const char *text, size_t len);

#endif
