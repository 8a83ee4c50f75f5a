/* CRC-64: a checksum of a stream of bytes. */
#ifndef KEYDIR_CRC64_H
#define KEYDIR_CRC64_H

#include <stddef.h>
#include <stdint.h>

/* Return the checksum of a stream that has the checksum CRC so far (0 at the start) and
 * continues with LEN bytes of DATA. It detects accidental damage, not forgery. Thread-safe. */
uint64_t crc64(uint64_t crc, const void *data, size_t len);

#endif
