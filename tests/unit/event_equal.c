/* Event comparison, for tests and fuzzers. Compares field by field, because structs
 * have padding and unused fields. */
#include "tests/unit/event_equal.h"

const char *event_differs(const struct event *a, const struct event *b)
{
	if (a->op != b->op)
		return "op";
	if (a->cond != b->cond)
		return "cond";
	if (a->cond == IF_VERSION && a->if_version != b->if_version)
		return "if_version";
	if (a->ttl != b->ttl)
		return "ttl";
	if ((a->ttl == TTL_SET || a->ttl == TTL_UNTIL) && a->ttl_ms != b->ttl_ms)
		return "ttl_ms";
	if (a->flags != b->flags)
		return "flags";
	if (a->proc != b->proc || a->seq != b->seq)
		return "id";
	if (a->ino != b->ino)
		return "ino";
	if (a->at != b->at || a->dir != b->dir || a->to_dir != b->to_dir)
		return "at, dir or to_dir";
	if (a->size != b->size)
		return "size";
	if ((a->flags & EVENT_HAS_CUT) && a->cut != b->cut)
		return "cut";
	if (a->op == EVENT_INCR && a->by != b->by)
		return "by";
	if ((a->flags & EVENT_HAS_MTIME) && a->mtime_ns != b->mtime_ns)
		return "mtime_ns";
	if ((a->flags & EVENT_HAS_ATIME) && a->atime_ns != b->atime_ns)
		return "atime_ns";
	if ((a->flags & EVENT_HAS_MODE) && a->mode != b->mode)
		return "mode";
	if (a->time_ms != b->time_ms)
		return "time_ms";
	if (!bytes_equal(a->key, b->key))
		return "key";
	if (!bytes_equal(a->value, b->value))
		return "value";
	if (!bytes_equal(a->to, b->to))
		return "to";
	if (!bytes_equal(a->name, b->name))
		return "name";
	if (!bytes_equal(a->type, b->type))
		return "type";
	if (!bytes_equal(a->idem, b->idem))
		return "idem";
	if (a->nranges != b->nranges)
		return "nranges";
	for (size_t i = 0; i < a->nranges; i++) {
		if (a->ranges[i].off != b->ranges[i].off || a->ranges[i].len != b->ranges[i].len)
			return "ranges";
	}
	if (a->nops != b->nops)
		return "nops";
	for (size_t i = 0; i < a->nops; i++) {
		const char *what = event_differs(&a->ops[i], &b->ops[i]);

		if (what)
			return what;
	}
	return NULL;
}
