/* Settings: keydir-httpd's options and their values. */
#ifndef KEYDIR_HTTPD_SETTINGS_H
#define KEYDIR_HTTPD_SETTINGS_H

#include "common/node/options.h"

#include <netinet/in.h>
#include <sys/socket.h>

struct settings {
	struct node_options node;
	const char *listen;
	bool insecure;
	uint64_t threads;     /* 0: one per processor */
	uint64_t connections; /* at a time, in all */
	uint64_t per_address; /* at a time, from one address; 0: see settings_rows */
	int64_t idle_timeout_ms;
	int64_t heartbeat_ms;
	int64_t request_timeout_ms;
	uint64_t answer_memory;  /* bytes of all responses; 0: see settings_rows */
	const char *tokens;      /* file; NULL: every client may do everything */
	const char *tls_cert;    /* file; NULL: no TLS */
	const char *tls_key;     /* file */
	const char *cors_origin; /* NULL: none */
	const char *allow_host;  /* names in addition to the machine's; NULL: none */
	const char *access_log;  /* "off", "stdout", "stderr" or a file */
	bool hash_token;
	bool help;
	bool version;

	/* derived from the above by settings_load() */
	struct sockaddr_storage address;
	socklen_t address_len;
	bool debug; /* log each request */
};

extern const struct option_row settings_rows[];

/* Fill SETTINGS from defaults, environment and ARGV, and check it. Returns 0, or -EINVAL with a
 * sentence in WHY. With help or version set the rest is not checked. */
int settings_load(struct settings *settings, int argc, char **argv, char *why, size_t why_size);

/* Parse "ADDR:PORT", "[ADDR]:PORT" or "NAME:PORT" (a name is resolved on this machine). Returns 0,
 * or -EINVAL with a sentence in WHY. */
int settings_parse_address(const char *text, struct sockaddr_storage *ret, socklen_t *ret_len,
                           char *why, size_t why_size);

/* Return whether ADDRESS is in 127.0.0.0/8 or ::1, or their mapped form. */
bool settings_is_loopback(const struct sockaddr_storage *address);

#endif
