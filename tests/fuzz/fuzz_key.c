/* Fuzzer of common/base/key.c: the rules are compared with a second, slow
 * implementation, and the names of a valid key together make up the key. */
#include "tests/fuzz/fuzz.h"

#include "common/base/key.h"

#include <string.h>

/* The rules of keys (EVENTS.md), one after the other. */
static bool is_key(const uint8_t *data, size_t size)
{
	size_t start = 0;

	if (size == 0 || size > 4096)
		return false;
	for (size_t i = 0; i <= size; i++) {
		size_t len = i - start;

		if (i < size && data[i] == 0)
			return false;
		if (i < size && data[i] != '/')
			continue;
		if (len == 0 || len > 255)
			return false;
		if ((len == 1 && data[start] == '.') ||
		    (len == 2 && data[start] == '.' && data[start + 1] == '.'))
			return false;
		start = i + 1;
	}
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *key = (const char *)data;
	enum key_fault fault = key_check(key, size);
	const char *rest = key, *name, *last = NULL;
	size_t left = size, len, parent;

	MUST((fault == KEY_OK) == is_key(data, size));
	MUST(key_fault_text(fault) != NULL);
	if (fault != KEY_OK) {
		/* Walking an invalid key must still end and stay inside it. */
		while (key_next(&rest, &left, &name, &len))
			MUST(name >= key && name + len <= key + size);
		return 0;
	}
	parent = key_parent_len(key, size);
	MUST(parent == 0 || key[parent] == '/');
	while (key_next(&rest, &left, &name, &len)) {
		MUST(key_check_name(name, len) == KEY_OK);
		MUST(name == (last ? last : key));
		last = name + len + 1;
		if (left == 0)
			MUST(name == key + (parent ? parent + 1 : 0));
	}
	MUST(last == key + size + 1);
	return 0;
}
