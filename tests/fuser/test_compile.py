import ctypes
import logging
import types

import pytest
import torch

from sestina.fuser.compile import native
from sestina.fuser.compile.cache import Cache
from sestina.fuser.compile.native import Machine, Text, code_key, compiled, machine
from sestina.fuser.render.kernel import render
from sestina.fuser.render.library import vector_symbols
from sestina.fuser.schedule.kernel import schedule
from sestina.fuser.segment.groups import segment
from tests.fuser.captured import lowered


def source_of(function, *arguments):
    segments = segment(lowered(function, *arguments).graph)
    (group,) = segments.groups
    return render(schedule(group, segments.stored), machine().features)


def test_a_kernel_can_be_called_from_the_array_of_its_arguments():
    x, y = torch.arange(100.0), torch.zeros(100)
    function = compiled(source_of(lambda x: x * 3, x), has_finish=False)
    function((ctypes.c_int64 * 3)(x.data_ptr(), y.data_ptr(), 0), 100, 64, 2, 1)
    assert torch.equal(y, x * 3)


def test_threads_are_those_of_pytorch():
    # Linux wheels of PyTorch bring libgomp; without it kernels run in one thread.
    assert machine().is_parallel


def test_what_another_renderer_wrote_is_another_kernel(monkeypatch):
    source = source_of(lambda x: x * 3, torch.arange(100.0))
    keys = [code_key(source)]
    for writer in ("another", None):  # none where its modules can't be read: by the source then
        monkeypatch.setattr(native, "_writer", writer)
        keys.append(code_key(source))
    assert len(set(keys)) == 3
    assert keys[-1] == code_key(Text(source.source))


def test_without_the_runtime_of_threads_kernels_are_serial_and_it_is_said(
    monkeypatch, tmp_path, caplog
):
    monkeypatch.setattr(torch, "__file__", str(tmp_path / "torch" / "__init__.py"))
    assert native._openmp() == ()
    assert "kernels run in one thread" in caplog.text
    machine = Machine("cpu", frozenset(), ())
    assert not machine.is_parallel
    monkeypatch.setattr(native, "machine", lambda: machine)
    assert native.num_threads() == 1


def test_source_that_is_none_is_refused_by_llvm():
    with pytest.raises(RuntimeError, match="parsing error"):
        compiled(Text("define nothing"), has_finish=False)


def test_kernels_that_are_alike_are_one_function():
    x = torch.arange(100.0)
    first = compiled(source_of(lambda x: x * 3, x), has_finish=False)
    again = compiled(source_of(lambda _, x: x * 3, x + 1, x), has_finish=False)
    assert again.kernel is first.kernel
    text = Text(source_of(lambda x: x * 3, x).source)
    assert "; v" in text.source
    assert code_key(Text("; another comment\n" + text.source)) == code_key(text)
    other = compiled(source_of(lambda x: x * 4, x), has_finish=False)
    assert other.kernel is not first.kernel


def library(names):
    """A C library that has these functions."""

    def opened(_path, mode):
        assert mode == ctypes.RTLD_GLOBAL
        return types.SimpleNamespace(**dict.fromkeys(names))

    return opened


def missing(_path, mode):
    raise OSError("libmvec.so.1: cannot open shared object file")


def test_functions_of_vectors_are_used_if_the_c_library_has_all_of_them(monkeypatch, caplog):
    caplog.set_level(logging.INFO, native.__name__)
    features = frozenset({"avx2"})
    names = vector_symbols(features)
    monkeypatch.setattr(native.ctypes, "CDLL", library(names))
    assert native._has_vector_functions(features)
    assert not native._has_vector_functions(frozenset({"neon"}))
    assert caplog.text == ""
    monkeypatch.setattr(native.ctypes, "CDLL", library(names - {"_ZGVdN8v_sinf"}))
    assert not native._has_vector_functions(features)
    assert "lane by lane: no _ZGVdN8v_sinf" in caplog.text
    monkeypatch.setattr(native.ctypes, "CDLL", missing)
    assert not native._has_vector_functions(features)
    assert "cannot open" in caplog.text


def test_machine_code_that_calls_what_is_not_there_is_made_anew(monkeypatch, tmp_path, caplog):
    # Under the key of a kernel lies code of another process, whose C library had more.
    source = Text("define void @rows(ptr %a, i64 %b, i64 %c, i64 %d) {\n  ret void\n}")
    stranger = "declare void @_ZGVeN16v_nothing()\n" + source.source.replace(
        "ret", "call void @_ZGVeN16v_nothing()\n  ret"
    )
    cache = Cache(tmp_path / "kernels")
    monkeypatch.setattr(native, "kernel_cache", lambda: cache)
    cache.put(code_key(source), native._generated_code(stranger))
    assert compiled(source, has_finish=False).origin == "compiled"
    assert "no code that can be linked" in caplog.text
