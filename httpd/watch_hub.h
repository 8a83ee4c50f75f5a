/* Watch hub: wakes the clients that wait for changes below a prefix. */
#ifndef KEYDIR_HTTPD_WATCH_HUB_H
#define KEYDIR_HTTPD_WATCH_HUB_H

#include "common/node/node.h"
#include "httpd/change_ring.h"

#include <stdatomic.h>

struct watch_hub;
struct watch_group;

enum watch_news {
	WATCH_CHANGE,  /* an event changed something below its prefix */
	WATCH_TIME,    /* its wait has timed out */
	WATCH_CLOSING, /* the server is stopping */
};

/* One waiting client, embedded in the user's struct, which must stay valid until free_it is called.
 * The user sets the first five fields; the rest belongs to the hub. */
struct watch {
	/* Called by the hub's thread, without its lock, once for each successful
	 * watch_wait(). The user calls watch_served() as soon as it starts to serve it. */
	void (*wake)(struct watch *watch, enum watch_news news);
	/* Called when the last reference is dropped: by watch_remove() or, right after a wake-up,
	 * by the hub's thread. */
	void (*free_it)(struct watch *watch);
	bool reads;              /* it will call watch_read() */
	const atomic_bool *over; /* set when the watch must end; NULL: no such flag */
	enum change_kind kind;

	struct watch_hub *hub;
	struct watch_group *group;
	uint64_t since;     /* the hub checks events from this offset on for it */
	atomic_uint refs;   /* the user's, and the hub's while it calls */
	struct watch *next; /* protected by hub->lock, like all fields below */
	bool waiting;
	uint64_t from;        /* rows before this are read or do not concern it; the user may
	                       * read it while it does not wait */
	int64_t until_ms;     /* monotonic */
	enum watch_news news; /* reason for the wake-up; used by the hub's thread only */
	bool unserved;        /* woken, but not served yet; handed over with the wake-up */
};

/* Create a hub without a node. Returns 0 or -errno. */
int watch_hub_new(struct watch_hub **ret);
/* Handle a followed event: the node's follow callback, with the hub as its argument. */
node_follow watch_hub_follow;
/* Start the hub's thread. Returns 0 or -errno. */
int watch_hub_start(struct watch_hub *hub, struct node *node);
/* Make the hub check the `over` flags of all watches, and wake those that have it set with
 * WATCH_TIME. HUB is a struct watch_hub. */
void watch_hub_check_over(void *hub);
/* Wake all watches with WATCH_CLOSING; from then on watch_wait() fails. NULL is fine. */
void watch_hub_close(struct watch_hub *hub);
bool watch_hub_is_closing(const struct watch_hub *hub);
/* Return the number of watches, and of those that wait now. */
unsigned watch_hub_count(const struct watch_hub *hub);
unsigned watch_hub_waiting(const struct watch_hub *hub);
/* Stop the thread and free the hub, which must have no watches and a closed node. NULL is
 * fine. */
void watch_hub_free(struct watch_hub *hub);

/* Register WATCH for PREFIX (LEN bytes, copied; 0: every key). The user's fields are set, all
 * others 0. Returns 0 or -ENOMEM. */
int watch_add(struct watch_hub *hub, struct watch *watch, const char *prefix, size_t len);
/* Unregister WATCH, which must not be waiting. */
void watch_remove(struct watch *watch);

/* Wait for the next event of the prefix; the user has read all feed rows before FROM. The
 * wait ends at UNTIL_MS (clock_mono_ms()). Returns true if `wake` will be called, perhaps
 * before this returns; false if there is something to read already, the time is over, or
 * the hub is closing: then `wake` will not be called. */
bool watch_wait(struct watch *watch, uint64_t from, int64_t until_ms);
/* Return whether the `over` flag of WATCH is set. */
bool watch_is_over(const struct watch *watch);
/* Note that a woken watch is being served. The hub waits until all are, or a short time,
 * before it wakes watches again, so that changes in between are sent together. */
void watch_served(struct watch *watch);

/* Copy messages for WATCH from PLACE on, as change_ring_read() does. After CHANGE_READ_END
 * call watch_wait(); after CHANGE_READ_FEED read the feed. */
enum change_read watch_read(struct watch *watch, struct change_place *place, char *buf, size_t size,
                            size_t *ret_len);

#endif
