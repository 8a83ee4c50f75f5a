/* Status, health, readiness and metrics.
 *
 * healthz says that the process answers; readyz that its answers are worth
 * asking for: caught up, able to apply, not stopping. A load balancer asks
 * readyz, a supervisor healthz. */
#include "httpd/handlers.h"

#include "common/clock.h"
#include "common/metrics.h"
#include "common/ttl.h"
#include "httpd/access_log.h"
#include "httpd/answer_memory.h"
#include "httpd/problem.h"
#include "httpd/peers.h"
#include "httpd/process_metrics.h"
#include "httpd/respond.h"
#include "httpd/server.h"
#include "httpd/watch_hub.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Meta of the store as of now: 0 or -errno. */
static int read_meta(const struct server *server, struct store_meta *ret)
{
	struct view view;
	int r = view_open(node_store(server->node), &view);
	if (r)
		return r;
	*ret = *txn_meta(view.txn);
	view_close(&view);
	return 0;
}

static json_t *number(uint64_t n)
{
	return json_integer((json_int_t)n);
}

enum MHD_Result handle_status(struct request *rq)
{
	struct server *server = rq->server;
	const struct node_config *config = node_get_config(server->node);
	struct node_status status;
	struct store_meta meta;
	char started[32];
	char node[HOST_NAME_MAX + 1] = "";
	char address[CLIENT_ADDRESS_SIZE + 8]; /* with brackets and port */
	char id[HOST_NAME_MAX + 8];
	int r = read_meta(server, &meta);
	if (r)
		return problem_store(rq, r);
	node_status(server->node, &status);
	moment_format(server->started_ms, started, sizeof(started));
	int64_t uptime_s = (clock_wall_ms() - server->started_ms) / 1000;
	bool ready = status.ready && !atomic_load(&server->draining);
	if (gethostname(node, sizeof(node) - 1))
		node[0] = '\0';
	/* a name that no other node has: several can share a machine, but no port */
	server_address(server, address, sizeof(address));
	const char *port = strrchr(address, ':');
	snprintf(id, sizeof(id), "%s%.6s", node, port ? port : "");
	json_t *doc = json_pack(
	        "{s:s, s:s, s:s, s:s, s:o, s:b, s:s, s:s, s:s, s:I, s:o, s:o, s:o, s:o, s:{s:s, s:b, s:b, s:o, s:I}, "
	        "s:{s:o, s:o, s:o, s:o, s:o, s:o, s:s}, s:{s:o, s:o, s:o}, s:{s:o, s:o}}",
	        "version", KEYDIR_VERSION, "id", id, "node", node, "role",
	        status.applies ? "applier" : "follower", "peers", peers_json(server->peers),
	        "ready", ready, "why", ready ? "" : status.why, "volume", meta.volume, "started",
	        started, "uptime", (json_int_t)(uptime_s > 0 ? uptime_s : 0), "offset",
	        number(status.applied), "followed", number(status.followed), "log_end",
	        number(status.log_end), "pending", number(status.pending), "log", "url", status.log,
	        "up", status.log_up, "applies", status.applies, "lag",
	        number(status.log_end > status.applied ? status.log_end - status.applied : 0),
	        "lag_ms", (json_int_t)status.lag_ms, "store", "keys", number(meta.nkeys),
	        "directories", number(meta.ndirs), "used_bytes", number(meta.used_bytes),
	        "size_bytes", number(config->size_bytes), "max_value_bytes",
	        number(config->max_value), "bytes", number(store_bytes(node_store(server->node))),
	        "evict", evict_policy_text(config->evict), "events", "rejected",
	        number(meta.nrejected), "expired", number(meta.nexpired), "evicted",
	        number(meta.nevicted), "http", "requests", number(http_metrics_requests()),
	        "active", number(http_metrics_active()));
	return respond_json(rq, 200, meta.applied, doc, JSON_INDENT(2));
}

enum MHD_Result handle_healthz(struct request *rq)
{
	return respond_plain(rq, "ok\n");
}

enum MHD_Result handle_readyz(struct request *rq)
{
	struct node_status status;
	if (atomic_load(&rq->server->draining))
		return problem(rq, PROBLEM_STOPPING, RESPOND_OFFSET_NOW, "This node is stopping.");
	node_status(rq->server->node, &status);
	if (!status.ready)
		return problem(rq, PROBLEM_NOT_READY, RESPOND_OFFSET_NOW, "%s.",
		               status.why[0] ? status.why : "The node is not ready");
	if (!status.log_up && !url_flag(&rq->url, "reads"))
		return problem(rq, PROBLEM_NOT_READY, RESPOND_OFFSET_NOW,
		               "The log does not answer: writes fail, reads go on. For whether it "
		               "may be read from, ask /readyz?reads.");
	return respond_plain(rq, "ready\n");
}

static void write_node(struct request *rq, FILE *to)
{
	struct server *server = rq->server;
	const struct node_config *config = node_get_config(server->node);
	struct node_status status;
	struct store_meta meta;
	node_status(server->node, &status);
	metrics_gauge(to, "keydir_ready", "1 if the node is ready", status.ready);
	metrics_gauge(to, "keydir_log_up", "1 if the log answers", status.log_up);
	metrics_gauge(to, "keydir_applies", "1 if this process applies the log", status.applies);
	metrics_gauge(to, "keydir_applied_offset", "Offset of the last event applied",
	              (double)status.applied);
	metrics_gauge(to, "keydir_log_end_offset", "Newest offset known of the log",
	              (double)status.log_end);
	metrics_gauge(to, "keydir_lag_events", "Events in the log that are not applied yet",
	              status.log_end > status.applied ? (double)(status.log_end - status.applied) :
	                                                0.0);
	metrics_gauge(to, "keydir_lag_seconds", "Age of the newest applied event while behind",
	              (double)status.lag_ms / 1000);
	metrics_gauge(to, "keydir_pending_writes", "Writes that wait for their outcome",
	              (double)status.pending);
	metrics_gauge(to, "keydir_oldest_write_seconds",
	              "Age of the oldest write that waits for its outcome; 0: none waits",
	              (double)status.oldest_ms / 1000);
	metrics_gauge(to, "keydir_watchers", "Clients that watch or long-poll",
	              watch_hub_count(server->hub));
	if (read_meta(server, &meta))
		return;
	int64_t ahead_ms = meta.log_time_ms - clock_wall_ms();
	metrics_gauge(to, "keydir_log_time_ahead_seconds",
	              "How far the log's time is ahead of this machine's clock; 0: it is not",
	              ahead_ms > 0 ? (double)ahead_ms / 1000 : 0.0);
	metrics_gauge(to, "keydir_keys", "Keys stored", (double)meta.nkeys);
	metrics_gauge(to, "keydir_directories", "Directories stored", (double)meta.ndirs);
	metrics_gauge(to, "keydir_used_bytes", "What counts against the quota",
	              (double)meta.used_bytes);
	metrics_gauge(to, "keydir_quota_bytes", "The quota (--size)", (double)config->size_bytes);
	metrics_gauge(to, "keydir_evicts", "1 if a full cache evicts (--evict)",
	              config->evict != EVICT_NONE);
	metrics_gauge(to, "keydir_store_bytes", "Memory that the store's tables take",
	              (double)store_bytes(node_store(server->node)));
	fprintf(to,
	        "# HELP keydir_changes_lost_total Changes through a mount that failed after "
	        "their close had returned\n"
	        "# TYPE keydir_changes_lost_total counter\nkeydir_changes_lost_total %llu\n",
	        (unsigned long long)status.lost);
	fprintf(to,
	        "# HELP keydir_keys_expired_total Entries removed after their expiry\n"
	        "# TYPE keydir_keys_expired_total counter\nkeydir_keys_expired_total %llu\n"
	        "# HELP keydir_keys_evicted_total Entries evicted to make room\n"
	        "# TYPE keydir_keys_evicted_total counter\nkeydir_keys_evicted_total %llu\n",
	        (unsigned long long)meta.nexpired, (unsigned long long)meta.nevicted);
}

enum MHD_Result handle_metrics(struct request *rq)
{
	char *text = NULL;
	size_t len = 0;
	FILE *to = open_memstream(&text, &len);
	if (!to)
		return respond_send(rq, 503, RESPOND_OFFSET_NOW, NULL);
	metrics_write(to);
	write_node(rq, to);
	http_metrics_write(to);
	clients_metrics_write(rq->server->clients, to);
	answer_memory_metrics_write(to);
	access_metrics_write(to);
	access_log_metrics_write(to);
	process_metrics_write(to, rq->server->started_ms);
	bool failed = ferror(to);
	if (fclose(to) || failed) {
		free(text);
		return respond_send(rq, 503, RESPOND_OFFSET_NOW, NULL);
	}
	return respond_text(rq, 200, RESPOND_OFFSET_NOW, "text/plain; version=0.0.4; charset=utf-8",
	                    text, len);
}
