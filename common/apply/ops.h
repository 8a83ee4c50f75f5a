/* Operations: one function per operation of an event. Internal to common/apply/. */
#ifndef KEYDIR_APPLY_OPS_H
#define KEYDIR_APPLY_OPS_H

#include "common/apply/tree.h"

/* Run one operation (not txn, tick, format or skip). Returns OUTCOME_OK (0), another
 * positive outcome, in which case only expired entries were purged, or a negative errno.
 * Fills ino, version, number and created of AP->feed. */
int apply_op(struct apply *ap, const struct event *ev);

/* The functions for each operation return the same. Values, apply/op_value.c: */
int apply_set(struct apply *ap, const struct event *ev);
int apply_append(struct apply *ap, const struct event *ev);
int apply_write(struct apply *ap, const struct event *ev);
int apply_truncate(struct apply *ap, const struct event *ev);
int apply_incr(struct apply *ap, const struct event *ev);
/* Names, apply/op_name.c: */
int apply_del(struct apply *ap, const struct event *ev);
int apply_mkdir(struct apply *ap, const struct event *ev);
int apply_rmdir(struct apply *ap, const struct event *ev);
int apply_rename(struct apply *ap, const struct event *ev);
/* Metadata, apply/op_meta.c: */
int apply_expire(struct apply *ap, const struct event *ev);
int apply_persist(struct apply *ap, const struct event *ev);
int apply_setxattr(struct apply *ap, const struct event *ev);
int apply_removexattr(struct apply *ap, const struct event *ev);
int apply_chmod(struct apply *ap, const struct event *ev);
int apply_touch(struct apply *ap, const struct event *ev);

#endif
