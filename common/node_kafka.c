/* The node's part that a log outside needs. */
#include "node_internal.h"

#include <errno.h>
#include <stdio.h>

int kafka_open(struct node *node, char *why, size_t why_size)
{
	(void)node;
	snprintf(why, why_size, "this version has no Kafka log yet: give --log local");
	return -ENOTSUP;
}
void kafka_stop(struct node *node) { (void)node; }
void kafka_free(struct node *node) { (void)node; }
void kafka_submit(struct node *node, struct pending *p) { (void)node, (void)p; }
void kafka_barrier(struct node *node, int64_t timeout_ms, node_done *done, void *arg)
{
	(void)node, (void)timeout_ms, (void)done, (void)arg;
}
void kafka_status(struct node *node, struct node_status *ret) { (void)node, (void)ret; }
