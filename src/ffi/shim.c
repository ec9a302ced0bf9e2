/* Logging goes through macros that know the module's index; compiled against the same headers as httpd,
 * the shim follows them by itself. A line comes as ready text and is never a format. */
#include "httpd_api.h"

APLOG_USE_MODULE(qos);

void qos_log_server(const server_rec *s, int level, const char *line)
{
    ap_log_error(APLOG_MARK, level, 0, s, "%s", line);
}

void qos_log_request(const request_rec *r, int level, const char *line)
{
    ap_log_rerror(APLOG_MARK, level, 0, r, "%s", line);
}
