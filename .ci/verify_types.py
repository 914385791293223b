"""Fail when a public name of the package has a type that type checkers may see differently.

`pyright --verifytypes` reports every module. What is promised is the `__all__` of the public packages, so only
those are looked at: a class counts with all its members.
"""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

PUBLIC = (
    "aiscore",
    "aiscore.client",
    "aiscore.errors",
    "aiscore.model",
    "aiscore.testing",
    "aiscore.transport",
)


def exports(module: str) -> list[str]:
    """The `__all__` of a module, read without importing it."""
    path = Path("src", *module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names: list[str] = ast.literal_eval(node.value)
            return [
                name for name in names if not name.startswith("_")
            ]  # pyright leaves dunders out
    return []


def main() -> int:
    """Run pyright, and print what is wrong with public names."""
    command = [sys.executable, "-m", "pyright", "--verifytypes", "aiscore", "--ignoreexternal"]
    # pyright looks for the package where the first `python` of the PATH does.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    done = subprocess.run(
        [*command, "--outputjson"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": path},
    )
    try:
        symbols = json.loads(done.stdout)["typeCompleteness"]["symbols"]
    except (ValueError, KeyError):
        print(done.stdout, done.stderr, "pyright gave no report", sep="\n")
        return 1
    doubtful = {s["name"]: s for s in symbols if not s["isTypeKnown"] or s["isTypeAmbiguous"]}
    public = {f"{module}.{name}" for module in PUBLIC for name in exports(module)}
    unseen = public - {symbol["name"] for symbol in symbols}
    wrong = sorted(public & doubtful.keys())
    for name in sorted(unseen):
        print(f"{name}: pyright did not see it")
    for name in wrong:
        print(f"{name}: its type is not fully known")
    names = {name.rpartition(".")[2] for name in wrong}
    for symbol in doubtful.values():
        if symbol["diagnostics"] and names & set(symbol["name"].split(".")):
            for diagnostic in symbol["diagnostics"]:
                print(f"  {symbol['name']}: {diagnostic['message']}")
    return 1 if wrong or unseen else 0


if __name__ == "__main__":
    sys.exit(main())
