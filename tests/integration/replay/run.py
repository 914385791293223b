"""Plays a directory of cases and says how each came out; exit 1 if one failed. See docs/replay.md."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

if __package__:
    from tests.integration.replay.player import CONDITIONS, Options, Status, find_cases, play
else:
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    from player import (  # type: ignore[import-not-found,no-redef,unused-ignore]
        CONDITIONS,
        Options,
        Status,
        find_cases,
        play,
    )


def main(words: list[str] | None = None) -> int:
    """Exit code: 0 all passed or skipped, 1 one failed, 2 wrong usage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path, help="where the .in files are")
    parser.add_argument("names", nargs="*", help="cases to play; all without any")
    parser.add_argument("--ais", help="the ais to play them with; this installation's without")
    parser.add_argument("--endpoint", default="", help="a store to use; a new one for each case")
    parser.add_argument(
        "--with",
        dest="conditions",
        action="append",
        default=["local-deployment"],
        choices=sorted(CONDITIONS - {"clean-cluster"}),
        help="a condition of // RUN that holds; repeatable",
    )
    parser.add_argument(
        "--var",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="replaces $NAME; repeatable",
    )
    given = parser.parse_args(words)
    if not all("=" in text for text in given.var):
        parser.error("--var needs NAME=VALUE")
    if not given.directory.is_dir():
        parser.error(f"no directory {given.directory}")
    try:
        cases = find_cases(given.directory, given.names)
    except FileNotFoundError as error:
        parser.error(str(error))
    if not cases:
        parser.error(f"no .in files in {given.directory}")
    options = Options(
        ais=given.ais,
        endpoint=given.endpoint,
        conditions=frozenset(given.conditions),
        variables=dict(text.split("=", 1) for text in given.var),
    )
    return _play_all(cases, options)


def _play_all(cases: list[Path], options: Options) -> int:
    counts = dict.fromkeys(Status, 0)
    for case in cases:
        result = play(case, options)
        counts[result.status] += 1
        detail = f" ({result.detail})" if result.status is Status.SKIPPED else ""
        _say(f"{result.status.value}  {result.name}{detail}")
        if result.status is Status.FAILED:
            _say("\n".join(f"      {line}" for line in result.detail.splitlines()))
    _say(", ".join(f"{count} {status.value}" for status, count in counts.items()))
    return 1 if counts[Status.FAILED] else 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
