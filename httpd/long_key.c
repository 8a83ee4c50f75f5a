/* Long keys: PyCache keys whose last name exceeds KEY_NAME_MAX.
 *
 * PyCache's keys have any length; names here have 255 bytes, as in file systems. So a longer last
 * name is stored as its beginning, '~' and the SHA-256 of the whole name: a read needs only the
 * requested key, and two keys never share a name. The original name is kept in an attribute,
 * written in one transaction with the value, for listings.
 *
 * No state: as thread-safe as the request and the view. */
#include "httpd/long_key.h"

#include "common/base/key.h"
#include "common/store/xattr.h"
#include "httpd/hex.h"
#include "httpd/url.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HASH_BYTES 32 /* of a SHA-256 */
#define HASH_TEXT (1 + 2 * HASH_BYTES)
#define KEPT_MAX (KEY_NAME_MAX - HASH_TEXT)

/* Replace the NAME of LEN bytes with its derived name. Returns the new length, or 0 if the library
 * fails. */
static size_t derive_name(char *name, size_t len)
{
	unsigned char hash[HASH_BYTES];
	char text[HASH_TEXT + 1] = "~";
	if (gnutls_hash_fast(GNUTLS_DIG_SHA256, name, len, hash))
		return 0;
	for (size_t i = 0; i < sizeof(hash); i++)
		snprintf(text + 1 + 2 * i, 3, "%02x", hash[i]);
	size_t kept = KEPT_MAX;
	while (kept && ((unsigned char)name[kept] & 0xC0) == 0x80)
		kept--; /* Do not cut a character in two. */
	memcpy(name + kept, text, HASH_TEXT);
	return kept + HASH_TEXT;
}

const char *long_key_decode(struct request *rq, const char *raw, size_t len)
{
	const char *why = url_decode_path(raw, len, true, rq->key, &rq->key_len, &rq->key_is_dir);
	if (why)
		return why;
	size_t start = key_name_start(rq->key, rq->key_len);
	if (rq->key_len - start > KEY_NAME_MAX) {
		rq->own_key = malloc(rq->key_len);
		if (!rq->own_key)
			return "there is no memory for it";
		memcpy(rq->own_key, rq->key, rq->key_len);
		rq->own_key_len = rq->key_len;
		size_t n = derive_name(rq->key + start, rq->key_len - start);
		if (!n)
			return key_fault_text(KEY_NAME_LONG);
		rq->key_len = start + n;
	}
	enum key_fault fault = rq->key_len ? key_check(rq->key, rq->key_len) : KEY_OK;
	return fault ? key_fault_text(fault) : NULL;
}

bool long_key_is_derived(const char *name, size_t len)
{
	if (len < HASH_TEXT || name[len - HASH_TEXT] != '~')
		return false;
	for (size_t i = len - 2 * HASH_BYTES; i < len; i++)
		if (hex_digit(name[i]) < 0)
			return false;
	return true;
}

int long_key_own(const struct view *view, const struct entry *e, struct bytes *ret)
{
	return store_xattr_get(view->txn, e->ino, LONG_KEY_ATTRIBUTE,
	                       sizeof(LONG_KEY_ATTRIBUTE) - 1, ret);
}
