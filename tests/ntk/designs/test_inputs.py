"""A fitted design's way with data: kept in the file, and the same as the fit's own."""

import numpy as np
import pytest
import torch

from sestina.core.errors import FileFormatError, InvalidValueError, ShapeError
from sestina.ntk.datasets import Table
from sestina.ntk.designs.inputs import DataInputs
from sestina.ntk.designs.inverse import Design, design
from sestina.ntk.fitting.fits import FitOptions, fit_kernel
from sestina.ntk.kernels.dot_product import DotProductKernel
from sestina.ntk.standardisation import Standardisation

RAW = np.random.default_rng(0).normal(size=(60, 3)) * [1e-3, 1.0, 1e6] + [0.0, 5.0, 1e6]
TABLE = Table(
    features=RAW,
    targets=100.0 + RAW[:, 1] * np.tanh(RAW[:, 0] * 1e3),
    names=("a", "b", "c"),
    target_name="y",
    task="regression",
)


def fitted(**options):
    return fit_kernel(
        TABLE.standardised,
        TABLE.targets,
        FitOptions(**options),
        standardisation=TABLE.standardisation,
    )


@pytest.fixture(scope="module")
def chosen():
    return fitted()


def test_a_saved_fit_gives_a_network_that_predicts_raw_rows(chosen, tmp_path):
    chosen.design().save(tmp_path / "design.json")
    net = Design.load(tmp_path / "design.json").data_module(width=512, seed=1).double()
    raw, targets = torch.from_numpy(RAW), torch.from_numpy(TABLE.targets)[:, None]
    # A centred network knows the targets' mean before training, and nothing else.
    torch.testing.assert_close(net(raw), torch.full_like(targets, TABLE.targets.mean()))
    optimiser = torch.optim.Adam(net.parameters(), lr=0.02)
    for _ in range(100):
        loss = (net(raw) - targets).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert float(loss.detach()) < 0.2 * TABLE.targets.var()


@pytest.mark.parametrize("form", ["radial", "normalise"])
@pytest.mark.parametrize("bias", [0.0, 1.0])
def test_raw_rows_do_what_standardised_ones_do_in_the_fits_own_network(form, bias, tmp_path):
    found = fitted(form=form, bias=bias)
    made = found.design(form="hermite")
    made.save(tmp_path / "design.json")
    again = Design.load(tmp_path / "design.json")
    assert again.inputs is not None
    assert (again.inputs.form, again.inputs.bias) == (form, bias)
    plain = found.module(made, 3, 1, 64, seed=2).double()
    net = again.data_module(64, seed=2).double()
    with torch.no_grad():
        for one in (plain, net):
            for parameter in one.parameters():
                parameter.mul_(1.5)
        expected = plain(torch.from_numpy(TABLE.standardised)) + TABLE.targets.mean()
        torch.testing.assert_close(net(torch.from_numpy(RAW)), expected)
    again.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "design.json").read_bytes()


def test_rows_are_those_of_the_table():
    inputs = DataInputs(
        form="normalise",
        bias=0.0,
        standardisation=TABLE.standardisation,
        output_mean_o=np.zeros(1),
    )
    rows = inputs.rows(torch.from_numpy(RAW))
    np.testing.assert_array_equal(rows.numpy(), TABLE.standardised)
    with pytest.raises(ShapeError, match="3 features"):
        inputs.rows(torch.ones(2, 4))


def test_a_classification_has_one_output_per_label():
    labels = np.repeat([0, 1, 2], 20)
    made = fit_kernel(TABLE.standardised, labels).design(form="hermite")
    np.testing.assert_allclose(made.inputs.output_mean_o, 1 / 3)
    assert made.data_module(8)(torch.from_numpy(RAW)).shape == (60, 3)


def test_a_standardisation_of_other_columns_is_refused():
    other = Standardisation(mean_d=np.zeros(2), scale_d=np.ones(2))
    with pytest.raises(ShapeError, match="standardisation"):
        fit_kernel(TABLE.standardised, TABLE.targets, standardisation=other)


def test_a_design_without_data_has_no_network_on_raw_rows():
    made = design(DotProductKernel.from_coefficients([0.0, 1.0]), form="hermite", degree=1)
    with pytest.raises(InvalidValueError, match="fit_kernel"):
        made.data_module(8)


def test_inputs_in_a_file_are_checked(chosen, tmp_path):
    from_file = chosen.design(form="hermite")
    object.__setattr__(
        from_file.inputs,
        "standardisation",
        Standardisation(mean_d=np.zeros(3), scale_d=-np.ones(3)),
    )
    from_file.save(tmp_path / "bad.json")
    with pytest.raises(FileFormatError, match=r"inputs\.scale"):
        Design.load(tmp_path / "bad.json")
