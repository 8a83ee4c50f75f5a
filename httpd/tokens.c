/* Tokens: rights below key prefixes, loaded from a file.
 *
 * The file holds hashes, so that a leak of it (a backup, a wrong mode) reveals no token. Tokens are
 * random and long, so one round of SHA-256 is enough: they cannot be guessed. A lookup hashes the
 * client's secret and compares it with every row in full, so its time reveals neither the row nor
 * the length of a partial match.
 *
 * A table is built completely or not at all, never changes, and is freed with its last reference:
 * the server swaps tables while requests still use the old one. A file is small and rarely loaded,
 * so grants are a list. */
#include "httpd/tokens.h"

#include "common/base/key.h"
#include "httpd/hex.h"
#include "httpd/url.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIGEST_SIZE 32
#define NAME_SIZE_MAX 64

struct tokens {
	atomic_uint refs;
	size_t n;
	size_t cap;
	size_t ngrants;
	struct token *rows;
};

static const char *const right_texts[] = { [TOKEN_NONE] = "none",
#define X(id, text) [TOKEN_##id] = (text),
	                                   TOKEN_RIGHTS(X)
#undef X
};

const char *token_right_text(enum token_right right)
{
	return right_texts[right];
}

/* --- table ----------------------------------------------------------------- */

static void free_all(struct tokens *tokens)
{
	for (size_t i = 0; i < tokens->n; i++) {
		struct token_grant *grant = tokens->rows[i].grants;
		while (grant) {
			struct token_grant *next = grant->next;
			free(grant->prefix);
			free(grant);
			grant = next;
		}
		free(tokens->rows[i].name);
	}
	free(tokens->rows);
	free(tokens);
}

struct tokens *tokens_ref(struct tokens *tokens)
{
	if (tokens)
		atomic_fetch_add_explicit(&tokens->refs, 1, memory_order_relaxed);
	return tokens;
}

void tokens_unref(struct tokens *tokens)
{
	if (tokens && atomic_fetch_sub_explicit(&tokens->refs, 1, memory_order_acq_rel) == 1)
		free_all(tokens);
}

size_t tokens_count(const struct tokens *tokens)
{
	return tokens->n;
}

/* --- lookup ---------------------------------------------------------------- */

static bool digest_of(const char *text, size_t len, unsigned char *digest)
{
	return gnutls_hash_fast(GNUTLS_DIG_SHA256, text, len, digest) == 0;
}

static const struct token *find_digest(const struct tokens *tokens, const unsigned char *digest)
{
	size_t found = 0;
	for (size_t i = 0; i < tokens->n; i++) {
		const unsigned char *row = tokens->rows[i].digest;
		unsigned differ = 0;
		for (size_t b = 0; b < DIGEST_SIZE; b++)
			differ |= (unsigned)(row[b] ^ digest[b]);
		/* The mask is all ones for an equal row; there is no branch. */
		found |= (i + 1) & ((size_t)0 - (((size_t)differ - 1) >> (sizeof(size_t) * 8 - 1)));
	}
	return found ? &tokens->rows[found - 1] : NULL;
}

const struct token *tokens_find(const struct tokens *tokens, const char *text, size_t len)
{
	unsigned char digest[DIGEST_SIZE];
	if (len > TOKEN_MAX || !digest_of(text, len, digest))
		return NULL;
	return find_digest(tokens, digest);
}

const struct token *tokens_same(const struct tokens *tokens, const struct token *token)
{
	return find_digest(tokens, token->digest);
}

bool token_allows(const struct token *token, enum token_right right, const char *key, size_t len)
{
	for (const struct token_grant *g = token->grants; g; g = g->next) {
		if (g->right < right || g->len > len ||
		    (g->len && memcmp(g->prefix, key, g->len) != 0))
			continue;
		if (!g->len || g->len == len || key[g->len] == '/')
			return true;
	}
	return false;
}

/* --- hashes ---------------------------------------------------------------- */

static bool is_token(const char *text, size_t len)
{
	static const char others[] = "-._~+/=";
	if (len < TOKEN_MIN || len > TOKEN_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = text[i];
		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
		    !(c && strchr(others, c)))
			return false;
	}
	return true;
}

int token_hash(const char *text, size_t len, char *buf)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char digest[DIGEST_SIZE];
	if (!is_token(text, len) || !digest_of(text, len, digest))
		return -EINVAL;
	memcpy(buf, "sha256:", 7);
	for (size_t i = 0; i < DIGEST_SIZE; i++) {
		buf[7 + 2 * i] = digits[digest[i] >> 4];
		buf[8 + 2 * i] = digits[digest[i] & 15];
	}
	buf[TOKEN_HASH_SIZE - 1] = '\0';
	return 0;
}

static bool read_hash(const char *text, unsigned char *digest)
{
	if (strncmp(text, "sha256:", 7) == 0)
		text += 7;
	if (strlen(text) != (size_t)2 * DIGEST_SIZE)
		return false;
	for (size_t i = 0; i < DIGEST_SIZE; i++) {
		int high = hex_digit(text[2 * i]);
		int low = hex_digit(text[2 * i + 1]);
		if (high < 0 || low < 0)
			return false;
		digest[i] = (unsigned char)(high << 4 | low);
	}
	return true;
}

/* --- file ------------------------------------------------------------------ */

/* Each function that parses returns NULL, or a sentence without its full stop. */
static const char out_of_memory[] = "out of memory";

static const char *check_name(const char *name)
{
	if (strlen(name) > NAME_SIZE_MAX)
		return "a name may have up to 64 bytes";
	for (const char *c = name; *c; c++)
		if ((unsigned char)*c <= 0x20 || (unsigned char)*c >= 0x7F)
			return "a name must consist of printable ASCII";
	return NULL;
}

/* Find the row of NAME, or add it. */
static const char *take_row(struct tokens *tokens, const char *name, const unsigned char *digest,
                            struct token **ret)
{
	for (size_t i = 0; i < tokens->n; i++) {
		struct token *row = &tokens->rows[i];
		bool same_name = strcmp(row->name, name) == 0;
		bool same_hash = memcmp(row->digest, digest, DIGEST_SIZE) == 0;
		if (same_name && same_hash) {
			*ret = row;
			return NULL;
		}
		if (same_name)
			return "this name has another hash on an earlier line";
		if (same_hash)
			return "this hash belongs to another name on an earlier line";
	}
	if (tokens->n == TOKENS_MAX)
		return "there are more than 1000 tokens";
	if (tokens->n == tokens->cap) {
		size_t cap = tokens->cap ? 2 * tokens->cap : 16;
		struct token *rows = realloc(tokens->rows, cap * sizeof(*rows));
		if (!rows)
			return out_of_memory;
		tokens->rows = rows;
		tokens->cap = cap;
	}
	struct token *row = &tokens->rows[tokens->n];
	*row = (struct token){ .name = strdup(name) };
	if (!row->name)
		return out_of_memory;
	memcpy(row->digest, digest, DIGEST_SIZE);
	tokens->n++;
	*ret = row;
	return NULL;
}

static const char *add_grant(struct tokens *tokens, struct token *row, enum token_right right,
                             const char *prefix)
{
	bool dir;
	const char *why = NULL;
	if (tokens->ngrants == TOKENS_GRANTS_MAX)
		return "there are more than 10000 grants";
	while (*prefix == '/')
		prefix++;
	size_t len = strlen(prefix);
	struct token_grant *grant = calloc(1, sizeof(*grant));
	if (grant)
		grant->prefix = malloc(len + 1);
	if (!grant || !grant->prefix)
		why = out_of_memory;
	else
		why = url_decode_key(prefix, len, grant->prefix, &grant->len, &dir);
	if (!why && right == TOKEN_MONITOR && grant->len)
		why = "monitor applies to the whole node: its prefix must be /";
	if (why) {
		if (grant)
			free(grant->prefix);
		free(grant);
		return why;
	}
	grant->right = right;
	grant->next = row->grants;
	row->grants = grant;
	tokens->ngrants++;
	return NULL;
}

static enum token_right read_right(const char *text)
{
	for (size_t i = TOKEN_MONITOR; i < sizeof(right_texts) / sizeof(right_texts[0]); i++)
		if (strcmp(text, right_texts[i]) == 0)
			return (enum token_right)i;
	return TOKEN_NONE;
}

/* Parse one line without its end. */
static const char *read_line(struct tokens *tokens, char *line)
{
	static const char blanks[] = " \t\r";
	char *rest;
	char *field[5];
	size_t n = 0;
	char *at = strtok_r(line, blanks, &rest);
	if (!at || *at == '#')
		return NULL;
	for (; at && n < 5; at = strtok_r(NULL, blanks, &rest))
		field[n++] = at;
	if (n != 4)
		return "expected NAME HASH RIGHT PREFIX (a blank in a prefix is %20)";
	unsigned char digest[DIGEST_SIZE];
	struct token *row;
	const char *why = check_name(field[0]);
	if (why)
		return why;
	if (!read_hash(field[1], digest))
		return "the hash must be 64 hexadecimal digits, as keydir-httpd --hash-token "
		       "prints them";
	enum token_right right = read_right(field[2]);
	if (!right)
		return "the right must be monitor, read, write or admin";
	why = take_row(tokens, field[0], digest, &row);
	return why ? why : add_grant(tokens, row, right, field[3]);
}

int tokens_load(const char *file, struct tokens **ret, char *why, size_t why_size)
{
	char *line = NULL;
	size_t cap = 0;
	size_t number = 0;
	ssize_t len;
	int r = 0;
	struct tokens *tokens = calloc(1, sizeof(*tokens));
	FILE *from = tokens ? fopen(file, "re") : NULL;
	if (!from) {
		r = tokens ? -errno : -ENOMEM;
		snprintf(why, why_size, "%s: %s", file, strerror(-r));
		free(tokens);
		return r;
	}
	tokens->refs = 1;
	while (!r && (len = getline(&line, &cap, from)) >= 0) {
		number++;
		if (len && line[len - 1] == '\n')
			line[--len] = '\0';
		const char *fault = strlen(line) != (size_t)len ? "the line has a NUL byte" :
		                                                  read_line(tokens, line);
		if (fault) {
			r = fault == out_of_memory ? -ENOMEM : -EINVAL;
			snprintf(why, why_size, "%s:%zu: %s", file, number, fault);
		}
	}
	if (!r && ferror(from)) {
		r = -EIO;
		snprintf(why, why_size, "%s: cannot be read: %s", file, strerror(errno));
	}
	free(line);
	fclose(from);
	if (r) {
		free_all(tokens);
		return r;
	}
	*ret = tokens;
	return 0;
}
