/* Options: one table drives parsing, --help, environment variables and the man pages. */
#ifndef KEYDIR_OPTIONS_H
#define KEYDIR_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum option_type {
	OPTION_FLAG,     /* bool; takes no argument */
	OPTION_TEXT,     /* const char *; borrowed from argv or the environment */
	OPTION_BYTES,    /* uint64_t; K, M, G, T (powers of 1024) allowed */
	OPTION_DURATION, /* int64_t ms; a duration as in base/ttl.h */
	OPTION_COUNT,    /* uint64_t */
	OPTION_LIST,     /* struct option_list; may be repeated */
};

#define OPTION_LIST_MAX 64
struct option_list {
	const char *items[OPTION_LIST_MAX];
	size_t n;
	/* copy of the environment variable that the items point into, or NULL (free()) */
	char *text;
};

/* Describes one option. */
struct option_row {
	const char *name; /* long option without the dashes */
	char letter;      /* short option, or 0 if there is none */
	const char *env;  /* environment variable, or NULL */
	enum option_type type;
	const char *arg;      /* name of the argument for --help, or NULL */
	const char *fallback; /* default as text, or NULL */
	const char *help;     /* a sentence without its full stop */
	size_t offset;        /* offset of the field in the caller's struct */
};

/* Fill INTO with the value of each option: from ARGV, else from its environment variable
 * (unless that is empty), else its default. A field whose option has no value becomes zero.
 *
 * A flag in the environment is 1, yes, true or on, or 0, no, false or off. A list in the
 * environment has its items separated by semicolons. All items of a list come from the same
 * source.
 *
 * ROWS ends with a row whose name is NULL. *RET_ARGS is the index of the first operand in
 * ARGV; options and operands may be mixed, and ARGV is permuted. Texts are borrowed from
 * ARGV and the environment, except that the items of a list from the environment are copied
 * to its `text`.
 *
 * Returns 0; -EINVAL with a sentence in WHY (may be NULL) that names the option; or
 * -ENOMEM. Call from one thread, at startup. */
int options_parse(const struct option_row *rows, int argc, char **argv, void *into, int *ret_args,
                  char *why, size_t why_size);
/* Set the option ROW to TEXT, as for `-o name=value`; append TEXT if it is a list. TEXT is
 * borrowed. Returns 0, or -EINVAL with a sentence in WHY. */
int options_set(const struct option_row *row, const char *text, void *into, char *why,
                size_t why_size);
/* Write the options section of --help. */
void options_help(const struct option_row *rows, FILE *to);
/* Write the OPTIONS section of a man page, in mdoc. */
void options_man(const struct option_row *rows, FILE *to);

#endif
