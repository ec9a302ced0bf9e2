complete -c qostally -l min -d 'Shows who was counted at least so often' -r
complete -c qostally -l prefix4 -d 'Counts IPv4 networks of so many bits instead of addresses' -r
complete -c qostally -l prefix6 -d 'Counts IPv6 networks of so many bits instead of addresses' -r
complete -c qostally -l url -d 'Fetches a page, like http://127.0.0.1/server-status, in at most 30 s' -r
complete -c qostally -l syslog -d 'Writes \'Apache DOS Attempt: <address>\' to syslog (auth, warning) for each that is shown, of a network for each of its addresses'
complete -c qostally -l json -d 'Writes JSON'
complete -c qostally -s h -l help -d 'Print help'
complete -c qostally -s V -l version -d 'Print version'
