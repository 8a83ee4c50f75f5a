/* JSON check: validates a text as JSON without building its values.
 *
 * Building the values of a text from a client takes up to a hundred times its size ("[{},{},...]"),
 * only to find out whether it is JSON. This scanner reads each byte once and keeps one bit per open
 * array or object. Debian's libraries that parse as a stream accept other texts: yajl 2.1 takes
 * lone surrogates and does not limit the depth.
 *
 * It accepts the texts that jansson accepts with JSON_DECODE_ANY and JSON_ALLOW_NUL, and also
 * numbers out of a double's range and NUL in a member's name. It refuses NUL after a number, which
 * jansson 2.14 skips. */
#include "httpd/json_check.h"

#include "httpd/json_text.h"

#include <stdint.h>
#include <string.h>

struct scan {
	const unsigned char *at;
	const unsigned char *end;
	const char *why;                       /* NULL: no fault found yet */
	bool python;                           /* see json_check_python() */
	size_t depth;                          /* number of open arrays and objects */
	uint8_t objects[JSON_CHECK_DEPTH / 8]; /* one bit for each of them: it is an object */
};

static bool set_fault(struct scan *s, const char *why)
{
	s->why = why;
	return false;
}

static void skip_blanks(struct scan *s)
{
	while (s->at < s->end &&
	       (*s->at == ' ' || *s->at == '\n' || *s->at == '\r' || *s->at == '\t'))
		s->at++;
}

/* Skip C if it is next. */
static bool skip_char(struct scan *s, char c)
{
	if (s->at == s->end || *s->at != (unsigned char)c)
		return false;
	s->at++;
	return true;
}

static int hex_digit(unsigned char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Read the four digits after "\u". Returns the code unit, or -1. */
static int read_unit(struct scan *s)
{
	int unit = 0;
	if (s->end - s->at < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		int digit = hex_digit(s->at[i]);
		if (digit < 0)
			return -1;
		unit = unit << 4 | digit;
	}
	s->at += 4;
	return unit;
}

/* Read the escape after a backslash. */
static bool read_escape(struct scan *s)
{
	static const char escape[] = "this escape does not exist";
	static const char half[] = "an escape is half of a surrogate pair";
	if (s->at == s->end || !*s->at || !strchr("\"\\/bfnrtu", *s->at))
		return set_fault(s, escape);
	if (*s->at++ != 'u')
		return true;
	int unit = read_unit(s);
	if (unit < 0)
		return set_fault(s, escape);
	if (unit < 0xD800 || unit > 0xDFFF || s->python)
		return true;
	if (unit > 0xDBFF || !skip_char(s, '\\') || !skip_char(s, 'u'))
		return set_fault(s, half);
	unit = read_unit(s);
	return (unit >= 0xDC00 && unit <= 0xDFFF) || set_fault(s, half);
}

/* Read a string from its opening quote on. */
static bool read_string(struct scan *s)
{
	s->at++;
	while (s->at < s->end) {
		unsigned char c = *s->at;
		if (c >= 0x80) {
			size_t n = json_text_utf8_len(s->at, (size_t)(s->end - s->at));
			if (!n)
				return set_fault(s, "a string is not UTF-8");
			s->at += n;
		} else if (c == '\\') {
			s->at++;
			if (!read_escape(s))
				return false;
		} else if (c < 0x20) {
			return set_fault(s, "a string has an unescaped control character");
		} else {
			s->at++;
			if (c == '"')
				return true;
		}
	}
	return set_fault(s, "a string has no end");
}

/* Skip WORD if it is next. */
static bool take_word(struct scan *s, const char *word)
{
	size_t len = strlen(word);
	if ((size_t)(s->end - s->at) < len || memcmp(s->at, word, len) != 0)
		return false;
	s->at += len;
	return true;
}

/* Skip digits. Returns false if there are none. */
static bool read_digits(struct scan *s)
{
	const unsigned char *start = s->at;
	while (s->at < s->end && *s->at >= '0' && *s->at <= '9')
		s->at++;
	return s->at > start;
}

static bool read_number(struct scan *s)
{
	static const char why[] = "this number is malformed";
	skip_char(s, '-');
	if (s->python && take_word(s, "Infinity"))
		return true;
	if (!skip_char(s, '0') && !read_digits(s))
		return set_fault(s, why);
	if (skip_char(s, '.') && !read_digits(s))
		return set_fault(s, why);
	if (skip_char(s, 'e') || skip_char(s, 'E')) {
		if (!skip_char(s, '+'))
			skip_char(s, '-');
		if (!read_digits(s))
			return set_fault(s, why);
	}
	return true;
}

static bool read_word(struct scan *s)
{
	static const char *const words[] = { "null", "true", "false" };
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (take_word(s, words[i]))
			return true;
	return set_fault(s,
	                 s->at == s->end ? "the text ends too early" : "no value begins like this");
}

/* Read the name of a member and the colon after it. */
static bool read_name(struct scan *s)
{
	skip_blanks(s);
	if (s->at == s->end || *s->at != '"')
		return set_fault(s, "the name of a member is missing");
	if (!read_string(s))
		return false;
	skip_blanks(s);
	return skip_char(s, ':') || set_fault(s, "a colon is missing after a member's name");
}

static void open_container(struct scan *s, bool object)
{
	uint8_t bit = (uint8_t)(1u << (s->depth % 8));
	if (object)
		s->objects[s->depth / 8] |= bit;
	else
		s->objects[s->depth / 8] &= (uint8_t)~bit;
	s->depth++;
}

static bool in_object(const struct scan *s)
{
	return s->objects[(s->depth - 1) / 8] >> ((s->depth - 1) % 8) & 1;
}

/* Read a value; of an array or object only the opening bracket. *RET_OPEN: it is open, and its
 * first value is next. */
static bool begin_value(struct scan *s, enum json_kind *ret_kind, bool *ret_open)
{
	*ret_open = false;
	if (s->depth == JSON_CHECK_DEPTH)
		return set_fault(s, "it is nested too deeply");
	unsigned char c = s->at < s->end ? *s->at : 0;
	if (c == '"') {
		*ret_kind = JSON_KIND_STRING;
		return read_string(s);
	}
	if (c == '-' || (c >= '0' && c <= '9') || (s->python && c == 'I')) {
		*ret_kind = JSON_KIND_NUMBER;
		return read_number(s);
	}
	if (s->python && take_word(s, "NaN")) {
		*ret_kind = JSON_KIND_NUMBER;
		return true;
	}
	if (c != '{' && c != '[') {
		*ret_kind = JSON_KIND_WORD;
		return read_word(s);
	}
	*ret_kind = c == '{' ? JSON_KIND_OBJECT : JSON_KIND_ARRAY;
	s->at++;
	skip_blanks(s);
	if (skip_char(s, c == '{' ? '}' : ']'))
		return true;
	open_container(s, c == '{');
	*ret_open = true;
	return c == '[' || read_name(s);
}

/* Read on after a value: the ends of arrays and objects, and a comma with the name of the next
 * member. The depth is 0 if the outermost value has ended. */
static bool end_value(struct scan *s)
{
	while (s->depth) {
		skip_blanks(s);
		if (skip_char(s, ','))
			return !in_object(s) || read_name(s);
		if (!skip_char(s, in_object(s) ? '}' : ']'))
			return set_fault(s, s->at == s->end ?
			                            "the text ends too early" :
			                            "a comma or the closing bracket is missing");
		s->depth--;
	}
	return true;
}

static bool read_all(struct scan *s, struct json_check *ret)
{
	const unsigned char *start;
	skip_blanks(s);
	start = s->at;
	do {
		enum json_kind kind;
		bool open;
		skip_blanks(s);
		if (!begin_value(s, &kind, &open))
			return false;
		if (!ret->values++)
			ret->kind = kind;
		if (!open && !end_value(s))
			return false;
	} while (s->depth);
	/* Only blanks can stand between empty brackets. */
	ret->empty = ret->values == 1 &&
	             (ret->kind == JSON_KIND_ARRAY || ret->kind == JSON_KIND_OBJECT ||
	              (ret->kind == JSON_KIND_STRING && s->at - start == 2));
	skip_blanks(s);
	return s->at == s->end || set_fault(s, "something follows the value");
}

static bool check_text(const char *text, size_t len, bool python, struct json_check *ret)
{
	struct scan s = {
		.at = (const unsigned char *)text,
		.end = (const unsigned char *)text + len,
		.python = python,
	};
	*ret = (struct json_check){ 0 };
	if (read_all(&s, ret))
		return true;
	ret->why = s.why;
	ret->at = (size_t)(s.at - (const unsigned char *)text);
	return false;
}

bool json_check(const char *text, size_t len, struct json_check *ret)
{
	return check_text(text, len, false, ret);
}

bool json_check_python(const char *text, size_t len, struct json_check *ret)
{
	return check_text(text, len, true, ret);
}
