/* Volume tag: a short form of a volume's id, for values that outlive the volume. */
#ifndef KEYDIR_VOLUME_TAG_H
#define KEYDIR_VOLUME_TAG_H

#include "common/store/txn.h"

#include <stdbool.h>
#include <stddef.h>

/* "-" and 8 hex digits, appended to a version or an offset; empty until the volume has an
 * id. */
#define VOLUME_TAG_LEN 9
struct volume_tag {
	size_t len; /* VOLUME_TAG_LEN or 0 */
	char text[VOLUME_TAG_LEN + 1];
};

/* Return in *RET the tag of META's volume, which is the same on all its nodes. Thread-safe. */
void volume_tag(const struct store_meta *meta, struct volume_tag *ret);

/* Return whether the LEN bytes of TEXT may follow a number that belongs to TAG's volume:
 * TEXT is the tag, or empty, since a bare number is accepted for this volume. */
bool volume_tag_fits(const struct volume_tag *tag, const char *text, size_t len);

#endif
