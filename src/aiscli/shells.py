"""The completion scripts of bash, zsh and fish, and where each shell looks for its script.

All three ask `ais __complete`, see `aiscli.complete`. The files in `completions/` are these texts, for packagers.
"""

import os
from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["FILE_NAMES", "SCRIPTS", "install_path", "start_line"]

# Bash splits words at `:` and `=` and has no way to ask for whole ones, so it hands over the line as typed, and takes
# replies that are cut and quoted for the word it is about to replace. COMP_WORDBREAKS is left alone: it belongs to
# every other completion of the shell, too.
_BASH = r"""# bash completion of ais
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
"""

_ZSH = r"""#compdef ais
# zsh completion of ais
_ais() {
    local line value tab=$'\t'
    local -a before values shown open_values open_shown
    before=("${(@Q)words[2,CURRENT-1]}")
    while IFS= read -r line; do
        if [[ $line == :files ]]; then
            _files
            return
        fi
        value=${line%%$tab*}
        [[ $line == *$tab* ]] && line="$value  -- ${line#*$tab}"
        if [[ $value == *[/=] ]]; then
            open_values+=("$value")
            open_shown+=("$line")
        else
            values+=("$value")
            shown+=("$line")
        fi
    done < <(${(Q)words[1]} __complete "${before[@]}" "${(Q)PREFIX}" 2>/dev/null)
    (( $#values + $#open_values )) || return 1
    (( $#open_values )) && compadd -l -S '' -d open_shown -a -- open_values
    (( $#values )) && compadd -l -d shown -a -- values
    return 0
}
if [[ $funcstack[1] == _ais ]]; then
    _ais "$@"
else
    compdef _ais ais
fi
"""

_FISH = r"""# fish completion of ais
function __ais_complete
    set -l before (commandline -opc)
    set -l token (commandline -ct)
    # An open quote is not closed yet.
    set -l plain (string unescape -- $token; or string replace -r '^["\']' '' -- $token)
    set -l replies ($before[1] __complete $before[2..-1] "$plain" 2>/dev/null)
    if test "$replies[1]" = :files
        __fish_complete_path $token
    else
        printf '%s\n' $replies
    end
end
complete -c ais -f -a '(__ais_complete)'
"""

SCRIPTS: Mapping[str, str] = MappingProxyType({"bash": _BASH, "zsh": _ZSH, "fish": _FISH})
"""Shell -> its completion script."""

FILE_NAMES: Mapping[str, str] = MappingProxyType(
    {"bash": "ais.bash", "zsh": "_ais", "fish": "ais.fish"}
)
"""Shell -> name of the script in `completions/`."""


def install_path(shell: str, environ: Mapping[str, str]) -> str:
    """Where the script of a shell belongs in the home of the user."""
    home = environ.get("HOME") or os.path.expanduser("~")
    data = environ.get("XDG_DATA_HOME") or os.path.join(home, ".local/share")
    config = environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
    if shell == "bash":
        return os.path.join(data, "bash-completion/completions/ais")
    if shell == "zsh":
        return os.path.join(data, "zsh/site-functions/_ais")
    return os.path.join(config, "fish/completions/ais.fish")


def start_line(shell: str, path: str) -> str:
    """What the start file of the shell needs when the shell does not find the script by itself; "" for nothing."""
    if shell == "bash":
        return f"~/.bashrc, unless bash-completion is installed:\n  source '{path}'"
    if shell == "zsh":
        folder = os.path.dirname(path)
        return f"~/.zshrc:\n  fpath+=('{folder}'); autoload -Uz compinit && compinit"
    return ""
