/* Spool: copies of the store in files, from which snapshots are sent. */
#ifndef KEYDIR_HTTPD_SPOOL_H
#define KEYDIR_HTTPD_SPOOL_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

struct node;
struct spool;  /* a copy (store_copy_fd()) in an unnamed file */
struct spools; /* those of a server */

#define SPOOLS_MAX 2

/* A client that waits for a spool to grow. The caller owns it. */
struct spool_reader {
	void (*wake)(void *arg); /* called without a lock */
	void *arg;
	struct spool_reader *next; /* of spool.c */
};

/* Return the spools, none yet, of NODE, or NULL without memory. NODE must outlive them. */
struct spools *spools_new(struct node *node);
/* End the copies that are being made: their readers are woken and get -ECANCELED. Returns at
 * once. Thread-safe. */
void spools_stop(struct spools *spools);
/* Free SPOOLS, all of which are released. NULL is allowed. */
void spools_free(struct spools *spools);

/* Get a spool that is at least as new as the store is now: an existing one if nothing was
 * applied since it began, otherwise a new one. Returns 0 and *RET (spool_release()), or
 * -errno with a sentence in WHY: -EBUSY if SPOOLS_MAX are in use, -ENOSPC if no file system
 * has room. Thread-safe; does not wait for the copy. */
int spool_get(struct spools *spools, struct spool **ret, char *why, size_t why_size);
/* Release a spool. The last release ends its copy, waits for that, and frees it.
 * Thread-safe. */
void spool_release(struct spool *spool);
/* Return an offset; the spool has everything applied up to it. Constant. */
uint64_t spool_offset(const struct spool *spool);
/* Copy up to MAX bytes at POS to BUF. Returns their number, 0 at the end; -EAGAIN if the copy
 * has not reached POS; -ECANCELED if the spool was taken away; or another -errno if the copy
 * failed. Does not block. Thread-safe. */
ssize_t spool_read(struct spool *spool, uint64_t pos, void *buf, size_t max);
/* Have READER woken once, as soon as spool_read() at POS does not return -EAGAIN. May call
 * wake() at once. READER must live until then. Thread-safe. */
void spool_wait(struct spool *spool, uint64_t pos, struct spool_reader *reader);

/* Write the metrics in Prometheus' text format. Thread-safe. */
void spools_metrics_write(struct spools *spools, FILE *to);

#endif
