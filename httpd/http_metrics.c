/* HTTP metrics: requests, statuses and latencies by route.
 *
 * A counter shared by all threads costs a cache line transfer for each request. So every thread has
 * a block of its own, which only it writes and which lives as long as the process; the writer of
 * the metrics sums the blocks. A sum read while requests run can be off by a request, but is never
 * torn.
 *
 * The list of blocks is prepended to with a compare-and-swap; there is no lock. */
#include "httpd/http_metrics.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

/* Upper bounds of the latency buckets in ns, and their labels. */
#define BUCKETS(X)                                                                                 \
	X(100000, "0.0001")                                                                        \
	X(250000, "0.00025")                                                                       \
	X(500000, "0.0005")                                                                        \
	X(1000000, "0.001")                                                                        \
	X(2500000, "0.0025")                                                                       \
	X(5000000, "0.005")                                                                        \
	X(10000000, "0.01")                                                                        \
	X(25000000, "0.025")                                                                       \
	X(50000000, "0.05")                                                                        \
	X(100000000, "0.1")                                                                        \
	X(250000000, "0.25")                                                                       \
	X(500000000, "0.5")                                                                        \
	X(1000000000, "1")                                                                         \
	X(2500000000, "2.5")                                                                       \
	X(10000000000, "10")

static const int64_t bounds_ns[] = {
#define X(ns, text) INT64_C(ns),
	BUCKETS(X)
#undef X
};
static const char *const bounds_text[] = {
#define X(ns, text) text,
	BUCKETS(X)
#undef X
};
#define NBUCKETS (sizeof(bounds_ns) / sizeof(bounds_ns[0]))

static const char *const route_names[] = {
#define X(id, name) name,
	HTTP_ROUTES(X)
#undef X
};
static const char *const method_names[] = { "GET",    "HEAD",    "PUT",  "POST",
	                                    "DELETE", "OPTIONS", "other" };
/* 2xx to 5xx, and clients that left */
static const char *const class_names[] = { "2xx", "3xx", "4xx", "5xx", "gone" };
#define NCLASSES (sizeof(class_names) / sizeof(class_names[0]))

struct block {
	struct block *next;
	_Atomic uint64_t begun;
	_Atomic uint64_t ended;
	_Atomic uint64_t requests[HTTP_ROUTE_COUNT][HTTP_METHOD_COUNT][NCLASSES];
	_Atomic uint64_t buckets[HTTP_ROUTE_COUNT][NBUCKETS + 1];
	_Atomic uint64_t sum_ns[HTTP_ROUTE_COUNT];
};

static _Atomic(struct block *) blocks;
static _Thread_local struct block *mine;
/* For a thread that had no memory for its own block: correct, only slower. */
static struct block shared_block;
static atomic_bool shared_linked;

static void link_block(struct block *b)
{
	b->next = atomic_load(&blocks);
	while (!atomic_compare_exchange_weak(&blocks, &b->next, b))
		;
}

static struct block *my_block(void)
{
	if (mine)
		return mine;
	mine = calloc(1, sizeof(*mine));
	if (mine) {
		link_block(mine);
	} else {
		mine = &shared_block;
		if (!atomic_exchange(&shared_linked, true))
			link_block(mine);
	}
	return mine;
}

static void add_to_counter(struct block *b, _Atomic uint64_t *counter, uint64_t n)
{
	if (b == &shared_block)
		atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
	else /* The only writer needs no locked instruction. */
		atomic_store_explicit(counter,
		                      atomic_load_explicit(counter, memory_order_relaxed) + n,
		                      memory_order_relaxed);
}

static uint64_t get(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

const char *http_metrics_route(enum http_route route)
{
	return route_names[route];
}

void http_metrics_begin(void)
{
	struct block *b = my_block();
	add_to_counter(b, &b->begun, 1);
}

void http_metrics_end(enum http_route route, enum http_method method, unsigned status,
                      int64_t latency_ns)
{
	struct block *b = my_block();
	size_t class = status < 200 ? NCLASSES - 1 : status < 600 ? status / 100 - 2 : 3;
	size_t i = 0;
	while (i < NBUCKETS && latency_ns > bounds_ns[i])
		i++;
	add_to_counter(b, &b->requests[route][method][class], 1);
	add_to_counter(b, &b->buckets[route][i], 1);
	add_to_counter(b, &b->sum_ns[route], (uint64_t)latency_ns);
	add_to_counter(b, &b->ended, 1);
}

uint64_t http_metrics_active(void)
{
	uint64_t begun = 0;
	uint64_t ended = 0;
	/* Read `ended` first: a request that ends in the meantime still counts as active. */
	for (struct block *b = atomic_load(&blocks); b; b = b->next)
		ended += get(&b->ended);
	for (struct block *b = atomic_load(&blocks); b; b = b->next)
		begun += get(&b->begun);
	return begun > ended ? begun - ended : 0;
}

uint64_t http_metrics_requests(void)
{
	uint64_t n = 0;
	for (struct block *b = atomic_load(&blocks); b; b = b->next)
		for (int r = 0; r < HTTP_ROUTE_COUNT; r++)
			for (size_t i = 0; i <= NBUCKETS; i++)
				if (r != HTTP_ROUTE_OPS && r != HTTP_ROUTE_CONSOLE)
					n += get(&b->buckets[r][i]);
	return n;
}

static void write_requests(FILE *to)
{
	fputs("# HELP keydir_http_requests_total Requests answered, by route, method and class of "
	      "status\n# TYPE keydir_http_requests_total counter\n",
	      to);
	for (int r = 0; r < HTTP_ROUTE_COUNT; r++) {
		for (int m = 0; m < HTTP_METHOD_COUNT; m++) {
			for (size_t c = 0; c < NCLASSES; c++) {
				uint64_t n = 0;
				for (struct block *b = atomic_load(&blocks); b; b = b->next)
					n += get(&b->requests[r][m][c]);
				if (n)
					fprintf(to,
					        "keydir_http_requests_total{route=\"%s\",method="
					        "\"%s\",status=\"%s\"} %llu\n",
					        route_names[r], method_names[m], class_names[c],
					        (unsigned long long)n);
			}
		}
	}
}

static void write_latencies(FILE *to)
{
	fputs("# HELP keydir_http_request_duration_seconds Time from the request line to the end "
	      "of the answer\n# TYPE keydir_http_request_duration_seconds histogram\n",
	      to);
	for (int r = 0; r < HTTP_ROUTE_COUNT; r++) {
		uint64_t n[NBUCKETS + 1] = { 0 };
		uint64_t sum_ns = 0;
		uint64_t total = 0;
		for (struct block *b = atomic_load(&blocks); b; b = b->next) {
			for (size_t i = 0; i <= NBUCKETS; i++)
				n[i] += get(&b->buckets[r][i]);
			sum_ns += get(&b->sum_ns[r]);
		}
		for (size_t i = 0; i <= NBUCKETS; i++)
			total += n[i];
		if (!total)
			continue;
		uint64_t below = 0;
		for (size_t i = 0; i < NBUCKETS; i++) {
			below += n[i];
			fprintf(to,
			        "keydir_http_request_duration_seconds_bucket{route=\"%s\",le=\"%s\"} "
			        "%llu\n",
			        route_names[r], bounds_text[i], (unsigned long long)below);
		}
		fprintf(to,
		        "keydir_http_request_duration_seconds_bucket{route=\"%s\",le=\"+Inf\"} "
		        "%llu\n"
		        "keydir_http_request_duration_seconds_sum{route=\"%s\"} %.9f\n"
		        "keydir_http_request_duration_seconds_count{route=\"%s\"} %llu\n",
		        route_names[r], (unsigned long long)total, route_names[r],
		        (double)sum_ns / 1e9, route_names[r], (unsigned long long)total);
	}
}

void http_metrics_write(FILE *to)
{
	write_requests(to);
	write_latencies(to);
	fprintf(to,
	        "# HELP keydir_http_requests_active Requests under way\n"
	        "# TYPE keydir_http_requests_active gauge\n"
	        "keydir_http_requests_active %llu\n",
	        (unsigned long long)http_metrics_active());
}
