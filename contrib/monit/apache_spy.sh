#!/bin/sh
# Run by monit when Apache has too many children: keeps a picture of who holds them, and reports each
# address that holds many to syslog, from where fail2ban bans it (filter apache-dos). Nothing is stopped.
#
# Needs mod_status with "ExtendedStatus On", and qostally of mod_qos_rs.
set -eu
URL=${URL:-http://localhost/server-status}
DIRECTORY=${DIRECTORY:-/var/log/apache2/status}
# Connections of one address; less than monit's number of children.
MIN=${MIN:-60}

umask 077
mkdir -p "$DIRECTORY"
# The time in the name: a second attack on the same day does not overwrite the first.
file="$DIRECTORY/Apache_status_$(date +%Y-%m-%d_%H%M%S).html"
# A server that is full may not answer: then there is no picture, and an error says so.
curl --silent --show-error --fail --max-time 10 --output "$file" "$URL"
# Pictures of the last thirty days.
find "$DIRECTORY" -name 'Apache_status_*.html' -mtime +30 -delete

qostally --min "$MIN" --syslog "$file" || [ $? -eq 1 ]
