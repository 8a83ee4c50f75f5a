/* C11 threads that ThreadSanitizer understands. */
#ifndef KEYDIR_TEST_C11_THREADS_H
#define KEYDIR_TEST_C11_THREADS_H

/* Called by whoever needs them, so that they are linked in. */
void c11_threads_use(void);

#endif
