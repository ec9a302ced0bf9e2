#!/bin/sh
# Removes what install.sh has installed. A qos_rs.conf that was edited stays.
set -eu
cd "$(dirname "$0")/.."
apxs=${APXS:-apxs}

say() { printf '%s\n' "uninstall: $*"; }

command -v "$apxs" >/dev/null ||
    { say "there is no apxs: install apache2-dev, or name another one with APXS=<path>" >&2; exit 1; }
libexecdir=${DESTDIR:-}$("$apxs" -q LIBEXECDIR)
sysconfdir=${DESTDIR:-}$("$apxs" -q SYSCONFDIR)
if [ -e "$sysconfdir/mods-enabled/qos_rs.load" ]; then
    say "it is enabled, and httpd would not start without the file: run 'a2dismod qos_rs' first" >&2
    exit 1
fi
if [ -e "$libexecdir/mod_qos_rs.so" ] && [ ! -w "$libexecdir" ]; then
    say "$libexecdir is not writable: this is for root" >&2
    exit 1
fi

rm -f "$libexecdir/mod_qos_rs.so" "$sysconfdir/mods-available/qos_rs.load" \
    "$sysconfdir/mods-available/qos_rs.conf.new"
prefix=${DESTDIR:-}${PREFIX:-/usr/local}
for name in qosctl qostally qslog; do
    # What a package has put there is not ours.
    if [ -z "${DESTDIR:-}" ] && dpkg-query -S "$prefix/bin/$name" >/dev/null 2>&1; then
        continue
    fi
    rm -f "$prefix/bin/$name" "$prefix/share/bash-completion/completions/$name" \
        "$prefix/share/zsh/site-functions/_$name" "$prefix/share/fish/vendor_completions.d/$name.fish"
done
for page in docs/man/*.1; do
    rm -f "$prefix/share/man/man1/${page##*/}"
done
# Directories that nobody else has put anything into.
for directory in bash-completion/completions bash-completion zsh/site-functions zsh fish/vendor_completions.d fish \
    man/man1; do
    rmdir "$prefix/share/$directory" 2>/dev/null || true
done
conf=$sysconfdir/mods-available/qos_rs.conf
if [ ! -e "$conf" ] || cmp -s apache-conf/qos_rs.conf "$conf"; then
    rm -f "$conf"
else
    say "$conf was edited and stays"
fi
say "done; a running httpd keeps the module until it is stopped"
