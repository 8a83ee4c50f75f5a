/* Keys: the rules for paths, and how to split them.
 *
 * A key is bytes, not text. The rules are those of a Linux path, so that every key can be a
 * file. Nothing is normalised: a spelling that would need it ("a//b", "./a", "/a", "a/") is
 * refused, so an entry has only one key. Every node applies the same rules to the same log,
 * so changing a rule requires a new format version (EVENTS.md).
 *
 * No state; thread-safe. */
#include "common/base/key.h"

#include <string.h>

enum key_fault key_check_name(const char *name, size_t len)
{
	if (len == 0)
		return KEY_EMPTY;
	if (len > KEY_NAME_MAX)
		return KEY_NAME_LONG;
	if (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')))
		return KEY_DOT;
	if (memchr(name, '\0', len))
		return KEY_NUL;
	if (memchr(name, '/', len))
		return KEY_NAME_EMPTY;
	return KEY_OK;
}

enum key_fault key_check(const char *key, size_t len)
{
	if (len == 0)
		return KEY_EMPTY;
	if (len > KEY_MAX)
		return KEY_TOO_LONG;
	for (;;) {
		const char *slash = memchr(key, '/', len);
		size_t n = slash ? (size_t)(slash - key) : len;
		enum key_fault fault = n ? key_check_name(key, n) : KEY_NAME_EMPTY;

		if (fault != KEY_OK || !slash)
			return fault;
		key += n + 1;
		len -= n + 1;
	}
}

const char *key_fault_text(enum key_fault fault)
{
	switch (fault) {
	case KEY_OK:
		return "the key is fine";
	case KEY_EMPTY:
		return "the key is empty";
	case KEY_TOO_LONG:
		return "the key is longer than 4096 bytes";
	case KEY_NAME_LONG:
		return "a name in the key is longer than 255 bytes";
	case KEY_NAME_EMPTY:
		return "a name in the key is empty, or has a slash where none may be";
	case KEY_DOT:
		return "a name in the key is \".\" or \"..\"";
	case KEY_NUL:
		return "the key has a NUL byte";
	}
	return "the key is not valid";
}

bool key_next(const char **key, size_t *len, const char **ret_name, size_t *ret_name_len)
{
	const char *slash;
	size_t n;

	if (*len == 0)
		return false;
	slash = memchr(*key, '/', *len);
	n = slash ? (size_t)(slash - *key) : *len;
	*ret_name = *key;
	*ret_name_len = n;
	if (slash)
		n++;
	*key += n;
	*len -= n;
	return true;
}

size_t key_parent_len(const char *key, size_t len)
{
	while (len && key[len - 1] != '/')
		len--;
	return len ? len - 1 : 0;
}

size_t key_name_start(const char *key, size_t len)
{
	size_t parent = key_parent_len(key, len);

	return parent ? parent + 1 : 0;
}
