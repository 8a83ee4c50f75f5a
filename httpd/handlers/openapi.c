/* OpenAPI: GET and HEAD of the API's OpenAPI 3.1 description, which is part of the program. */
#include "httpd/handlers.h"

#include "httpd/conditions.h"
#include "httpd/console_files.h"
#include "httpd/problem.h"
#include "httpd/respond.h"

enum MHD_Result handle_openapi(struct request *rq)
{
	static const char name[] = "../openapi.json";
	const struct console_file *file = console_file_find(name, sizeof(name) - 1);
	const char *text = rq->headers.if_none_match;
	struct condition_tags tags;
	if (!file)
		return problem(rq, PROBLEM_INTERNAL, RESPOND_OFFSET_NOW,
		               "This program was built without the description.");
	bool known = text && !conditions_tags(text, &conditions_no_volume, &tags) &&
	             conditions_match(&tags, file->tag, false);
	struct MHD_Response *response = known || rq->method == HTTP_HEAD ?
	                                        response_size(file->len) :
	                                        response_static(file->data, file->len);
	response_etag(response, file->tag, &conditions_no_volume);
	response_header(response, "Cache-Control", "no-cache");
	if (!known)
		response_header(response, "Content-Type", file->type);
	return respond_send(rq, known ? 304 : 200, RESPOND_OFFSET_NOW, response);
}
