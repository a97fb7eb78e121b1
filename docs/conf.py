"""Sphinx: MyST pages, autodoc of the public names, and the help of every command."""

from __future__ import annotations

import re
from importlib import import_module
from importlib.metadata import version as installed_version

import click
from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.nodes import make_refnode

from sestina.cli.main import cli

project = "sestina"
author = "The sestina developers"
copyright = "The sestina developers"
version = release = installed_version("sestina")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.mathjax"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = f"sestina {release}"

# Docstrings are written for people in an editor: one backtick is code, whole types in signatures.
default_role = "literal"
autodoc_member_order = "groupwise"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
# Other packages' inventories would have to be fetched; only our own names are checked.
nitpick_ignore_regex = [(r"py:.*", r"(?!sestina\b).*")]


class CommandHelp(Directive):
    """`{sestina-help}`: the help text of every command, as the terminal shows it."""

    def run(self) -> list[nodes.Node]:
        """One section per command, the group's first."""
        return [
            section
            for path, command in _commands(cli, "sestina")
            for section in _help(path, command)
        ]


def _commands(command: click.Command, path: str) -> list[tuple[str, click.Command]]:
    found = [(path, command)]
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=path)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None and not child.hidden:
                found += _commands(child, f"{path} {name}")
    return found


def _help(path: str, command: click.Command) -> list[nodes.Node]:
    section = nodes.section(ids=[nodes.make_id(path)], names=[path])
    section += nodes.title(text=path)
    text = command.get_help(click.Context(command, info_name=path, max_content_width=90))
    section += nodes.literal_block(text, text, language="text")
    return [section]


def _escape_bars(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    # |x| is a norm to our docstrings and a substitution to reStructuredText.
    for index, line in enumerate(lines):
        if ">>>" not in line and "|" in line:
            parts = re.split(r"(`[^`]*`)", line)
            lines[index] = "".join(
                part if part.startswith("`") else part.replace("|", r"\|") for part in parts
            )


def _skip_routing(
    app: Sphinx, what: str, name: str, obj: object, skip: object, options: object
) -> bool | None:
    # scikit-learn writes set_score_request and its like into every estimator, with references into
    # its own documentation.
    return True if re.fullmatch(r"set_\w+_request", name) else None


def _find(app: Sphinx, env: BuildEnvironment, node: nodes.Element, content: nodes.Node) -> object:
    """Links a name of ours to the face that exports it; names that do not exist stay broken."""
    target = node.get("reftarget", "")
    module, _, name = target.rpartition(".")
    if not module.startswith("sestina.") or not hasattr(import_module(module), name):
        return None
    face = module.rpartition(".")[0]
    domain = env.domains.python_domain
    found = domain.objects.get(f"{face}.{name}")
    if found is None:
        return content  # a type variable, or a class that signatures name and nobody builds
    page = node["refdoc"]
    return make_refnode(app.builder, page, found.docname, found.node_id, content, name)


def setup(app: Sphinx) -> None:
    """Registers the directive and the hooks above."""
    app.add_directive("sestina-help", CommandHelp)
    app.connect("autodoc-process-docstring", _escape_bars)
    app.connect("autodoc-skip-member", _skip_routing)
    app.connect("missing-reference", _find)
