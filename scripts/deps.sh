#!/bin/sh
# Installs the Debian packages named as arguments that are missing. Quick and silent when all are there.
set -eu

say() { printf '%s\n' "deps: $*" >&2; }

if ! command -v cargo >/dev/null; then
    say "cargo is missing: install Rust 1.88 or later (Debian 12's own package is older)"
    exit 1
fi

# Not Debian, or no package tool: the programs count, wherever they come from.
if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    absent=
    for program in "${APXS:-apxs}" "${APR_CONFIG:-apr-1-config}" "${APU_CONFIG:-apu-1-config}" cc curl openssl; do
        command -v "$program" >/dev/null || absent="$absent $program"
    done
    [ -z "$absent" ] && exit 0
    say "there is no apt here to install what is missing:$absent"
    say "install Apache httpd 2.4 with its headers and apxs, APR and APR-util with theirs, libclang,"
    say "a C compiler, curl, openssl and iproute2; on Debian these packages: $*"
    exit 1
fi

installed=$(dpkg-query -W -f='${Package} ${db:Status-Status}\n' "$@" 2>/dev/null |
    awk '$2 == "installed" { print $1 }')
missing=
for package in "$@"; do
    printf '%s\n' "$installed" | grep -qxF "$package" || missing="$missing $package"
done
[ -z "$missing" ] && exit 0

if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        say "missing:$missing"
        say "as root: apt-get update && apt-get install --no-install-recommends$missing"
        exit 1
    fi
    say "needs root to install$missing"
    # PATH is handed over: sudo has its own, which may not lead to cargo.
    exec sudo env "PATH=$PATH" "$0" "$@"
fi

say "installing$missing"

# Debian starts a daemon as soon as it is installed. A server on port 80 is not what was asked for, and
# nor is one that changes the firewall.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 130' INT TERM HUP
    cat >"$policy" <<'POLICY'
#!/bin/sh
case "$1" in apache2* | apache-htcacheclean* | fail2ban* | monit* | nftables*) exit 101 ;; esac
exit 0
POLICY
    chmod 755 "$policy"
fi

export DEBIAN_FRONTEND=noninteractive
apt-get update -q
# shellcheck disable=SC2086 # a list of names
apt-get install -q -y --no-install-recommends $missing

case " $missing " in
*" apache2 "*)
    say "Debian's own apache2 service is installed, and not started. It will be at the next boot;"
    say "'systemctl disable apache2' (as root) prevents that, where no site of yours needs it."
    ;;
esac
