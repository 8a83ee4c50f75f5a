/* Hosts: the names under which clients may address this server.
 *
 * A hostile page can point its own name at the address of this server (DNS rebinding); the
 * visitor's browser then takes both for one site and shows the page the stored data. Only the Host
 * that the browser sends differs. So without tokens a request is answered only under a name that
 * strangers cannot point here: an address; a name without a dot, which only the local network
 * resolves (a container's or a machine's name); a name of this machine; or one in --listen, --peers
 * or --allow-host.
 *
 * The list is built at the start and never changes: thread-safe. */
#include "httpd/hosts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._"

struct hosts {
	bool any;    /* "*" */
	char *names; /* names, each NUL-ended; an empty one ends the list */
	size_t len;
	size_t cap;
};

/* Return the name in an authority (NAME, NAME:PORT, [ADDRESS]:PORT), without brackets and without a
 * trailing dot. */
static const char *name_of(const char *authority, size_t len, size_t *ret_len)
{
	const char *end = authority + len;
	if (len && *authority == '[') {
		const char *close = memchr(authority, ']', len);
		*ret_len = close ? (size_t)(close - authority - 1) : 0;
		return authority + 1;
	}
	const char *colon = memchr(authority, ':', len);
	if (colon)
		end = colon;
	if (end > authority && end[-1] == '.')
		end--;
	*ret_len = (size_t)(end - authority);
	return authority;
}

static bool is_address(const char *name, size_t len)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr address;
	if (len >= sizeof(text))
		return false;
	memcpy(text, name, len);
	text[len] = '\0';
	return inet_pton(AF_INET, text, &address) == 1 || inet_pton(AF_INET6, text, &address) == 1;
}

/* Return whether only the local network resolves NAME, the name in HOST. */
static bool is_local_name(const char *host, const char *name, size_t len)
{
	return len && *host != '[' && !memchr(name, '.', len) &&
	       strspn(name, NAME_CHARACTERS) >= len;
}

static bool is_localhost(const char *name, size_t len)
{
	static const char top[] = "localhost";
	size_t n = sizeof(top) - 1;
	/* Names under localhost never leave the machine (RFC 6761, 6.3). */
	return len >= n && strncasecmp(name + len - n, top, n) == 0 &&
	       (len == n || name[len - n - 1] == '.');
}

static bool add_name(struct hosts *hosts, const char *name, size_t len)
{
	if (!len)
		return true;
	if (!hosts->names || hosts->len + len + 2 > hosts->cap) {
		size_t cap = 2 * (hosts->len + len + 2);
		char *names = realloc(hosts->names, cap);
		if (!names)
			return false;
		hosts->names = names;
		hosts->cap = cap;
	}
	memcpy(hosts->names + hosts->len, name, len);
	hosts->len += len;
	hosts->names[hosts->len++] = '\0';
	hosts->names[hosts->len] = '\0';
	return true;
}

/* Add the names in LIST (may be NULL), joined by commas; with URLS it is a list of base URLs. */
static bool add_list(struct hosts *hosts, const char *list, bool urls)
{
	for (const char *at = list; at && *at;) {
		size_t len = strcspn(at, ",");
		const char *name = at;
		const char *scheme = urls ? memmem(at, len, "://", 3) : NULL;
		if (scheme)
			name = scheme + 3;
		size_t name_len = (size_t)(at + len - name);
		const char *slash = memchr(name, '/', name_len);
		if (slash)
			name_len = (size_t)(slash - name);
		name = name_of(name, name_len, &name_len);
		if (name_len == 1 && *name == '*')
			hosts->any = true;
		if (!add_name(hosts, name, name_len))
			return false;
		at += len;
		at += *at == ',';
	}
	return true;
}

bool hosts_are_valid(const char *list)
{
	for (;;) {
		size_t len = strcspn(list, ",");
		if (!len)
			return false;
		for (size_t i = 0; i < len && !(len == 1 && *list == '*'); i++)
			if (!strchr(NAME_CHARACTERS, list[i]))
				return false;
		if (!list[len])
			return true;
		list += len + 1;
	}
}

int hosts_new(const struct settings *settings, struct hosts **ret)
{
	struct hosts *hosts = calloc(1, sizeof(*hosts));
	char own[256];
	if (!hosts)
		return -ENOMEM;
	if (gethostname(own, sizeof(own)))
		own[0] = '\0';
	own[sizeof(own) - 1] = '\0';
	if (!add_name(hosts, own, strlen(own)) || !add_name(hosts, own, strcspn(own, ".")) ||
	    !add_list(hosts, settings->listen, false) ||
	    !add_list(hosts, settings->node.peers, true) ||
	    !add_list(hosts, settings->allow_host, false)) {
		hosts_free(hosts);
		return -ENOMEM;
	}
	*ret = hosts;
	return 0;
}

void hosts_free(struct hosts *hosts)
{
	if (!hosts)
		return;
	free(hosts->names);
	free(hosts);
}

bool hosts_allow(const struct hosts *hosts, const char *host)
{
	size_t len;
	const char *name = name_of(host, strlen(host), &len);
	if (hosts->any || is_address(name, len) || is_localhost(name, len) ||
	    is_local_name(host, name, len))
		return true;
	for (const char *at = hosts->names; at && *at; at += strlen(at) + 1)
		if (strlen(at) == len && strncasecmp(at, name, len) == 0)
			return true;
	return false;
}

bool hosts_is_origin(const char *origin, const char *host)
{
	const char *authority = strstr(origin, "://");
	return authority && strcasecmp(authority + 3, host) == 0;
}
