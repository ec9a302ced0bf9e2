# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_qosctl_global_optspecs
    string join \n url= console-url= json timeout= h/help V/version
end

function __fish_qosctl_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_qosctl_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_qosctl_using_subcommand
    set -l cmd (__fish_qosctl_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c qosctl -n "__fish_qosctl_needs_command" -l url -d 'Where the viewer is (SetHandler qos-viewer): http[s]://[name:password@]host[:port]/path' -r
complete -c qosctl -n "__fish_qosctl_needs_command" -l console-url -d 'Where the console is (SetHandler qos-console) [default: <url>/console]' -r
complete -c qosctl -n "__fish_qosctl_needs_command" -l timeout -d 'Waits so many seconds for an answer' -r
complete -c qosctl -n "__fish_qosctl_needs_command" -l json -d 'Writes JSON instead of tables'
complete -c qosctl -n "__fish_qosctl_needs_command" -s h -l help -d 'Print help'
complete -c qosctl -n "__fish_qosctl_needs_command" -s V -l version -d 'Print version'
complete -c qosctl -n "__fish_qosctl_needs_command" -f -a "status" -d 'Shows how the server is: connections, rules, and who is blocked'
complete -c qosctl -n "__fish_qosctl_needs_command" -f -a "top" -d 'Shows it again and again: rules that are near their limits, addresses with the most connections, denials'
complete -c qosctl -n "__fish_qosctl_needs_command" -f -a "bans" -d 'Lists the clients and networks that are blocked'
complete -c qosctl -n "__fish_qosctl_needs_command" -f -a "ban" -d 'Blocks a client, for the time of QS_ClientEventBlockCount from now on'
complete -c qosctl -n "__fish_qosctl_needs_command" -f -a "unban" -d 'Frees a client: from its block, and from the limits of events that it has reached'
complete -c qosctl -n "__fish_qosctl_needs_command" -f -a "why" -d 'Tells which rules hold a client'
complete -c qosctl -n "__fish_qosctl_using_subcommand status" -l url -d 'Where the viewer is (SetHandler qos-viewer): http[s]://[name:password@]host[:port]/path' -r
complete -c qosctl -n "__fish_qosctl_using_subcommand status" -l console-url -d 'Where the console is (SetHandler qos-console) [default: <url>/console]' -r
complete -c qosctl -n "__fish_qosctl_using_subcommand status" -l timeout -d 'Waits so many seconds for an answer' -r
complete -c qosctl -n "__fish_qosctl_using_subcommand status" -l json -d 'Writes JSON instead of tables'
complete -c qosctl -n "__fish_qosctl_using_subcommand status" -s h -l help -d 'Print help'
complete -c qosctl -n "__fish_qosctl_using_subcommand top" -s n -l interval -d 'Seconds between two looks' -r
complete -c qosctl -n "__fish_qosctl_using_subcommand top" -l url -d 'Where the viewer is (SetHandler qos-viewer): http[s]://[name:password@]host[:port]/path' -r
complete -c qosctl -n "__fish_qosctl_using_subcommand top" -l console-url -d 'Where the console is (SetHandler qos-console) [default: <url>/console]' -r
complete -c qosctl -n "__fish_qosctl_using_subcommand top" -l timeout -d 'Waits so many seconds for an answer' -r
complete -c qosctl -n "__fish_qosctl_using_subcommand top" -l once -d 'Shows it once and ends'
complete -c qosctl -n "__fish_qosctl_using_subcommand top" -l json -d 'Writes JSON instead of tables'
complete -c qosctl -n "__fish_qosctl_using_subcommand top" -s h -l help -d 'Print help'
complete -c qosctl -n "__fish_qosctl_using_subcommand bans" -l url -d 'Where the viewer is (SetHandler qos-viewer): http[s]://[name:password@]host[:port]/path' -r
complete -c qosctl -n "__fish_qosctl_using_subcommand bans" -l console-url -d 'Where the console is (SetHandler qos-console) [default: <url>/console]' -r
complete -c qosctl -n "__fish_qosctl_using_subcommand bans" -l timeout -d 'Waits so many seconds for an answer' -r
complete -c qosctl -n "__fish_qosctl_using_subcommand bans" -l json -d 'Writes JSON instead of tables'
complete -c qosctl -n "__fish_qosctl_using_subcommand bans" -s h -l help -d 'Print help'
complete -c qosctl -n "__fish_qosctl_using_subcommand ban" -l url -d 'Where the viewer is (SetHandler qos-viewer): http[s]://[name:password@]host[:port]/path' -r
complete -c qosctl -n "__fish_qosctl_using_subcommand ban" -l console-url -d 'Where the console is (SetHandler qos-console) [default: <url>/console]' -r
complete -c qosctl -n "__fish_qosctl_using_subcommand ban" -l timeout -d 'Waits so many seconds for an answer' -r
complete -c qosctl -n "__fish_qosctl_using_subcommand ban" -l json -d 'Writes JSON instead of tables'
complete -c qosctl -n "__fish_qosctl_using_subcommand ban" -s h -l help -d 'Print help'
complete -c qosctl -n "__fish_qosctl_using_subcommand unban" -l url -d 'Where the viewer is (SetHandler qos-viewer): http[s]://[name:password@]host[:port]/path' -r
complete -c qosctl -n "__fish_qosctl_using_subcommand unban" -l console-url -d 'Where the console is (SetHandler qos-console) [default: <url>/console]' -r
complete -c qosctl -n "__fish_qosctl_using_subcommand unban" -l timeout -d 'Waits so many seconds for an answer' -r
complete -c qosctl -n "__fish_qosctl_using_subcommand unban" -l json -d 'Writes JSON instead of tables'
complete -c qosctl -n "__fish_qosctl_using_subcommand unban" -s h -l help -d 'Print help'
complete -c qosctl -n "__fish_qosctl_using_subcommand why" -l url -d 'Where the viewer is (SetHandler qos-viewer): http[s]://[name:password@]host[:port]/path' -r
complete -c qosctl -n "__fish_qosctl_using_subcommand why" -l console-url -d 'Where the console is (SetHandler qos-console) [default: <url>/console]' -r
complete -c qosctl -n "__fish_qosctl_using_subcommand why" -l timeout -d 'Waits so many seconds for an answer' -r
complete -c qosctl -n "__fish_qosctl_using_subcommand why" -l json -d 'Writes JSON instead of tables'
complete -c qosctl -n "__fish_qosctl_using_subcommand why" -s h -l help -d 'Print help'
