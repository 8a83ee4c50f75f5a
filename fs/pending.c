/* Pending: changes whose close has returned already (-o async_close).
 *
 * With -o async_close, close(2) returns once its event is handed to the log. In any mode,
 * changes that are left at the release of a file are logged without a waiting caller. Until
 * such a change is applied, the mount shows it (its file is private, file.h). This module counts
 * these changes to bound them, and keeps their order, so that fsync of a directory can wait for
 * all earlier ones. It also keeps the first error, which that fsync reports.
 *
 * Lock: pending->lock, a leaf. */
#include "fs/pending.h"

#include "fs/op.h"

#include <utlist.h>

void pending_init(struct pending *pending)
{
	*pending = (struct pending){ 0 };
	pthread_mutex_init(&pending->lock, NULL);
}

bool pending_add(struct pending *pending, struct op *op, bool must)
{
	pthread_mutex_lock(&pending->lock);
	bool fits = must || (pending->count < PENDING_MAX &&
	                     pending->bytes + op->ev.value.len <= PENDING_BYTES_MAX);
	if (fits) {
		op->pending_seq = ++pending->last_seq;
		op->pending_bytes = op->ev.value.len;
		pending->count++;
		pending->bytes += op->pending_bytes;
		DL_APPEND2(pending->first, op, pending_prev, pending_next);
	}
	pthread_mutex_unlock(&pending->lock);
	return fits;
}

void pending_done(struct pending *pending, struct op *op, int error)
{
	struct pending_wait *ready = NULL, **last = &ready;

	pthread_mutex_lock(&pending->lock);
	DL_DELETE2(pending->first, op, pending_prev, pending_next);
	pending->count--;
	pending->bytes -= op->pending_bytes;
	if (error && !pending->error)
		pending->error = error;
	while (pending->waits &&
	       (!pending->first || pending->first->pending_seq > pending->waits->seq)) {
		*last = pending->waits;
		last = &pending->waits->next;
		pending->waits = *last;
	}
	*last = NULL;
	pthread_mutex_unlock(&pending->lock);
	while (ready) {
		struct pending_wait *wait = ready;

		ready = wait->next;
		wait->run(wait);
	}
}

bool pending_wait(struct pending *pending, struct pending_wait *wait)
{
	struct pending_wait **last = &pending->waits;

	pthread_mutex_lock(&pending->lock);
	bool any = pending->first != NULL;
	if (any) {
		wait->seq = pending->last_seq;
		wait->next = NULL;
		while (*last)
			last = &(*last)->next;
		*last = wait;
	}
	pthread_mutex_unlock(&pending->lock);
	return any;
}

int pending_take_error(struct pending *pending)
{
	pthread_mutex_lock(&pending->lock);
	int error = pending->error;
	pending->error = 0;
	pthread_mutex_unlock(&pending->lock);
	return error;
}
