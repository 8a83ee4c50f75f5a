/* Connections from a load generator to a server. */
#ifndef KEYDIR_BENCH_DIAL_H
#define KEYDIR_BENCH_DIAL_H

#include <netinet/in.h>
#include <stdint.h>

/* Open a TCP connection to ADDRESS that sends without delay; the caller closes it. On
 * an error, print it and exit. */
int dial(const struct sockaddr_in *address);
/* The same to PORT on 127.0.0.1. */
int dial_loopback(uint16_t port);

#endif
