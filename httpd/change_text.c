/* Change text.
 *
 * The feed says what happened to entries; users think in operations. The two
 * meet here: an entry that is removed and added in one event was renamed, what
 * log time passed expired, and the rest is called what the log calls it. */
#include "httpd/change_text.h"

#include "common/base/ttl.h"
#include "httpd/value_text.h"

#include <errno.h>
#include <string.h>

/* Does another change of EV of KIND concern the same entry? */
static bool has_other(const struct feed_event *ev, size_t i, enum feed_effect_kind kind)
{
	for (size_t k = 0; k < ev->neffects; k++)
		if (k != i && ev->effects[k].kind == kind &&
		    ev->effects[k].ino == ev->effects[i].ino)
			return true;
	return false;
}

/* Return the name of the operation on an entry that still exists. A transaction does not record
 * which of its operations changed it: IN_TXN then. */
static const char *operation_name(const struct feed_event *ev, const char *in_txn)
{
	return ev->op == EVENT_TXN ? in_txn : event_op_text(ev->op);
}

const char *change_name(const struct feed_event *ev, size_t i)
{
	const struct feed_effect *effect = &ev->effects[i];
	switch (effect->kind) {
	case FEED_ADDED:
		if (has_other(ev, i, FEED_REMOVED))
			return "rename_to";
		return effect->dir ? "mkdir" : operation_name(ev, "set");
	case FEED_REMOVED:
		return has_other(ev, i, FEED_ADDED) ? "rename_from" : "del";
	case FEED_DATA:
		return operation_name(ev, "set");
	case FEED_ATTR:
		return operation_name(ev, "attr");
	case FEED_EXPIRED:
		return "expired";
	case FEED_EVICTED:
		return "evicted";
	}
	return "unknown";
}

bool change_is_whole(const struct feed_event *ev, size_t i)
{
	const struct feed_effect *effect = &ev->effects[i];
	if (!effect->dir || effect->kind == FEED_DATA || effect->kind == FEED_ATTR)
		return false;
	/* A new directory is still empty, unless it was moved here. */
	return effect->kind != FEED_ADDED || has_other(ev, i, FEED_REMOVED);
}

bool change_reaches(const char *key, size_t key_len, bool whole, const char *prefix, size_t len)
{
	if (key_len >= len)
		return !len ||
		       (memcmp(key, prefix, len) == 0 && (key_len == len || key[len] == '/'));
	return whole && (!key_len || (memcmp(key, prefix, key_len) == 0 && prefix[key_len] == '/'));
}

bool change_concerns(const struct feed_event *ev, size_t i, const char *prefix, size_t len)
{
	struct bytes key = ev->effects[i].key;
	bool whole = key.len < len && change_is_whole(ev, i);
	return change_reaches(key.data, key.len, whole, prefix, len);
}

static void moment_member(const char *name, int64_t ms, struct json_text *text)
{
	char moment[32];
	moment_format(ms, moment, sizeof(moment));
	json_text_raw(text, name);
	json_text_raw(text, moment);
	json_text_raw(text, "\"");
}

int change_text(const struct feed_event *ev, size_t i, const struct view *view,
                struct json_text *text)
{
	const struct feed_effect *effect = &ev->effects[i];
	bool gone = effect->kind == FEED_REMOVED || effect->kind == FEED_EXPIRED ||
	            effect->kind == FEED_EVICTED;
	struct entry e;
	int r = 0;
	json_text_raw(text, "{\"event\":\"");
	json_text_raw(text, change_name(ev, i));
	json_text_raw(text, "\",");
	value_text_key("key", effect->key.data, effect->key.len, effect->dir, text);
	json_text_raw(text, effect->dir ? ",\"type\":\"directory\"" : ",\"type\":\"key\"");
	if (effect->kind == FEED_ADDED && !has_other(ev, i, FEED_REMOVED))
		json_text_raw(text, ",\"created\":true");
	if (!gone) {
		json_text_raw(text, ",\"version\":");
		json_text_u64(text, ev->offset);
	}
	if (!gone && !effect->dir) {
		json_text_raw(text, ",\"size\":");
		json_text_u64(text, effect->size);
	}
	if (!gone && effect->expiry_ms)
		moment_member(",\"expires\":\"", effect->expiry_ms, text);
	moment_member(",\"time\":\"", ev->time_ms, text);
	if (view && !gone && !effect->dir && !view_inode(view, effect->ino, &e) &&
	    e.version == ev->offset && !entry_is_dir(&e))
		r = value_text(view, &e, text);
	json_text_raw(text, "}");
	return r ? r : text->failed;
}

int change_message(const struct feed_event *ev, size_t i, const struct view *view,
                   struct json_text *text)
{
	json_text_raw(text, "\ndata: ");
	int r = change_text(ev, i, view, text);
	json_text_raw(text, "\n\n");
	return r ? r : text->failed;
}
