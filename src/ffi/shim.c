/* Logging goes through macros that know the module's index; compiled against the same headers as httpd,
 * the shim follows them by itself. A line comes as ready text and is never a format. */
#include "httpd_api.h"

APLOG_USE_MODULE(qos);

void qos_log_server(const server_rec *s, int level, const char *line)
{
    ap_log_error(APLOG_MARK, level, 0, s, "%s", line);
}

apr_status_t qos_answer_error(request_rec *r, apr_bucket_brigade *data, int status)
{
    apr_bucket_alloc_t *memory = r->connection->bucket_alloc;
    apr_bucket *bucket;

    apr_brigade_cleanup(data);
    bucket = ap_bucket_error_create(status, NULL, r->pool, memory);
    APR_BRIGADE_INSERT_TAIL(data, bucket);
    bucket = apr_bucket_eos_create(memory);
    APR_BRIGADE_INSERT_TAIL(data, bucket);
    /* No error of an error: the configured page of this one is wanted. */
    r->status = HTTP_OK;
    r->status_line = NULL;
    return ap_pass_brigade(r->proto_output_filters, data);
}

void qos_log_request(const request_rec *r, int level, const char *line)
{
    ap_log_rerror(APLOG_MARK, level, 0, r, "%s", line);
}

int qos_has_end(const apr_bucket_brigade *data)
{
    apr_bucket *b;
    for (b = APR_BRIGADE_FIRST(data); b != APR_BRIGADE_SENTINEL(data); b = APR_BUCKET_NEXT(b)) {
        if (APR_BUCKET_IS_EOS(b)) {
            return 1;
        }
    }
    return 0;
}
