/* Processes that a test starts, and waiting for what they do. */
#ifndef KEYDIR_TEST_CHILD_H
#define KEYDIR_TEST_CHILD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Runs FN(ARG) in a process of its own, which ends with status 0 when FN
 * returns and is killed with this process. Fork before this process starts
 * threads. Inside FN use CHILD_CHECK() and none of cmocka's assertions. */
pid_t child_start(void (*fn)(void *arg), void *arg);
/* Kills it (SIGKILL) and waits until it is gone. */
void child_kill(pid_t pid);
/* Waits until it ends; fails the test if its status is not 0. */
void child_join(pid_t pid);

/* Ends a child that finds something wrong, and says so. */
#define CHILD_CHECK(condition)                                                                     \
	do {                                                                                       \
		if (!(condition))                                                                  \
			child_fail(__FILE__, __LINE__, #condition);                                \
	} while (0)
_Noreturn void child_fail(const char *file, int line, const char *condition);

/* SIZE zero bytes that this process and its children share. Never freed. */
void *child_share(size_t size);

/* Waits until CONDITION holds; fails the test after a deadline that is far
 * longer than that ever takes. */
#define UNTIL(condition)                                                                           \
	do {                                                                                       \
		for (int64_t end_ = until_end(); !(condition);) {                                  \
			if (until_over(end_))                                                      \
				fail_msg("waited in vain for: %s", #condition);                    \
		}                                                                                  \
	} while (0)
int64_t until_end(void);
/* Sleeps a little; true if END has passed. */
int until_over(int64_t end);

#endif
