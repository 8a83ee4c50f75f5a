/* Child processes of a test, and waiting for a condition. */
#ifndef KEYDIR_TEST_CHILD_H
#define KEYDIR_TEST_CHILD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Run FN(ARG) in a child process. It exits with status 0 when FN returns, and is
 * killed when this process ends. Call it before this process starts threads. FN uses
 * CHILD_CHECK() and none of cmocka's assertions. */
pid_t child_start(void (*fn)(void *arg), void *arg);
/* Kill the child (SIGKILL) and wait until it is gone. */
void child_kill(pid_t pid);
/* Wait until the child exits; fail the test if its status is not 0. */
void child_join(pid_t pid);

/* Report a condition that does not hold and end the child with status 1. */
#define CHILD_CHECK(condition)                                                                     \
	do {                                                                                       \
		if (!(condition))                                                                  \
			child_fail(__FILE__, __LINE__, #condition);                                \
	} while (0)
_Noreturn void child_fail(const char *file, int line, const char *condition);

/* Allocate SIZE zero bytes that this process and its children share. Never freed. */
void *child_share(size_t size);

/* Wait until CONDITION holds. Fail the test after a deadline, which is much longer
 * than the condition should ever take. */
#define UNTIL(condition)                                                                           \
	do {                                                                                       \
		for (int64_t end_ = until_end(); !(condition);) {                                  \
			if (until_over(end_))                                                      \
				fail_msg("timed out waiting for: %s", #condition);                 \
		}                                                                                  \
	} while (0)
int64_t until_end(void);
/* Sleep briefly; return whether END has passed. */
int until_over(int64_t end);

#endif
