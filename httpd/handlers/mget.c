/* Mget: POST /v1/mget, many keys read from one snapshot.
 *
 * The response is JSON or, with Accept: multipart/mixed, the raw values, a part for each key in the
 * order requested. All of it is collected before it is sent, because the snapshot must not wait for
 * a client. So its size is limited. */
#include "httpd/handlers.h"

#include "common/base/key.h"
#include "common/base/ttl.h"
#include "httpd/access.h"
#include "httpd/json_ops.h"
#include "httpd/problem.h"
#include "httpd/respond.h"
#include "httpd/server.h"
#include "httpd/url.h"
#include "httpd/value_text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define KEYS_MAX 10000
/* JSON values in a body: the array, and for each key its text or an object around it. */
#define VALUES_MAX (1 + 2 * KEYS_MAX)
#define ANSWER_MAX ((size_t)64 << 20)

static const char type_xattr[] = "user.content_type";

struct reading {
	struct node *node;
	const struct view *view;
	struct volume_tag tag;
	struct json_text text;
	char boundary[40]; /* multipart; "": JSON */
	size_t count;
};

static int write_json(struct reading *rd, struct bytes key, const struct entry *e)
{
	struct json_text *t = &rd->text;
	struct bytes type;
	int r = 0;
	json_text_raw(t, rd->count++ ? ",\n{" : "\n{");
	value_text_key("key", key.data, key.len, e && entry_is_dir(e), t);
	if (!e) {
		json_text_raw(t, ",\"type\":\"none\"}");
		return 0;
	}
	json_text_raw(t, entry_is_dir(e) ? ",\"type\":\"directory\",\"version\":" :
	                                   ",\"type\":\"key\",\"version\":");
	json_text_u64(t, e->version);
	value_text_etag(e->version, &rd->tag, t);
	int64_t ttl_ms = view_ttl_ms(rd->view, e);
	if (ttl_ms >= 0) {
		json_text_raw(t, ",\"ttl\":");
		json_text_i64(t, (ttl_ms + 999) / 1000);
	}
	if (!entry_is_dir(e)) {
		json_text_raw(t, ",\"size\":");
		json_text_u64(t, e->size);
		if (e->has_xattrs && !store_xattr_get(rd->view->txn, e->ino, type_xattr,
		                                      sizeof(type_xattr) - 1, &type)) {
			json_text_raw(t, ",\"content_type\":");
			json_text_string(t, type.data, type.len);
		}
		r = value_text(rd->view, e, t);
	}
	json_text_raw(t, "}");
	return r;
}

/* Return whether the stored TYPE can stand in a header. */
static bool plain_type(struct bytes type)
{
	const unsigned char *c = type.data;
	for (size_t i = 0; i < type.len; i++)
		if (c[i] < 0x20 || c[i] >= 0x7F)
			return false;
	return type.len > 0;
}

static int write_part(struct reading *rd, struct bytes key, const struct entry *e)
{
	struct json_text *t = &rd->text;
	struct bytes type;
	char *path = malloc(URL_ENCODED_MAX(key.len) + 1);
	if (!path)
		return -ENOMEM;
	size_t n = url_encode(key.data, key.len, path);
	json_text_raw(t, rd->count++ ? "\r\n--" : "--");
	json_text_raw(t, rd->boundary);
	json_text_raw(t, "\r\nContent-Location: /v1/kv/");
	json_text_append(t, path, n);
	free(path);
	if (!e || entry_is_dir(e)) {
		json_text_raw(t, "\r\nX-Keydir-Status: 404\r\nContent-Length: 0\r\n\r\n");
		return 0;
	}
	json_text_raw(t, "\r\nX-Keydir-Status: 200\r\nETag: \"");
	json_text_u64(t, e->version);
	json_text_raw(t, rd->tag.text);
	json_text_raw(t, "\"\r\nContent-Type: ");
	if (e->has_xattrs &&
	    !store_xattr_get(rd->view->txn, e->ino, type_xattr, sizeof(type_xattr) - 1, &type) &&
	    plain_type(type))
		json_text_append(t, type.data, type.len);
	else
		json_text_raw(t, "application/octet-stream");
	json_text_raw(t, "\r\nContent-Length: ");
	json_text_u64(t, e->size);
	json_text_raw(t, "\r\n\r\n");
	return value_read(rd->view, e, t);
}

/* Read all keys of LIST. Returns 0, -E2BIG for too many bytes, or another -errno. */
static int read_all(struct reading *rd, const struct bytes *keys, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct entry e;
		int r = view_key(rd->view, keys[i].data, keys[i].len, &e);
		if (r && r != -ENOENT && r != -ENOTDIR)
			return r;
		if (!r && e.size > ANSWER_MAX)
			return -E2BIG; /* refuse before reading it */
		if (!r)
			node_touch(rd->node, e.ino, rd->view->now_ms);
		r = rd->boundary[0] ? write_part(rd, keys[i], r ? NULL : &e) :
		                      write_json(rd, keys[i], r ? NULL : &e);
		if (r || rd->text.failed)
			return r ? r : rd->text.failed;
	}
	return 0;
}

static enum MHD_Result answer_keys(struct request *rq, const struct bytes *keys, size_t n)
{
	struct view view;
	struct reading rd = {
		.node = rq->server->node,
		.view = &view,
		.text = { .counted = true, .most = ANSWER_MAX },
	};
	char type[80] = "application/json";
	if (rq->headers.accept && strstr(rq->headers.accept, "multipart/")) {
		/* Random, so that no stored value can contain it on purpose. */
		uint64_t id[2];
		if (getrandom(id, sizeof(id), 0) != sizeof(id))
			return respond_send(rq, 503, RESPOND_OFFSET_NOW, NULL);
		snprintf(rd.boundary, sizeof(rd.boundary), "kd%016llx%016llx",
		         (unsigned long long)id[0], (unsigned long long)id[1]);
		snprintf(type, sizeof(type), "multipart/mixed; boundary=%s", rd.boundary);
	}
	int r = view_open(node_store(rq->server->node), &view);
	if (r)
		return problem_store(rq, r);
	uint64_t offset = view_offset(&view);
	view_tag(&view, &rd.tag);
	if (!rd.boundary[0])
		json_text_raw(&rd.text, "{\"entries\":[");
	r = read_all(&rd, keys, n);
	view_close(&view);
	if (rd.boundary[0]) {
		json_text_raw(&rd.text, "\r\n--");
		json_text_raw(&rd.text, rd.boundary);
		json_text_raw(&rd.text, "--\r\n");
	} else {
		json_text_raw(&rd.text, "\n]}\n");
	}
	if (!r)
		r = rd.text.failed;
	if (!r)
		return respond_json_text(rq, 200, offset, type, &rd.text);
	json_text_clear(&rd.text);
	if (r == -E2BIG)
		return problem(rq, PROBLEM_TOO_LARGE, offset,
		               "The response would exceed %zu bytes. Request fewer keys, or a "
		               "large value by itself.",
		               ANSWER_MAX);
	return problem_store(rq, r);
}

/* Read the keys of LIST into KEYS. Returns false after an answer. */
static bool read_keys(struct request *rq, const json_t *list, struct bytes *keys,
                      struct json_ops *decoded, enum MHD_Result *ret)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *item = json_array_get(list, i);
		const char *why = "a key is a string, or an object with key or path";
		int r = -EINVAL;
		if (json_is_string(item)) {
			keys[i] = (struct bytes){ json_string_value(item),
				                  json_string_length(item) };
			enum key_fault fault = key_check(keys[i].data, keys[i].len);
			why = key_fault_text(fault);
			r = fault ? -EINVAL : 0;
		} else if (json_is_object(item) && json_object_size(item) == 1) {
			r = json_ops_key(item, "key", "path", decoded, &keys[i], &why);
			if (!r && !keys[i].len)
				r = -EINVAL;
		}
		if (r == -ENOMEM) {
			*ret = respond_send(rq, 503, RESPOND_OFFSET_NOW, NULL);
			return false;
		}
		if (r) {
			*ret = problem(rq, PROBLEM_BAD_BODY, RESPOND_OFFSET_NOW, "Key %zu: %s.", i,
			               why ? why :
			                     "a key is a string, or an object with key or path");
			return false;
		}
		if (!access_key(rq, TOKEN_READ, keys[i].data, keys[i].len, ret))
			return false;
	}
	return true;
}

enum MHD_Result handle_mget(struct request *rq)
{
	struct json_ops decoded = { 0 };
	enum MHD_Result ret;
	json_t *list = NULL;
	char why[256] = "";
	int r = json_ops_parse(rq->body ? rq->body : "", rq->body_len, VALUES_MAX, &list, why,
	                       sizeof(why));
	if (r == -EINVAL)
		return problem(rq, PROBLEM_BAD_BODY, RESPOND_OFFSET_NOW,
		               "The list of keys is invalid: %s.", why);
	if (r)
		return respond_send(rq, 503, RESPOND_OFFSET_NOW, NULL);
	size_t n = json_array_size(list);
	if (!n || n > KEYS_MAX) {
		json_decref(list);
		return problem(rq, PROBLEM_BAD_BODY, RESPOND_OFFSET_NOW,
		               "The body must be a JSON array of 1 to %d keys.", KEYS_MAX);
	}
	struct bytes *keys = calloc(n, sizeof(*keys));
	if (!keys)
		ret = respond_send(rq, 503, RESPOND_OFFSET_NOW, NULL);
	else if (read_keys(rq, list, keys, &decoded, &ret))
		ret = answer_keys(rq, keys, n);
	free(keys);
	json_ops_free(&decoded);
	json_decref(list);
	return ret;
}
