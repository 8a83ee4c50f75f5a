/* MHD queue: queues our responses, and intercepts those of libmicrohttpd itself.
 *
 * libmicrohttpd queues the responses that it creates itself with MHD_queue_response(), too, and a
 * function of that name in the program takes precedence over the library's. So the one below is
 * called for the library's responses only: ours are queued with mhd_queue(), which calls the real
 * one. A library that was linked to call itself directly (-Bsymbolic-functions, as in Ubuntu) never
 * calls it.
 *
 * The pointers are set before the daemon's threads start. */
#include "httpd/mhd_queue.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

static enum MHD_Result (*real_queue)(struct MHD_Connection *, unsigned, struct MHD_Response *);
static mhd_queue_intercept *intercept_own;

int mhd_queue_init(mhd_queue_intercept *intercept)
{
	void *found = dlsym(RTLD_NEXT, "MHD_queue_response");
	if (!found)
		return -ENOSYS;
	memcpy(&real_queue, &found, sizeof(found));
	intercept_own = intercept;
	return 0;
}

enum MHD_Result mhd_queue(struct MHD_Connection *conn, unsigned status,
                          struct MHD_Response *response)
{
	return real_queue(conn, status, response);
}

enum MHD_Result MHD_queue_response(struct MHD_Connection *conn, unsigned status,
                                   struct MHD_Response *response)
{
	return intercept_own(conn, status, response);
}
