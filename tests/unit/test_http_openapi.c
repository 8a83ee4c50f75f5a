/* Tests of httpd/openapi.json: it describes the server's routes with their methods,
 * parameters and rights, and its problems. */
#include "httpd/console_files.h"
#include "httpd/problem.h"
#include "httpd/router.h"
#include "tests/unit/cmocka_all.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

static json_t *doc;

static int load_doc(void **state)
{
	static const char name[] = "../openapi.json";
	json_error_t error;
	(void)state;
	const struct console_file *file = console_file_find(name, sizeof(name) - 1);
	assert_non_null(file);
	doc = json_loadb(file->data, file->len, JSON_REJECT_DUPLICATES, &error);
	if (!doc)
		fail_msg("line %d: %s", error.line, error.text);
	return 0;
}

static int unload_doc(void **state)
{
	(void)state;
	json_decref(doc);
	return 0;
}

/* Return the target of a "$ref"; escapes of JSON pointers do not occur. */
static json_t *resolve_ref(json_t *node)
{
	const char *ref = json_string_value(json_object_get(node, "$ref"));
	if (!ref)
		return node;
	assert_int_equal(strncmp(ref, "#/", 2), 0);
	json_t *at = doc;
	for (const char *name = ref + 2; name;
	     name = strchr(name, '/') ? strchr(name, '/') + 1 : NULL) {
		size_t len = strcspn(name, "/");
		at = json_object_getn(at, name, len);
	}
	if (!at)
		fail_msg("%s points nowhere", ref);
	return at;
}

/* The console's page and files are not part of the API. */
static bool is_api(const char *path)
{
	return strcmp(path, "/") != 0 && strncmp(path, "/console", 8) != 0;
}

/* Return whether PATH in the description belongs to ROUTE: "/v1/kv/{key}" to
 * "/v1/kv/". */
static bool describes_route(const char *path, const struct route *route)
{
	size_t len = strlen(route->path);
	if (!route->has_key)
		return strcmp(path, route->path) == 0;
	return strncmp(path, route->path, len) == 0 && path[len] == '{';
}

static void method_key(enum http_method method, char *buf, size_t size)
{
	snprintf(buf, size, "%s", router_method_text(method));
	for (char *c = buf; *c; c++)
		*c = (char)tolower((unsigned char)*c);
}

/* Add the names of OPERATION's query parameters to SET. */
static void add_params(json_t *operation, json_t *set)
{
	size_t i;
	json_t *param;
	json_array_foreach(json_object_get(operation, "parameters"), i, param)
	{
		param = resolve_ref(param);
		if (strcmp(json_string_value(json_object_get(param, "in")), "query") == 0)
			json_object_set_new(set, json_string_value(json_object_get(param, "name")),
			                    json_true());
	}
}

static void compare_params(const char *what, const struct route_method *m, json_t *described)
{
	size_t n = 0;
	for (; m->params && m->params[n]; n++)
		if (!json_object_get(described, m->params[n]))
			fail_msg("%s: ?%s is not described", what, m->params[n]);
	if (json_object_size(described) != n)
		fail_msg("%s: more parameters are described than there are", what);
}

/* Compare one method of a route with all operations described for it. */
static void compare_method(const struct route *route, const struct route_method *m)
{
	char what[128], method[16];
	const char *path;
	json_t *item;
	json_t *params = json_object();
	bool found = false, body = false;
	method_key(m->method, method, sizeof(method));
	snprintf(what, sizeof(what), "%s %s", router_method_text(m->method), route->path);
	json_object_foreach(json_object_get(doc, "paths"), path, item)
	{
		json_t *operation = json_object_get(item, method);
		if (!operation || !describes_route(path, route))
			continue;
		found = true;
		add_params(operation, params);
		body = body || json_object_get(operation, "requestBody");
		json_t *security = json_object_get(operation, "security");
		bool open = security && !json_array_size(security);
		if (open != (m->need == ACCESS_OPEN))
			fail_msg("%s: who may is described wrongly", what);
	}
	if (!found)
		fail_msg("%s is not described", what);
	if (body != (m->body_max != 0))
		fail_msg("%s: whether it takes a body is described wrongly", what);
	compare_params(what, m, params);
	json_decref(params);
}

static void test_routes_are_described(void **state)
{
	const struct route *route;
	size_t n = 0;
	(void)state;
	for (size_t i = 0; (route = router_row(i)); i++) {
		for (const struct route_method *m = route->methods; m->run && is_api(route->path);
		     m++) {
			compare_method(route, m);
			n++;
		}
	}
	assert_true(n > 20);
}

/* Return whether there is a route for METHOD of PATH. */
static bool has_route(const char *path, const char *method)
{
	const struct route *route;
	char text[16];
	for (size_t i = 0; (route = router_row(i)); i++) {
		for (const struct route_method *m = route->methods; m->run; m++) {
			method_key(m->method, text, sizeof(text));
			if (describes_route(path, route) && strcmp(text, method) == 0)
				return true;
		}
	}
	return false;
}

static void test_described_operations_have_a_route(void **state)
{
	const char *path, *method;
	json_t *item, *operation;
	size_t n = 0;
	(void)state;
	json_object_foreach(json_object_get(doc, "paths"), path, item)
	{
		json_object_foreach(item, method, operation)
		{
			if (!has_route(path, method))
				fail_msg("%s %s is described and not there", method, path);
			n++;
		}
	}
	assert_true(n > 20);
}

/* Return the types of problems that the responses name, each with its status. */
static json_t *described_problems(void)
{
	const char *name;
	json_t *response, *schema, *type;
	size_t i;
	json_t *set = json_object();
	json_object_foreach(json_object_get(json_object_get(doc, "components"), "responses"), name,
	                    response)
	{
		schema = json_object_get(json_object_get(json_object_get(response, "content"),
		                                         "application/problem+json"),
		                         "schema");
		json_t *members = json_object_get(
		        json_array_get(json_object_get(schema, "allOf"), 1), "properties");
		/* A range of one value; code generators cannot merge a const with an integer. */
		json_t *range = json_object_get(members, "status");
		json_t *status = json_object_get(range, "minimum");
		assert_true(json_equal(status, json_object_get(range, "maximum")));
		json_array_foreach(json_object_get(json_object_get(members, "type"), "enum"), i,
		                   type)
		{
			char text[128];
			snprintf(text, sizeof(text), "%lld %s",
			         (long long)json_integer_value(status), json_string_value(type));
			json_object_set_new(set, text, json_true());
		}
	}
	return set;
}

static void test_problems_are_described(void **state)
{
	static const struct {
		int status;
		const char *slug;
	} problems[] = {
#define X(id, status, slug, title) { status, slug },
		PROBLEMS(X)
#undef X
	};
	size_t n = ARRAY_SIZE(problems);
	json_t *set = described_problems();
	(void)state;
	for (size_t i = 0; i < n; i++) {
		char text[128];
		snprintf(text, sizeof(text), "%d urn:keydir:problem:%s", problems[i].status,
		         problems[i].slug);
		if (!json_object_get(set, text))
			fail_msg("%s is not described", text);
	}
	assert_int_equal(json_object_size(set), n);
	json_decref(set);
}

/* Check that every reference below NODE points somewhere; return their number. */
static size_t count_refs(json_t *node)
{
	const char *name;
	json_t *child;
	size_t i, n = 0;
	if (json_is_object(node)) {
		if (json_object_get(node, "$ref")) {
			resolve_ref(node);
			n++;
		}
		json_object_foreach(node, name, child) n += count_refs(child);
	} else if (json_is_array(node)) {
		json_array_foreach(node, i, child) n += count_refs(child);
	}
	return n;
}

static void test_references_point_somewhere(void **state)
{
	(void)state;
	assert_true(count_refs(doc) > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_routes_are_described),
		cmocka_unit_test(test_described_operations_have_a_route),
		cmocka_unit_test(test_problems_are_described),
		cmocka_unit_test(test_references_point_somewhere),
	};
	return cmocka_run_group_tests(tests, load_doc, unload_doc);
}
