/* Hexadecimal digits. */
#ifndef KEYDIR_HTTPD_HEX_H
#define KEYDIR_HTTPD_HEX_H

/* Return the value of the digit C, of either case, or -1. */
static inline int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

#endif
