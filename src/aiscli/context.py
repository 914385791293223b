"""What a command runs with: settings, output, prompts, and the transport, opened on first use."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, Self

from aiscli.config import Setting, Settings, with_context, with_endpoint
from aiscli.output.base import Format, Output, OutputOptions
from aiscli.output.prompt import Prompter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from aiscli.output.base import Column
    from aiscore.model.units import Units
    from aiscore.transport.base import Transport

__all__ = ["CliContext"]


_HURRY_S = 1.0
"""Seconds that completion waits for a server."""


class _HasObject(Protocol):
    """What is used of a typer context."""

    @property
    def obj(self) -> object: ...


class CliContext:
    """State of one run. A context manager: leaving it closes the transport.

    Attributes:
        settings: of the run; flags lie over them after `configure`.
        output: the only printer.
        stdin: where questions are answered.
        prompt: asks them.
        is_hurried: somebody waits for names to complete: a server that does not answer at once is
            not waited for.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        output: Output | None = None,
        stdin: TextIO | None = None,
        transport: Transport | None = None,
    ) -> None:
        self.settings = settings
        self.output = output or Output(OutputOptions(color=not settings.no_color))
        self.stdin = sys.stdin if stdin is None else stdin
        self._transport = transport
        self._others: list[Transport] = []
        self.is_hurried = False
        self.prompt = Prompter(self.output, self.stdin, no_input=settings.no_input)

    @classmethod
    def of(cls, ctx: _HasObject) -> CliContext:
        """The context that `main` made, out of typer's."""
        assert isinstance(ctx.obj, cls)
        return ctx.obj

    @property
    def transport(self) -> Transport:
        """The store; opened on first use.

        Raises:
            AisError: the endpoint is malformed or the store cannot be opened; the file with the
                command's settings cannot be read.
        """
        if self._transport is None:
            self._transport = self._open(self.settings)
        return self._transport

    def settings_of(self, *, endpoint: str = "", context_name: str = "") -> Settings:
        """The settings, but for the store.

        Raises:
            NotFoundError: unknown context.
        """
        if context_name:
            return with_context(self.settings, context_name)
        return with_endpoint(self.settings, endpoint)

    def open_other(
        self, settings: Settings, *, token_file: str = "", has_token: bool = True
    ) -> Transport:
        """Another store, which lives as long as the context.

        Args:
            settings: of that store.
            token_file: with the token for it, in place of that of the settings.
            has_token: the token of the settings is for it.

        Raises:
            AisError: see `transport`; or the token file cannot be read.
        """
        if token_file:
            named = Setting(token_file, "--token-file")
            settings = replace(settings, token=Setting("", "default"), token_file=named)
        made = self._open(settings, has_token=has_token or bool(token_file))
        self._others.append(made)
        return made

    def configure(
        self,
        *,
        endpoint: str | None = None,
        context_name: str | None = None,
        output_format: str | None = None,
        headers: bool = True,
        columns: Sequence[Column] = (),
        units: Units | None = None,
        no_input: bool = False,
        no_color: bool = False,
    ) -> None:
        """Lay the flags of a command over the settings.

        Raises:
            InvalidArgumentError: unknown output format.
            NotFoundError: unknown context.
        """
        if endpoint:
            self.settings = with_endpoint(self.settings, endpoint)
        elif context_name:
            self.settings = with_context(self.settings, context_name)
        chosen = output_format or self.settings.output_format.value or Format.TABLE
        self.output.options = OutputOptions(
            format=Format.read(chosen),
            headers=headers,
            columns=columns,
            units=units,
            color=not (no_color or self.settings.no_color),
        )
        self.prompt.no_input = no_input or self.settings.no_input

    def close(self) -> None:
        """Close what was opened; safe to repeat."""
        transport, self._transport = self._transport, None
        others, self._others = self._others, []
        for opened in (transport, *others):
            if opened is not None:
                opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _open(self, settings: Settings, *, has_token: bool = True) -> Transport:
        settings.check()
        from aiscore.transport import open_transport

        store = settings.store
        connection = None
        if store.lower().startswith(("http://", "https://")):
            from aiscli.connection import TWO_TOKENS, connection_options

            has_two = settings.token.value and settings.token_file.value
            if has_token and has_two and not self.is_hurried:
                self.output.warning(TWO_TOKENS)
            connection = connection_options(settings, has_token=has_token)
            if self.is_hurried:
                connection = replace(
                    connection, connect_timeout_s=_HURRY_S, read_timeout_s=_HURRY_S, retries=0
                )
        return open_transport(store or None, connection=connection)
