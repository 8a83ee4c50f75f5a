/* Size: compare --size with what the machine has.
 *
 * A quota that is probably a mistake does not prevent the start: it is only a limit, and the
 * store's file system may grow later. But a warning names it before the first write is refused. */
#include "common/node/size.h"

#include "common/base/logger.h"
#include "common/node/internal.h"
#include "common/store/place.h"

#include <inttypes.h>
#include <sys/sysinfo.h>
#include <sys/vfs.h>

#define MIB (UINT64_C(1) << 20)
#define SMALL_BYTES MIB
#define USUAL_MIB 256 /* the default of --size */

/* Warn that the size exceeds the BYTES that WHAT has. */
static void warn_large(uint64_t size, uint64_t bytes, const char *what, const char *where,
                       const char *remedy)
{
	/* Suggest half of it, since a store needs more than its values. */
	uint64_t fit = bytes / 2 / MIB;
	logger(LOGGER_WARN,
	       "--size %" PRIu64 " (%" PRIu64 "M) is more than %s%s has (%" PRIu64
	       "M), which is the limit in force; %s--size %" PRIu64 "M would fit",
	       size, size / MIB, what, where, bytes / MIB, remedy, fit ? fit : 1);
}

void size_warn(const struct node *node)
{
	uint64_t size = node->config.size_bytes;
	const struct store_place *place = store_place(node->store);
	struct statfs fs;
	struct sysinfo machine;
	if (size < SMALL_BYTES) {
		logger(LOGGER_WARN,
		       "--size %" PRIu64 " is less than 1M, so the cache is soon full; if bytes "
		       "were not meant, give a unit, as in --size %dM",
		       size, USUAL_MIB);
		return;
	}
	if (fstatfs(store_place_fd(place), &fs) == 0) {
		uint64_t bytes = (uint64_t)fs.f_blocks * (uint64_t)fs.f_bsize;
		if (bytes && size > bytes) { /* tmpfs without a limit has 0 */
			warn_large(size, bytes, "the file system of ", store_place_path(place),
			           "enlarge it, or lower the size: ");
			return;
		}
	}
	if (store_in_memory(node->store) && sysinfo(&machine) == 0) {
		uint64_t bytes = (uint64_t)machine.totalram * machine.mem_unit;
		if (size > bytes)
			warn_large(size, bytes, "the memory that this machine", "",
			           "lower the size: ");
	}
}
