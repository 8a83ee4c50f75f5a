/* Peer list: the nodes that --peers names.
 *
 * A cluster whose nodes come and go has one name for all of them, in the DNS or in a container
 * network, and --peers gives that name. libcurl treats a name with several addresses as one server
 * and uses the first address that answers. So the addresses are resolved here, and each becomes a
 * peer of its own, which keeps the common name for the Host header and the certificate. The prefix
 * "dns+" asks for this, because a single node can have several addresses, too (IPv4 and IPv6).
 *
 * The list may contain this node's own address: its own status is left out (httpd/peers.c), and it
 * has no snapshot to offer while it has no store.
 *
 * No lock. */
#include "common/node/peer_list.h"

#include <curl/curl.h>
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define DNS "dns+"

/* Append a peer with copies of the texts. Returns 0 or -ENOMEM. */
static int add_peer(struct peer_list *list, const char *url, const char *base, const char *address,
                    const char *error)
{
	struct peer *peers = realloc(list->peers, (list->n + 1) * sizeof(*peers));

	if (!peers)
		return -ENOMEM;
	list->peers = peers;
	struct peer *peer = &peers[list->n++];
	*peer = (struct peer){
		.url = strdup(url),
		.base = strdup(base),
		.address = address ? strdup(address) : NULL,
		.error = error ? strdup(error) : NULL,
	};
	return peer->url && peer->base && (peer->address || !address) && (peer->error || !error) ?
	               0 :
	               -ENOMEM;
}

static bool has_url(const struct peer_list *list, const char *url)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->peers[i].url, url) == 0)
			return true;
	return false;
}

/* Write the address in INFO, as a URL has it, to TEXT. Returns 0 or an error of getnameinfo(3). */
static int write_address(const struct addrinfo *info, char *text, size_t size)
{
	bool six = info->ai_family == AF_INET6;
	int r = getnameinfo(info->ai_addr, info->ai_addrlen, text + six, (socklen_t)(size - 2),
	                    NULL, 0, NI_NUMERICHOST);

	if (r == 0 && six) {
		size_t len = strlen(text);
		text[0] = '[';
		memcpy(text + len, "]", 2);
	}
	return r;
}

/* Append the peer at ADDRESS, unless it is listed. PARTS are those of BASE. 0 or -ENOMEM. */
static int add_address(struct peer_list *list, const char *base, CURLU *parts, const char *address)
{
	char *url = NULL;
	int r = -ENOMEM;

	if (curl_url_set(parts, CURLUPART_HOST, address, 0) == CURLUE_OK &&
	    curl_url_get(parts, CURLUPART_URL, &url, 0) == CURLUE_OK) {
		size_t len = strlen(url);
		if (len && url[len - 1] == '/')
			url[len - 1] = '\0';
		r = has_url(list, url) ? 0 : add_peer(list, url, base, address, NULL);
	}
	curl_free(url);
	return r;
}

/* Append a peer for each address of NAME, the host in BASE, whose parts are in PARTS. Returns 0 or
 * -ENOMEM. */
static int add_addresses(struct peer_list *list, const char *dns_url, const char *base,
                         CURLU *parts, const char *name)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
	struct addrinfo *found = NULL;
	char address[NI_MAXHOST + 2];
	int error = getaddrinfo(name, NULL, &hints, &found), r = 0;

	for (const struct addrinfo *at = found; at && error == 0 && r == 0; at = at->ai_next) {
		error = write_address(at, address, sizeof(address));
		if (error == 0)
			r = add_address(list, base, parts, address);
	}
	if (found)
		freeaddrinfo(found);
	return error ? add_peer(list, dns_url, base, NULL, gai_strerror(error)) : r;
}

/* Append the peers of DNS_URL, which begins with "dns+". Returns 0 or -ENOMEM. */
static int add_dns(struct peer_list *list, const char *dns_url, bool resolve)
{
	const char *base = dns_url + strlen(DNS);
	CURLU *parts = curl_url();
	char *name = NULL;
	int r;

	if (!parts)
		return -ENOMEM;
	if (!resolve)
		r = add_peer(list, dns_url, base, NULL, "not asked yet");
	else if (curl_url_set(parts, CURLUPART_URL, base, 0) ||
	         curl_url_get(parts, CURLUPART_HOST, &name, 0))
		r = add_peer(list, dns_url, base, NULL,
		             "it is no URL: write it like dns+http://nodes:8080");
	else
		r = add_addresses(list, dns_url, base, parts, name);
	curl_free(name);
	curl_url_cleanup(parts);
	return r;
}

int peer_list_new(const char *urls, bool resolve, struct peer_list *ret)
{
	struct peer_list list = { 0 };
	int r = 0;

	for (const char *at = urls; at && *at && r == 0;) {
		size_t len = strcspn(at, ",");
		char *url = strndup(at, len);

		if (!url)
			r = -ENOMEM;
		else if (strncmp(url, DNS, strlen(DNS)) == 0)
			r = add_dns(&list, url, resolve);
		else if (len)
			r = add_peer(&list, url, url, NULL, NULL);
		free(url);
		at += len + (at[len] == ',');
	}
	if (r < 0)
		peer_list_free(&list);
	else
		*ret = list;
	return r;
}

void peer_list_free(struct peer_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		free(list->peers[i].url);
		free(list->peers[i].base);
		free(list->peers[i].address);
		free(list->peers[i].error);
	}
	free(list->peers);
	*list = (struct peer_list){ 0 };
}
