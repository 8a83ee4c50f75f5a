/* Status: health, readiness, status and metrics.
 *
 * healthz succeeds if the process answers; readyz if the node can serve: caught up, able to apply,
 * not stopping. A load balancer polls readyz, a supervisor healthz. */
#include "httpd/handlers.h"

#include "common/base/clock.h"
#include "common/base/metrics.h"
#include "common/base/ttl.h"
#include "httpd/access_log.h"
#include "httpd/answer_memory.h"
#include "httpd/peers.h"
#include "httpd/problem.h"
#include "httpd/process_metrics.h"
#include "httpd/respond.h"
#include "httpd/server.h"
#include "httpd/spool.h"
#include "httpd/watch_hub.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Read the current meta of the store. Returns 0 or -errno. */
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

static json_t *json_u64(uint64_t n)
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
	/* A name that no other node has: several can share a machine, but not a port. */
	server_address(server, address, sizeof(address));
	const char *port = strrchr(address, ':');
	snprintf(id, sizeof(id), "%s%.6s", node, port ? port : "");
	json_t *doc = json_pack(
	        "{s:s, s:s, s:s, s:s, s:o, s:b, s:s, s:s, s:s, s:I, s:o, s:o, s:o, s:o, s:{s:s, s:b, s:b, s:o, s:I}, "
	        "s:{s:o, s:o, s:o, s:o, s:o, s:o, s:s}, s:{s:o, s:o, s:o, s:o, s:o}, s:{s:o, s:o}}",
	        "version", KEYDIR_VERSION, "id", id, "node", node, "role",
	        status.applies ? "applier" : "follower", "peers", peers_json(server->peers, id),
	        "ready", ready, "why", ready ? "" : status.why, "volume", meta.volume, "started",
	        started, "uptime", (json_int_t)(uptime_s > 0 ? uptime_s : 0), "offset",
	        json_u64(status.applied), "followed", json_u64(status.followed), "log_end",
	        json_u64(status.log_end), "pending", json_u64(status.pending), "log", "url",
	        status.log, "up", status.log_up, "applies", status.applies, "lag",
	        json_u64(status.log_end > status.applied ? status.log_end - status.applied : 0),
	        "lag_ms", (json_int_t)status.lag_ms, "store", "keys", json_u64(meta.nkeys),
	        "directories", json_u64(meta.ndirs), "used_bytes", json_u64(meta.used_bytes),
	        "size_bytes", json_u64(config->size_bytes), "max_value_bytes",
	        json_u64(node_max_value(server->node)), "bytes",
	        json_u64(store_bytes(node_store(server->node))), "evict",
	        evict_policy_text(config->evict), "events", "rejected", json_u64(meta.nrejected),
	        "expired", json_u64(meta.nexpired), "evicted", json_u64(meta.nevicted), "skipped",
	        json_u64(status.skipped), "skipped_newest", json_u64(status.skipped_newest), "http",
	        "requests", json_u64(http_metrics_requests()), "active",
	        json_u64(http_metrics_active()));
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
		               "The log does not answer: writes fail, reads continue. To check "
		               "only for reads, use /readyz?reads.");
	return respond_plain(rq, "ready\n");
}

enum MHD_Result handle_metrics(struct request *rq)
{
	char *text = NULL;
	size_t len = 0;
	FILE *to = open_memstream(&text, &len);
	if (!to)
		return respond_send(rq, 503, RESPOND_OFFSET_NOW, NULL);
	node_metrics_write(rq->server->node, to);
	metrics_gauge(to, "keydir_watchers", "Clients that watch or long-poll",
	              watch_hub_count(rq->server->hub));
	http_metrics_write(to);
	clients_metrics_write(rq->server->clients, to);
	answer_memory_metrics_write(to);
	spools_metrics_write(rq->server->spools, to);
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
