/* Clients: deadlines and limits of connections.
 *
 * libmicrohttpd closes a connection that is silent. A connection that sends a byte now and then is
 * not silent, and ten thousand of them leave no room for others ("slow loris"). So each connection
 * has a record of its state and when it began, and one thread checks all records once a second:
 * - a request must arrive, and its response must be read, within a time that grows with the bytes
 *   moved, which the kernel counts (TCP_INFO); a response must be read sooner while responses take
 *   much memory (answer_memory.h);
 * - an idle connection must send a whole request line in time;
 * - a client that waits for a change, or follows changes, must still be connected and must read its
 *   stream: its connection is suspended, so libmicrohttpd does not notice when it closes;
 * - when room gets short, connections are closed that lose nothing by it: first those that never
 *   sent a request, then idle ones, then those that wait for a change (they are answered first,
 *   without one), then slow ones; of each kind the oldest first. So a client that opens thousands
 *   of connections loses its own, and others are served.
 *
 * At most half of the connections may wait for changes. A few connections beyond --connections are
 * a reserve: on them only requests that inspect the node (/healthz ...) are served, all others are
 * answered 503.
 *
 * A connection is closed with shutdown(2) on its socket: its MHD thread then reads the end of the
 * stream and frees it. The record is unlinked, under the lock, before MHD closes the descriptor, so
 * a descriptor number that was reused is never shut down.
 *
 * `since` is written by the connection's thread and read by ours, relaxed: a second more or less
 * does not matter. The lock protects the list and `n`. */
#include "httpd/clients.h"

#include "common/base/clock.h"
#include "common/base/logger.h"
#include "httpd/answer_memory.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define HASH_NONFATAL_OOM 1 /* an entry that could not be added then has no table */
#include <uthash.h>

/* Older connections count as equal when room is made. */
#define AGE_MAX 255
/* A younger connection is not closed to make room: a request may be on its way. */
#define IDLE_MIN_S 1
#define SLOW_MIN_S 5
/* Time that MHD may take to notice a closed connection. */
#define GONE_MIN_S 2
/* TCP_CLOSE and TCP_CLOSE_WAIT of <netinet/tcp.h>, which conflicts with <linux/tcp.h>: the
 * connection was reset or timed out; the client has closed, we have not. */
#define TCP_CLOSE_STATE 7
#define TCP_CLOSE_WAIT_STATE 8

struct client {
	_Atomic uint64_t since; /* state in the highest byte, below it the second it began */
	struct clients *clients;
	struct client *next; /* clients.lock */
	struct client *prev; /* clients.lock */
	int fd;
	_Atomic bool asked;      /* it has sent a request */
	atomic_bool released;    /* see client_released() */
	bool waits;              /* clients.lock */
	struct address *address; /* clients.lock; set while it waits, if addresses are counted */
	void *request;           /* used by the connection's thread only */
	/* used by our thread only */
	bool closing;  /* was shut down and is about to close */
	uint64_t seen; /* the state in which the two counts below began */
	uint64_t received;
	uint64_t acked;
	int64_t moved_s;    /* CLIENT_WAITING: when bytes were acknowledged last */
	int64_t released_s; /* when it was released */
};

/* An address from which clients wait. Protected by clients.lock. */
struct address {
	UT_hash_handle hh;
	unsigned char bytes[16];
	uint64_t waiting;
};

struct clients {
	struct clients_config config;
	pthread_t thread;
	pthread_mutex_t lock; /* protects all fields below except the counters */
	pthread_cond_t wake;
	struct client *first;
	_Atomic uint64_t n; /* written under the lock */
	uint64_t waiting;
	struct address *addresses;
	bool stopping;
	bool told_released; /* config.released must be called for released clients */
	bool crowded;       /* room is short: `wake` was signalled */
	_Atomic uint64_t closed_slow;
	_Atomic uint64_t closed_gone;
	_Atomic uint64_t closed_room;
	_Atomic uint64_t closed_waiting;
	int64_t told_s; /* when the last warning was logged; used by our thread only */
};

/* Return the seconds of a clock that is cheap to read. */
static int64_t coarse_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return t.tv_sec;
}

static uint64_t pack(enum client_phase phase, int64_t now_s)
{
	return (uint64_t)phase << 56 | ((uint64_t)now_s & ((UINT64_C(1) << 56) - 1));
}

static enum client_phase phase_of(uint64_t since)
{
	return (enum client_phase)(since >> 56);
}

static int64_t age_of(uint64_t since, int64_t now_s)
{
	return now_s - (int64_t)(since & ((UINT64_C(1) << 56) - 1));
}

/* Number of connections at which room is made, and number to which. */
static uint64_t high_water(const struct clients *c)
{
	return c->config.most - c->config.most / 8;
}

static uint64_t low_water(const struct clients *c)
{
	return c->config.most - c->config.most / 4;
}

/* --- MHD's threads --------------------------------------------------------- */

static struct client *add_client(struct clients *clients, int fd)
{
	struct client *client = calloc(1, sizeof(*client));
	if (!client)
		return NULL; /* The connection is served, but has no deadlines. */
	client->clients = clients;
	client->fd = fd;
	client->since = pack(CLIENT_IDLE, coarse_s());
	pthread_mutex_lock(&clients->lock);
	client->next = clients->first;
	if (client->next)
		client->next->prev = client;
	clients->first = client;
	if (++clients->n > high_water(clients) && !clients->crowded) {
		clients->crowded = true;
		pthread_cond_signal(&clients->wake);
	}
	pthread_mutex_unlock(&clients->lock);
	return client;
}

static void unlink_client(struct client *client)
{
	struct clients *clients = client->clients;
	pthread_mutex_lock(&clients->lock);
	if (client->prev)
		client->prev->next = client->next;
	else
		clients->first = client->next;
	if (client->next)
		client->next->prev = client->prev;
	clients->n--;
	pthread_mutex_unlock(&clients->lock);
	free(client);
}

bool clients_is_full(const struct clients *clients)
{
	return atomic_load_explicit(&clients->n, memory_order_relaxed) > clients->config.most;
}

const atomic_bool *client_released(const struct client *client)
{
	return client ? &client->released : NULL;
}

/* Write the address of CONN's peer; all zeros if it is unknown. */
static void address_bytes(struct MHD_Connection *conn, unsigned char *bytes)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
	        conn, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr *peer = info ? info->client_addr : NULL;
	memset(bytes, 0, 16);
	if (peer && peer->sa_family == AF_INET)
		memcpy(bytes, &((const struct sockaddr_in *)(const void *)peer)->sin_addr, 4);
	else if (peer && peer->sa_family == AF_INET6)
		memcpy(bytes, &((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr, 16);
}

/* Count one more waiting client from the address BYTES. Returns NULL if there are too many, or no
 * memory. Called with the lock held. */
static struct address *address_take(struct clients *c, const unsigned char *bytes)
{
	struct address *address;
	HASH_FIND(hh, c->addresses, bytes, sizeof(address->bytes), address);
	if (!address) {
		address = calloc(1, sizeof(*address));
		if (!address)
			return NULL;
		memcpy(address->bytes, bytes, sizeof(address->bytes));
		HASH_ADD(hh, c->addresses, bytes, sizeof(address->bytes), address);
		if (!address->hh.tbl) {
			free(address);
			return NULL;
		}
	}
	if (address->waiting >= c->config.waiting_per_address)
		return NULL;
	address->waiting++;
	return address;
}

/* Uncount a waiting client of ADDRESS. Called with the lock held. */
static void address_give(struct clients *c, struct address *address)
{
	if (!address || --address->waiting)
		return;
	HASH_DEL(c->addresses, address);
	free(address);
}

int client_wait_begin(struct client *client, struct MHD_Connection *conn)
{
	unsigned char bytes[16];
	if (!client)
		return 0;
	struct clients *c = client->clients;
	address_bytes(conn, bytes);
	pthread_mutex_lock(&c->lock);
	bool room = c->waiting < c->config.waiting_most;
	if (room && c->config.waiting_per_address) {
		client->address = address_take(c, bytes);
		room = client->address != NULL;
	}
	client->waits = room;
	c->waiting += room;
	pthread_mutex_unlock(&c->lock);
	if (!room)
		return -EBUSY;
	client_enter(client, CLIENT_WAITING);
	return 0;
}

void client_wait_end(struct client *client)
{
	if (!client)
		return;
	struct clients *c = client->clients;
	pthread_mutex_lock(&c->lock);
	c->waiting -= client->waits;
	client->waits = false;
	address_give(c, client->address);
	client->address = NULL;
	pthread_mutex_unlock(&c->lock);
}

void clients_notify(void *clients, struct MHD_Connection *conn, void **socket_context,
                    enum MHD_ConnectionNotificationCode code)
{
	const union MHD_ConnectionInfo *info;
	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		struct client *client = *socket_context;
		*socket_context = NULL;
		if (!client)
			return;
		if (client->request)
			client->clients->config.forgotten(client->request);
		unlink_client(client);
		return;
	}
	info = MHD_get_connection_info(conn, MHD_CONNECTION_INFO_CONNECTION_FD);
	*socket_context = info ? add_client(clients, (int)info->connect_fd) : NULL;
}

struct client *client_of(struct MHD_Connection *conn)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
	        conn, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	return info ? info->socket_context : NULL;
}

void client_request(struct client *client, void *request)
{
	if (client)
		client->request = request;
}

void *client_request_now(const struct client *client)
{
	return client ? client->request : NULL;
}

void client_enter(struct client *client, enum client_phase phase)
{
	if (!client)
		return;
	atomic_store_explicit(&client->since, pack(phase, coarse_s()), memory_order_relaxed);
	if (phase == CLIENT_RECEIVING)
		atomic_store_explicit(&client->asked, true, memory_order_relaxed);
}

void client_address(struct MHD_Connection *conn, char *buf, size_t size)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
	        conn, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr *address = info ? info->client_addr : NULL;
	const void *bytes = NULL;
	if (address && address->sa_family == AF_INET)
		bytes = &((const struct sockaddr_in *)(const void *)address)->sin_addr;
	else if (address && address->sa_family == AF_INET6)
		bytes = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
	if (!bytes || !inet_ntop(address->sa_family, bytes, buf, (socklen_t)size))
		snprintf(buf, size, "-");
}

/* --- our thread ------------------------------------------------------------ */

static bool ask_kernel(int fd, struct tcp_info *ret)
{
	socklen_t len = sizeof(*ret);
	memset(ret, 0, sizeof(*ret));
	return !getsockopt(fd, IPPROTO_TCP, TCP_INFO, ret, &len);
}

/* Return whether the client has closed without MHD noticing. MHD reads until a read is short, and
 * misses an end of stream that came with the last bytes. An idle connection is checked only for as
 * long as that can happen. */
static bool is_gone(const struct client *client, uint64_t since, int64_t now_s)
{
	struct tcp_info info;
	int64_t age_s = age_of(since, now_s);
	enum client_phase phase = phase_of(since);
	if (age_s < GONE_MIN_S ||
	    (phase != CLIENT_RECEIVING && (phase != CLIENT_IDLE || age_s > 2 * GONE_MIN_S)))
		return false;
	return ask_kernel(client->fd, &info) && info.tcpi_state == TCP_CLOSE_WAIT_STATE;
}

/* Return the time a client has to read a response, without the allowance for its bytes. */
static int64_t sending_ms(const struct clients_config *config)
{
	bool is_short = config->request_ms > SLOW_MIN_S * 1000 && answer_memory_is_short();
	return is_short ? SLOW_MIN_S * 1000 : config->request_ms;
}

static bool count_bytes(int fd, uint64_t *ret_received, uint64_t *ret_acked)
{
	struct tcp_info info;
	if (!ask_kernel(fd, &info))
		return false;
	*ret_received = info.tcpi_bytes_received;
	*ret_acked = info.tcpi_bytes_acked;
	return true;
}

/* Return whether a waiting client has gone, or does not read its stream. */
static bool is_lost(struct client *client, const struct clients_config *config, int64_t now_s,
                    bool *ret_slow)
{
	struct tcp_info info;
	*ret_slow = false;
	if (!ask_kernel(client->fd, &info))
		return false;
	if (info.tcpi_state == TCP_CLOSE_WAIT_STATE || info.tcpi_state == TCP_CLOSE_STATE)
		return true;
	if (info.tcpi_bytes_acked != client->acked ||
	    !(info.tcpi_unacked || info.tcpi_notsent_bytes)) {
		client->acked = info.tcpi_bytes_acked;
		client->moved_s = now_s;
	}
	*ret_slow = (now_s - client->moved_s) * 1000 > sending_ms(config);
	return *ret_slow;
}

/* Return whether CLIENT has exceeded the deadline of its state. */
static bool is_overdue(struct client *client, const struct clients_config *config, uint64_t since,
                       int64_t now_s)
{
	int64_t age_s = age_of(since, now_s);
	enum client_phase phase = phase_of(since);
	uint64_t received = 0;
	uint64_t acked = 0;
	if (phase == CLIENT_WORKING || phase == CLIENT_WAITING)
		return false;
	if (phase == CLIENT_IDLE) {
		bool asked = atomic_load_explicit(&client->asked, memory_order_relaxed);
		return age_s * 1000 > (asked ? config->idle_ms : config->request_ms);
	}
	if (client->seen != since) { /* A new state: count its bytes from here on. */
		client->seen = since;
		count_bytes(client->fd, &client->received, &client->acked);
		return false;
	}
	int64_t most_ms = phase == CLIENT_SENDING ? sending_ms(config) : config->request_ms;
	if (age_s * 1000 <= most_ms || !count_bytes(client->fd, &received, &acked))
		return false;
	uint64_t moved = phase == CLIENT_RECEIVING ? received - client->received :
	                                             acked - client->acked;
	return age_s * 1000 > most_ms + (int64_t)(moved * 1000 / CLIENTS_BYTES_PER_S);
}

/* Return the order in which CLIENT may be closed: 4 first, 1 last; 0: never. */
static int closing_order(const struct client *client, uint64_t since, int64_t age_s)
{
	switch (phase_of(since)) {
	case CLIENT_IDLE:
		if (age_s < IDLE_MIN_S)
			return 0;
		return atomic_load_explicit(&client->asked, memory_order_relaxed) ? 3 : 4;
	case CLIENT_RECEIVING:
	case CLIENT_SENDING:
		return age_s < SLOW_MIN_S ? 0 : 1;
	case CLIENT_WAITING:
		return 2;
	case CLIENT_WORKING:
		break;
	}
	return 0;
}

/* Return the place of CLIENT in the order in which room is made; 0: never closed. */
static unsigned rank_of(const struct client *client, int64_t now_s)
{
	if (client->closing || atomic_load_explicit(&client->released, memory_order_relaxed))
		return 0;
	uint64_t since = atomic_load_explicit(&client->since, memory_order_relaxed);
	int64_t age_s = age_of(since, now_s);
	int class = closing_order(client, since, age_s);
	if (!class)
		return 0;
	return (unsigned)class * (AGE_MAX + 1) + (unsigned)(age_s > AGE_MAX ? AGE_MAX : age_s);
}

static bool hang_up(struct client *client)
{
	client->closing = !shutdown(client->fd, SHUT_RDWR);
	return client->closing;
}

/* Release a waiting client: it is answered, and then its connection closes. */
static void let_go(struct clients *c, struct client *client, int64_t now_s)
{
	atomic_store(&client->released, true);
	client->released_s = now_s;
	c->told_released = true;
}

/* Close or release CLIENT to make room. */
static bool dismiss_client(struct clients *c, struct client *client, int64_t now_s)
{
	uint64_t since = atomic_load_explicit(&client->since, memory_order_relaxed);
	if (phase_of(since) != CLIENT_WAITING)
		return hang_up(client);
	let_go(c, client, now_s);
	atomic_fetch_add(&c->closed_waiting, 1);
	return true;
}

/* Close connections in order of rank, until only low_water() remain or all others are in use.
 * Returns how many. Called with the lock held. */
static uint64_t make_room(struct clients *c, int64_t now_s)
{
	static uint32_t ranks[5 * (AGE_MAX + 1)]; /* used by one thread only */
	uint64_t left = c->n;
	uint64_t closed = 0;
	uint64_t sum = 0;
	size_t least = sizeof(ranks) / sizeof(ranks[0]);
	memset(ranks, 0, sizeof(ranks));
	for (const struct client *client = c->first; client; client = client->next) {
		ranks[rank_of(client, now_s)]++;
		left -= client->closing || atomic_load(&client->released);
	}
	uint64_t excess = left > low_water(c) ? left - low_water(c) : 0;
	while (least > 1 && sum < excess)
		sum += ranks[--least];
	for (struct client *client = c->first; client && closed < excess; client = client->next) {
		unsigned rank = rank_of(client, now_s);
		if (rank && rank >= least && dismiss_client(c, client, now_s))
			closed++;
	}
	return closed;
}

/* Check all connections once. Called with the lock held. */
static void check_clients(struct clients *c)
{
	int64_t now_s = coarse_s();
	uint64_t slow = 0;
	uint64_t gone = 0;
	uint64_t room = 0;
	for (struct client *client = c->first; client; client = client->next) {
		uint64_t since = atomic_load_explicit(&client->since, memory_order_relaxed);
		bool is_slow = false;
		if (client->closing)
			continue;
		if (phase_of(since) == CLIENT_WAITING) {
			if (client->seen != since) { /* a new state */
				client->seen = since;
				client->moved_s = now_s;
			}
			bool lost = is_lost(client, &c->config, now_s, &is_slow);
			bool late = client->released_s && now_s - client->released_s >= GONE_MIN_S;
			if (lost || late) {
				/* The connection is suspended: its thread looks at the socket only
				 * once it is released. One that was reset cannot be shut down any
				 * more. */
				hang_up(client);
				client->closing = true;
				let_go(c, client, now_s);
				gone += !is_slow;
				slow += is_slow;
			}
			continue;
		}
		/* A stream has no header to announce that the connection closes after it. */
		if (client->released_s && phase_of(since) == CLIENT_IDLE)
			hang_up(client);
		else if (is_gone(client, since, now_s))
			gone += hang_up(client);
		else if (is_overdue(client, &c->config, since, now_s) && hang_up(client))
			slow++;
	}
	if (c->n > high_water(c))
		room = make_room(c, now_s);
	c->crowded = false;
	atomic_fetch_add(&c->closed_slow, slow);
	atomic_fetch_add(&c->closed_gone, gone);
	atomic_fetch_add(&c->closed_room, room);
	if (room && (now_s - c->told_s >= 60 || !c->told_s)) {
		c->told_s = now_s;
		logger(LOGGER_WARN,
		       "closing idle connections to make room connections=%llu most=%llu",
		       (unsigned long long)c->n, (unsigned long long)c->config.most);
	}
}

/* Wait for MS, or until the thread must stop or, with CROWDED, room is short. Called with the lock
 * held. */
static void pause_ms(struct clients *c, long ms, bool crowded)
{
	struct timespec until = clock_mono_in(ms);
	while (!c->stopping && !(crowded && c->crowded) &&
	       pthread_cond_timedwait(&c->wake, &c->lock, &until) != ETIMEDOUT)
		;
}

static void *run_checks(void *arg)
{
	struct clients *c = arg;
	pthread_mutex_lock(&c->lock);
	while (!c->stopping) {
		check_clients(c);
		if (c->told_released) {
			c->told_released = false;
			pthread_mutex_unlock(&c->lock);
			c->config.released(c->config.released_arg);
			pthread_mutex_lock(&c->lock);
		}
		/* Each check visits all connections, so pause however many arrive. */
		pause_ms(c, 100, false);
		pause_ms(c, 900, true);
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

int clients_new(const struct clients_config *config, struct clients **ret)
{
	struct clients *c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->config = *config;
	pthread_mutex_init(&c->lock, NULL);
	clock_cond_init(&c->wake);
	int r = pthread_create(&c->thread, NULL, run_checks, c);
	if (r) {
		pthread_cond_destroy(&c->wake);
		pthread_mutex_destroy(&c->lock);
		free(c);
		return -r;
	}
	*ret = c;
	return 0;
}

void clients_free(struct clients *c)
{
	if (!c)
		return;
	pthread_mutex_lock(&c->lock);
	c->stopping = true;
	pthread_cond_signal(&c->wake);
	pthread_mutex_unlock(&c->lock);
	pthread_join(c->thread, NULL);
	pthread_cond_destroy(&c->wake);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

void clients_metrics_write(const struct clients *clients, FILE *to)
{
	struct clients *c = (struct clients *)(uintptr_t)clients;
	pthread_mutex_lock(&c->lock);
	uint64_t n = c->n;
	uint64_t waiting = c->waiting;
	pthread_mutex_unlock(&c->lock);
	fprintf(to,
	        "# HELP keydir_http_connections Connections open\n"
	        "# TYPE keydir_http_connections gauge\n"
	        "keydir_http_connections %llu\n"
	        "# HELP keydir_http_connections_limit Connections that there may be (--connections)\n"
	        "# TYPE keydir_http_connections_limit gauge\n"
	        "keydir_http_connections_limit %llu\n"
	        "# HELP keydir_http_waiting Connections that wait for changes or follow them\n"
	        "# TYPE keydir_http_waiting gauge\n"
	        "keydir_http_waiting %llu\n"
	        "# HELP keydir_http_waiting_limit Connections that may do so at once\n"
	        "# TYPE keydir_http_waiting_limit gauge\n"
	        "keydir_http_waiting_limit %llu\n"
	        "# HELP keydir_http_connections_closed_total Connections closed on clients\n"
	        "# TYPE keydir_http_connections_closed_total counter\n"
	        "keydir_http_connections_closed_total{reason=\"slow\"} %llu\n"
	        "keydir_http_connections_closed_total{reason=\"gone\"} %llu\n"
	        "keydir_http_connections_closed_total{reason=\"room\"} %llu\n"
	        "keydir_http_connections_closed_total{reason=\"waiting\"} %llu\n",
	        (unsigned long long)n, (unsigned long long)c->config.most,
	        (unsigned long long)waiting, (unsigned long long)c->config.waiting_most,
	        (unsigned long long)atomic_load(&c->closed_slow),
	        (unsigned long long)atomic_load(&c->closed_gone),
	        (unsigned long long)atomic_load(&c->closed_room),
	        (unsigned long long)atomic_load(&c->closed_waiting));
}
