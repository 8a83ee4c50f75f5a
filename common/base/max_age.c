/* Max age: how long HTTP caches may keep a value, if its writer says so. No state. */
#include "common/base/max_age.h"

#include <errno.h>
#include <strings.h>

int max_age_parse(const char *text, size_t len, uint32_t *ret_s)
{
	size_t prefix = sizeof(MAX_AGE_PREFIX) - 1;
	uint32_t n = 0;
	if (len <= prefix || strncasecmp(text, MAX_AGE_PREFIX, prefix) != 0)
		return -EINVAL;
	for (size_t i = prefix; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -EINVAL;
		n = 10 * n + (uint32_t)(text[i] - '0');
		if (n > MAX_AGE_MAX_S)
			return -EINVAL;
	}
	if (n == 0)
		return -EINVAL;
	*ret_s = n;
	return 0;
}
