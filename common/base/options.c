/* Options: one table drives parsing, --help, environment variables and the man pages.
 *
 * getopt_long(3) parses the command line, so it behaves as users expect: "--name value",
 * "--name=value", unique abbreviations, "-fo ro", operands anywhere, and "--" before
 * operands that start with a dash. The letters and values come from the caller's table.
 * getopt's own messages are disabled, because the caller reports the fault. getopt_long()
 * keeps global state, so only one thread may call options_parse(), at startup. The other
 * functions are thread-safe. */
#include "common/base/options.h"

#include "common/base/ttl.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HELP_COLUMN 30
#define HELP_WIDTH 80
#define LONG_BASE 256 /* values that getopt_long() returns for rows, above any letter */

__attribute__((format(printf, 3, 4))) static int refuse(char *why, size_t size, const char *fmt,
                                                        ...)
{
	va_list args;

	if (why && size) {
		va_start(args, fmt);
		vsnprintf(why, size, fmt, args);
		va_end(args);
	}
	return -EINVAL;
}

/* --- values --- */

/* Parse digits, followed by an optional unit of K, M, G or T if UNITS is set. */
static int parse_number(const char *text, bool units, uint64_t *ret)
{
	static const char letters[] = "KMGT";
	uint64_t number = 0;
	const char *c = text;
	const char *unit;

	for (; *c >= '0' && *c <= '9'; c++) {
		unsigned digit = (unsigned)(*c - '0');

		if (number > (UINT64_MAX - digit) / 10)
			return -ERANGE;
		number = number * 10 + digit;
	}
	if (c == text)
		return -EINVAL;
	if (units && *c && (unit = strchr(letters, toupper((unsigned char)*c)))) {
		int shift = (int)(unit - letters + 1) * 10;

		if (number > UINT64_MAX >> shift)
			return -ERANGE;
		number <<= shift;
		c++;
	}
	if (*c)
		return -EINVAL;
	*ret = number;
	return 0;
}

static int parse_flag(const char *text, bool *ret)
{
	static const char *const yes[] = { "1", "yes", "true", "on" };
	static const char *const no[] = { "0", "no", "false", "off" };

	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
		if (strcasecmp(text, yes[i]) == 0 || strcasecmp(text, no[i]) == 0) {
			*ret = strcasecmp(text, yes[i]) == 0;
			return 0;
		}
	}
	return -EINVAL;
}

/* Set the field of ROW. WHERE names the source of TEXT in messages, such as "--size" or
 * "KEYDIR_SIZE". */
static int set_value(const struct option_row *row, const char *where, const char *text, void *into,
                     char *why, size_t why_size)
{
	void *field = (char *)into + row->offset;
	int r = 0;

	switch (row->type) {
	case OPTION_FLAG:
		r = parse_flag(text, field);
		if (r)
			return refuse(why, why_size, "%s: \"%s\" is neither yes nor no", where,
			              text);
		return 0;
	case OPTION_TEXT:
		*(const char **)field = text;
		return 0;
	case OPTION_BYTES:
		r = parse_number(text, true, field);
		if (r == -ERANGE)
			return refuse(why, why_size, "%s: \"%s\" is too large", where, text);
		if (r)
			return refuse(why, why_size,
			              "%s: \"%s\" is not a number of bytes such as 4096, 64K, 16M "
			              "or 2G",
			              where, text);
		return 0;
	case OPTION_DURATION:
		r = ttl_parse(text, strlen(text), field);
		if (r == -ERANGE)
			return refuse(why, why_size, "%s: \"%s\" is longer than 100 years", where,
			              text);
		if (r)
			return refuse(why, why_size,
			              "%s: \"%s\" is not a duration such as 500ms, 10s, 5m, 2h or "
			              "1d",
			              where, text);
		return 0;
	case OPTION_COUNT:
		r = parse_number(text, false, field);
		if (r == -ERANGE)
			return refuse(why, why_size, "%s: \"%s\" is too large", where, text);
		if (r)
			return refuse(why, why_size, "%s: \"%s\" is not a whole number", where,
			              text);
		return 0;
	case OPTION_LIST: {
		struct option_list *list = field;

		if (list->n == OPTION_LIST_MAX)
			return refuse(why, why_size, "%s: given more than %d times", where,
			              OPTION_LIST_MAX);
		list->items[list->n++] = text;
		return 0;
	}
	}
	return refuse(why, why_size, "%s: of no known type", where);
}

int options_set(const struct option_row *row, const char *text, void *into, char *why,
                size_t why_size)
{
	return set_value(row, row->name, text, into, why, why_size);
}

static void clear_field(const struct option_row *row, void *into)
{
	void *field = (char *)into + row->offset;

	switch (row->type) {
	case OPTION_FLAG:
		*(bool *)field = false;
		return;
	case OPTION_TEXT:
		*(const char **)field = NULL;
		return;
	case OPTION_BYTES:
	case OPTION_COUNT:
		*(uint64_t *)field = 0;
		return;
	case OPTION_DURATION:
		*(int64_t *)field = 0;
		return;
	case OPTION_LIST:
		memset(field, 0, sizeof(struct option_list));
		return;
	}
}

/* --- sources --- */

/* Set a list from the environment, where its items are separated by semicolons. */
static int set_list_from_env(const struct option_row *row, char *text, void *into, char *why,
                             size_t why_size)
{
	char *rest;

	for (char *item = strtok_r(text, ";", &rest); item; item = strtok_r(NULL, ";", &rest)) {
		int r = set_value(row, row->env, item, into, why, why_size);

		if (r)
			return r;
	}
	return 0;
}

static int set_from_env(const struct option_row *row, void *into, char *why, size_t why_size)
{
	const char *text = row->env ? getenv(row->env) : NULL;
	struct option_list *list;
	char *copy;

	/* Treat an empty variable as unset: service files and compose files pass one if it
	 * has no value. */
	if (!text || !*text)
		return 0;
	clear_field(row, into);
	if (row->type != OPTION_LIST)
		return set_value(row, row->env, text, into, why, why_size);
	copy = strdup(text);
	if (!copy) {
		refuse(why, why_size, "%s: out of memory", row->env);
		return -ENOMEM;
	}
	list = (struct option_list *)((char *)into + row->offset);
	list->text = copy;
	return set_list_from_env(row, copy, into, why, why_size);
}

/* The input of getopt_long(), built from the rows. */
struct getopt_table {
	struct option *longs;
	char *shorts;
	bool *seen; /* per row: already given on the command line */
};

static void table_free(struct getopt_table *table)
{
	free(table->longs);
	free(table->shorts);
	free(table->seen);
}

static int table_make(const struct option_row *rows, size_t n, struct getopt_table *ret)
{
	struct getopt_table table = {
		.longs = calloc(n + 1, sizeof(*table.longs)),
		.shorts = calloc(2 * n + 2, 1),
		.seen = calloc(n + 1, sizeof(*table.seen)),
	};
	char *c = table.shorts;

	if (!table.longs || !table.shorts || !table.seen) {
		table_free(&table);
		return -ENOMEM;
	}
	*c++ = ':'; /* make getopt_long() return ':' for a missing argument */
	for (size_t i = 0; i < n; i++) {
		bool has_arg = rows[i].type != OPTION_FLAG;

		table.longs[i].name = rows[i].name;
		table.longs[i].has_arg = has_arg ? required_argument : no_argument;
		table.longs[i].val = LONG_BASE + (int)i;
		if (rows[i].letter) {
			*c++ = rows[i].letter;
			if (has_arg)
				*c++ = ':';
		}
	}
	*ret = table;
	return 0;
}

static size_t row_of_letter(const struct option_row *rows, size_t n, int letter)
{
	for (size_t i = 0; i < n; i++) {
		if (rows[i].letter == letter)
			return i;
	}
	return n;
}

/* Describe the fault that getopt_long() found: CODE is its '?' or ':'; WORD is the last
 * argument that it parsed, which is at fault if it is a long option. */
static int refuse_word(const struct option_row *rows, size_t n, int code, const char *word,
                       char *why, size_t why_size)
{
	size_t matches = 0;
	size_t name_len;

	if (optopt >= LONG_BASE && (size_t)(optopt - LONG_BASE) < n) {
		const char *name = rows[optopt - LONG_BASE].name;

		if (code == ':')
			return refuse(why, why_size, "--%s: needs a value", name);
		return refuse(why, why_size, "--%s: takes no value (\"%s\")", name, word);
	}
	if (optopt > 0 && code == ':')
		return refuse(why, why_size, "-%c: needs a value", optopt);
	if (optopt > 0)
		return refuse(why, why_size, "-%c: no such option; see --help", optopt);
	name_len = strcspn(word + 2, "=");
	for (size_t i = 0; i < n; i++)
		matches += strncmp(rows[i].name, word + 2, name_len) == 0;
	return refuse(why, why_size,
	              matches ? "%.*s: is ambiguous; see --help" :
	                        "%.*s: no such option; see --help",
	              (int)name_len + 2, word);
}

static int set_from_argv(const struct option_row *rows, size_t n, struct getopt_table *table,
                         int argc, char **argv, void *into, int *ret_args, char *why,
                         size_t why_size)
{
	int code;

	optind = 0; /* reinitialise getopt, even if it was used before (glibc) */
	opterr = 0;
	for (;;) {
		size_t i;
		char where[64];
		int r;

		optopt = 0;
		code = getopt_long(argc, argv, table->shorts, table->longs, NULL);
		if (code == -1)
			break;
		if (code == '?' || code == ':')
			return refuse_word(rows, n, code, argv[optind - 1], why, why_size);
		i = code >= LONG_BASE ? (size_t)(code - LONG_BASE) : row_of_letter(rows, n, code);
		if (code >= LONG_BASE)
			snprintf(where, sizeof(where), "--%s", rows[i].name);
		else
			snprintf(where, sizeof(where), "-%c", code);
		if (!table->seen[i])
			clear_field(&rows[i], into);
		table->seen[i] = true;
		if (rows[i].type == OPTION_FLAG) {
			*(bool *)((char *)into + rows[i].offset) = true;
			continue;
		}
		r = set_value(&rows[i], where, optarg, into, why, why_size);
		if (r)
			return r;
	}
	*ret_args = optind;
	return 0;
}

int options_parse(const struct option_row *rows, int argc, char **argv, void *into, int *ret_args,
                  char *why, size_t why_size)
{
	struct getopt_table table;
	size_t n = 0;
	int args = 1;
	int r;

	for (; rows[n].name; n++) {
		clear_field(&rows[n], into);
		if (rows[n].fallback) {
			r = set_value(&rows[n], rows[n].name, rows[n].fallback, into, why,
			              why_size);
			if (r)
				return r;
		}
	}
	r = table_make(rows, n, &table);
	if (r) {
		refuse(why, why_size, "out of memory");
		return r;
	}
	r = set_from_argv(rows, n, &table, argc, argv, into, &args, why, why_size);
	/* An option on the command line hides its environment variable, even an invalid
	 * one. */
	for (size_t i = 0; i < n && !r; i++) {
		if (!table.seen[i])
			r = set_from_env(&rows[i], into, why, why_size);
	}
	table_free(&table);
	if (!r)
		*ret_args = args;
	return r;
}

/* --- texts --- */

/* Write TEXT from column AT on, wrapped between words; further lines start at HELP_COLUMN. */
static size_t write_wrapped(FILE *to, size_t at, const char *text)
{
	while (*text) {
		size_t n = strcspn(text, " ");

		if (at > HELP_COLUMN && at + 1 + n > HELP_WIDTH) {
			fprintf(to, "\n%*s", HELP_COLUMN, "");
			at = HELP_COLUMN;
		} else if (at > HELP_COLUMN) {
			fputc(' ', to);
			at++;
		}
		fwrite(text, 1, n, to);
		at += n;
		text += n;
		text += strspn(text, " ");
	}
	return at;
}

void options_help(const struct option_row *rows, FILE *to)
{
	for (; rows->name; rows++) {
		char left[128];
		char note[256] = "";
		size_t at;
		int n;

		n = snprintf(left, sizeof(left),
		             rows->letter ? "  -%c, --%s%s%s" : "  %c   --%s%s%s",
		             rows->letter ? rows->letter : ' ', rows->name,
		             rows->type != OPTION_FLAG ? " " : "",
		             rows->type != OPTION_FLAG ? (rows->arg ? rows->arg : "VALUE") : "");
		at = (size_t)n < sizeof(left) ? (size_t)n : sizeof(left) - 1;
		fputs(left, to);
		if (at + 2 > HELP_COLUMN) {
			fputc('\n', to);
			at = 0;
		}
		fprintf(to, "%*s", (int)(HELP_COLUMN - at), "");
		at = write_wrapped(to, HELP_COLUMN, rows->help);
		if (rows->fallback && rows->env)
			snprintf(note, sizeof(note), "[%s, %s]", rows->fallback, rows->env);
		else if (rows->fallback || rows->env)
			snprintf(note, sizeof(note), "[%s]",
			         rows->fallback ? rows->fallback : rows->env);
		write_wrapped(to, at, note);
		fputc('\n', to);
	}
}

/* Write text inside a roff line, escaped so that no byte is read as a request. */
static void write_roff(FILE *to, const char *text, bool line_start)
{
	if (line_start && (*text == '.' || *text == '\''))
		fputs("\\&", to);
	for (; *text; text++) {
		if (*text == '\\')
			fputs("\\e", to);
		else if (*text == '-')
			fputs("\\-", to);
		else if (*text == '"' && !line_start)
			fputs("\\(dq", to);
		else
			fputc(*text, to);
	}
}

static void write_macro(FILE *to, const char *macro, const char *text, const char *end)
{
	fprintf(to, "%s \"", macro);
	write_roff(to, text, false);
	fprintf(to, "\"%s\n", end);
}

void options_man(const struct option_row *rows, FILE *to)
{
	fputs(".Bl -tag -width Ds\n", to);
	for (; rows->name; rows++) {
		fputs(".It", to);
		if (rows->letter)
			fprintf(to, " Fl %c ,", rows->letter);
		fputs(" Fl \\-", to);
		write_roff(to, rows->name, false);
		if (rows->type != OPTION_FLAG)
			write_macro(to, " Ar", rows->arg ? rows->arg : "VALUE", "");
		else
			fputc('\n', to);
		write_roff(to, rows->help, true);
		fputs(".\n", to);
		if (rows->type == OPTION_LIST)
			fputs("May be given several times.\n", to);
		if (rows->fallback) {
			fputs("The default is\n", to);
			write_macro(to, ".Ql", rows->fallback, " .");
		}
		if (rows->env) {
			fputs(rows->type == OPTION_LIST ?
			              "Environment (items between semicolons):\n" :
			              "Environment:\n",
			      to);
			write_macro(to, ".Ev", rows->env, " .");
		}
	}
	fputs(".El\n", to);
}
