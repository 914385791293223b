"""The subcommands, for the command line, its usage and its completion."""

from collections.abc import Mapping

__all__ = ["SUBCOMMANDS"]

SUBCOMMANDS: Mapping[str, str] = {
    "run": "generate load (the default: flags may follow aisloader directly)",
    "report": "make one HTML page, with plots, of a result file",
    "compare": "decide whether two results differ, and exit accordingly",
    "merge": "put the results of several loaders together",
    "calibrate": "measure what this machine's loader can do at most",
    "usage": "show all flags with examples; with a group's name only its flags",
    "completion": "print the completion script of bash, zsh or fish",
    "version": "show the version",
}
