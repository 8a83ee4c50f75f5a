/* C11 threads that ThreadSanitizer understands. */
#ifndef KEYDIR_TEST_C11_THREADS_H
#define KEYDIR_TEST_C11_THREADS_H

/* Do nothing. A call links the replacement functions into the program. */
void c11_threads_use(void);

#endif
