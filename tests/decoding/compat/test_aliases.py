"""Old names, in processes of their own: what is registered there stays there."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest


@pytest.fixture
def run(tmp_path):
    def ran(program, *, path=()):
        code = textwrap.dedent(program)
        return subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            capture_output=True,
            text=True,
            check=True,
            cwd=tmp_path,
            env={"PYTHONPATH": ":".join(map(str, (*sys.path, *path)))},
        ).stdout

    return ran


def test_old_import_lines_work_after_install_and_no_more_after_uninstall(run):
    run("""
        import sys
        from sestina.decoding import compat
        before = set(sys.modules), list(sys.meta_path)
        names = compat.install()
        assert "torchaudio.models.decoder" in names, names
        assert "flashlight.lib.text.decoder" in names, names
        from torchaudio.models.decoder import ctc_decoder, download_pretrained_files
        from flashlight.lib.text.decoder import LexiconDecoder, Trie
        from flashlight.lib.text.decoder.kenlm import KenLM
        from flashlight.lib.text.dictionary import Dictionary, load_words
        from pyctcdecode import BeamSearchDecoderCTC, build_ctcdecoder
        from pyctcdecode.alphabet import Alphabet
        import kenlm
        assert kenlm.Model is kenlm.LanguageModel
        from sestina.decoding.compat import pyctcdecode
        assert build_ctcdecoder is pyctcdecode.build_ctcdecoder
        assert Alphabet is pyctcdecode.Alphabet
        import flashlight.lib.text.decoder as decoder
        import sestina.decoding.compat.torchaudio as ours
        assert ctc_decoder is ours.ctc_decoder
        assert decoder.Trie is Trie
        assert compat.install() == names  # once more changes nothing
        compat.uninstall()
        old = ("torchaudio", "flashlight", "pyctcdecode", "kenlm")
        assert not [name for name in sys.modules if name.partition(".")[0] in old]
        assert sys.meta_path == before[1]
        try:
            import flashlight.lib.text.decoder
        except ModuleNotFoundError:
            pass
        else:
            raise AssertionError("still there")
        assert Trie(3, 0).get_root().idx == 0  # what was imported goes on working
    """)


def test_a_package_that_is_installed_goes_first(run, tmp_path):
    site = tmp_path / "site"
    for package in ("torchaudio/models/decoder", "pyctcdecode", "kenlm"):
        (site / package).mkdir(parents=True)
    above = ("torchaudio", "torchaudio/models", "torchaudio/models/decoder")
    for place in (*above, "pyctcdecode", "kenlm"):
        (site / place / "__init__.py").write_text("theirs = True\n")
    run(
        """
        from sestina.decoding import compat
        names = compat.install()
        assert "torchaudio.models.decoder" not in names
        assert "pyctcdecode" not in names
        assert "kenlm" not in names
        import kenlm
        assert kenlm.theirs
        assert "flashlight.lib.text.decoder" in names
        import torchaudio.models.decoder
        assert torchaudio.models.decoder.theirs
        compat.uninstall()
        import torchaudio.models.decoder, sys
        assert torchaudio.models.decoder.theirs
        assert "torchaudio.models.decoder" in sys.modules
        """,
        path=[site],
    )


def test_only_what_is_missing_of_a_package_is_added_and_taken_away_again(run, tmp_path):
    site = tmp_path / "site"
    (site / "torchaudio" / "models").mkdir(parents=True)
    (site / "torchaudio" / "__init__.py").write_text("theirs = True\n")
    (site / "torchaudio" / "models" / "__init__.py").write_text("theirs = True\n")
    run(
        """
        import torchaudio.models
        from sestina.decoding import compat
        assert "torchaudio.models.decoder" in compat.install()
        from torchaudio.models.decoder import ctc_decoder
        assert torchaudio.theirs and torchaudio.models.theirs
        compat.uninstall()
        assert not hasattr(torchaudio.models, "decoder")
        assert torchaudio.models.theirs
        """,
        path=[site],
    )


def test_versions_are_told_of_what_is_served_but_not_of_torchaudio(run):
    run("""
        from importlib.metadata import PackageNotFoundError, version
        from sestina.decoding import compat
        def known(name):
            try:
                return version(name)
            except PackageNotFoundError:
                return None
        assert known("flashlight-text") is None
        compat.install()
        assert known("flashlight-text") == known("flashlight_text") == "0.0.7"
        assert known("torchaudio") is None
        compat.uninstall()
        assert known("flashlight-text") is None
    """)


def test_installing_loads_no_torch_until_the_face_that_needs_it_is_imported(run):
    out = run("""
        import sys
        from sestina.decoding import compat
        compat.install()
        import flashlight.lib.text.decoder
        import pyctcdecode
        print("torch" in sys.modules)
        import torchaudio.models.decoder
        print("torch" in sys.modules)
    """)
    assert out.split() == ["False", "True"]


def test_without_torch_all_other_names_are_served(run):
    run("""
        import sys
        class WithoutTorch:
            def __init__(self, finder):
                self.find = finder.find_spec
            def find_spec(self, fullname, path=None, target=None):
                if fullname.partition(".")[0] != "torch":
                    return self.find(fullname, path, target)
        sys.meta_path[:] = [WithoutTorch(finder) for finder in sys.meta_path]
        before = list(sys.meta_path)
        from sestina.decoding import compat
        names = compat.install()
        assert "torchaudio.models.decoder" not in names, names
        assert {"flashlight.lib.text.decoder", "pyctcdecode"} <= set(names), names
        import pyctcdecode
        try:
            import torchaudio.models.decoder
        except ModuleNotFoundError as error:
            assert error.name == "torchaudio", error
        else:
            raise AssertionError("what needs torch was found")
        compat.uninstall()
        assert sys.meta_path == before
    """)


def test_a_package_that_fails_when_imported_leaves_no_finder_behind(run, tmp_path):
    site = tmp_path / "site"
    (site / "torchaudio").mkdir(parents=True)
    (site / "torchaudio" / "__init__.py").write_text("raise OSError('no libtorch.so')\n")
    run(
        """
        import sys
        from sestina.decoding import compat
        before = list(sys.meta_path)
        try:
            compat.install()
        except OSError as error:
            assert "libtorch" in str(error)
        else:
            raise AssertionError("the package's own error is to be seen")
        assert sys.meta_path == before
        """,
        path=[site],
    )
