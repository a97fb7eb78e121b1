"""Decoders that others have put on Hugging Face's hub."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

__all__ = ["fetched"]


def fetched(model_id: str, cache_dir: str | Path | None, **kwargs: Any) -> str:
    """The directory where the files of a repository now are; see `load_from_hf_hub`.

    Raises:
        ImportError: if huggingface_hub is not installed.
    """
    try:
        hub: Any = importlib.import_module("huggingface_hub")  # an optional package
    except ImportError as error:
        raise ImportError(
            f"load_from_hf_hub({model_id!r}) needs huggingface_hub, which is not installed: "
            "install it, or place the repository's alphabet.json and, if it has a language model, "
            "the folder language_model (attrs.json, unigrams.txt and the .arpa, .bin or .binary "
            "file) in one directory and call load_from_dir with it"
        ) from error
    folder = Path.home() / ".cache" / "pyctcdecode" if cache_dir is None else cache_dir
    return str(hub.snapshot_download(model_id, cache_dir=folder, **kwargs))
