/* Connections of a load to what it measures. */
#ifndef KEYDIR_BENCH_DIAL_H
#define KEYDIR_BENCH_DIAL_H

#include <netinet/in.h>
#include <stdint.h>

/* A TCP connection to ADDRESS that sends at once; the caller closes it. Ends the
 * program, and says why, if there is none. */
int dial(const struct sockaddr_in *address);
/* The same to PORT on 127.0.0.1. */
int dial_loopback(uint16_t port);

#endif
