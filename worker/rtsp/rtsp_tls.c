#include "worker/rtsp/rtsp_tls.h"

#include "common/xalloc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

struct rtsp_tls {
    SSL_CTX *ctx;
    SSL *ssl;
    BIO *in;  /* from the network; owned by ssl */
    BIO *out; /* to the network; owned by ssl */
    char error[160];
};

static bool is_address(const char *host)
{
    unsigned char buf[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, host, buf) == 1 || inet_pton(AF_INET6, host, buf) == 1;
}

static bool expect_host(struct rtsp_tls *t, const char *host, bool insecure)
{
    bool address = is_address(host);
    if (!address && SSL_ctrl(t->ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                             (void *)(uintptr_t)host) != 1)
        return false;
    if (insecure)
        return true;
    X509_VERIFY_PARAM *param = SSL_get0_param(t->ssl);
    return (address ? X509_VERIFY_PARAM_set1_ip_asc(param, host)
                    : X509_VERIFY_PARAM_set1_host(param, host, 0)) == 1;
}

static bool set_security(struct rtsp_tls *t, bool insecure)
{
    if (insecure) {
        /* A camera whose certificate must not be checked is old: its ciphers are old too. */
        SSL_CTX_set_security_level(t->ctx, 0);
        SSL_CTX_set_verify(t->ctx, SSL_VERIFY_NONE, NULL);
        return SSL_CTX_set_min_proto_version(t->ctx, TLS1_VERSION) == 1;
    }
    SSL_CTX_set_verify(t->ctx, SSL_VERIFY_PEER, NULL);
    /* The directory is searched only for the certificate needed; reading the file with all of them
     * takes 25 ms, so do that only if the environment names one. */
    if (getenv(X509_get_default_cert_file_env()) != NULL)
        return SSL_CTX_set_default_verify_file(t->ctx) == 1;
    return SSL_CTX_set_default_verify_dir(t->ctx) == 1;
}

struct rtsp_tls *rtsp_tls_new(const char *host, bool insecure)
{
    struct rtsp_tls *t = xcalloc(1, sizeof(*t));
    t->ctx = SSL_CTX_new(TLS_client_method());
    if (t->ctx == NULL || !set_security(t, insecure))
        goto fail;
    t->ssl = SSL_new(t->ctx);
    if (t->ssl == NULL || !expect_host(t, host, insecure))
        goto fail;
    t->in = BIO_new(BIO_s_mem());
    t->out = BIO_new(BIO_s_mem());
    if (t->in == NULL || t->out == NULL) {
        BIO_free(t->in);
        BIO_free(t->out);
        goto fail;
    }
    SSL_set_bio(t->ssl, t->in, t->out);
    SSL_set_connect_state(t->ssl);
    return t;

fail:
    rtsp_tls_free(&t);
    return NULL;
}

void rtsp_tls_free(struct rtsp_tls **tls)
{
    struct rtsp_tls *t = *tls;
    *tls = NULL;
    if (t == NULL)
        return;
    SSL_free(t->ssl);
    SSL_CTX_free(t->ctx);
    free(t);
}

int rtsp_tls_received(struct rtsp_tls *tls, const uint8_t *data, size_t len)
{
    int n = BIO_write(tls->in, data, len < INT_MAX ? (int)len : INT_MAX);
    return n >= 0 && (size_t)n == len ? 0 : -ENOMEM;
}

/* Returns 0 if OpenSSL only waits for the network; else -EPIPE, or -EPROTO with the text kept. */
static int judge(struct rtsp_tls *tls, int rc)
{
    int error = SSL_get_error(tls->ssl, rc);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
        return 0;
    if (error == SSL_ERROR_ZERO_RETURN)
        return -EPIPE;
    long verify = SSL_get_verify_result(tls->ssl);
    const char *reason = verify != X509_V_OK ? X509_verify_cert_error_string(verify)
                                             : ERR_reason_error_string(ERR_peek_error());
    (void)snprintf(tls->error, sizeof(tls->error), "%s",
                   reason != NULL ? reason : "protocol error");
    ERR_clear_error();
    return -EPROTO;
}

int rtsp_tls_handshake(struct rtsp_tls *tls)
{
    int rc = SSL_do_handshake(tls->ssl);
    return rc == 1 ? 1 : judge(tls, rc) == 0 ? 0 : -EPROTO;
}

long rtsp_tls_read(struct rtsp_tls *tls, uint8_t *buf, size_t size)
{
    int n = SSL_read(tls->ssl, buf, size < INT_MAX ? (int)size : INT_MAX);
    return n > 0 ? n : judge(tls, n);
}

int rtsp_tls_write(struct rtsp_tls *tls, const uint8_t *data, size_t len)
{
    int n = SSL_write(tls->ssl, data, len < INT_MAX ? (int)len : INT_MAX);
    return n > 0 && (size_t)n == len ? 0 : -EPROTO;
}

size_t rtsp_tls_to_send(struct rtsp_tls *tls, uint8_t *buf, size_t size)
{
    int n = BIO_read(tls->out, buf, size < INT_MAX ? (int)size : INT_MAX);
    return n > 0 ? (size_t)n : 0;
}

const char *rtsp_tls_error(const struct rtsp_tls *tls)
{
    return tls->error;
}
