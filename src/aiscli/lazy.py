"""Commands that are imported when they run: the bridge between the command tree and typer.

A group knows its children as (name, help line, target); the module of a target is imported when
that command is run, completed, or asked for help, never for the help of its group. Every command
gets the common options of `aiscli.commands.options.common`, unless it has an option of the same
spelling itself.
"""

# `Any` stands for typer's private copy of click (contexts, parameters, formatters): it has no
# public name.
# ruff: noqa: ANN401

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from copy import copy
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from aiscli.argv import Flag, drop_accepted, normalise
from aiscli.commands.options import SUBSTITUTES, common
from aiscli.context import CliContext
from aiscli.exitcodes import PipeClosedError
from aiscli.tree import ROOT, Branch, Leaf
from aiscore.errors import InvalidArgumentError

__all__ = ["CONTEXT_SETTINGS", "LazyCommand", "LazyGroup", "build_command"]

CONTEXT_SETTINGS = {"help_option_names": ["-h", "--help"]}
_ACCEPTING = frozenset(
    f"aiscli.commands.{noun}" for noun in ("archive", "bucket", "copy", "object")
)
"""Commands on buckets and objects: they accept flags of AIStore's that change nothing here."""
_ANY_ARGUMENTS = {**CONTEXT_SETTINGS, "ignore_unknown_options": True, "allow_extra_args": True}
"""Of commands that only say that they are not available yet."""


class LazyCommand(TyperCommand):
    """A command that understands Go-style flags.

    Attributes:
        leaf: its place in the tree.
        function: what runs.
        common_names: those of its parameters that every command has.
    """

    leaf: Leaf
    function: Callable[..., int]
    common_names: frozenset[str]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Normalise the words, then parse them."""
        flags = [_flag(p) for p in self.get_params(ctx)]
        takes_more = self.leaf.target.partition(":")[0] in _ACCEPTING
        words = drop_accepted(args, flags) if takes_more else normalise(args, flags)
        return super().parse_args(ctx, words)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The words after the command in its usage line."""
        from aiscli.describe import describe

        return [describe(self, ctx.command_path).usage]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        from aiscli.describe import describe
        from aiscli.helptext import write_help

        write_help(describe(self, ctx.command_path), formatter)


class LazyGroup(TyperGroup):
    """A group over a `Branch` of the command tree."""

    def __init__(self, *, branch: Branch, **attrs: Any) -> None:
        super().__init__(**attrs)
        self.branch = branch

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The child, built on first use; None when there is none of that name."""
        if cmd_name not in self.commands:
            node = self.branch.children.get(cmd_name)
            if node is None:
                return None
            self.add_command(build_command(cmd_name, node), cmd_name)
        return self.commands[cmd_name]

    def list_commands(self, ctx: Any) -> list[str]:
        """Names of the children that are not hidden, sorted."""
        return sorted(name for name, node in self.branch.children.items() if not node.hidden)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Normalise the options before the subcommand; put in the default one where none is named."""
        default = self.branch.default
        if default is not None and not (
            args and (args[0] in self.branch.children or args[0] in ctx.help_option_names)
        ):
            args = [default, *args]
        head = next((i for i, word in enumerate(args) if not word.startswith("-")), len(args))
        flags = [_flag(p) for p in self.get_params(ctx)]
        return super().parse_args(ctx, [*normalise(args[:head], flags), *args[head:]])

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the children from the table: no import."""
        rows = [(name, self.branch.children[name].help) for name in self.list_commands(ctx)]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Find the child.

        Raises:
            InvalidArgumentError: unknown command; the hint names what was meant.
            AisError: unknown command, and the file that may have it as an alias cannot be read.
        """
        word = args[0]
        if word in self.branch.children:
            return word, self.get_command(ctx, word), args[1:]
        settings = CliContext.of(ctx).settings
        if settings.file_error is not None:
            raise settings.file_error  # the word may be an alias of the file
        from aiscli.suggest import suggest_command

        shown = self.list_commands(ctx)
        hint = suggest_command(ctx.command_path, word, args[1:], shown, shown=ROOT.children.keys())
        raise InvalidArgumentError(f"unknown command '{ctx.command_path} {word}'", hint=hint)


def build_command(name: str, node: Branch | Leaf) -> Any:
    """The typer command of a node of the tree."""
    if isinstance(node, Branch):
        return LazyGroup(
            name=name,
            branch=node,
            help=node.help,
            no_args_is_help=node.default is None,
            rich_markup_mode=None,
            context_settings=dict(CONTEXT_SETTINGS),
        )
    module, _, attribute = node.target.partition(":")
    function = getattr(import_module(module), attribute)
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    extra = [] if node.pending else _common_parameters(function)
    app.command(
        name,
        cls=LazyCommand,
        context_settings=dict(_ANY_ARGUMENTS if node.pending else CONTEXT_SETTINGS),
        no_args_is_help=node.no_args_is_help,
    )(_with_common(function, extra, node.target))
    command: Any = typer.main.get_command(app)
    command.leaf = node
    command.function = function
    command.common_names = frozenset(parameter.name for parameter in extra)
    return command


def _with_common(
    function: Callable[..., int], extra: list[inspect.Parameter], target: str
) -> Callable[..., int]:
    """`function` with the common options behind its own; they are applied before it runs."""
    own = inspect.signature(function, eval_str=True)

    def run(**values: Any) -> int:
        chosen = {parameter.name: values.pop(parameter.name) for parameter in extra}
        common(CliContext.of(values["ctx"]), target, **chosen)
        try:
            return function(**values)
        except BrokenPipeError as exc:
            raise PipeClosedError from exc  # typer would exit with 1

    run.__name__ = function.__name__
    run.__doc__ = function.__doc__
    parameters = [*own.parameters.values(), *extra]
    run.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _common_parameters(function: Callable[..., int]) -> list[inspect.Parameter]:
    """The common options, without the spellings that `function` has itself."""
    own = inspect.signature(function, eval_str=True).parameters.values()
    taken = {spelling for parameter in own for spelling in _spellings(parameter)}
    found = []
    for parameter in inspect.signature(common, eval_str=True).parameters.values():
        names = _spellings(parameter)
        if not names:
            continue  # not an option
        free = [name for name in names if name not in taken]
        if len(free) < len(names):
            free = free or [name for name in [SUBSTITUTES.get(names[0])] if name]
            parameter = _respelled(parameter, free)
        if free:
            found.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
    return found


def _respelled(parameter: inspect.Parameter, names: Sequence[str]) -> inspect.Parameter:
    (info,) = parameter.annotation.__metadata__
    kind = parameter.annotation.__origin__
    other = copy(info)
    other.default, other.param_decls = (names or [""])[0], tuple(names[1:])
    return parameter.replace(annotation=Annotated[kind, other])


def _spellings(parameter: inspect.Parameter) -> tuple[str, ...]:
    for info in getattr(parameter.annotation, "__metadata__", ()):
        declared: tuple[str, ...] | None = getattr(info, "param_decls", None)
        default = getattr(info, "default", None)
        # In `Annotated` the first spelling arrives as the default value, see typer's
        # get_params_from_function.
        first = (default,) if isinstance(default, str) else ()
        return (*first, *(declared or ()))
    return ()


def _flag(parameter: Any) -> Flag:
    is_option = parameter.param_type_name == "option"
    return Flag(
        names=tuple(parameter.opts) if is_option else (),
        negations=tuple(parameter.secondary_opts) if is_option else (),
        takes_value=is_option
        and not (getattr(parameter, "is_flag", False) or getattr(parameter, "count", False)),
    )
