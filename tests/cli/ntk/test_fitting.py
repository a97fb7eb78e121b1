"""`sestina ntk fit`: the design that it writes takes raw rows."""

import json

import torch

from sestina.cli.main import main
from sestina.ntk.datasets import shipped_table
from sestina.ntk.designs.inverse import Design


def test_the_design_written_predicts_raw_rows(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = ["ntk", "fit", "wine", "--rows", "60", "--form", "hermite", "--out", "wine.json"]
    assert main([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    made = Design.load("wine.json")
    assert (made.inputs.form, made.inputs.bias) == (found["norms"], found["bias"])
    assert found["design"]["target"] == made.origin.text == "fitted to wine"
    table = shipped_table("wine")
    net = made.data_module(width=64)
    outputs = net(torch.from_numpy(table.features))
    torch.testing.assert_close(  # a centred network starts at the labels' frequencies
        outputs, torch.from_numpy(table.outputs).float().mean(0).expand_as(outputs)
    )


def test_a_directory_with_a_pictures_name_is_refused_first(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wine-fit.png").mkdir()
    assert main(["ntk", "fit", "wine", "--plot"]) == 2
    assert "wine-fit.png" in capsys.readouterr().err
