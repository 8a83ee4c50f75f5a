/* TLS: the server's certificate and key, replaceable while it runs. */
#ifndef KEYDIR_HTTPD_TLS_H
#define KEYDIR_HTTPD_TLS_H

#include <microhttpd.h>
#include <stddef.h>

/* What connections may use: TLS 1.2 and 1.3, only key exchanges that a key stolen later
 * does not open and ciphers with authentication (RFC 9325, 4.1 and 4.2), in the
 * server's order. */
#define TLS_PRIORITIES                                                                             \
	"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA:-AES-128-CBC:-AES-256-CBC:"               \
	"-CAMELLIA-128-CBC:-CAMELLIA-256-CBC:-3DES-CBC:%SERVER_PRECEDENCE"

/* Reads certificate (its chain behind it) and key, both PEM, and makes them
 * those of connections that begin from now on. 0, or -EINVAL, -ENOMEM with a
 * sentence in WHY; then nothing changes. One thread at a time. */
int tls_load(const char *cert_file, const char *key_file, char *why, size_t why_size);

/* For MHD_OPTION_HTTPS_CERT_CALLBACK. */
void *tls_callback(void);

/* Sends LEN bytes on the TLS connection CONN past libmicrohttpd, as far as they fit
 * at once; on the connection's own thread. */
void tls_send(struct MHD_Connection *conn, const void *data, size_t len);

/* Frees all that was loaded. No connection may be left. */
void tls_free(void);

#endif
