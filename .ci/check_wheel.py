"""Checks what `make build` left: the wheel where there is no compiler, the sdist offline.

The wheel is installed into a fresh environment whose PATH holds nothing else, and runs the tour's
chapter of each room from an empty folder. The source distribution is built into a wheel with every
way to the network closed, with the build tools of the environment that runs this script.

Usage: python .ci/check_wheel.py dist
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMPILERS = ("c++", "cc", "clang", "clang++", "cmake", "g++", "gcc", "make", "ninja")
# Nothing listens on the discard port: a download fails at once instead of passing unnoticed.
NOWHERE = "http://127.0.0.1:9"


def main(dist: Path) -> None:
    """Runs both checks; the exit status says whether they held."""
    (wheel,) = dist.glob("sestina-*.whl")
    (source,) = dist.glob("sestina-*.tar.gz")
    with tempfile.TemporaryDirectory() as folder:
        check_source(source, Path(folder) / "source")
        check_wheel(wheel.resolve(), Path(folder) / "wheel")
    print(f"{wheel.name} and {source.name} hold")


def check_source(source: Path, folder: Path) -> None:
    """Builds a wheel from the source distribution without a network."""
    with tarfile.open(source) as archive:
        archive.extractall(folder, filter="data")
    (tree,) = folder.iterdir()
    closed = {name: NOWHERE for scheme in ("http", "https", "all") for name in both_cases(scheme)}
    environment = os.environ | closed | {"PIP_NO_INDEX": "1"}
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    run([*pip, "--wheel-dir", str(folder), str(tree)], folder, environment)
    assert list(folder.glob("sestina-*.whl")), "no wheel came out of the source distribution"


def check_wheel(wheel: Path, folder: Path) -> None:
    """Installs the wheel where there is no compiler, and runs the tour from it."""
    venv.create(folder, with_pip=True)
    binaries = folder / "bin"
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in {"PYTHONPATH", "CC", "CXX", "VIRTUAL_ENV"}
    } | {"PATH": str(binaries), "PIP_CONSTRAINT": str(ROOT / "constraints.txt")}
    for compiler in COMPILERS:
        assert shutil.which(compiler, path=environment["PATH"]) is None, compiler
    install = [str(binaries / "python"), "-m", "pip", "install", "--quiet", "--only-binary=:all:"]
    index = os.environ.get("TORCH_INDEX")
    run([*install, *(["--extra-index-url", index] if index else []), "torch"], folder, environment)
    run([*install, f"sestina[all] @ {wheel.as_uri()}"], folder, environment)
    empty = folder / "empty"
    empty.mkdir()
    for arguments in (["--version"], ["doctor"], ["tour"]):
        run([str(binaries / "sestina"), *arguments], empty, environment)
    assert (empty / "tour" / "index.html").is_file(), "the tour wrote no index.html"


def both_cases(scheme: str) -> tuple[str, str]:
    """The two spellings of a proxy's variable that programs look for."""
    return f"{scheme}_proxy", f"{scheme.upper()}_PROXY"


def run(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    """Runs a command, shown first; a failure ends this program with its status."""
    print("+", " ".join(command), flush=True)
    done = subprocess.run(command, cwd=folder, env=environment, check=False)
    if done.returncode != 0:
        sys.exit(done.returncode)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
