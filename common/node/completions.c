/* Completions: callbacks that are collected under locks and made once no lock is held.
 *
 * A callback may submit again, or answer a request; neither may happen under work_lock or
 * queue_lock. So each function that ends submissions or waits adds them to a struct
 * completions of its caller, which runs it after unlocking. No lock of its own. */
#include "common/node/completions.h"

#include "common/node/submission.h"
#include "common/node/wait.h"

#include <stdlib.h>

void completions_init(struct completions *done)
{
	done->first = NULL;
	done->last = &done->first;
	done->waiters = NULL;
}

void completions_add(struct completions *done, struct submission *p)
{
	p->next = NULL;
	*done->last = p;
	done->last = &p->next;
}

void completions_run(struct completions *done)
{
	while (done->first) {
		struct submission *p = done->first;
		done->first = p->next;
		if (p->done)
			p->done(p->arg, &p->out);
		submission_free(p);
	}
	done->last = &done->first;
	while (done->waiters) {
		struct waiter *w = done->waiters;
		done->waiters = w->next;
		struct outcome out = { .code = w->code, .offset = w->offset };
		w->done(w->arg, &out);
		free(w);
	}
}
