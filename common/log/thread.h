/* Threads of the Kafka log. */
#ifndef KEYDIR_LOG_THREAD_H
#define KEYDIR_LOG_THREAD_H

#include <pthread.h>

/* Start a thread with all signals blocked, since they are for the program's own threads.
 * NAME has at most 15 bytes. Returns 0 or -EAGAIN. */
int log_kafka_thread_start(pthread_t *ret, const char *name, void *(*run)(void *), void *arg);

#endif
