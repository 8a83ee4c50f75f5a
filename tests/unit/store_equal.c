/* Store comparison, row by row.
 *
 * store_each_row() walks one store at a time. So the rows of the first store are
 * copied into one block, and the rows of the second are compared with it as they are
 * read. */
#include "tests/unit/store_equal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct row_head {
	const char *table; /* static text, owned by the store */
	size_t key_len, value_len;
};

struct rows {
	uint8_t *bytes;
	size_t used, room;
	size_t at; /* offset in bytes up to which the second store agrees */
	uint64_t n;
	char *why;
	size_t why_size;
};

__attribute__((format(printf, 2, 3))) static int differs(struct rows *rows, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(rows->why, rows->why_size, fmt, args);
	va_end(args);
	return -EPROTO;
}

static int copy_row(void *arg, const char *table, struct bytes key, struct bytes value)
{
	struct rows *rows = arg;
	struct row_head head = { table, key.len, value.len };
	size_t need = sizeof(head) + key.len + value.len;

	if (rows->used + need > rows->room) {
		size_t room = 2 * (rows->used + need);
		uint8_t *grown = realloc(rows->bytes, room);

		if (!grown)
			return -ENOMEM;
		rows->bytes = grown;
		rows->room = room;
	}
	memcpy(rows->bytes + rows->used, &head, sizeof(head));
	memcpy(rows->bytes + rows->used + sizeof(head), key.data, key.len);
	if (value.len)
		memcpy(rows->bytes + rows->used + sizeof(head) + key.len, value.data, value.len);
	rows->used += need;
	return 0;
}

/* Return a key or value as hexadecimal digits, cut to SIZE. */
static const char *hex(struct bytes b, char *buf, size_t size)
{
	const uint8_t *p = b.data;
	size_t used = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < b.len && used + 3 < size; i++)
		used += (size_t)snprintf(buf + used, size - used, "%02x", p[i]);
	return buf;
}

static int compare_row(void *arg, const char *table, struct bytes key, struct bytes value)
{
	struct rows *rows = arg;
	struct row_head head;
	char buf[4][160];

	if (rows->at == rows->used)
		return differs(rows, "row %llu: one more in %s, key %s",
		               (unsigned long long)rows->n, table,
		               hex(key, buf[0], sizeof(buf[0])));
	memcpy(&head, rows->bytes + rows->at, sizeof(head));
	struct bytes key_a = { rows->bytes + rows->at + sizeof(head), head.key_len };
	struct bytes value_a = { rows->bytes + rows->at + sizeof(head) + head.key_len,
		                 head.value_len };
	if (strcmp(head.table, table) != 0 || head.key_len != key.len ||
	    memcmp(key_a.data, key.data, key.len) != 0)
		return differs(rows, "row %llu: %s %s against %s %s", (unsigned long long)rows->n,
		               head.table, hex(key_a, buf[0], sizeof(buf[0])), table,
		               hex(key, buf[1], sizeof(buf[1])));
	if (head.value_len != value.len ||
	    (value.len && memcmp(value_a.data, value.data, value.len) != 0))
		return differs(rows, "row %llu: %s %s: %s (%zu) against %s (%zu)",
		               (unsigned long long)rows->n, table, hex(key, buf[0], sizeof(buf[0])),
		               hex(value_a, buf[1], sizeof(buf[1])), value_a.len,
		               hex(value, buf[2], sizeof(buf[2])), value.len);
	rows->at += sizeof(head) + head.key_len + head.value_len;
	rows->n++;
	return 0;
}

int store_differs(struct store *a, struct store *b, char *why, size_t why_size)
{
	struct rows rows = { .why = why, .why_size = why_size };
	struct txn *txn;

	why[0] = '\0';
	int r = txn_read(a, &txn);
	if (r == 0) {
		r = store_each_row(txn, copy_row, &rows);
		txn_abort(txn);
	}
	if (r == 0)
		r = txn_read(b, &txn);
	if (r == 0) {
		r = store_each_row(txn, compare_row, &rows);
		txn_abort(txn);
	}
	if (r == 0 && rows.at != rows.used)
		r = differs(&rows, "the first store has more than %llu rows",
		            (unsigned long long)rows.n);
	if (r < 0 && !why[0])
		snprintf(why, why_size, "cannot read a store: %s", strerror(-r));
	free(rows.bytes);
	return r;
}
