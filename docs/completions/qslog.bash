_qslog() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
    case $prev in
        -f) COMPREPLY=(); return ;;
        -o) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        -u) mapfile -t COMPREPLY < <(compgen -u -- "$cur"); return ;;
        -c) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W '-f -o -p -ps -pc -pu -puc -v -x -u -m -c -h --man' -- "$cur")
}
complete -F _qslog qslog
