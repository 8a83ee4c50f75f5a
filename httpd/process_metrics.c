/* Process metrics: the metrics that Prometheus expects of every process.
 *
 * Read from /proc at each scrape: no state, no lock. */
#include "httpd/process_metrics.h"

#include "common/base/metrics.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

static void write_memory(FILE *to)
{
	unsigned long long size, resident;
	FILE *from = fopen("/proc/self/statm", "re");
	if (!from)
		return;
	if (fscanf(from, "%llu %llu", &size, &resident) == 2) {
		double page = (double)sysconf(_SC_PAGESIZE);
		metrics_gauge(to, "process_virtual_memory_bytes",
		              "Virtual memory, including the store's sparse map",
		              (double)size * page);
		metrics_gauge(to, "process_resident_memory_bytes",
		              "Memory in use, including pages of the store that were accessed",
		              (double)resident * page);
	}
	fclose(from);
}

static void write_files(FILE *to)
{
	struct rlimit limit;
	DIR *dir = opendir("/proc/self/fd");
	if (dir) {
		double n = -3;       /* ".", ".." and the directory itself */
		while (readdir(dir)) /* NOLINT(concurrency-mt-unsafe): its own stream */
			n++;
		closedir(dir);
		metrics_gauge(to, "process_open_fds", "Files open", n);
	}
	if (!getrlimit(RLIMIT_NOFILE, &limit))
		metrics_gauge(to, "process_max_fds", "Files that may be open",
		              (double)limit.rlim_cur);
}

void process_metrics_write(FILE *to, int64_t started_ms)
{
	struct rusage use;
	fprintf(to, "# HELP keydir_build_info Always 1; the label says which version runs\n"
	            "# TYPE keydir_build_info gauge\n"
	            "keydir_build_info{version=\"" KEYDIR_VERSION "\"} 1\n");
	metrics_gauge(to, "process_start_time_seconds", "When this process started, Unix time",
	              (double)started_ms / 1000);
	if (!getrusage(RUSAGE_SELF, &use))
		fprintf(to,
		        "# HELP process_cpu_seconds_total Processor time used, user and system\n"
		        "# TYPE process_cpu_seconds_total counter\n"
		        "process_cpu_seconds_total %.6f\n",
		        (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
		                (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6);
	write_memory(to);
	write_files(to);
}
