/* Hosts: under which names a request may come to this server. */
#ifndef KEYDIR_HTTPD_HOSTS_H
#define KEYDIR_HTTPD_HOSTS_H

#include "httpd/settings.h"

#include <stdbool.h>

struct hosts;

/* Is LIST what --allow-host may be: names joined by commas, or "*"? */
bool hosts_are_valid(const char *list);

/* The names that SETTINGS allow: 0 and *RET (hosts_free()), or -ENOMEM. */
int hosts_new(const struct settings *settings, struct hosts **ret);
/* NULL is fine. */
void hosts_free(struct hosts *hosts);

/* May a request have this Host ("NAME" or "NAME:PORT")? Thread-safe. */
bool hosts_allow(const struct hosts *hosts, const char *host);
/* Is ORIGIN, as browsers write it ("SCHEME://NAME:PORT"), that of pages that come from
 * HOST? Schemes are not compared: TLS may end at a proxy. */
bool hosts_is_origin(const char *origin, const char *host);

#endif
