/* Console: GET and HEAD of the page at `/`, and its files below /console/.
 *
 * The page holds no data and needs no token; it requests data with the token that its user enters.
 * Names and values of keys come from other people, so the page has as few rights as possible: no
 * script but ours, no text that becomes markup (Trusted Types without any policy), nothing from or
 * to another host, no frame around it. */
#include "httpd/handlers.h"

#include "httpd/conditions.h"
#include "httpd/console_files.h"
#include "httpd/problem.h"
#include "httpd/respond.h"
#include "httpd/router.h"

static const char policy[] = "default-src 'none'; script-src 'self'; style-src 'self'; "
                             "img-src 'self'; connect-src 'self'; base-uri 'none'; "
                             "form-action 'none'; frame-ancestors 'none'; "
                             "require-trusted-types-for 'script'; trusted-types 'none'";

static bool client_has(const struct request *rq, const struct console_file *file)
{
	struct condition_tags tags;
	return rq->headers.if_none_match &&
	       !conditions_tags(rq->headers.if_none_match, &conditions_no_volume, &tags) &&
	       conditions_match(&tags, file->tag, false);
}

static enum MHD_Result send_file(struct request *rq, const char *name, size_t len)
{
	const struct console_file *file = console_file_find(name, len);
	if (!file || rq->key_is_dir)
		return problem(rq, PROBLEM_NO_ROUTE, RESPOND_OFFSET_NOW,
		               "The console has no such file. It is at /.");
	bool known = client_has(rq, file);
	struct MHD_Response *response = known || rq->method == HTTP_HEAD ?
	                                        response_size(file->len) :
	                                        response_static(file->data, file->len);
	response_etag(response, file->tag, &conditions_no_volume);
	response_header(response, "Cache-Control", "no-cache");
	response_header(response, "Content-Security-Policy", policy);
	response_header(response, "Referrer-Policy", "no-referrer");
	if (!known)
		response_header(response, "Content-Type", file->type);
	return respond_send(rq, known ? 304 : 200, RESPOND_OFFSET_NOW, response);
}

enum MHD_Result handle_console(struct request *rq)
{
	if (rq->route->has_key)
		return send_file(rq, rq->key, rq->key_len);
	return send_file(rq, "index.html", sizeof("index.html") - 1);
}
