# bash completion of ais
_ais() {
    local reply
    COMPREPLY=()
    while IFS= read -r reply; do
        if [[ $reply == :files ]]; then
            compopt -o bashdefault -o default
            return
        fi
        COMPREPLY+=("$reply")
        [[ $reply == *[/=] ]] && compopt -o nospace
    done < <("$1" __complete --bash "$COMP_WORDBREAKS" "${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
}
complete -F _ais ais
