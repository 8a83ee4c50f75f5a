/* Process metrics: the metrics that Prometheus expects of every process. */
#ifndef KEYDIR_HTTPD_PROCESS_METRICS_H
#define KEYDIR_HTTPD_PROCESS_METRICS_H

#include <stdint.h>
#include <stdio.h>

/* Write process_* (client libraries' standard names) and keydir_build_info in the text format;
 * values that cannot be read are left out. STARTED_MS: Unix time. */
void process_metrics_write(FILE *to, int64_t started_ms);

#endif
