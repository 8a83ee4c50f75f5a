/* Key: GET and HEAD of a key.
 *
 * The hot path: one snapshot, one lookup, one copy of the value into the response (into memory that
 * malloc() has at hand: no page faults), no lock and no JSON; for large values see value_answer.c.
 * All parts of a response (value, version, times, offset) come from one snapshot, which is closed
 * before MHD gets the response.
 *
 * With ?wait= a GET that would return what the client already knows (304), or 404, waits for a
 * change (key_wait.h).
 *
 * A directory has no value, and a path without a final slash asks for one: the response is 404 with
 * the location of the listing in it. A redirect would give every client that follows redirects a
 * JSON listing instead of a value. */
#include "httpd/handlers.h"

#include "common/base/max_age.h"
#include "common/base/ttl.h"
#include "httpd/conditions.h"
#include "httpd/key_wait.h"
#include "httpd/problem.h"
#include "httpd/respond.h"
#include "httpd/server.h"
#include "httpd/value_answer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char content_type_xattr[] = "user.content_type";

/* Fields copied out of the snapshot for building the response. */
struct found {
	uint64_t offset;
	uint64_t version;
	struct volume_tag tag;
	int64_t mtime_s;
	int64_t ttl_ms; /* -1: does not expire */
	uint64_t size;
	uint32_t max_age_s;            /* 0: not cacheable */
	char type[EVENT_TYPE_MAX + 1]; /* "": none stored */
};

static int64_t floor_seconds(int64_t ns)
{
	return ns / 1000000000 - (ns % 1000000000 < 0);
}

/* Read the content type and the max age from the attributes of E. A type that a header cannot
 * carry, set through a mount, is refused by response_header(). */
static void read_attributes(const struct view *view, const struct entry *e, struct found *f)
{
	struct bytes value;
	f->type[0] = '\0';
	if (!e->has_xattrs)
		return;
	if (!store_xattr_get(view->txn, e->ino, content_type_xattr, sizeof(content_type_xattr) - 1,
	                     &value) &&
	    value.len < sizeof(f->type)) {
		memcpy(f->type, value.data, value.len);
		f->type[value.len] = '\0';
	}
	if (!store_xattr_get(view->txn, e->ino, MAX_AGE_ATTR, sizeof(MAX_AGE_ATTR) - 1, &value))
		max_age_parse(value.data, value.len, &f->max_age_s); /* 0 if it is malformed */
}

/* Add Cache-Control: no-cache, unless the writer set a max age, which the TTL limits. The TTL is
 * not used as a max age by itself: a key can be overwritten or deleted before it ends, and an HTTP
 * cache would then return the old value. A reader that states how new the answer must be
 * (?consistent, ?wait, X-Keydir-Offset) never gets a cached one. */
static void add_cache_control(const struct request *rq, struct MHD_Response *response,
                              const struct found *f)
{
	char text[sizeof(MAX_AGE_PREFIX) + 20];
	uint64_t max_age_s = rq->url.query_len ? 0 : f->max_age_s;
	if (f->ttl_ms >= 0 && max_age_s > (uint64_t)f->ttl_ms / 1000)
		max_age_s = (uint64_t)f->ttl_ms / 1000;
	if (!max_age_s) {
		response_header_own(response, "Cache-Control", "no-cache");
		return;
	}
	snprintf(text, sizeof(text), MAX_AGE_PREFIX "%llu", (unsigned long long)max_age_s);
	response_header_own(response, "Cache-Control", text);
	response_header_own(response, "Vary", "X-Keydir-Offset");
}

/* Add the headers that 200, 206 and 304 share (RFC 9110, 15.4.5). */
static void add_headers(const struct request *rq, struct MHD_Response *response,
                        const struct found *f)
{
	char date[CONDITIONS_DATE_SIZE];
	/* Never later than Date, which MHD takes from the same clock (RFC 9110, 8.8.2.1): a file's
	 * mtime can be in the future. */
	int64_t now_s = time(NULL);
	response_etag(response, f->version, &f->tag);
	conditions_date_format(f->mtime_s < now_s ? f->mtime_s : now_s, date);
	response_header_own(response, "Last-Modified", date);
	if (f->ttl_ms >= 0)
		response_header_u64(response, "X-Keydir-TTL", (uint64_t)((f->ttl_ms + 999) / 1000));
	add_cache_control(rq, response, f);
}

static void add_type(struct MHD_Response *response, const struct found *f)
{
	if (!f->type[0] || !response_header(response, "Content-Type", f->type)) {
		response_header_own(response, "Content-Type", "application/octet-stream");
		return;
	}
	/* A stored page must not run as part of this origin. */
	response_header_own(response, "Content-Security-Policy", "sandbox");
}

/* Check the preconditions of RQ in the order of RFC 9110 (13.2.2). Returns 0 to go on, 304, 412, or
 * 400 for a malformed If-Match. */
static unsigned preconditions(const struct request_headers *h, const struct found *f)
{
	struct condition_tags tags;
	int64_t date_s;
	if (h->if_match) {
		if (conditions_tags(h->if_match, &f->tag, &tags))
			return 400;
		if (!conditions_match(&tags, f->version, true))
			return 412;
	} else if (h->if_unmodified_since) {
		if (!conditions_date_parse(h->if_unmodified_since, &date_s) && f->mtime_s > date_s)
			return 412;
	}
	if (h->if_none_match) {
		if (!conditions_tags(h->if_none_match, &f->tag, &tags) &&
		    conditions_match(&tags, f->version, false))
			return 304;
	} else if (h->if_modified_since) {
		if (!conditions_date_parse(h->if_modified_since, &date_s) && f->mtime_s <= date_s)
			return 304;
	}
	return 0;
}

/* Return whether If-Range allows the range. */
static bool if_range_holds(const char *text, const struct found *f)
{
	struct condition_tags tags;
	int64_t date_s;
	if (!conditions_date_parse(text, &date_s))
		return date_s == f->mtime_s;
	return !conditions_tags(text, &f->tag, &tags) && !tags.any &&
	       conditions_match(&tags, f->version, true);
}

static enum MHD_Result answer_missing(struct request *rq, int err, uint64_t offset)
{
	if (err == -ENOTDIR)
		return problem(rq, PROBLEM_NOT_A_DIRECTORY_READ, offset,
		               "A name in the path is a key, so there is nothing below it.");
	if (err == -ENOENT)
		return problem(rq, PROBLEM_NOT_FOUND, offset, "There is no such key.");
	return problem_store(rq, err);
}

static enum MHD_Result is_directory(struct request *rq, uint64_t offset)
{
	static const char top[] = "/v1/kv/";
	size_t top_len = sizeof(top) - 1;
	char *listing = malloc(top_len + URL_ENCODED_MAX(rq->key_len) + 1);
	json_t *more = NULL;
	if (listing) {
		memcpy(listing, top, top_len);
		size_t n = top_len + url_encode(rq->key, rq->key_len, listing + top_len);
		listing[n++] = '/';
		more = json_pack("{s:s%}", "listing", listing, n);
		free(listing);
	}
	return respond_send(rq, 404, offset,
	                    problem_response(rq, PROBLEM_IS_DIRECTORY_READ, more,
	                                     "This is a directory, which has no value. Add a "
	                                     "slash to the path to list it."));
}

static enum MHD_Result answer_unsatisfiable(struct request *rq, const struct found *f)
{
	char text[40];
	struct MHD_Response *response = problem_response(
	        rq, PROBLEM_RANGE, NULL,
	        "The value has %llu bytes, and the range begins after "
	        "them.",
	        (unsigned long long)f->size);
	snprintf(text, sizeof(text), "bytes */%llu", (unsigned long long)f->size);
	response_header(response, "Content-Range", text);
	response_etag(response, f->version, &f->tag);
	return respond_send(rq, 416, f->offset, response);
}

static enum MHD_Result get_key(struct request *rq);

/* Answer with the entry E of the open VIEW, which is closed here, in the volume of TAG. */
static enum MHD_Result answer_entry(struct request *rq, struct view *view, const struct entry *e,
                                    const struct volume_tag *tag)
{
	const struct request_headers *h = &rq->headers;
	struct found f = {
		.offset = view_offset(view),
		.version = e->version,
		.mtime_s = floor_seconds(e->mtime_ns),
		.ttl_ms = view_ttl_ms(view, e),
		.size = e->size,
		.tag = *tag,
	};
	unsigned status = preconditions(h, &f);
	uint64_t first = 0;
	uint64_t len = e->size;
	enum range_kind range = RANGE_WHOLE;
	struct MHD_Response *response = NULL;
	int err = 0;

	if (!status && h->range && rq->method == HTTP_GET &&
	    (!h->if_range || if_range_holds(h->if_range, &f)))
		range = conditions_range(h->range, e->size, &first, &len);
	if (!status && range != RANGE_UNSATISFIABLE)
		response = rq->method == HTTP_HEAD ? response_size(len) :
		                                     value_answer(rq, view, e, first, len, &err);
	if (!status || status == 304)
		read_attributes(view, e, &f);
	node_touch(rq->server->node, e->ino, view->now_ms);
	view_close(view);

	if (err)
		return problem_store(rq, err);
	if (status == 304 && h->if_none_match && key_wait_wanted(rq))
		return key_wait(rq, f.offset + 1, get_key);
	if (status == 400)
		return problem(rq, PROBLEM_BAD_CONDITION, f.offset,
		               "If-Match must be * or a list of quoted entity tags, as in "
		               "If-Match: \"42\".");
	if (status == 412)
		return problem(rq, PROBLEM_PRECONDITION, f.offset,
		               "The key has version \"%llu%s\", which does not match the "
		               "precondition.",
		               (unsigned long long)f.version, f.tag.text);
	if (range == RANGE_UNSATISFIABLE)
		return answer_unsatisfiable(rq, &f);
	if (status == 304) {
		response = response_size(f.size);
		add_headers(rq, response, &f);
		return respond_send(rq, 304, f.offset, response);
	}
	add_headers(rq, response, &f);
	add_type(response, &f);
	if (rq->method == HTTP_HEAD) /* A client that needs to know sends HEAD. */
		response_header(response, "Accept-Ranges", "bytes");
	if (range == RANGE_PART) {
		char text[80];
		snprintf(text, sizeof(text), "bytes %llu-%llu/%llu", (unsigned long long)first,
		         (unsigned long long)(first + len - 1), (unsigned long long)f.size);
		response_header(response, "Content-Range", text);
		return respond_send(rq, 206, f.offset, response);
	}
	return respond_send(rq, 200, f.offset, response);
}

static enum MHD_Result get_key(struct request *rq)
{
	struct view view;
	struct volume_tag tag;
	struct entry e;
	int r = server_volume_tag(rq->server, &tag);
	if (!r)
		r = view_open(node_store(rq->server->node), &view);
	if (r)
		return problem_store(rq, r);
	r = view_key(&view, rq->key, rq->key_len, &e);
	if (!r && !entry_is_dir(&e))
		return answer_entry(rq, &view, &e, &tag);
	uint64_t offset = view_offset(&view);
	view_close(&view);
	if (!r)
		return is_directory(rq, offset);
	if ((r == -ENOENT || r == -ENOTDIR) && !rq->headers.if_none_match && key_wait_wanted(rq))
		return key_wait(rq, offset + 1, get_key);
	/* If-Match: * requires that the key exists (RFC 9110, 13.1.1). */
	if (rq->headers.if_match && r == -ENOENT)
		return problem(rq, PROBLEM_PRECONDITION, offset,
		               "There is no such key, so If-Match fails.");
	return answer_missing(rq, r, offset);
}

/* Return a parameter of RQ that only directories (or only keys) take, or NULL. */
static const char *misplaced_param(const struct request *rq)
{
	static const char *const of_lists[] = { "recurse", "directories", "values",
		                                "limit",   "cursor",      NULL };
	static const char *const of_keys[] = { "wait", NULL };
	const char *raw;
	size_t len;
	for (const char *const *p = rq->key_is_dir ? of_keys : of_lists; *p; p++)
		if (url_param(&rq->url, *p, &raw, &len))
			return *p;
	return NULL;
}

enum MHD_Result handle_key(struct request *rq)
{
	enum MHD_Result ret;
	const char *name = rq->url.query_len ? misplaced_param(rq) : NULL;
	if (name)
		return problem(rq, PROBLEM_BAD_PARAMETER, RESPOND_OFFSET_NOW,
		               rq->key_is_dir ?
		                       "?%s is for a key. To follow changes of a directory, use "
		                       "/v1/watch?prefix=." :
		                       "?%s is for a directory: add a slash to the path.",
		               name);
	if (rq->key_is_dir)
		return handle_list(rq);
	if (rq->url.query_len && !key_wait_read(rq, &ret))
		return ret;
	return get_key(rq);
}
