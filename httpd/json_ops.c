/* JSON operations: parses the body of a transaction or a batch read.
 *
 * One table lists the members that each operation takes; any other member is refused rather than
 * ignored, because a misspelt "if" or "ttl" would be a condition that is never checked. Keys are
 * text or, for bytes that are not UTF-8, percent-encoded in `path`; values are text, or base64.
 *
 * Only decoded bytes are copied. */
#include "httpd/json_ops.h"

#include "common/base/key.h"
#include "common/base/ttl.h"
#include "httpd/conditions.h"
#include "httpd/json_check.h"
#include "httpd/url.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MEMBERS "op", "key", "path", "if"

static const struct op_row {
	const char *name;
	enum event_op op;
	const char *members[JSON_OPS_MEMBERS_MAX + 1]; /* ends with NULL */
} rows[] = {
	{ "set", EVENT_SET, { TEXT_MEMBERS, "value", "encoding", "ttl", "type" } },
	{ "append", EVENT_APPEND, { TEXT_MEMBERS, "value", "encoding", "ttl" } },
	{ "incr", EVENT_INCR, { TEXT_MEMBERS, "by", "ttl" } },
	{ "del", EVENT_DEL, { TEXT_MEMBERS, "recurse" } },
	{ "mkdir", EVENT_MKDIR, { TEXT_MEMBERS } },
	{ "rmdir", EVENT_RMDIR, { TEXT_MEMBERS } },
	{ "rename", EVENT_RENAME, { TEXT_MEMBERS, "to", "to_path", "noreplace", "exchange" } },
	{ "expire", EVENT_EXPIRE, { TEXT_MEMBERS, "ttl" } },
	{ "persist", EVENT_PERSIST, { TEXT_MEMBERS } },
};

/* Return a block that lives as long as OPS; NULL if memory runs out. */
static char *take_block(struct json_ops *ops, size_t len)
{
	void **blocks = realloc(ops->blocks, (ops->nblocks + 1) * sizeof(*blocks));
	if (!blocks)
		return NULL;
	ops->blocks = blocks;
	char *block = malloc(len + 1);
	if (block)
		ops->blocks[ops->nblocks++] = block;
	return block;
}

void json_ops_free(struct json_ops *ops)
{
	for (size_t i = 0; i < ops->nblocks; i++)
		free(ops->blocks[i]);
	free(ops->blocks);
	free(ops->ops);
	*ops = (struct json_ops){ 0 };
}

static int base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Decode padded base64 (RFC 4648). Returns the length, or -1. */
static int64_t base64_decode(const char *text, size_t len, char *out)
{
	size_t n = 0;
	if (len % 4)
		return -1;
	for (size_t i = 0; i < len; i += 4) {
		unsigned v = 0;
		int pad = 0;
		for (size_t k = 0; k < 4; k++) {
			int digit = base64_digit(text[i + k]);
			if (text[i + k] == '=' && i + 4 == len && k >= 2 &&
			    (k == 3 || text[i + 3] == '=')) {
				digit = 0;
				pad++;
			}
			if (digit < 0)
				return -1;
			v = v << 6 | (unsigned)digit;
		}
		if (v & ((1u << (8 * pad)) - 1))
			return -1; /* Trailing bits must be zero. */
		out[n++] = (char)(v >> 16);
		if (pad < 2)
			out[n++] = (char)(v >> 8);
		if (pad < 1)
			out[n++] = (char)v;
	}
	return (int64_t)n;
}

int json_ops_key(const json_t *item, const char *name, const char *path_name, struct json_ops *out,
                 struct bytes *ret, const char **ret_why)
{
	const json_t *text = json_object_get(item, name);
	const json_t *path = json_object_get(item, path_name);
	*ret = (struct bytes){ "", 0 };
	if (text && path) {
		*ret_why = "give the key as text or percent-encoded, not both";
		return -EINVAL;
	}
	if (!text && !path)
		return 0;
	if (!json_is_string(text ? text : path)) {
		*ret_why = "a key must be a string";
		return -EINVAL;
	}
	if (text) {
		*ret = (struct bytes){ json_string_value(text), json_string_length(text) };
		enum key_fault fault = key_check(ret->data, ret->len);
		*ret_why = key_fault_text(fault);
		return fault ? -EINVAL : 0;
	}
	bool dir;
	size_t len = json_string_length(path);
	char *buf = take_block(out, len);
	if (!buf)
		return -ENOMEM;
	*ret_why = url_decode_key(json_string_value(path), len, buf, &ret->len, &dir);
	ret->data = buf;
	if (!*ret_why && !ret->len)
		*ret_why = "the root directory cannot be changed";
	return *ret_why ? -EINVAL : 0;
}

/* --- members --------------------------------------------------------------- */

static const char *read_value(const json_t *item, struct event *ev, struct json_ops *out)
{
	const json_t *value = json_object_get(item, "value");
	const json_t *encoding = json_object_get(item, "encoding");
	if (!json_is_string(value))
		return "value must be a string";
	ev->value = (struct bytes){ json_string_value(value), json_string_length(value) };
	if (!encoding)
		return NULL;
	if (!json_is_string(encoding) || strcmp(json_string_value(encoding), "base64") != 0)
		return "encoding must be \"base64\", or omitted for text";
	char *buf = take_block(out, ev->value.len);
	if (!buf)
		return "out of memory";
	int64_t n = base64_decode(ev->value.data, ev->value.len, buf);
	ev->value = (struct bytes){ buf, n < 0 ? 0 : (size_t)n };
	return n < 0 ? "value is not base64" : NULL;
}

/* Read an integer in any notation: 5 and 5.0 are the same in JSON. */
static bool read_whole(const json_t *value, int64_t *ret)
{
	/* A double holds every integer up to 2^53. */
	const double most = 9007199254740992.0;
	if (json_is_integer(value)) {
		*ret = json_integer_value(value);
		return true;
	}
	double real = json_real_value(value);
	if (!json_is_real(value) || real < -most || real > most || real != (double)(int64_t)real)
		return false;
	*ret = (int64_t)real;
	return true;
}

static const char *read_ttl(const json_t *item, struct event *ev)
{
	const json_t *ttl = json_object_get(item, "ttl");
	char number[24];
	int64_t seconds;
	const char *text = json_string_value(ttl);
	if (!ttl)
		return ev->op == EVENT_EXPIRE ? "expire needs a ttl" : NULL;
	if (read_whole(ttl, &seconds)) {
		snprintf(number, sizeof(number), "%lld", (long long)seconds);
		text = number;
	}
	if (text && ev->op == EVENT_SET && strcmp(text, "keep") == 0) {
		ev->ttl = TTL_KEEP;
		return NULL;
	}
	if (!text || ttl_parse(text, strlen(text), &ev->ttl_ms))
		return "ttl must be seconds above 0, or text such as \"90s\"";
	ev->ttl = TTL_SET;
	return NULL;
}

static const char *read_condition(const json_t *item, const struct volume_tag *tag,
                                  struct event *ev)
{
	const json_t *cond = json_object_get(item, "if");
	struct condition_tags tags;
	int64_t version;
	if (!cond)
		return NULL;
	if (read_whole(cond, &version) && version >= 0) {
		ev->cond = IF_VERSION;
		ev->if_version = (uint64_t)version;
		return NULL;
	}
	const char *text = json_is_string(cond) ? json_string_value(cond) : "";
	if (strcmp(text, "absent") == 0)
		ev->cond = IF_ABSENT;
	else if (strcmp(text, "present") == 0)
		ev->cond = IF_PRESENT;
	else if (!conditions_tags(text, tag, &tags) && !tags.any && tags.n <= 1) {
		ev->cond = IF_VERSION; /* A version of another volume matches nothing. */
		ev->if_version = tags.n && !tags.weak[0] ? tags.versions[0] : CONDITIONS_NO_VERSION;
	} else
		return "if must be \"absent\", \"present\", or a version or etag";
	return NULL;
}

static const char *read_flag(const json_t *item, const char *name, enum event_flag flag,
                             struct event *ev)
{
	const json_t *value = json_object_get(item, name);
	if (!value)
		return NULL;
	if (!json_is_boolean(value))
		return "recurse, noreplace and exchange are true or false";
	if (json_is_true(value))
		ev->flags |= flag;
	return NULL;
}

static const char *read_rest(const json_t *item, struct event *ev, struct json_ops *out)
{
	const json_t *by = json_object_get(item, "by");
	const json_t *type = json_object_get(item, "type");
	const char *why = NULL;
	if (ev->op == EVENT_SET || ev->op == EVENT_APPEND)
		why = read_value(item, ev, out);
	if (!why)
		why = read_ttl(item, ev);
	if (!why)
		why = read_condition(item, &out->tag, ev);
	if (!why)
		why = read_flag(item, "recurse", EVENT_RECURSE, ev);
	if (!why)
		why = read_flag(item, "noreplace", EVENT_NOREPLACE, ev);
	if (!why)
		why = read_flag(item, "exchange", EVENT_EXCHANGE, ev);
	if (why)
		return why;
	ev->by = 1;
	if (by && !read_whole(by, &ev->by))
		return "by must be an integer";
	if (type && (!json_is_string(type) || json_string_length(type) > EVENT_TYPE_MAX))
		return "type must be a string of at most 255 bytes";
	if (type)
		ev->type = (struct bytes){ json_string_value(type), json_string_length(type) };
	return NULL;
}

static const struct op_row *find_row(const json_t *item)
{
	const char *name = json_string_value(json_object_get(item, "op"));
	for (size_t i = 0; name && i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(rows[i].name, name) == 0)
			return &rows[i];
	return NULL;
}

static bool takes_all(const struct op_row *row, const json_t *item)
{
	const char *name;
	json_t *value;
	json_object_foreach((json_t *)(uintptr_t)item, name, value)
	{
		const char *const *m = row->members;
		while (*m && strcmp(*m, name) != 0)
			m++;
		if (!*m)
			return false;
	}
	return true;
}

/* Convert one operation. Returns 0, -EINVAL with *RET_WHY, or -ENOMEM. */
static int read_op(const json_t *item, struct event *ev, struct json_ops *out, const char **ret_why)
{
	const struct op_row *row = find_row(item);
	*ret_why =
	        "an operation is an object with op: set, append, incr, del, mkdir, rmdir, rename, "
	        "expire or persist";
	if (!row)
		return -EINVAL;
	*ret_why = "it has a member that this operation does not take";
	if (!takes_all(row, item))
		return -EINVAL;
	ev->op = row->op;
	int r = json_ops_key(item, "key", "path", out, &ev->key, ret_why);
	if (!r && ev->op == EVENT_RENAME)
		r = json_ops_key(item, "to", "to_path", out, &ev->to, ret_why);
	if (r)
		return r;
	*ret_why = "it needs a key, and a rename its new key in to";
	if (!ev->key.len || (ev->op == EVENT_RENAME && !ev->to.len))
		return -EINVAL;
	*ret_why = read_rest(item, ev, out);
	if (!*ret_why)
		*ret_why = event_check(ev);
	return *ret_why ? -EINVAL : 0;
}

int json_ops_parse(const char *body, size_t len, size_t most, json_t **ret, char *why,
                   size_t why_size)
{
	struct json_check check;
	json_error_t error;
	if (!json_check(body, len, &check)) {
		snprintf(why, why_size, "the body is not JSON: at byte %zu %s", check.at,
		         check.why);
		return -EINVAL;
	}
	if (check.values > most) {
		snprintf(why, why_size, "the body has %zu JSON values; the limit is %zu",
		         check.values, most);
		return -EINVAL;
	}
	json_t *json = json_loadb(body, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
	if (json) {
		*ret = json;
		return 0;
	}
	if (json_error_code(&error) == json_error_out_of_memory)
		return -ENOMEM;
	snprintf(why, why_size, "the body is invalid: %s", error.text);
	return -EINVAL;
}

int json_ops_read(const json_t *list, struct json_ops *out, char *why, size_t why_size)
{
	const char *text = NULL;
	size_t n = json_array_size(list);
	if (!json_is_array(list) || !n || n > EVENT_OPS_MAX) {
		snprintf(why, why_size, "the body must be a JSON array of 1 to %d operations",
		         EVENT_OPS_MAX);
		return -EINVAL;
	}
	out->ops = calloc(n, sizeof(*out->ops));
	if (!out->ops)
		return -ENOMEM;
	out->n = n;
	for (size_t i = 0; i < n; i++) {
		int r = read_op(json_array_get(list, i), &out->ops[i], out, &text);
		if (r) {
			snprintf(why, why_size, "operation %zu: %s", i,
			         text ? text : "out of memory");
			return r;
		}
	}
	return 0;
}
