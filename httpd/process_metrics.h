/* Process metrics: what Prometheus expects every process to tell of itself. */
#ifndef KEYDIR_HTTPD_PROCESS_METRICS_H
#define KEYDIR_HTTPD_PROCESS_METRICS_H

#include <stdint.h>
#include <stdio.h>

/* Writes process_* (client libraries' standard names) and keydir_build_info in
 * the text format; what cannot be read is left out. STARTED_MS: Unix time. */
void process_metrics_write(FILE *to, int64_t started_ms);

#endif
