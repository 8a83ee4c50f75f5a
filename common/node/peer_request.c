/* Peer requests: how this node asks another one over REST.
 *
 * Fetching a snapshot and asking for a status need the same token, certificates
 * and settings of libcurl. Peers are machines of the same cluster: a proxy that the
 * environment names (http_proxy) is for other places, and would be shown the token.
 *
 * No lock. */
#include "common/node/peer_request.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define URL_BYTES 2048
#define TOKEN_BYTES 1024

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void curl_start(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* Read the first line of FILE into TOKEN. Returns 0, or -EINVAL with a sentence in WHY. */
static int read_token(const char *file, char token[TOKEN_BYTES], char *why, size_t why_size)
{
	FILE *from = fopen(file, "re");

	if (!from) {
		snprintf(why, why_size, "--peer-token-file %.200s: %s", file, strerror(errno));
		return -EINVAL;
	}
	const char *line = fgets(token, TOKEN_BYTES, from);
	fclose(from);
	size_t len = line ? strcspn(token, "\r\n") : 0;
	if (len == 0 || len == TOKEN_BYTES - 1) {
		snprintf(why, why_size, "--peer-token-file %.200s: its first line is no token",
		         file);
		return -EINVAL;
	}
	token[len] = '\0';
	return 0;
}

int peer_access_check(const struct peer_access *given, char *why, size_t why_size)
{
	char token[TOKEN_BYTES];

	if (given->token && given->token_file) {
		snprintf(why, why_size, "--peer-token and --peer-token-file: give one of them");
		return -EINVAL;
	}
	if (given->ca_file && access(given->ca_file, R_OK) < 0) {
		snprintf(why, why_size, "--peer-ca %.200s: %s", given->ca_file, strerror(errno));
		return -EINVAL;
	}
	return given->token_file ? read_token(given->token_file, token, why, why_size) : 0;
}

/* Make REQUEST connect to ADDRESS, whatever the name in its URL resolves to. Returns false without
 * memory. */
static bool connect_to(CURL *request, const char *address)
{
	char rule[NI_MAXHOST + 8]; /* for every host and port, the same port at ADDRESS */

	snprintf(rule, sizeof(rule), "::%s:", address);
	struct curl_slist *rules = curl_slist_append(NULL, rule);
	curl_easy_setopt(request, CURLOPT_PRIVATE, rules);
	curl_easy_setopt(request, CURLOPT_CONNECT_TO, rules);
	return rules;
}

CURL *peer_request_new(const struct peer_access *given, const struct peer *peer, const char *path,
                       char error[CURL_ERROR_SIZE])
{
	char url[URL_BYTES], from_file[TOKEN_BYTES];
	const char *token = given->token;
	size_t len = strlen(peer->base);

	error[0] = '\0';
	if (peer->error) {
		snprintf(error, CURL_ERROR_SIZE, "%s", peer->error);
		return NULL;
	}
	while (len && peer->base[len - 1] == '/')
		len--;
	if ((size_t)snprintf(url, sizeof(url), "%.*s%s", (int)len, peer->base, path) >=
	    sizeof(url)) {
		snprintf(error, CURL_ERROR_SIZE, "its address has more than %d bytes", URL_BYTES);
		return NULL;
	}
	if (given->token_file) {
		if (read_token(given->token_file, from_file, error, CURL_ERROR_SIZE) < 0)
			return NULL;
		token = from_file;
	}
	pthread_once(&curl_once, curl_start);
	CURL *request = curl_easy_init();
	if (!request || (peer->address && !connect_to(request, peer->address))) {
		snprintf(error, CURL_ERROR_SIZE, "out of memory");
		peer_request_free(request);
		return NULL;
	}
	curl_easy_setopt(request, CURLOPT_URL, url);
	curl_easy_setopt(request, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(request, CURLOPT_FAILONERROR, 1L);
	curl_easy_setopt(request, CURLOPT_ERRORBUFFER, error);
	curl_easy_setopt(request, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(request, CURLOPT_NOPROXY, "*");
	if (given->ca_file)
		curl_easy_setopt(request, CURLOPT_CAINFO, given->ca_file);
	if (token) {
		curl_easy_setopt(request, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
		curl_easy_setopt(request, CURLOPT_XOAUTH2_BEARER, token);
	}
	return request;
}

void peer_request_free(CURL *request)
{
	struct curl_slist *rules = NULL;

	if (!request)
		return;
	curl_easy_getinfo(request, CURLINFO_PRIVATE, &rules);
	curl_easy_cleanup(request);
	curl_slist_free_all(rules);
}

int peer_request_run(CURL *request, char error[CURL_ERROR_SIZE])
{
	long status = 0;
	CURLcode code = curl_easy_perform(request);

	curl_easy_getinfo(request, CURLINFO_RESPONSE_CODE, &status);
	if (code == CURLE_OK && status == 200)
		return 0;
	if (code == CURLE_OK || code == CURLE_HTTP_RETURNED_ERROR)
		snprintf(error, CURL_ERROR_SIZE, "it answers %ld%s", status,
		         status == 401 || status == 403 ? ": see --peer-token" : "");
	else if (!error[0])
		snprintf(error, CURL_ERROR_SIZE, "%s", curl_easy_strerror(code));
	return -EIO;
}
