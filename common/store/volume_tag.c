/* Volume tag: a short form of a volume's id.
 *
 * A store in memory is empty after a reboot, and a topic can be recreated. Versions and
 * offsets then start at 0 again, and those that a client or cache has kept from the
 * previous volume refer to something else. The id of a volume is random, so eight digits of
 * its checksum distinguish the two.
 *
 * No state. */
#include "common/store/volume_tag.h"

#include "common/base/crc64.h"

#include <string.h>

void volume_tag(const struct store_meta *meta, struct volume_tag *ret)
{
	static const char digits[] = "0123456789abcdef";
	size_t len = strnlen(meta->volume, sizeof(meta->volume));
	*ret = (struct volume_tag){ 0 };
	if (!len)
		return;
	uint32_t sum = (uint32_t)(crc64(0, meta->volume, len) >> 32);
	ret->len = VOLUME_TAG_LEN;
	ret->text[0] = '-';
	for (int i = 1; i < VOLUME_TAG_LEN; i++)
		ret->text[i] = digits[sum >> (32 - 4 * i) & 15];
}

bool volume_tag_fits(const struct volume_tag *tag, const char *text, size_t len)
{
	return !len || (len == tag->len && memcmp(text, tag->text, len) == 0);
}
