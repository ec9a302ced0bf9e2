#!/usr/bin/env bash
# Runs a private httpd with the module given as argument, on loopback, in the foreground. PORT and MPM
# (event, worker, prefork) choose. Ctrl-C or TERM ends it and leaves nothing.
set -eu
source_dir=$(cd "$(dirname "$0")/.." && pwd)
module=$1
mpm=${MPM:-event}
apxs=${APXS:-apxs}
httpd=$("$apxs" -q SBINDIR)/$("$apxs" -q PROGNAME)
libexecdir=$("$apxs" -q LIBEXECDIR)

fail() { printf 'run: %s\n' "$*" >&2; exit 1; }
is_taken() { (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

case $mpm in event | worker | prefork) ;; *) fail "MPM=$mpm: it is event, worker or prefork" ;; esac
if [ -n "${PORT:-}" ]; then
    case $PORT in *[!0-9]*) fail "PORT=$PORT is no number" ;; esac
    port=$PORT
    is_taken "$port" && fail "port $port is taken: PORT=<number> chooses another"
else
    for port in {8080..8099}; do is_taken "$port" || break; done
    is_taken "$port" && fail "ports 8080 to 8099 are taken: PORT=<number> chooses another"
fi

run_dir= httpd_pid= watch_pid=
finish() {
    set +e
    trap '' INT TERM HUP
    [ -n "$httpd_pid" ] && kill "$httpd_pid" 2>/dev/null && wait "$httpd_pid" 2>/dev/null
    [ -n "$watch_pid" ] && wait "$watch_pid" 2>/dev/null
    [ -n "$run_dir" ] && rm -rf "$run_dir"
}
trap finish EXIT
trap 'echo; exit 0' INT
trap 'exit 0' TERM HUP
run_dir=$(mktemp -d "${TMPDIR:-/tmp}/mod_qos_run.XXXXXX")

# The page is copied: children run as another user, who may not see the source directory.
chmod 755 "$run_dir"
mkdir "$run_dir/htdocs"
cp "$source_dir/scripts/run/index.html" "$run_dir/htdocs/"
head -c 1000000 /dev/zero >"$run_dir/htdocs/large"
chmod -R a+rX "$run_dir/htdocs"

{
    for name in "mpm_$mpm" unixd authz_core authz_host dir mime reqtimeout unique_id; do
        # What is not a file is linked in, or not there at all.
        [ -e "$libexecdir/mod_$name.so" ] &&
            printf 'LoadModule %s_module "%s/mod_%s.so"\n' "$name" "$libexecdir" "$name"
    done
    printf 'LoadModule qos_module "%s"\n' "$module"
    if [ "$(id -u)" -eq 0 ]; then
        for user in www-data daemon nobody; do
            id "$user" >/dev/null 2>&1 || continue
            printf 'User %s\nGroup %s\n' "$user" "$(id -gn "$user")"
            break
        done
    fi
    printf 'Define QOS_RUN_DIR "%s"\nDefine QOS_RUN_PORT %s\nDefine QOS_SOURCE_DIR "%s"\n' \
        "$run_dir" "$port" "$source_dir"
    printf 'Include "%s/scripts/run/httpd.conf"\n' "$source_dir"
} >"$run_dir/httpd.conf"

# A session of its own: httpd takes the signal of a window that changes its size for an order to stop.
setsid "$httpd" -DFOREGROUND -f "$run_dir/httpd.conf" &
httpd_pid=$!
for _ in {1..100}; do
    is_taken "$port" && break
    if ! kill -0 "$httpd_pid" 2>/dev/null; then
        cat "$run_dir/error.log" >&2 2>/dev/null || true
        fail "httpd has not started"
    fi
    sleep 0.1
done

url=http://127.0.0.1:$port
cat <<TEXT

mod_qos_rs runs in a private httpd ($mpm) at $url/
Ctrl-C ends it. Try in another terminal:

1. A good client. It is served (200), now and while the others misbehave:

   curl -s -o /dev/null -w '%{http_code}\n' $url/

2. A client at 127.0.0.2 with requests that make no sense. Ten are answered (405), then it is
   refused for a minute (000, no answer at all):

   for n in {1..15}; do curl -s -o /dev/null -w '%{http_code} ' --interface 127.0.0.2 -X DELETE $url/; done; echo

3. A client at 127.0.0.3 with 15 downloads at once. Ten are served, five are refused:

   curl -Z --no-progress-meter --parallel-immediate --interface 127.0.0.3 \\
      -o /dev/null -w '%{http_code} ' '$url/large?[1-15]' 2>/dev/null; echo

   Each refusal is an offence, too: the second time, the address reaches ten and is shut out.

4. Who is blocked, and how near the limits are, in a browser (or ?auto and ?json with curl):

   $url/qos

5. Block and free clients by hand:

   export QOSCTL_URL=$url/qos
   ${module%/*}/qosctl ban 127.0.0.4
   ${module%/*}/qosctl bans

Error log: $run_dir/error.log
Its lines of this module:

TEXT
tail -n +1 -f --pid="$httpd_pid" "$run_dir/error.log" | grep --line-buffered -F 'mod_qos(' &
watch_pid=$!
wait "$httpd_pid" || true
httpd_pid=
fail "httpd has ended; the last lines of its log: $(tail -n 5 "$run_dir/error.log")"
