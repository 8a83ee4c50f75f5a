/* Tokens: rights below key prefixes, loaded from a file. */
#ifndef KEYDIR_HTTPD_TOKENS_H
#define KEYDIR_HTTPD_TOKENS_H

#include <stdbool.h>
#include <stddef.h>

/* The file has one grant per line:
 *
 *     NAME HASH RIGHT PREFIX
 *
 * NAME appears in logs; HASH is the SHA-256 of the token in hexadecimal, with or without "sha256:"
 * before it; RIGHT is a row of the table below; PREFIX is a key (percent-encoded as in a URL;
 * slashes at its ends do not count) and stands for that key and all below it, "/" for every key.
 * Several lines with the same name and hash give one token several grants. "#" starts a comment at
 * the beginning of a line.
 *
 * A token has 16 to 512 characters of A-Z a-z 0-9 - . _ ~ + / = (RFC 6750). It must be random, not
 * a word: it is hashed only once. */
#define TOKEN_MIN 16
#define TOKEN_MAX 512

/* Limits of a file; each request compares every token. */
#define TOKENS_MAX 1000
#define TOKENS_GRANTS_MAX 10000

/* Each right includes those before it. A monitor can read /v1/status and /metrics, but no key; an
 * admin may copy the whole store. */
#define TOKEN_RIGHTS(X)                                                                            \
	X(MONITOR, "monitor")                                                                      \
	X(READ, "read")                                                                            \
	X(WRITE, "write")                                                                          \
	X(ADMIN, "admin")

enum token_right {
	TOKEN_NONE,
#define X(id, text) TOKEN_##id,
	TOKEN_RIGHTS(X)
#undef X
};

struct token_grant {
	enum token_right right;
	char *prefix; /* a key, not NUL-ended */
	size_t len;   /* 0: every key */
	struct token_grant *next;
};

struct token {
	char *name;
	unsigned char digest[32];
	struct token_grant *grants;
};

/* The tokens of a file. Immutable after loading; reference-counted. */
struct tokens;

/* Load FILE. Returns 0 and *RET with one reference, or -errno with a sentence in WHY that names
 * file and line. */
int tokens_load(const char *file, struct tokens **ret, char *why, size_t why_size);
/* Take another reference; thread-safe, like tokens_unref(). NULL is fine. */
struct tokens *tokens_ref(struct tokens *tokens);
void tokens_unref(struct tokens *tokens);
size_t tokens_count(const struct tokens *tokens);

/* Return the token whose secret is TEXT, or NULL; it lives as long as TOKENS. The time does not
 * depend on whether and where it is found. */
const struct token *tokens_find(const struct tokens *tokens, const char *text, size_t len);
/* Return the token with the secret of TOKEN, which may be of another table; or NULL. */
const struct token *tokens_same(const struct tokens *tokens, const struct token *token);
/* Return whether TOKEN has RIGHT on the key (LEN 0: on the root, and so on every key). Thread-safe.
 */
bool token_allows(const struct token *token, enum token_right right, const char *key, size_t len);

const char *token_right_text(enum token_right right);

/* Write the HASH of a token, "sha256:" and 64 digits, into BUF of TOKEN_HASH_SIZE bytes. Returns 0,
 * or -EINVAL if TEXT is not a valid token (too short, too long, other characters). */
#define TOKEN_HASH_SIZE (7 + 64 + 1)
int token_hash(const char *text, size_t len, char *buf);

#endif
