#!/bin/sh
# Installs the module and the programs given as arguments: the module through apxs, and on Debian with its .load
# and .conf; programs with their man pages and completions below PREFIX (/usr/local).
# DESTDIR is put before every path, for packages. Nothing is enabled.
set -eu
cd "$(dirname "$0")/.."
apxs=${APXS:-apxs}
module=$1
shift
prefix=${DESTDIR:-}${PREFIX:-/usr/local}

say() { printf '%s\n' "install: $*"; }

for file in "$module" "$@"; do
    [ -f "$file" ] || { say "there is no $file yet: run 'make' first" >&2; exit 1; }
done
command -v "$apxs" >/dev/null ||
    { say "there is no apxs: install apache2-dev, or name another one with APXS=<path>" >&2; exit 1; }
libexecdir=${DESTDIR:-}$("$apxs" -q LIBEXECDIR)
sysconfdir=$("$apxs" -q SYSCONFDIR)

staging=$(mktemp -d)
trap 'rm -rf "$staging"' EXIT
cp "$module" "$staging/mod_qos_rs.so"
mkdir -p "$libexecdir"
[ -w "$libexecdir" ] || { say "$libexecdir is not writable: this is for root (or see DESTDIR)" >&2; exit 1; }
# A running httpd has the old file mapped; written over, it would crash. A new file leaves it the old one.
is_update=
if [ -e "$libexecdir/mod_qos_rs.so" ]; then
    is_update=yes
    rm -f "$libexecdir/mod_qos_rs.so"
fi
# Never -a: it would write a LoadModule line of its own. The warning about a dlname is apxs's guess that
# everything is made by libtool.
"$apxs" -S LIBEXECDIR="$libexecdir" -i -n qos_rs "$staging/mod_qos_rs.so" >"$staging/log" 2>&1 ||
    { cat "$staging/log" >&2; exit 1; }
say "$libexecdir/mod_qos_rs.so"

completions=docs/completions
for program in "$@"; do
    name=${program##*/}
    # With PREFIX=/usr that would be the qslog of the C module's package.
    if [ -z "${DESTDIR:-}" ] && dpkg-query -S "$prefix/bin/$name" >/dev/null 2>&1; then
        say "$prefix/bin/$name belongs to a package and stays; choose another PREFIX"
        continue
    fi
    install -D -m 755 "$program" "$prefix/bin/$name"
    say "$prefix/bin/$name"
    install -D -m 644 "$completions/$name.bash" "$prefix/share/bash-completion/completions/$name"
    install -D -m 644 "$completions/_$name" "$prefix/share/zsh/site-functions/_$name"
    install -D -m 644 "$completions/$name.fish" "$prefix/share/fish/vendor_completions.d/$name.fish"
done
for page in docs/man/*.1; do
    if [ -z "${DESTDIR:-}" ] && dpkg-query -S "$prefix/share/man/man1/${page##*/}.gz" >/dev/null 2>&1; then
        continue
    fi
    install -D -m 644 "$page" "$prefix/share/man/man1/${page##*/}"
done

if [ ! -d "$sysconfdir/mods-available" ]; then
    say "not Debian's layout: add to your configuration"
    say "  LoadModule qos_module ${libexecdir#"${DESTDIR:-}"}/mod_qos_rs.so"
    say "  and what you like of apache-conf/qos_rs.conf"
    exit 0
fi

available=${DESTDIR:-}$sysconfdir/mods-available
mkdir -p "$available"
install -m 644 apache-conf/qos_rs.load "$available/qos_rs.load"
say "$available/qos_rs.load"
conf=$available/qos_rs.conf
if [ ! -e "$conf" ]; then
    install -m 644 apache-conf/qos_rs.conf "$conf"
    say "$conf"
elif cmp -s apache-conf/qos_rs.conf "$conf"; then
    rm -f "$conf.new"
else
    install -m 644 apache-conf/qos_rs.conf "$conf.new"
    say "$conf stays as it is; this version's file lies beside it as qos_rs.conf.new"
fi

[ -n "${DESTDIR:-}" ] && exit 0
if [ -n "$is_update" ]; then
    say "a running httpd keeps the old module until it is stopped and started; a restart is not enough"
else
    say "next: a2enmod qos_rs && apachectl configtest && systemctl restart apache2"
fi
