/* The watch hub: wakes those who wait for changes below a prefix. */
#ifndef KEYDIR_HTTPD_WATCH_HUB_H
#define KEYDIR_HTTPD_WATCH_HUB_H

#include "common/node/node.h"
#include "httpd/change_ring.h"

#include <stdatomic.h>

struct watch_hub;
struct watch_group;

enum watch_news {
	WATCH_CHANGE,  /* there is an event of its prefix */
	WATCH_TIME,    /* its time is over */
	WATCH_CLOSING, /* the server stops */
};

/* One who waits: part of the user's struct, which must stay until free_it is
 * called. The fields are the hub's, but for those that the user sets before. */
struct watch {
	/* Called by the hub's thread, without its lock, once for each successful
	 * watch_wait(). The user then calls watch_came() as soon as it gets to it. */
	void (*wake)(struct watch *watch, enum watch_news news);
	/* Called when nobody holds it any more: by watch_remove() or, right after
	 * a wake, by the hub's thread. */
	void (*free_it)(struct watch *watch);
	bool reads;              /* it will call watch_read() */
	const atomic_bool *over; /* its time is over once this is set; NULL: no such flag */
	enum change_kind kind;

	struct watch_hub *hub;
	struct watch_group *group;
	uint64_t since;     /* events from here on are looked at for it */
	atomic_uint refs;   /* the user's, and the hub's while it calls */
	struct watch *next; /* protected by hub->lock, as what follows */
	bool waiting;
	uint64_t from;        /* no row before this is news. The user's to read while it
	                       * does not wait: rows that it need not read are left out */
	int64_t until_ms;     /* monotonic */
	enum watch_news news; /* once it is taken: the hub's thread's */
	bool owes;            /* woken, and has not come: handed over with the wake */
};

/* A hub without a node. 0 or -errno. */
int watch_hub_new(struct watch_hub **ret);
/* The node's follow callback, with the hub as its argument. */
node_follow watch_hub_follow;
/* Starts the hub's thread. 0 or -errno. */
int watch_hub_start(struct watch_hub *hub, struct node *node);
/* Makes the hub look for watches whose `over` is set, and wake them with WATCH_TIME. */
void watch_hub_look(void *hub);
/* Wakes everyone with WATCH_CLOSING; from now on nobody can wait. NULL is fine. */
void watch_hub_close(struct watch_hub *hub);
bool watch_hub_is_closing(const struct watch_hub *hub);
/* Watches that there are, and those of them that wait now. */
unsigned watch_hub_count(const struct watch_hub *hub);
unsigned watch_hub_waiting(const struct watch_hub *hub);
/* Stops the thread and frees a hub that has no watches and whose node is closed.
 * NULL is fine. */
void watch_hub_free(struct watch_hub *hub);

/* Joins WATCH (what is the user's is set, all else is 0) to those of PREFIX (LEN
 * bytes, copied; 0: everything). 0 or -ENOMEM. */
int watch_add(struct watch_hub *hub, struct watch *watch, const char *prefix, size_t len);
/* Leaves. Not while waiting. */
void watch_remove(struct watch *watch);

/* Says that the user has read all rows of the feed before FROM, and waits for
 * the next one of its prefix, or until UNTIL_MS (clock_mono_ms). Returns true:
 * `wake` will come, perhaps before this returns. False: there is something to
 * read already, or its time is over, or the hub is closing; `wake` will not come. */
bool watch_wait(struct watch *watch, uint64_t from, int64_t until_ms);
/* Returns true if the flag of WATCH says that its time is over. */
bool watch_is_over(const struct watch *watch);
/* Says that a watch that was woken is being served. The hub waits for all, or a
 * moment, before it wakes the next: what happens meanwhile is told at once. */
void watch_came(struct watch *watch);

/* Copies messages for WATCH from PLACE on, as change_ring_read() does. After
 * CHANGE_LOOK_END watch_wait() is the next; after CHANGE_LOOK_AWAY its user has to
 * look into the feed. */
enum change_look watch_read(struct watch *watch, struct change_place *place, char *buf, size_t size,
                            size_t *ret_len);

#endif
