"""The repository keeps to its own rules: sizes, names, layers, dependencies, stubs, results."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "sestina"
SOURCES = sorted(PACKAGE.rglob("*.py"))
PYTHON_FILES = [
    path
    for folder in ("src", "tests", "benchmarks", "recipes", "examples")
    for path in sorted((ROOT / folder).rglob("*.py"))
]
ROOMS = ("decoding", "documents", "fuser", "ntk", "rl", "segmentation")
PRESENT_ROOMS = [room for room in ROOMS if (PACKAGE / room / "__init__.py").exists()]
NATIVE_STUBS = sorted(PACKAGE.rglob("_native.pyi"))

# What a layer may import from outside, beside the standard library: the base and its room's extra.
BASE = {"click", "numpy"}
EXTRA_IMPORTS = {
    "core": {"matplotlib"},
    "decoding": {"matplotlib", "torch"},
    "fuser": {"functorch", "llvmlite", "sympy", "torch"},
    "tensors": {"torch"},
    "cli": {"matplotlib", "torch"},
    "ntk": {"gpytorch", "linear_operator", "matplotlib", "scipy", "sklearn", "torch"},
}
# What a face may import without offering it: the guard that names a missing extra.
NOT_FACE = {"naming_extra"}
# Raised where a protocol asks for that very class: the language's, ATen's, files', scikit-learn's.
PROTOCOL_ERRORS = {
    "IndexError",
    *("AttributeError", "KeyError", "StopIteration", "SystemExit", "TypeError"),
    *("FileExistsError", "FileNotFoundError", "IsADirectoryError", "NotADirectoryError"),
    "NotFittedError",
}


def named(paths):
    return {"argvalues": paths, "ids": [str(path.relative_to(ROOT)) for path in paths]}


def functions_of(tree):
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [node for node in ast.walk(tree) if isinstance(node, kinds)]


def declared_all(tree):
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            return list(ast.literal_eval(node.value))
    return None


def definitions(tree):
    """The names that a module defines at its top level, each with the node that says what it is."""
    found = {}
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found[node.name] = node
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [target.id for target in targets if isinstance(target, ast.Name)]
            found |= dict.fromkeys(names, node.value)
    return found


def public_definitions(tree):
    """Names without an underscore in front, less those that only signatures use."""
    return {
        name
        for name, node in definitions(tree).items()
        if not name.startswith("_") and not is_type(name, node)
    }


def is_type(name, node):
    """Whether the name stands for a type: an alias or a type variable."""
    if isinstance(node, ast.Call):
        return ast.unparse(node.func).endswith(("TypeVar", "ParamSpec"))
    is_alias = isinstance(node, (ast.Subscript, ast.BinOp, ast.Attribute, ast.Name))
    return is_alias and name[0].isupper() and not name.isupper()


def is_only_a_docstring(tree):
    """Whether a package only says what its modules are: the face is then that of the room."""
    return len(tree.body) == 1 and ast.get_docstring(tree) is not None


def imported_names(tree):
    """Names that a module imports from sestina, at its top level or in a `with` there."""
    blocks = [tree.body, *(node.body for node in tree.body if isinstance(node, ast.With))]
    nodes = [node for block in blocks for node in block if isinstance(node, ast.ImportFrom)]
    ours = [node for node in nodes if (node.module or "").startswith("sestina")]
    return {alias.asname or alias.name for node in ours for alias in node.names}


def run_python(code, **options):
    """Runs code in a new interpreter and returns its last line, read as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, **options
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def said_of(function):
    """How many lines its docstring has: many arguments are many lines, and no harder to read."""
    return len((ast.get_docstring(function) or "").splitlines())


@pytest.mark.parametrize("path", **named(PYTHON_FILES))
def test_a_file_fits_in_one_reading(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 500
    lengths = {
        f"{node.name} (line {node.lineno})": node.end_lineno - node.lineno + 1 - said_of(node)
        for node in functions_of(ast.parse(text))
    }
    assert {name: length for name, length in lengths.items() if length > 60} == {}


@pytest.mark.parametrize("path", **named(SOURCES))
def test_all_is_what_is_public(path):
    tree = ast.parse(path.read_text())
    names = declared_all(tree)
    if path.name == "__main__.py" or not tree.body or is_only_a_docstring(tree):
        return
    assert names is not None, "the module declares no __all__"
    assert len(set(names)) == len(names)
    if path.name == "__init__.py":
        if "__getattr__" not in definitions(tree):
            known = {*definitions(tree), *imported_names(tree), "__version__"}
            assert set(names) - known == set()
            assert imported_names(tree) - set(names) - NOT_FACE == set(), "imported for nothing"
    else:
        assert set(names) <= set(definitions(tree))
        assert public_definitions(tree) - set(names) == set()


@pytest.mark.parametrize("path", **named(SOURCES))
def test_every_public_name_has_a_docstring(path):
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree) or not tree.body, "the module says nothing of itself"
    public = [
        node
        for node in tree.body
        if isinstance(node, (ast.FunctionDef, ast.ClassDef))
        and not node.name.startswith("_")
        and "overload" not in [ast.unparse(decorator) for decorator in node.decorator_list]
    ]
    assert [node.name for node in public if not ast.get_docstring(node)] == []


@pytest.mark.parametrize("room", PRESENT_ROOMS)
def test_every_public_name_of_a_room_has_its_place_in_the_documentation(room):
    # automodule lists what __all__ names, so a page that names the package documents them all.
    pages = "".join(path.read_text() for path in (ROOT / "docs").rglob("*.md"))
    assert f"automodule:: sestina.{room}\n" in pages


@pytest.mark.parametrize("path", **named([p for p in SOURCES if "cli" not in p.parts]))
def test_only_the_command_line_prints(path):
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    printing = {"print", "sys.stdout.write", "sys.stderr.write"}
    assert [call.lineno for call in calls if ast.unparse(call.func) in printing] == []


def test_nothing_is_left_for_later():
    folders = ("src", "csrc", "tests", "benchmarks", "docs", "recipes", "examples")
    words = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|X" + r"XX)\b")
    kinds = {".py", ".pyi", ".cpp", ".hpp", ".cmake", ".md", ".txt", ".toml"}
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for folder in folders
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in kinds and "_build" not in path.parts
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if words.search(line)
    ]
    assert found == []


def shows_a_value(call):
    """Whether the error names a thing and its value, or anything in it is more than fixed text."""
    arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
    return len(call.args) >= 2 or any(
        not isinstance(argument, ast.Constant) for argument in arguments
    )


def raised_classes(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            yield node.exc, ast.unparse(node.exc.func)


# A face of another package raises what that package raises, in its words.
@pytest.mark.parametrize("path", **named([p for p in SOURCES if "compat" not in p.parts]))
def test_errors_are_of_the_one_tree_and_show_a_value(path):
    errors = ast.parse((PACKAGE / "core" / "errors.py").read_text())
    tree = {node.name for node in errors.body if isinstance(node, ast.ClassDef)}
    for call, name in raised_classes(ast.parse(path.read_text())):
        if not name.rsplit(".", 1)[-1].endswith(("Error", "Exit", "Iteration")):
            continue  # a helper that builds the error, checked where it does so
        place = f"{path.relative_to(ROOT)}:{call.lineno}"
        allowed = name in tree or name in PROTOCOL_ERRORS or name.startswith("click.")
        assert allowed, f"{place}: {name} is not in sestina.core.errors"
        assert shows_a_value(call), f"{place}: the message of {name} shows no value"


def module_of(test):
    """The source that a test file stands for: its name, or its name less `_<aspect>` parts."""
    folder = test.relative_to(ROOT / "tests").parent
    base = ROOT if folder.parts[:1] == ("benchmarks",) else PACKAGE
    words = test.stem.removeprefix("test_").split("_")
    for count in range(len(words), 0, -1):
        name = "_".join(words[:count])
        for candidate in (base / folder / f"{name}.py", base / folder / name):
            if candidate.exists():
                return candidate
    stub = base / folder / "_native.pyi"  # all that is written of an extension in Python
    return stub if words[0] == "native" and stub.exists() else None


ROOT_TESTS = tuple(
    f"tests/test_{name}.py"
    for name in ("conftest", "examples", "fuzz", "readme", "repository", "wav2vec2_example")
)
MIRRORING = [
    path
    for path in sorted((ROOT / "tests").rglob("test_*.py"))
    if str(path.relative_to(ROOT)) not in ROOT_TESTS and "parity" not in path.parts
]


@pytest.mark.parametrize("path", **named(MIRRORING))
def test_a_test_file_stands_for_a_source_file(path):
    assert module_of(path) is not None


@pytest.mark.parametrize("path", **named([p for p in SOURCES if not p.name.startswith("__")]))
def test_a_source_file_has_a_test_file(path):
    covered = {module_of(test) for test in MIRRORING}
    # A package inside a room may be tested through its face; a room's own files stand alone.
    packages = [parent for parent in path.parents if PACKAGE in parent.parent.parents]
    assert path in covered or covered & set(packages)


def third_party_imports(path):
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - {"sestina"}


@pytest.mark.parametrize("path", **named(SOURCES))
def test_a_layer_imports_only_what_its_extra_brings(path):
    layer = path.relative_to(PACKAGE).parts[0]
    assert third_party_imports(path) <= BASE | EXTRA_IMPORTS.get(layer, set())


def test_the_base_installs_numpy_and_click_and_nothing_else():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {re.split(r"[<>=]", spec)[0] for spec in project["dependencies"]} == BASE


def test_constraints_pin_every_dependency_to_one_public_version():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [
        *extras["dependencies"],
        *chain.from_iterable(extras["optional-dependencies"].values()),
    ]
    names = {re.split(r"[<>=\[]", spec)[0].replace("_", "-").lower() for spec in wanted}
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert [
        pin for pin in pins if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", pin)
    ] == []
    pinned = {pin.split("==")[0].replace("_", "-").lower() for pin in pins}
    assert names - pinned - {"sestina"} == set()


@pytest.mark.parametrize("module", ["sestina", "sestina.core", "sestina.cli.main"])
def test_importing_loads_no_torch(module):
    code = f"import json, sys, {module}; print(json.dumps(sorted(sys.modules)))"
    assert {"torch", "scipy", "sklearn", "matplotlib"} & set(run_python(code)) == set()


def partial_copy(folder, rooms):
    """The package with only some rooms, as a checkout without the others would have it."""

    def others(path, names):
        parts = Path(path).relative_to(PACKAGE).parts
        absent = {room for room in ROOMS if room not in rooms}
        if parts == ():
            return [name for name in names if name in absent or name == "__pycache__"]
        if parts[0] == "cli":
            return [name for name in names if name.removesuffix(".py") in absent]
        return [name for name in names if name == "__pycache__"]

    shutil.copytree(PACKAGE, folder / "sestina", ignore=others)
    for room in rooms:
        spec = importlib.util.find_spec(f"sestina.{room}._native")
        if spec is not None and spec.origin is not None:
            shutil.copy(spec.origin, folder / "sestina" / room)
    # Without the site module, whose .pth files would find the whole checkout again.
    libraries = [str(folder), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    return f"import sys; sys.path[:0] = {libraries!r}\n"


IMPORT_ALL = """
import importlib, json, pkgutil, sestina
assert sestina.__file__.startswith(sys.path[0]), sestina.__file__
names = [m.name for m in pkgutil.walk_packages(sestina.__path__, "sestina.")]
for name in names:
    importlib.import_module(name)
print(json.dumps(names))
"""


@pytest.mark.parametrize("room", [*PRESENT_ROOMS, None])
def test_a_room_works_with_the_others_deleted(room, tmp_path):
    rooms = [room] if room else []
    code = partial_copy(tmp_path, rooms) + IMPORT_ALL
    done = subprocess.run(
        [sys.executable, "-S", "-I", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    present = {name.split(".")[1] for name in json.loads(done.stdout)} & set(ROOMS)
    assert present == set(rooms)


@pytest.mark.parametrize("path", **named(NATIVE_STUBS))
def test_the_stub_of_an_extension_is_what_stubgen_writes(path, tmp_path):
    module = f"sestina.{path.parent.name}._native"
    written = tmp_path / "_native.pyi"
    command = [sys.executable, "-m", "nanobind.stubgen", "-q", "-m", module, "-o", str(written)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert path.read_text() == written.read_text(), "run: make stubs"


def test_rows_of_results_are_whole():
    needed = {"what", "workload", "date", "commit", "versions", "hardware", "ours", "target", "met"}
    paths = [ROOT / "benchmarks" / "results" / f"{room}.jsonl" for room in ROOMS]
    for path in [path for path in paths if path.exists()]:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            assert needed <= set(json.loads(line)), f"{path.name}:{number}"
