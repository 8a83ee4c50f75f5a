/* Watch round: the events that the hub checks together.
 *
 * The events of a round and their values are read from one snapshot. Only the hub's thread uses it,
 * without a lock. */
#include "httpd/watch_round.h"

#include <errno.h>
#include <stdlib.h>

int watch_round_open(struct watch_round *round, struct store *store, uint64_t from)
{
	struct bytes row;
	uint64_t found;
	int r = view_open(store, &round->view);
	if (r)
		return r;
	round->n = 0;
	while (round->n < WATCH_ROUND_ROWS &&
	       !store_feed_next(round->view.txn, from, &found, &row)) {
		if (round->n && found > from)
			break; /* Rows may be lost: the next round notices that at its start. */
		r = feed_decode(found, row, &round->rows[round->n]);
		if (r)
			break;
		round->n++;
		from = found + 1;
	}
	if (r != -ENOMEM || round->n)
		return 0;
	view_close(&round->view);
	return r;
}

void watch_round_put(const struct watch_round *round, struct change_ring *ring, uint64_t begin,
                     uint64_t end)
{
	struct change_lines *lines[WATCH_ROUND_ROWS];
	size_t n = 0;
	for (size_t i = 0; i < round->n; i++) {
		if (!round->kinds[i])
			continue;
		lines[n] = change_lines_new(round->rows[i], round->kinds[i], &round->view);
		if (lines[n]) {
			n++;
			continue;
		}
		/* Out of memory: end the ring before this event, and begin again after it. */
		change_ring_put(ring, begin, round->rows[i]->offset, lines, n);
		begin = round->rows[i]->offset + 1;
		n = 0;
	}
	change_ring_put(ring, begin, end, lines, n);
}

void watch_round_close(struct watch_round *round)
{
	view_close(&round->view);
	for (size_t i = 0; i < round->n; i++)
		free(round->rows[i]);
}
