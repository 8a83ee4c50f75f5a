/* Random: random numbers from the kernel.
 *
 * getrandom(2) returns up to 256 bytes whole, even if signals arrive. No state. */
#include "common/base/random.h"

#include <errno.h>
#include <sys/random.h>

int random_u64(uint64_t *ret)
{
	return getrandom(ret, sizeof(*ret), 0) == sizeof(*ret) ? 0 : -errno;
}
