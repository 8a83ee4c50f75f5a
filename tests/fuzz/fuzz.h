/* Fuzzing: declarations shared by all fuzzers. */
#ifndef KEYDIR_FUZZ_H
#define KEYDIR_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* libFuzzer's entry points. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* Abort unless CONDITION holds, so that libFuzzer keeps the input. Unlike assert(),
 * this is checked in every build. */
#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: condition failed: %s\n", __FILE__, __LINE__,       \
			        #condition);                                                       \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

#endif
