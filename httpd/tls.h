/* TLS: the server's certificate and key, replaceable while it runs. */
#ifndef KEYDIR_HTTPD_TLS_H
#define KEYDIR_HTTPD_TLS_H

#include <microhttpd.h>
#include <stddef.h>

/* Cipher settings: TLS 1.2 and 1.3, only key exchanges with forward secrecy and authenticated
 * ciphers (RFC 9325, 4.1 and 4.2), in the server's order. */
#define TLS_PRIORITIES                                                                             \
	"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA:-AES-128-CBC:-AES-256-CBC:"               \
	"-CAMELLIA-128-CBC:-CAMELLIA-256-CBC:-3DES-CBC:%SERVER_PRECEDENCE"

/* Load the certificate (followed by its chain) and the key, both PEM, for connections that begin
 * from now on. Returns 0, or -EINVAL or -ENOMEM with a sentence in WHY; then nothing changes. Call
 * it from one thread at a time. */
int tls_load(const char *cert_file, const char *key_file, char *why, size_t why_size);

/* Return the callback for MHD_OPTION_HTTPS_CERT_CALLBACK. */
void *tls_callback(void);

/* Send LEN bytes on the TLS connection CONN, bypassing libmicrohttpd, as far as they fit at once;
 * call it on the connection's own thread. */
void tls_send(struct MHD_Connection *conn, const void *data, size_t len);

/* Free all that was loaded. No connection may be open. */
void tls_free(void);

#endif
