/* Fuzzer of the feed's rows: any bytes are decoded or refused. A decoded event
 * encodes to a row that decodes to the same event and encodes to the same bytes. */
#include "tests/fuzz/fuzz.h"

#include "common/event/feed.h"

#include <errno.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct feed_event *ev = NULL, *back = NULL;
	struct bytes row = { data, size }, first, second, idem;
	int r = feed_decode(7, row, &ev);

	MUST(r == 0 || r == -EBADMSG);
	if (r) {
		MUST(!ev);
		r = feed_decode_idem(row, &idem);
		MUST(r == 0 || r == -EBADMSG);
		return 0;
	}
	MUST(feed_decode_idem(row, &idem) == 0);
	MUST(idem.len == ev->idem.len &&
	     (!idem.len || memcmp(idem.data, ev->idem.data, idem.len) == 0));
	MUST(feed_encode(ev, &first) == 0);
	MUST(feed_decode(7, first, &back) == 0);
	MUST(back->neffects == ev->neffects && back->nops == ev->nops);
	MUST(feed_encode(back, &second) == 0);
	MUST(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
	free((void *)first.data);
	free((void *)second.data);
	free(ev);
	free(back);
	return 0;
}
