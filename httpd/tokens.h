/* Tokens: who may do what below which prefix, read from a file. */
#ifndef KEYDIR_HTTPD_TOKENS_H
#define KEYDIR_HTTPD_TOKENS_H

#include <stdbool.h>
#include <stddef.h>

/* The file has one grant a line:
 *
 *     NAME HASH RIGHT PREFIX
 *
 * NAME is for the logs; HASH is the SHA-256 of the token in hexadecimal, with
 * or without "sha256:" before it; RIGHT is a row of the table below; PREFIX is
 * a key (percent-encoded like one in a URL; slashes around it do not count)
 * and stands for that key and all below it, "/" for every key. Several lines of
 * one name, all with one hash, give one token several grants. "#" starts a
 * comment at the beginning of a line.
 *
 * What a token may contain: 16 to 512 of A-Z a-z 0-9 - . _ ~ + / = (RFC 6750).
 * It must be random, not a word: it is hashed once, not a million times. */
#define TOKEN_MIN 16
#define TOKEN_MAX 512

/* Bounds of a file; each request looks at every token. */
#define TOKENS_MAX 1000
#define TOKENS_GRANTS_MAX 10000

/* Each right includes those before it. A monitor sees /v1/status and /metrics,
 * but no key; an admin may copy the whole store. */
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

/* A file's tokens. Never changed after loading; shared by references. */
struct tokens;

/* Reads FILE. 0 and *RET with one reference, or -errno with a sentence in WHY
 * that names file and line. */
int tokens_load(const char *file, struct tokens **ret, char *why, size_t why_size);
/* Another reference; thread-safe, as tokens_unref() is. NULL is fine. */
struct tokens *tokens_ref(struct tokens *tokens);
void tokens_unref(struct tokens *tokens);
size_t tokens_count(const struct tokens *tokens);

/* The token whose secret is TEXT, or NULL; it lives as long as TOKENS. Takes the
 * same time whether and where it is found. */
const struct token *tokens_find(const struct tokens *tokens, const char *text, size_t len);
/* The row with the secret of TOKEN, which may be of another table; or NULL. */
const struct token *tokens_same(const struct tokens *tokens, const struct token *token);
/* True if TOKEN has RIGHT on the key (LEN 0: on the root and so on every key).
 * Thread-safe. */
bool token_allows(const struct token *token, enum token_right right, const char *key, size_t len);

const char *token_right_text(enum token_right right);

/* The line's HASH of a token, "sha256:" and 64 digits, into BUF of
 * TOKEN_HASH_SIZE bytes. 0, or -EINVAL for a TEXT that no token can be (too
 * short, too long, other characters). */
#define TOKEN_HASH_SIZE (7 + 64 + 1)
int token_hash(const char *text, size_t len, char *buf);

#endif
