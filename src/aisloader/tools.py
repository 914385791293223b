"""The commands around a run: `report`, `compare`, `merge`, `calibrate`."""

import argparse
import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from aiscore.errors import InvalidArgumentError
from aisloader.stats.report import clean, complain, say

if TYPE_CHECKING:
    from aisloader.stats.compare import Comparison, Finding

__all__ = ["EXIT_UNDECIDED", "EXIT_WORSE", "calibrate", "compare", "merge", "report"]

EXIT_WORSE = 1
EXIT_UNDECIDED = 3
"""There was too little to compare."""
SECONDS_MAX = 60.0


class _Parser(argparse.ArgumentParser):
    """Errors like those of every other command line here."""

    def error(self, message: str) -> NoReturn:
        from aisloader.params.parser import UsageError

        # What is printed begins with the program's name already.
        raise UsageError(
            f"{self.prog.removeprefix('aisloader ')}: {message}", hint=f"{self.prog} -h shows how"
        )


def _parser(name: str, text: str) -> _Parser:
    return _Parser(prog=f"aisloader {name}", description=text, allow_abbrev=False)


def _parse(parser: _Parser, argv: Sequence[str]) -> argparse.Namespace | None:
    """The arguments; None after help was shown."""
    try:
        return parser.parse_args(argv)
    except SystemExit:  # -h
        return None


def report(argv: Sequence[str]) -> int:
    """Make one HTML page of a result file."""
    parser = _parser("report", "Make one HTML page, with plots, that opens without a network.")
    parser.add_argument("result", metavar="RESULT", help="file that a run wrote with -result")
    parser.add_argument("-o", "--output", metavar="FILE", help="the page (default: RESULT.html)")
    args = _parse(parser, argv)
    if args is None:
        return 0
    from aisloader.stats.html import page
    from aisloader.stats.result import read_result

    path = args.output or f"{args.result}.html"
    if os.path.realpath(path) == os.path.realpath(args.result):
        raise InvalidArgumentError("the page would replace the result", hint="choose another -o")
    _write(path, page(read_result(args.result)))
    say(clean(f"Report written to {path}"))
    return 0


def compare(argv: Sequence[str]) -> int:
    """Decide whether the second run is worse than the first: exit 0 no, 1 yes, 3 not enough to tell."""
    parser = _parser(
        "compare",
        "Decide whether two results differ. Exit code: 0 the second is not worse, 1 it is, 3 there is too little to "
        "compare.",
    )
    parser.add_argument("before", metavar="A", help="result to compare with")
    parser.add_argument("after", metavar="B", help="result to judge")
    parser.add_argument(
        "--tolerance",
        metavar="PERCENT",
        type=float,
        default=5.0,
        help="difference that does not matter (%(default)g)",
    )
    parser.add_argument("--json", action="store_true", help="findings as JSON")
    args = _parse(parser, argv)
    if args is None:
        return 0
    if not 0 <= args.tolerance <= 100:
        raise InvalidArgumentError(f"invalid --tolerance {args.tolerance:g}: expected 0 to 100")
    from aisloader.stats.compare import compare as compare_results
    from aisloader.stats.result import read_result

    found = compare_results(read_result(args.before), read_result(args.after), args.tolerance / 100)
    if args.json:
        say(json.dumps(_comparison_json(found), indent=2))
    else:
        for line in _comparison_lines(found):
            say(line)
    for note in found.notes:
        complain(note)
    if not found.is_decided:
        complain("nothing could be compared")
        return EXIT_UNDECIDED
    return EXIT_WORSE if found.is_worse else 0


def _comparison_json(found: "Comparison") -> dict[str, Any]:
    return {
        "worse": found.is_worse,
        "decided": found.is_decided,
        "tolerance": found.tolerance,
        "findings": [
            {
                "op": finding.series.key,
                "metric": finding.metric,
                "before": finding.before,
                "after": finding.after,
                "ratio": finding.ratio if finding.before else None,
                "low": finding.low if finding.before else None,
                "high": finding.high if finding.before else None,
                "change": finding.change.value,
            }
            for finding in found.findings
        ],
        "notes": list(found.notes),
    }


def _comparison_lines(found: "Comparison") -> list[str]:
    if not found.findings:
        return []
    row = "{:<6}{:<10}{:>14}{:>14}{:>10}  {:<24}{}"
    lines = [row.format("OP", "METRIC", "A", "B", "CHANGE", "95% INTERVAL", "VERDICT")]
    for finding in found.findings:
        change, interval = "new", "-"
        if finding.before:
            change = f"{finding.ratio - 1:+.1%}"
            interval = f"{finding.low - 1:+.1%} .. {finding.high - 1:+.1%}"
        shown = (_shown(finding, value) for value in (finding.before, finding.after))
        lines.append(
            row.format(
                finding.series.label, finding.metric, *shown, change, interval, finding.change.value
            ).rstrip()
        )
    worse = "B is worse" if found.is_worse else "B is not worse"
    return [*lines, "", f"{worse} (tolerance {found.tolerance:.3g})"]


def _shown(finding: "Finding", value: float) -> str:
    from aisloader.stats.text import pretty_duration, pretty_speed

    if finding.metric in {"p50", "p99"}:
        return pretty_duration(int(value))
    if finding.metric == "bytes/s":
        return pretty_speed(int(value))
    return f"{value:.3%}" if finding.metric == "errors" else f"{value:,.1f}"


def merge(argv: Sequence[str]) -> int:
    """Put the results of loaders that ran together into one."""
    parser = _parser("merge", "Put the results of loaders that ran at the same time together.")
    parser.add_argument("results", metavar="RESULT", nargs="+", help="two or more")
    parser.add_argument("-o", "--output", metavar="FILE", required=True, help="the merged result")
    args = _parse(parser, argv)
    if args is None:
        return 0
    from aisloader.stats.merge import merge_results
    from aisloader.stats.result import read_result, write_result
    from aisloader.stats.text import final_rows, header

    if os.path.realpath(args.output) in {os.path.realpath(path) for path in args.results}:
        raise InvalidArgumentError("the merged result would replace one of its parts")
    merged, notes = merge_results([read_result(path) for path in args.results])
    write_result(args.output, merged)
    say(header(has_rate=merged.has_rate))
    for line in final_rows(
        merged.span, merged.started + merged.elapsed_ns / 1e9, has_rate=merged.has_rate
    ):
        say(line)
    for note in notes:
        complain(note)
    return 0


def calibrate(argv: Sequence[str]) -> int:
    """Measure what this machine's loader can do at most."""
    parser = _parser(
        "calibrate",
        "Run the loader against a store that answers at once: what one worker can do at most, and how exactly this "
        "machine keeps time.",
    )
    parser.add_argument(
        "--seconds", type=float, default=1.0, help="time for each measurement (%(default)g)"
    )
    parser.add_argument("--size", default="10KiB", help="bytes of an object (%(default)s)")
    parser.add_argument("--json", action="store_true", help="figures as JSON")
    args = _parse(parser, argv)
    if args is None:
        return 0
    if not 0 < args.seconds <= SECONDS_MAX:
        raise InvalidArgumentError(f"invalid --seconds {args.seconds:g}: above 0, up to 60")
    from aisloader.calibration import lines_of, measure

    figures = measure(args.seconds, args.size)
    say(json.dumps(figures, indent=2) if args.json else "\n".join(lines_of(figures)))
    return 0


def _write(path: str, text: str) -> None:
    """The whole file or none of it."""
    partial = f"{path}.partial"
    try:
        with open(partial, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(partial, path)
    except OSError as exc:
        raise InvalidArgumentError(f'cannot write "{path}": {exc.strerror}') from exc
