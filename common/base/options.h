/* Options: one table for parsing, --help, environment and the man pages. */
#ifndef KEYDIR_OPTIONS_H
#define KEYDIR_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum option_type {
	OPTION_FLAG,     /* bool; no argument */
	OPTION_TEXT,     /* const char *; borrowed from argv or the environment */
	OPTION_BYTES,    /* uint64_t; K, M, G, T (powers of 1024) allowed */
	OPTION_DURATION, /* int64_t ms; TTL text (base/ttl.h) */
	OPTION_COUNT,    /* uint64_t */
	OPTION_LIST,     /* struct option_list; may be given several times */
};

#define OPTION_LIST_MAX 64
struct option_list {
	const char *items[OPTION_LIST_MAX];
	size_t n;
	char *text; /* what items from the environment lie in; free() it when done, or never */
};

/* One option. */
struct option_row {
	const char *name; /* long option without the dashes */
	char letter;      /* short option, or 0 */
	const char *env;  /* environment variable, or NULL */
	enum option_type type;
	const char *arg;      /* name of the argument for --help, or NULL */
	const char *fallback; /* default as text, or NULL */
	const char *help;     /* a sentence without its full stop */
	size_t offset;        /* of the field in the caller's struct */
};

/* Fills INTO: for each row from argv, else from the environment (unless the
 * variable is empty), else from its default; without one the field is zero. A
 * flag in the environment is 1, yes, true, on or their opposites; a list has
 * its items between semicolons, and is given as a whole by one of the sources.
 * ROWS ends with a row whose name is NULL. *RET_ARGS is where the operands
 * start in ARGV (options and operands may be mixed; argv is permuted). Texts
 * are borrowed from argv and the environment (the items of a list from there
 * are copied into its `text`). Returns 0; -EINVAL with a sentence in WHY (may
 * be NULL) that names the option; -ENOMEM. For one thread, at the start. */
int options_parse(const struct option_row *rows, int argc, char **argv, void *into, int *ret_args,
                  char *why, size_t why_size);
/* Parses one value by hand, for `-o name=value`; a list gets one item more.
 * TEXT is borrowed. 0 or -EINVAL with a sentence in WHY. */
int options_set(const struct option_row *row, const char *text, void *into, char *why,
                size_t why_size);
/* The options part of --help. */
void options_help(const struct option_row *rows, FILE *to);
/* The OPTIONS section of a man page, in mdoc. */
void options_man(const struct option_row *rows, FILE *to);

#endif
