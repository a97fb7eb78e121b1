"""`sestina doctor`: what this machine has, and what each missing part costs."""

from __future__ import annotations

import importlib
import importlib.metadata
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import click

import sestina
from sestina.cli.output import json_option, print_json, print_table
from sestina.core.errors import MissingExtraError
from sestina.core.machine import usable_cores, usable_memory_bytes

__all__ = ["Finding", "doctor_command", "examine"]

_FORMAT_VERSION = 1
_PATIENCE_S = 10.0
_CPU_INFO = Path("/proc/cpuinfo")
# The instruction sets that our kernels or those of PyTorch choose between.
_FEATURES = ("sse4_2", "avx", "avx2", "fma", "avx512f", "avx512bw", "avx512_bf16", "amx_tile")
_ARM_FEATURES = ("asimd", "asimddp", "sve", "sve2")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked for."""

    what: str
    state: Literal["ok", "missing", "broken"]
    found: str
    """The version, the name, the place; empty if it is missing."""
    cost: str = ""
    """What does not work, or is slower, without it; empty if nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Package:
    name: str
    extra: str | None
    cost: str


_PACKAGES = (
    _Package(name="numpy", extra=None, cost="nothing works"),
    _Package(name="click", extra=None, cost="no command line"),
    _Package(name="torch", extra="ntk", cost="no sestina.ntk: no kernels, designs or networks"),
    _Package(name="scipy", extra="ntk", cost="no sestina.ntk: designs and fits need it"),
    _Package(name="scikit-learn", extra="ntk", cost="no estimators, no shipped data sets"),
    _Package(name="matplotlib", extra="ntk", cost="no pictures: no --plot, no tour"),
    _Package(name="gpytorch", extra=None, cost="no kernels for GPyTorch; pip install gpytorch"),
    _Package(
        name="transformers",
        extra="decoding-transformers",
        cost="no language models of Hugging Face",
    ),
    _Package(name="ray", extra="ray", cost="no clusters: work stays on this machine"),
)
_COMPILERS = ("c++", "cmake")
_COMPILER_COST = "nothing runs worse; sestina can't be built from source here"


@click.command()
@json_option
def doctor_command(*, as_json: bool) -> None:
    """Show what this machine has, and what each missing part costs."""
    findings = examine()
    if as_json:
        print_json(
            {
                "format": "sestina-doctor",
                "version": _FORMAT_VERSION,
                "findings": [asdict(finding) for finding in findings],
            }
        )
        return
    rows = [
        (finding.what, finding.found or finding.state, finding.cost or None) for finding in findings
    ]
    print_table(rows, ["what", "found", "what it costs"])


def examine() -> list[Finding]:
    """Everything that `sestina doctor` looks for, in the order it shows it."""
    return [
        Finding(what="sestina", state="ok", found=sestina.__version__),
        Finding(what="python", state="ok", found=f"{platform.python_version()} {sys.executable}"),
        Finding(what="system", state="ok", found=platform.platform(terse=True)),
        *_machine(),
        *(_package(package) for package in _PACKAGES),
        *_gpus(),
        _native_ntk(),
        *(_compiler(name) for name in _COMPILERS),
    ]


def _machine() -> Iterator[Finding]:
    model, features = _cpu(_CPU_INFO)
    yield Finding(what="cpu", state="ok", found=model or platform.machine())
    yield Finding(
        what="cpu features",
        state="ok" if features else "missing",
        found=" ".join(features),
        cost="" if features else "kernel matrices take the portable path, several times slower",
    )
    yield Finding(what="usable cores", state="ok", found=str(usable_cores()))
    gib = usable_memory_bytes() / 2**30
    yield Finding(what="usable memory", state="ok", found=f"{gib:.1f} GiB")


def _cpu(cpu_info: Path) -> tuple[str, list[str]]:
    """The processor's name and those of its features that matter; empty where Linux is not."""
    try:
        lines = cpu_info.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor(), []
    pairs = [line.partition(":") for line in lines]
    facts = {key.strip(): value.strip() for key, _, value in pairs}
    flags = facts.get("flags", facts.get("Features", "")).split()
    return facts.get("model name", ""), [f for f in _FEATURES + _ARM_FEATURES if f in flags]


def _package(package: _Package) -> Finding:
    try:
        version = importlib.metadata.version(package.name)
    except importlib.metadata.PackageNotFoundError:
        remedy = f"; pip install 'sestina[{package.extra}]'" if package.extra else ""
        return Finding(what=package.name, state="missing", found="", cost=f"{package.cost}{remedy}")
    return Finding(what=package.name, state="ok", found=version)


def _gpus() -> Iterator[Finding]:
    """The GPUs that PyTorch uses, and those that it does not."""
    seen = _first_line(["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"])
    try:
        torch = importlib.import_module("torch")
    except ModuleNotFoundError:
        yield Finding(what="gpu", state="missing", found=seen, cost="there is no torch to use one")
        return
    except (ImportError, OSError) as error:
        yield Finding(what="gpu", state="broken", found=seen, cost=f"torch does not load: {error}")
        return
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            facts = torch.cuda.get_device_properties(index)
            found = f"{facts.name}, {facts.total_memory / 2**30:.0f} GiB, CUDA {torch.version.cuda}"
            yield Finding(what=f"gpu {index}", state="ok", found=found)
    elif seen:
        cost = f"torch {torch.__version__} does not use it: install a build for CUDA"
        yield Finding(what="gpu", state="broken", found=seen, cost=cost)
    else:
        yield Finding(what="gpu", state="missing", found="", cost="everything runs on the CPU")


def _native_ntk() -> Finding:
    """The compiled part of `sestina.ntk`, and the instructions that it chose."""
    what, cost = "sestina.ntk, compiled part", "kernel matrices take PyTorch's path, slower"
    try:
        native = importlib.import_module("sestina.ntk._native")
    except (MissingExtraError, ModuleNotFoundError) as error:
        return Finding(what=what, state="missing", found="", cost=f"{cost} ({error})")
    except (ImportError, OSError) as error:
        return Finding(what=what, state="broken", found="", cost=f"{cost} ({error})")
    return Finding(what=what, state="ok", found=str(native.simd_level()))


def _compiler(name: str) -> Finding:
    path = shutil.which(name)
    if path is None:
        return Finding(what=name, state="missing", found="", cost=_COMPILER_COST)
    found = _first_line([path, "--version"])
    if not found:
        return Finding(what=name, state="broken", found=path, cost=_COMPILER_COST)
    return Finding(what=name, state="ok", found=found)


def _first_line(command: list[str]) -> str:
    """The first line that a command prints; empty if it is missing or fails."""
    try:
        done = subprocess.run(  # noqa: S603 - fixed commands
            command, capture_output=True, text=True, check=True, timeout=_PATIENCE_S
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return (done.stdout.splitlines() or [""])[0].strip()
