/* Settings: keydir-httpd's options and their values.
 *
 * One table: parsing, --help, the environment and the man page come from it. Without tokens the
 * server listens on loopback only, unless --insecure states that its network is trusted. */
#include "httpd/settings.h"

#include "httpd/answer_memory.h"
#include "httpd/cors.h"
#include "httpd/hosts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define THREADS_MAX 256
#define CONNECTIONS_MAX 1000000

const struct option_row settings_rows[] = {
	NODE_OPTION_ROWS(struct settings, node),
	{ "listen", 0, "KEYDIR_LISTEN", OPTION_TEXT, "ADDR:PORT", "127.0.0.1:8080",
	  "address to serve REST on; write an IPv6 address in brackets",
	  offsetof(struct settings, listen) },
	{ "tokens", 0, "KEYDIR_TOKENS", OPTION_TEXT, "FILE", NULL,
	  "file with the rights of bearer tokens; reloaded on SIGHUP",
	  offsetof(struct settings, tokens) },
	{ "insecure", 0, "KEYDIR_INSECURE", OPTION_FLAG, NULL, NULL,
	  "without --tokens, allow an address other than loopback, where every client that "
	  "reaches it can read and write",
	  offsetof(struct settings, insecure) },
	{ "tls-cert", 0, "KEYDIR_TLS_CERT", OPTION_TEXT, "FILE", NULL,
	  "serve HTTPS with this certificate (PEM, followed by its chain); reloaded on SIGHUP",
	  offsetof(struct settings, tls_cert) },
	{ "tls-key", 0, "KEYDIR_TLS_KEY", OPTION_TEXT, "FILE", NULL,
	  "the private key of the certificate (PEM)", offsetof(struct settings, tls_key) },
	{ "cors-origin", 0, "KEYDIR_CORS_ORIGIN", OPTION_TEXT, "ORIGIN,...", NULL,
	  "origins whose pages may use this server from a browser; * for all",
	  offsetof(struct settings, cors_origin) },
	{ "allow-host", 0, "KEYDIR_ALLOW_HOST", OPTION_TEXT, "NAME,...", NULL,
	  "without --tokens, names that requests may have in their Host header, in addition to "
	  "localhost, addresses, this machine's name and those in --listen and --peers; * for all",
	  offsetof(struct settings, allow_host) },
	{ "access-log", 0, "KEYDIR_ACCESS_LOG", OPTION_TEXT, "WHERE", "off",
	  "a line of JSON for each request: off, stdout, stderr or a file, reopened on SIGHUP",
	  offsetof(struct settings, access_log) },
	{ "threads", 0, "KEYDIR_THREADS", OPTION_COUNT, "N", "0",
	  "threads that serve; 0 means one per processor", offsetof(struct settings, threads) },
	{ "connections", 0, "KEYDIR_CONNECTIONS", OPTION_COUNT, "N", "10000",
	  "maximum number of open connections; when few are left, idle ones are closed",
	  offsetof(struct settings, connections) },
	{ "connections-per-address", 0, "KEYDIR_CONNECTIONS_PER_ADDRESS", OPTION_COUNT, "N", "0",
	  "maximum number of open connections from one address; 0 means no limit on loopback, "
	  "where a proxy may be the only client, and a quarter of all elsewhere",
	  offsetof(struct settings, per_address) },
	{ "idle-timeout", 0, "KEYDIR_IDLE_TIMEOUT", OPTION_DURATION, "TIME", "75s",
	  "how long a connection may be silent before it is closed",
	  offsetof(struct settings, idle_timeout_ms) },
	{ "request-timeout", 0, "KEYDIR_REQUEST_TIMEOUT", OPTION_DURATION, "TIME", "60s",
	  "how long a client may take to send a request, and to read the response; each 64 KiB "
	  "adds a second",
	  offsetof(struct settings, request_timeout_ms) },
	{ "answer-memory", 0, "KEYDIR_ANSWER_MEMORY", OPTION_BYTES, "BYTES", "0",
	  "memory limit of all responses being built and sent; beyond it requests are answered "
	  "503; 0 means eight times --max-value, at least 256M",
	  offsetof(struct settings, answer_memory) },
	{ "hash-token", 0, NULL, OPTION_FLAG, NULL, NULL,
	  "read a token from standard input, print its hash for the token file, and exit",
	  offsetof(struct settings, hash_token) },
	{ "heartbeat", 0, "KEYDIR_HEARTBEAT", OPTION_DURATION, "TIME", "15s",
	  "heartbeat interval of watchers without changes",
	  offsetof(struct settings, heartbeat_ms) },
	{ "help", 'h', NULL, OPTION_FLAG, NULL, NULL, "print this and exit",
	  offsetof(struct settings, help) },
	{ "version", 'V', NULL, OPTION_FLAG, NULL, NULL, "print the version and exit",
	  offsetof(struct settings, version) },
	{ 0 },
};

bool settings_is_loopback(const struct sockaddr_storage *address)
{
	if (address->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)address;
		return ntohl(in->sin_addr.s_addr) >> 24 == 127;
	}
	if (address->ss_family == AF_INET6) {
		const struct in6_addr *in6 = &((const struct sockaddr_in6 *)address)->sin6_addr;
		return IN6_IS_ADDR_LOOPBACK(in6) ||
		       (IN6_IS_ADDR_V4MAPPED(in6) && in6->s6_addr[12] == 127);
	}
	return false;
}

int settings_parse_address(const char *text, struct sockaddr_storage *ret, socklen_t *ret_len,
                           char *why, size_t why_size)
{
	char host[256];
	const char *colon = strrchr(text, ':');
	const char *start = text;
	const char *end = colon;
	if (colon && text[0] == '[' && colon > text && colon[-1] == ']') {
		start++;
		end--;
	} else if (colon && memchr(text, ':', (size_t)(colon - text))) {
		snprintf(why, why_size,
		         "--listen %s: write an IPv6 address in brackets, as in [::1]:8080", text);
		return -EINVAL;
	}
	if (!colon || end == start || (size_t)(end - start) >= sizeof(host)) {
		snprintf(why, why_size, "--listen %s: expected ADDR:PORT, as in 127.0.0.1:8080",
		         text);
		return -EINVAL;
	}
	memcpy(host, start, (size_t)(end - start));
	host[end - start] = '\0';
	const char *port = colon + 1;
	char *stop;
	errno = 0;
	unsigned long number = strtoul(port, &stop, 10);
	if (!*port || *stop || *port == '-' || *port == '+' || number > 65535) {
		snprintf(why, why_size, "--listen %s: the port must be a number up to 65535", text);
		return -EINVAL;
	}
	struct addrinfo hints = { .ai_family = AF_UNSPEC,
		                  .ai_socktype = SOCK_STREAM,
		                  .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
	struct addrinfo *list;
	int r = getaddrinfo(host, port, &hints, &list);
	if (r) {
		snprintf(why, why_size, "--listen %s: %s", text, gai_strerror(r));
		return -EINVAL;
	}
	memset(ret, 0, sizeof(*ret));
	memcpy(ret, list->ai_addr, list->ai_addrlen);
	*ret_len = list->ai_addrlen;
	freeaddrinfo(list);
	return 0;
}

/* Set the default of --answer-memory, or check the given value: a page of a listing with the
 * largest value must fit, as read and as text of twice its length. */
static int check_answer_memory(struct settings *s, char *why, size_t why_size)
{
	uint64_t least = 4 * s->node.max_value + (UINT64_C(32) << 20);
	if (!s->answer_memory) {
		s->answer_memory = 8 * s->node.max_value;
		if (s->answer_memory < ANSWER_MEMORY_DEFAULT)
			s->answer_memory = ANSWER_MEMORY_DEFAULT;
	}
	if (s->answer_memory >= least)
		return 0;
	snprintf(why, why_size,
	         "--answer-memory: expected at least %llu bytes, four times --max-value plus 32M",
	         (unsigned long long)least);
	return -EINVAL;
}

static int check_settings(struct settings *s, char *why, size_t why_size)
{
	int r = settings_parse_address(s->listen, &s->address, &s->address_len, why, why_size);
	if (r)
		return r;
	bool loopback = settings_is_loopback(&s->address);
	if (!s->insecure && !s->tokens && !loopback) {
		snprintf(why, why_size,
		         "--listen %s: every client that reaches this address could read and "
		         "write; set --tokens, listen on loopback with Nginx in front, or set "
		         "--insecure",
		         s->listen);
		return -EINVAL;
	}
	if (!s->tls_cert != !s->tls_key) {
		snprintf(why, why_size, "--tls-cert and --tls-key must be set together");
		return -EINVAL;
	}
	if (s->cors_origin && !cors_is_valid(s->cors_origin)) {
		snprintf(why, why_size,
		         "--cors-origin %s: expected origins as browsers write them, joined by "
		         "commas (https://app.example), or *",
		         s->cors_origin);
		return -EINVAL;
	}
	if (s->allow_host && !hosts_are_valid(s->allow_host)) {
		snprintf(why, why_size,
		         "--allow-host %s: expected names without a port, joined by commas "
		         "(cache.example,node1), or *",
		         s->allow_host);
		return -EINVAL;
	}
	if (s->threads > THREADS_MAX) {
		snprintf(why, why_size, "--threads: at most %d", THREADS_MAX);
		return -EINVAL;
	}
	if (!s->threads) {
		long n = sysconf(_SC_NPROCESSORS_ONLN);
		s->threads = n < 1 ? 1 : n > THREADS_MAX ? THREADS_MAX : (uint64_t)n;
	}
	if (s->connections < s->threads || s->connections > CONNECTIONS_MAX) {
		snprintf(why, why_size,
		         "--connections: expected at least one per thread, and at "
		         "most %d",
		         CONNECTIONS_MAX);
		return -EINVAL;
	}
	if (!s->per_address && !loopback)
		s->per_address = (s->connections + 3) / 4;
	if (s->heartbeat_ms < 100 || s->heartbeat_ms > 3600000) {
		snprintf(why, why_size, "--heartbeat: expected 100ms to 1h");
		return -EINVAL;
	}
	if (s->idle_timeout_ms < 1000 || s->idle_timeout_ms > 86400000) {
		snprintf(why, why_size, "--idle-timeout: expected 1s to 1d");
		return -EINVAL;
	}
	if (s->request_timeout_ms < 1000 || s->request_timeout_ms > 86400000) {
		snprintf(why, why_size, "--request-timeout: expected 1s to 1d");
		return -EINVAL;
	}
	return check_answer_memory(s, why, why_size);
}

int settings_load(struct settings *settings, int argc, char **argv, char *why, size_t why_size)
{
	memset(settings, 0, sizeof(*settings));
	int args;
	int r = options_parse(settings_rows, argc, argv, settings, &args, why, why_size);
	if (r)
		return r;
	if (settings->help || settings->version || settings->hash_token)
		return 0;
	if (args < argc) {
		snprintf(why, why_size, "%s: unexpected argument; keydir-httpd takes only options",
		         argv[args]);
		return -EINVAL;
	}
	return check_settings(settings, why, why_size);
}
