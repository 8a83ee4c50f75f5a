/* Completions: callbacks that are collected under locks and made once no lock is held. */
#ifndef KEYDIR_COMPLETIONS_H
#define KEYDIR_COMPLETIONS_H

struct submission;
struct waiter;

struct completions {
	struct submission *first, **last;
	struct waiter *waiters;
};

void completions_init(struct completions *done);
/* Append P, which has its outcome and is in no list any more. Takes ownership of P. */
void completions_add(struct completions *done, struct submission *p);
/* Call the callbacks in the order of completions_add(), then those of the waiters, and free
 * all of them. DONE is empty afterwards. Call with no lock held. */
void completions_run(struct completions *done);

#endif
