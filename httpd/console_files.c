/* Console files: the web console, built into the program.
 *
 * The assembler includes the files of httpd/console/ unchanged, so there is one file to install, no
 * build step for the console, and no path to look up at run time. A new file is one more row. Paths
 * are relative to the top of the sources, where make runs; the Makefile makes the object depend on
 * the files.
 *
 * The API's description is here too, under a name that no path can have; handlers/openapi.c serves
 * it.
 *
 * Nothing changes after the tags are computed, once. */
#include "httpd/console_files.h"

#include <pthread.h>
#include <string.h>

#define HTML "text/html; charset=utf-8"
#define CSS "text/css; charset=utf-8"
#define JS "text/javascript; charset=utf-8"
#define SVG "image/svg+xml"
#define JSON "application/json"

/* id, name, type */
#define FILES(X)                                                                                   \
	X(index, "index.html", HTML)                                                               \
	X(style, "style.css", CSS)                                                                 \
	X(icon, "icon.svg", SVG)                                                                   \
	X(api, "api.js", JS)                                                                       \
	X(change, "change.js", JS)                                                                 \
	X(dialog, "dialog.js", JS)                                                                 \
	X(dom, "dom.js", JS)                                                                       \
	X(edit, "edit.js", JS)                                                                     \
	X(entry, "entry.js", JS)                                                                   \
	X(events, "events.js", JS)                                                                 \
	X(main, "main.js", JS)                                                                     \
	X(names, "names.js", JS)                                                                   \
	X(openapi, "../openapi.json", JSON)                                                        \
	X(nodes, "nodes.js", JS)                                                                   \
	X(plot, "plot.js", JS)                                                                     \
	X(search, "search.js", JS)                                                                 \
	X(tree, "tree.js", JS)                                                                     \
	X(value, "value.js", JS)                                                                   \
	X(watch, "watch.js", JS)

#define X(id, file, type)                                                                          \
	__asm__(".section .rodata\n"                                                               \
	        ".global keydir_console_" #id "\n"                                                 \
	        ".global keydir_console_" #id "_end\n"                                             \
	        "keydir_console_" #id ":\n"                                                        \
	        ".incbin \"httpd/console/" file "\"\n"                                             \
	        "keydir_console_" #id "_end:\n"                                                    \
	        ".byte 0\n"                                                                        \
	        ".previous\n");                                                                    \
	extern const unsigned char keydir_console_##id[];                                          \
	extern const unsigned char keydir_console_##id##_end[];
FILES(X)
#undef X

static struct console_file files[] = {
#define X(id, file, type) { file, type, keydir_console_##id, 0, 0 },
	FILES(X)
#undef X
};

#define NFILES (sizeof(files) / sizeof(files[0]))

/* FNV-1a: it only has to differ between versions of a file. */
static uint64_t hash(const unsigned char *data, size_t len)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	for (size_t i = 0; i < len; i++)
		h = (h ^ data[i]) * UINT64_C(0x100000001b3);
	return h;
}

static void measure_files(void)
{
	static const unsigned char *const ends[] = {
#define X(id, file, type) keydir_console_##id##_end,
		FILES(X)
#undef X
	};
	for (size_t i = 0; i < NFILES; i++) {
		files[i].len = (size_t)((uintptr_t)ends[i] - (uintptr_t)files[i].data);
		files[i].tag = hash(files[i].data, files[i].len);
	}
}

const struct console_file *console_file_find(const char *name, size_t len)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, measure_files);
	for (size_t i = 0; i < NFILES; i++)
		if (strlen(files[i].name) == len && memcmp(files[i].name, name, len) == 0)
			return &files[i];
	return NULL;
}
