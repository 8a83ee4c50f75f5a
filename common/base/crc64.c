/* CRC-64: the checksum that xz uses.
 *
 * It uses the polynomial of ECMA-182, reflected, with an initial value and final XOR of all
 * ones; the checksum of "123456789" is 995dc9bbdf1939fa. It detects any damage within 64
 * consecutive bits, and other damage with a probability of 1 - 2^-64. It processes eight
 * bytes at a time with eight tables ("slicing-by-8"), more than 1 GB/s, so that it does not
 * slow down a snapshot. The tables are built at the first use and never change. */
#include "common/base/crc64.h"

#include <pthread.h>

#define POLYNOMIAL UINT64_C(0xc96c5795d7870f42) /* ECMA-182, reversed */

static uint64_t tables[8][256];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_tables(void)
{
	for (unsigned byte = 0; byte < 256; byte++) {
		uint64_t crc = byte;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
		tables[0][byte] = crc;
	}
	for (int t = 1; t < 8; t++) {
		for (unsigned byte = 0; byte < 256; byte++) {
			uint64_t crc = tables[t - 1][byte];
			tables[t][byte] = crc >> 8 ^ tables[0][crc & 0xff];
		}
	}
}

uint64_t crc64(uint64_t crc, const void *data, size_t len)
{
	const unsigned char *at = data;
	pthread_once(&once, make_tables);
	crc = ~crc;
	for (; len >= 8; at += 8, len -= 8) {
		for (int i = 0; i < 8; i++)
			crc ^= (uint64_t)at[i] << 8 * i;
		crc = tables[7][crc & 0xff] ^ tables[6][crc >> 8 & 0xff] ^
		      tables[5][crc >> 16 & 0xff] ^ tables[4][crc >> 24 & 0xff] ^
		      tables[3][crc >> 32 & 0xff] ^ tables[2][crc >> 40 & 0xff] ^
		      tables[1][crc >> 48 & 0xff] ^ tables[0][crc >> 56];
	}
	for (; len; at++, len--)
		crc = crc >> 8 ^ tables[0][(crc ^ *at) & 0xff];
	return ~crc;
}
