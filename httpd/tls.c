/* TLS: the server's certificate and key, replaceable while it runs.
 *
 * libmicrohttpd speaks TLS through GnuTLS and asks us for the certificate at each handshake, so a
 * renewed one takes effect without a restart. A handshake may still use the old one, for as long as
 * its client likes, and GnuTLS does not say when it is done: everything loaded is kept until the
 * end. That is a few kilobytes per renewal.
 *
 * GnuTLS passes no argument of ours to the callback, hence the statics: a process has one server.
 * `current` is atomic: handshakes read it in MHD's threads. */
#include "httpd/tls.h"

#include <errno.h>
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define CHAIN_MAX 16

struct identity {
	gnutls_pcert_st chain[CHAIN_MAX];
	unsigned n;
	gnutls_privkey_t key;
	struct identity *older;
};

static _Atomic(struct identity *) current;

static void free_one(struct identity *id)
{
	for (unsigned i = 0; i < id->n; i++)
		gnutls_pcert_deinit(&id->chain[i]);
	gnutls_privkey_deinit(id->key);
	free(id);
}

static int describe_fault(const char *option, const char *file, int code, char *why,
                          size_t why_size)
{
	snprintf(why, why_size, "%s %s: %s", option, file, gnutls_strerror(code));
	return code == GNUTLS_E_MEMORY_ERROR ? -ENOMEM : -EINVAL;
}

/* Check that the key belongs to the certificate. */
static int check_pair(const struct identity *id)
{
	unsigned char a[64];
	unsigned char b[64];
	size_t a_len = sizeof(a);
	size_t b_len = sizeof(b);
	gnutls_pubkey_t mine;
	int r = gnutls_pubkey_init(&mine);
	if (r)
		return r;
	r = gnutls_pubkey_import_privkey(mine, id->key, 0, 0);
	if (!r)
		r = gnutls_pubkey_get_key_id(mine, GNUTLS_KEYID_USE_SHA256, a, &a_len);
	if (!r)
		r = gnutls_pubkey_get_key_id(id->chain[0].pubkey, GNUTLS_KEYID_USE_SHA256, b,
		                             &b_len);
	if (!r) {
		unsigned differ = a_len != b_len;
		for (size_t i = 0; !differ && i < a_len; i++)
			differ = a[i] != b[i];
		if (differ)
			r = GNUTLS_E_CERTIFICATE_KEY_MISMATCH;
	}
	gnutls_pubkey_deinit(mine);
	return r;
}

int tls_load(const char *cert_file, const char *key_file, char *why, size_t why_size)
{
	gnutls_datum_t text = { NULL, 0 };
	gnutls_pcert_st chain[CHAIN_MAX];
	unsigned n = CHAIN_MAX;
	struct identity *id = calloc(1, sizeof(*id));
	int r = id ? gnutls_privkey_init(&id->key) : GNUTLS_E_MEMORY_ERROR;
	if (r) {
		free(id);
		return describe_fault("--tls-key", key_file, r, why, why_size);
	}
	r = gnutls_load_file(cert_file, &text);
	if (!r)
		r = gnutls_pcert_list_import_x509_raw(chain, &n, &text, GNUTLS_X509_FMT_PEM,
		                                      GNUTLS_X509_CRT_LIST_FAIL_IF_UNSORTED);
	gnutls_free(text.data);
	if (r < 0) {
		r = describe_fault("--tls-cert", cert_file, r, why, why_size);
		goto err;
	}
	for (id->n = 0; id->n < n; id->n++)
		id->chain[id->n] = chain[id->n];
	text = (gnutls_datum_t){ NULL, 0 };
	r = gnutls_load_file(key_file, &text);
	if (!r)
		r = gnutls_privkey_import_x509_raw(id->key, &text, GNUTLS_X509_FMT_PEM, NULL, 0);
	if (text.data)
		gnutls_memset(text.data, 0, text.size);
	gnutls_free(text.data);
	if (!r)
		r = check_pair(id);
	if (r) {
		r = describe_fault("--tls-key", key_file, r, why, why_size);
		goto err;
	}
	id->older = atomic_load(&current);
	atomic_store(&current, id);
	return 0;
err:
	free_one(id);
	return r;
}

static int choose_certificate(gnutls_session_t session, const gnutls_datum_t *req_ca_dn, int nreqs,
                              const gnutls_pk_algorithm_t *pk_algos, int pk_algos_length,
                              gnutls_pcert_st **pcert, unsigned *pcert_length,
                              gnutls_privkey_t *privkey)
{
	struct identity *id = atomic_load(&current);
	(void)session;
	(void)req_ca_dn;
	(void)nreqs;
	(void)pk_algos;
	(void)pk_algos_length;
	*pcert = id->chain;
	*pcert_length = id->n;
	*privkey = id->key;
	return 0;
}

void *tls_callback(void)
{
	gnutls_certificate_retrieve_function2 *callback = choose_certificate;
	return (void *)(uintptr_t)callback;
}

void tls_send(struct MHD_Connection *conn, const void *data, size_t len)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
	        conn, MHD_CONNECTION_INFO_GNUTLS_SESSION);
	if (info)
		gnutls_record_send((gnutls_session_t)info->tls_session, data, len);
}

void tls_free(void)
{
	struct identity *id = atomic_exchange(&current, NULL);
	while (id) {
		struct identity *older = id->older;
		free_one(id);
		id = older;
	}
}
