"""Shell completion: scripts that know every flag and the words it takes; nothing runs while one types."""

from collections.abc import Callable, Mapping

from aisloader.commands import SUBCOMMANDS
from aisloader.params.option import Kind, Option
from aisloader.params.parser import META_FLAGS
from aisloader.params.sections import SECTIONS, section_options

__all__ = ["FILE_NAMES", "completion_script"]

FILE_NAMES: Mapping[str, str] = {
    "bash": "aisloader.bash",
    "zsh": "_aisloader",
    "fish": "aisloader.fish",
}
"""Shell -> the name under which it looks for the script of `aisloader`."""

_FILES = frozenset({"tokenfile", "filelist", "etl-spec", "stats-output", "result", "csv"})
_DIRECTORIES = frozenset({"tmpdir"})


def completion_script(shell: str) -> str:
    """The script for `bash`, `zsh` or `fish`; raises KeyError for another shell."""
    return _SCRIPTS[shell]()


def _options() -> list[Option]:
    return [each for section in SECTIONS for each in section_options(section)]


def _words(each: Option) -> tuple[str, ...]:
    """What a flag's value can be, where that is a short list."""
    if each.kind is Kind.BOOL:
        return ("true", "false")
    if each.name == "provider":
        return ("ais", "aws", "azure", "gcp", "oci")
    return each.choices


def _bash() -> str:
    flags = " ".join(f"-{name}" for o in _options() for name in o.spellings)
    meta = " ".join(f"-{name}" for name in META_FLAGS)
    cases = []
    for each in _options():
        names = "|".join(f"{dash}{name}" for name in each.spellings for dash in ("-", "--"))
        # A boolean needs no word; offering one would hide the next flag.
        if each.kind is Kind.BOOL:
            continue
        if words := _words(each):
            cases.append(
                f'    {names}) COMPREPLY=($(compgen -W "{" ".join(words)}" -- "$cur")); return ;;'
            )
        elif each.name in _FILES:
            cases.append(f'    {names}) COMPREPLY=($(compgen -f -- "$cur")); return ;;')
        elif each.name in _DIRECTORIES:
            cases.append(f'    {names}) COMPREPLY=($(compgen -d -- "$cur")); return ;;')
        else:
            cases.append(f"    {names}) COMPREPLY=(); return ;;")
    return "\n".join(
        [
            "# bash completion of aisloader; generated",
            "_aisloader() {",
            '  local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}"',
            "  local dash=",
            '  [[ $cur == "=" ]] && cur=""',
            '  [[ $prev == "=" ]] && prev="${COMP_WORDS[COMP_CWORD-2]}"',
            '  case "$prev" in',
            *cases,
            "  esac",
            '  if [[ $cur == -* ]]; then [[ $cur == --* ]] && dash="-"',
            f'    COMPREPLY=($(compgen -P "$dash" -W "{flags} {meta}" -- "${{cur#"$dash"}}"))',
            "  elif [[ $COMP_CWORD -eq 1 ]]; then",
            f'    COMPREPLY=($(compgen -W "{" ".join(SUBCOMMANDS)}" -- "$cur"))',
            "  else",
            '    COMPREPLY=($(compgen -f -- "$cur"))',
            "  fi",
            "}",
            "complete -o filenames -F _aisloader aisloader",
            "",
        ]
    )


def _zsh() -> str:
    lines = ["#compdef aisloader", "# zsh completion of aisloader; generated", "_arguments \\"]
    for each in _options():
        text = (
            each.help.replace("'", "'\\''").replace("[", "(").replace("]", ")").replace(":", "\\:")
        )
        action = ""
        if each.kind is not Kind.BOOL:
            words = _words(each)
            kind = f"({' '.join(words)})" if words else "_files" if each.name in _FILES else ""
            kind = "_files -/" if each.name in _DIRECTORIES else kind
            action = f":{each.kind.value.lower()}:{kind}"
        equals = "" if each.kind is Kind.BOOL else "="
        lines += [f"  '{dash}{each.name}{equals}[{text}]{action}' \\" for dash in ("-", "--")]
    lines += [f"  '-{name}[{text}]' \\" for name, text in META_FLAGS.items()]
    lines += [f"  '1::command:({' '.join(SUBCOMMANDS)})' \\", "  '*:file:_files'", ""]
    return "\n".join(lines)


def _fish() -> str:
    lines = ["# fish completion of aisloader; generated", "complete -c aisloader -f"]
    lines.append(f"complete -c aisloader -n __fish_is_first_token -a '{' '.join(SUBCOMMANDS)}'")
    for each in _options():
        takes = "" if each.kind is Kind.BOOL else " -x"
        if each.name in _FILES | _DIRECTORIES:
            takes = " -r -F"
        words = () if each.kind is Kind.BOOL else _words(each)
        offered = f" -a '{' '.join(words)}'" if words else ""
        lines.append(
            f"complete -c aisloader -o {each.name}{takes}{offered} -d '{_quoted(each.help)}'"
        )
    lines += [
        f"complete -c aisloader -o {name} -d '{_quoted(text)}'" for name, text in META_FLAGS.items()
    ]
    return "\n".join([*lines, ""])


def _quoted(text: str) -> str:
    """Inside single quotes of fish."""
    return text.replace("\\", "\\\\").replace("'", "\\'")


_SCRIPTS: Mapping[str, Callable[[], str]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}
