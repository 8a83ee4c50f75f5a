/* Hosts: the names under which clients may address this server. */
#ifndef KEYDIR_HTTPD_HOSTS_H
#define KEYDIR_HTTPD_HOSTS_H

#include "httpd/settings.h"

#include <stdbool.h>

struct hosts;

/* Return whether LIST is valid for --allow-host: names joined by commas, or "*". */
bool hosts_are_valid(const char *list);

/* Collect the names that SETTINGS allow. Returns 0 and *RET, to be freed with hosts_free(), or
 * -ENOMEM. */
int hosts_new(const struct settings *settings, struct hosts **ret);
/* Free HOSTS; NULL is fine. */
void hosts_free(struct hosts *hosts);

/* Return whether a request may have this Host ("NAME" or "NAME:PORT"). Thread-safe. */
bool hosts_allow(const struct hosts *hosts, const char *host);
/* Return whether ORIGIN, as browsers write it ("SCHEME://NAME:PORT"), is the origin of pages from
 * HOST. Schemes are not compared: a proxy may terminate TLS. */
bool hosts_is_origin(const char *origin, const char *host);

#endif
