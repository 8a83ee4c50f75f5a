/* Operations: dispatches an event to the function of its operation.
 *
 * The functions are in apply/op_value.c, apply/op_name.c and apply/op_meta.c. */
#include "common/apply/ops.h"

int apply_op(struct apply *ap, const struct event *ev)
{
	switch (ev->op) {
	case EVENT_SET:
		return apply_set(ap, ev);
	case EVENT_APPEND:
		return apply_append(ap, ev);
	case EVENT_WRITE:
		return apply_write(ap, ev);
	case EVENT_TRUNCATE:
		return apply_truncate(ap, ev);
	case EVENT_DEL:
		return apply_del(ap, ev);
	case EVENT_MKDIR:
		return apply_mkdir(ap, ev);
	case EVENT_RMDIR:
		return apply_rmdir(ap, ev);
	case EVENT_RENAME:
		return apply_rename(ap, ev);
	case EVENT_EXPIRE:
		return apply_expire(ap, ev);
	case EVENT_PERSIST:
		return apply_persist(ap, ev);
	case EVENT_SETXATTR:
		return apply_setxattr(ap, ev);
	case EVENT_REMOVEXATTR:
		return apply_removexattr(ap, ev);
	case EVENT_CHMOD:
		return apply_chmod(ap, ev);
	case EVENT_TOUCH:
		return apply_touch(ap, ev);
	case EVENT_INCR:
		return apply_incr(ap, ev);
	default:
		return OUTCOME_REJECTED;
	}
}
