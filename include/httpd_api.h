/* What bindgen reads and the shim is compiled against: httpd's API as far as this module uses it. */
#ifndef MOD_QOS_RS_HTTPD_API_H
#define MOD_QOS_RS_HTTPD_API_H

#include "httpd.h"
#include "http_config.h"
#include "http_connection.h"
#include "http_core.h"
#include "http_log.h"
#include "http_main.h"
#include "http_protocol.h"
#include "http_request.h"
#include "http_ssl.h"
#include "ap_listen.h"
#include "ap_mpm.h"
#include "mpm_common.h"
#include "scoreboard.h"
#include "unixd.h"
#include "util_filter.h"
#include "apr_optional_hooks.h"
#include "apr_portable.h"
#include "apr_strings.h"

/* The shim: what only a macro of C can do. */
void qos_log_server(const server_rec *s, int level, const char *line);
void qos_log_request(const request_rec *r, int level, const char *line);
/* Answers a request with an error from within an output filter, before anything was sent. */
apr_status_t qos_answer_error(request_rec *r, apr_bucket_brigade *data, int status);
/* Whether the end of a response is among the data. */
int qos_has_end(const apr_bucket_brigade *data);

#endif
