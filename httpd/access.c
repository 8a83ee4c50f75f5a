/* Access: authorization of requests.
 *
 * A request is authorized by its token, its route and the keys that it names, before the store is
 * read: a 403 response does not reveal which keys exist. Every route states the right that it
 * requires in its row; a row without one requires admin.
 *
 * A request keeps a reference to the token table that it was checked against, so a reload never
 * frees it early; the lock protects only the pointer to the table in force.
 *
 * A browser sends the "simple" requests of a page to any address without asking, so any page on the
 * web could POST to a node on loopback. Browsers report the origin of such a request: in
 * Sec-Fetch-Site if they trust the address (HTTPS, localhost), and always in Origin. A change from
 * another site is refused unless --cors-origin names it. Other methods that change something are
 * not simple, so browsers send them only with the permission that cors.c gives, or if the page's
 * own name resolves to this server, which hosts.c prevents.
 *
 * Each refusal is logged in one line with the details that an investigation needs. Lines above the
 * rate of logger_allow() are counted and dropped, so that a refused client cannot fill a disk. */
#include "httpd/access.h"

#include "common/base/key.h"
#include "common/base/logger.h"
#include "httpd/access_log.h"
#include "httpd/clients.h"
#include "httpd/cors.h"
#include "httpd/hosts.h"
#include "httpd/problem.h"
#include "httpd/respond.h"
#include "httpd/router.h"
#include "httpd/server.h"

#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct access {
	char *file;            /* NULL: no tokens */
	pthread_mutex_t lock;  /* protects `tokens`, the pointer */
	struct tokens *tokens; /* NULL: no tokens */
};

/* Why requests were refused. */
enum refusal { REFUSED_UNKNOWN, REFUSED_RIGHT, REFUSED_SITE, REFUSED_HOST, REFUSALS };
static const char *const refusal_names[] = { "unauthenticated", "forbidden", "cross_site",
	                                     "unknown_host" };
static _Atomic uint64_t refused[REFUSALS];
static struct logger_limit denied_lines;

int access_new(const char *file, struct access **ret, char *why, size_t why_size)
{
	struct access *access = calloc(1, sizeof(*access));
	int r = 0;
	if (access && file)
		access->file = strdup(file);
	if (!access || (file && !access->file)) {
		snprintf(why, why_size, "out of memory");
		free(access);
		return -ENOMEM;
	}
	pthread_mutex_init(&access->lock, NULL);
	if (file)
		r = access_reload(access, why, why_size);
	if (r) {
		access_free(access);
		return r;
	}
	*ret = access;
	return 0;
}

void access_free(struct access *access)
{
	if (!access)
		return;
	tokens_unref(access->tokens);
	pthread_mutex_destroy(&access->lock);
	free(access->file);
	free(access);
}

int access_reload(struct access *access, char *why, size_t why_size)
{
	struct tokens *fresh;
	if (!access->file)
		return 0;
	int r = tokens_load(access->file, &fresh, why, why_size);
	if (r)
		return r;
	logger(LOGGER_INFO, "tokens read file=%s tokens=%zu", access->file, tokens_count(fresh));
	pthread_mutex_lock(&access->lock);
	struct tokens *old = access->tokens;
	access->tokens = fresh;
	pthread_mutex_unlock(&access->lock);
	tokens_unref(old);
	return 0;
}

/* Return a reference to the table in force, or NULL without tokens. */
static struct tokens *in_force(struct access *access)
{
	if (!access->file)
		return NULL;
	pthread_mutex_lock(&access->lock);
	struct tokens *tokens = tokens_ref(access->tokens);
	pthread_mutex_unlock(&access->lock);
	return tokens;
}

/* Return the secret in an Authorization header, or NULL for another scheme. */
static const char *bearer_secret(const char *header, size_t *ret_len)
{
	if (!header || strncasecmp(header, "Bearer", 6) != 0 || header[6] != ' ')
		return NULL;
	header += 6;
	while (*header == ' ')
		header++;
	size_t len = strlen(header);
	while (len && (header[len - 1] == ' ' || header[len - 1] == '\t'))
		len--; /* Blanks around a value do not belong to it (RFC 9110, 5.5). */
	*ret_len = len;
	return header;
}

/* --- refuse ---------------------------------------------------------------- */

/* Copy TEXT, a header's value, without the bytes that would let it imitate another field of a log
 * line. */
static void sanitize_text(const char *text, char *buf, size_t size)
{
	size_t n = 0;
	for (; text && *text && n < size - 1; text++)
		if (*text != ' ')
			buf[n++] = (char)(isalnum((unsigned char)*text) || strchr(".:,-[]", *text) ?
			                          *text :
			                          '?');
	if (!n)
		buf[n++] = '-';
	buf[n] = '\0';
}

/* Log a refusal in one line. The key is percent-encoded, so that no byte of it can imitate another
 * field. */
static void log_refusal(struct request *rq, enum refusal why, unsigned status,
                        enum token_right right, const char *key, size_t len)
{
	char address[CLIENT_ADDRESS_SIZE];
	char forwarded[128];
	char encoded[URL_ENCODED_MAX(KEY_NAME_MAX) + 1];
	uint64_t suppressed;
	atomic_fetch_add_explicit(&refused[why], 1, memory_order_relaxed);
	if (!logger_allow(&denied_lines, &suppressed))
		return;
	encoded[url_encode(key, len < KEY_NAME_MAX ? len : KEY_NAME_MAX, encoded)] = '\0';
	client_address(rq->conn, address, sizeof(address));
	sanitize_text(rq->headers.forwarded_for, forwarded, sizeof(forwarded));
	logger(LOGGER_WARN,
	       "denied status=%u reason=%s token=%s address=%s forwarded=%s method=%s needs=%s "
	       "key=/%s path=%.*s id=%s suppressed=%llu",
	       status, refusal_names[why], rq->token ? rq->token->name : "-", address, forwarded,
	       rq->method_text, token_right_text(right), encoded, (int)rq->url.path_len,
	       rq->url.path, request_id(rq), (unsigned long long)suppressed);
}

static bool refuse_unknown(struct request *rq, enum token_right right, enum MHD_Result *ret)
{
	bool given = rq->headers.authorization != NULL;
	log_refusal(rq, REFUSED_UNKNOWN, 401, right, rq->key, rq->key_len);
	struct MHD_Response *response = problem_response(
	        rq, PROBLEM_UNAUTHENTICATED, NULL,
	        given ? "The Authorization header holds no token that this server knows." :
	                "This needs a token: Authorization: Bearer TOKEN.");
	response_header(response, "WWW-Authenticate",
	                given ? "Bearer realm=\"keydir\", error=\"invalid_token\"" :
	                        "Bearer realm=\"keydir\"");
	*ret = respond_send(rq, 401, RESPOND_OFFSET_NOW, response);
	return false;
}

static bool refuse_right(struct request *rq, enum token_right right, const char *key, size_t len,
                         enum MHD_Result *ret)
{
	log_refusal(rq, REFUSED_RIGHT, 403, right, key, len);
	struct MHD_Response *response = problem_response(
	        rq, PROBLEM_FORBIDDEN, NULL,
	        len ? "This needs the right \"%s\" on the key, which the token does not have." :
	              "This needs the right \"%s\" on everything (/), which the token does not "
	              "have.",
	        token_right_text(right));
	response_header(response, "WWW-Authenticate",
	                "Bearer realm=\"keydir\", error=\"insufficient_scope\"");
	*ret = respond_send(rq, 403, RESPOND_OFFSET_NOW, response);
	return false;
}

static bool refuse_site(struct request *rq, enum MHD_Result *ret)
{
	log_refusal(rq, REFUSED_SITE, 403, TOKEN_NONE, rq->key, rq->key_len);
	*ret = problem(rq, PROBLEM_FORBIDDEN, RESPOND_OFFSET_NOW,
	               "A browser sent this change for a page of another site. Start the server "
	               "with --cors-origin if that site may use it.");
	return false;
}

static bool refuse_host(struct request *rq, enum MHD_Result *ret)
{
	log_refusal(rq, REFUSED_HOST, 421, TOKEN_NONE, rq->key, rq->key_len);
	*ret = problem(rq, PROBLEM_UNKNOWN_HOST, RESPOND_OFFSET_NOW,
	               "The Host of this request does not name this server; a page of another "
	               "site may have sent it. Use an address or localhost, or start the server "
	               "with --allow-host NAME if the name is its own.");
	return false;
}

/* --- decide ---------------------------------------------------------------- */

static bool is_foreign_change(const struct request *rq)
{
	const struct request_headers *h = &rq->headers;
	const char *site = h->sec_fetch_site;
	if (rq->method == HTTP_GET || rq->method == HTTP_HEAD)
		return false;
	bool foreign = site ? strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0 :
	                      h->origin && !hosts_is_origin(h->origin, h->host ? h->host : "");
	return foreign && !cors_allows(rq);
}

bool access_check(struct request *rq, enum MHD_Result *ret)
{
	static const enum token_right rights[] = {
		[ACCESS_ADMIN] = TOKEN_ADMIN,     [ACCESS_OPEN] = TOKEN_NONE,
		[ACCESS_MONITOR] = TOKEN_MONITOR, [ACCESS_READ] = TOKEN_READ,
		[ACCESS_WRITE] = TOKEN_WRITE,     [ACCESS_TOKEN] = TOKEN_NONE,
	};
	enum access_need need = router_method(rq->route, rq->method)->need;
	enum token_right right = rights[need];
	const char *secret;
	size_t len;
	rq->tokens = in_force(rq->server->access);
	/* With tokens, a page of another site has no token and gets nothing. */
	if (!rq->tokens && rq->headers.host && !hosts_allow(rq->server->hosts, rq->headers.host))
		return refuse_host(rq, ret);
	if (is_foreign_change(rq))
		return refuse_site(rq, ret);
	if (!rq->tokens)
		return true;
	secret = bearer_secret(rq->headers.authorization, &len);
	if (secret)
		rq->token = tokens_find(rq->tokens, secret, len);
	if (need == ACCESS_OPEN)
		return true;
	if (!rq->token)
		return refuse_unknown(rq, right, ret);
	if (need == ACCESS_TOKEN)
		return true;
	if (rq->route->has_key && (need == ACCESS_READ || need == ACCESS_WRITE))
		return access_key(rq, right, rq->key, rq->key_len, ret);
	return access_key(rq, right, "", 0, ret);
}

bool access_key(struct request *rq, enum token_right right, const char *key, size_t len,
                enum MHD_Result *ret)
{
	if (!rq->tokens || token_allows(rq->token, right, key, len))
		return true;
	return refuse_right(rq, right, key, len, ret);
}

bool access_holds(struct request *rq, enum token_right right, const char *key, size_t len)
{
	struct tokens *now = in_force(rq->server->access);
	const struct token *token = NULL;
	if (!now)
		return true;
	if (rq->token)
		token = tokens_same(now, rq->token);
	bool holds = token && token_allows(token, right, key, len);
	tokens_unref(now);
	return holds;
}

const struct token_grant *access_grants(const struct request *rq)
{
	return rq->token ? rq->token->grants : NULL;
}

void access_metrics_write(FILE *to)
{
	fputs("# HELP keydir_http_denied_total Requests refused because a right was missing\n"
	      "# TYPE keydir_http_denied_total counter\n",
	      to);
	for (int i = 0; i < REFUSALS; i++)
		fprintf(to, "keydir_http_denied_total{reason=\"%s\"} %llu\n", refusal_names[i],
		        (unsigned long long)atomic_load_explicit(&refused[i],
		                                                 memory_order_relaxed));
}
