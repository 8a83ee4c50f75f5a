/* Tests of the checksum (common/base/crc64.c). */
#include "tests/unit/cmocka_all.h"

#include "common/base/crc64.h"

#include <string.h>

/* The second one is the check value that xz publishes. */
static void test_known_checksums_match(void **state)
{
	(void)state;
	assert_true(crc64(0, "", 0) == 0);
	assert_true(crc64(0, "123456789", 9) == UINT64_C(0x995dc9bbdf1939fa));
}

static void test_a_checksum_can_be_computed_in_parts(void **state)
{
	unsigned char data[100];
	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (unsigned char)(i * 37);
	uint64_t whole = crc64(0, data, sizeof(data));
	for (size_t cut = 0; cut <= sizeof(data); cut++)
		assert_true(crc64(crc64(0, data, cut), data + cut, sizeof(data) - cut) == whole);
}

static void test_every_bit_changes_the_checksum(void **state)
{
	unsigned char data[64] = { 0 };
	(void)state;
	uint64_t whole = crc64(0, data, sizeof(data));
	for (size_t bit = 0; bit < 8 * sizeof(data); bit++) {
		data[bit / 8] ^= (unsigned char)(1u << bit % 8);
		assert_true(crc64(0, data, sizeof(data)) != whole);
		data[bit / 8] ^= (unsigned char)(1u << bit % 8);
	}
	assert_true(crc64(0, data, sizeof(data) - 1) != whole);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_checksums_match),
		cmocka_unit_test(test_a_checksum_can_be_computed_in_parts),
		cmocka_unit_test(test_every_bit_changes_the_checksum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
