/* Producing: the thread that serves the producer of a Kafka log. */
#ifndef KEYDIR_LOG_PRODUCE_H
#define KEYDIR_LOG_PRODUCE_H

/* The thread's function. ARG is the log; returns once log->stopping is set. */
void *log_kafka_serve(void *arg);

#endif
