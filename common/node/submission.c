/* Submission: an event that was submitted and has no outcome yet.
 *
 * The index node->pending holds every submission from the moment that it has a number until
 * it has its outcome. Numbers grow with time, and all submissions have the same timeout, so
 * the index is ordered by deadline (node/deadline.c).
 *
 * Lock: queue_lock guards the index. */
#include "common/node/submission.h"

#include "common/node/internal.h"

#include <stdlib.h>

void submission_free(struct submission *p)
{
	if (!p)
		return;
	event_free(p->ev);
	free(p->owned);
	free(p->feed);
	free(p);
}

uint64_t submission_register(struct node *node, struct submission *p)
{
	p->seq = ++node->seq;
	atomic_fetch_add(&node->inflight_bytes, p->growth);
	HASH_ADD(hh, node->pending, seq, sizeof(p->seq), p);
	return p->seq;
}

void submission_unregister(struct node *node, struct submission *p)
{
	HASH_DEL(node->pending, p);
	atomic_fetch_sub(&node->inflight_bytes, p->growth);
}

struct submission *submission_dequeue(struct node *node)
{
	struct submission *p = node->queue;
	node->queue = p->next;
	if (!node->queue)
		node->queue_last = &node->queue;
	p->queued = false;
	return p;
}

struct submission *submission_first_waiting(struct node *node)
{
	pthread_mutex_lock(&node->queue_lock);
	struct submission *p = atomic_load(&node->waiting_for_space) ? node->queue : NULL;
	pthread_mutex_unlock(&node->queue_lock);
	return p;
}

struct submission *submission_cut(struct submission **list, size_t n)
{
	struct submission *first = *list, **end = list;
	while (*end && n--) {
		(*end)->queued = false;
		end = &(*end)->next;
	}
	struct submission *rest = *end;
	*end = NULL;
	*list = rest;
	return first;
}
