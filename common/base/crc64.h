/* CRC-64: a checksum of a stream of bytes. */
#ifndef KEYDIR_CRC64_H
#define KEYDIR_CRC64_H

#include <stddef.h>
#include <stdint.h>

/* Goes on with CRC (0 at the start) over LEN bytes of DATA. It finds damage by
 * chance, not by intent. Thread-safe. */
uint64_t crc64(uint64_t crc, const void *data, size_t len);

#endif
