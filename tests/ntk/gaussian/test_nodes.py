"""Tests of the nodes that quadrature stands on: moments of the Gaussian that are known."""

import pytest
import torch

from sestina.ntk.gaussian.nodes import Rule, hermite_basis, line_nodes, num_line_nodes, panel_nodes

MOMENTS = {0: 1.0, 1: 0.0, 2: 1.0, 3: 0.0, 4: 3.0, 6: 15.0}


@pytest.mark.parametrize(("power", "expected"), MOMENTS.items())
def test_the_line_has_the_gaussians_moments(power, expected):
    z, weights = line_nodes(Rule(reach=13.0, num_nodes=256), torch.zeros(1, dtype=torch.float64))
    assert (z**power * weights).sum().item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("power", "expected"), MOMENTS.items())
@pytest.mark.parametrize("cuts", [[0.3], [-40.0, 40.0], [1.0, 1.0, -2.0]])
def test_panels_have_them_wherever_they_are_cut(power, expected, cuts):
    z, weights = panel_nodes(
        torch.tensor(cuts, dtype=torch.float64), Rule(reach=13.0, num_nodes=64)
    )
    assert (z**power * weights).sum().item() == pytest.approx(expected, abs=1e-11)


def test_no_node_lies_beyond_a_cut():
    cuts = torch.tensor([0.5], dtype=torch.float64)
    z, weights = panel_nodes(cuts, Rule(reach=9.0, num_nodes=32, cuts_centre=False))
    above = torch.where(z > 0.5, weights, 0.0).sum().item()
    assert above == pytest.approx(0.3085375387259869, abs=1e-14)  # P(Z > 1/2)


def test_so_many_nodes_do_for_a_bandwidth():
    num_nodes = num_line_nodes(13.0, 20.0)
    z, weights = line_nodes(
        Rule(reach=13.0, num_nodes=num_nodes), torch.zeros(1, dtype=torch.float64)
    )
    mean = ((12 * z).cos() * weights).sum().item()  # frequency 12, and 8 for the Gaussian
    assert num_nodes == 128
    assert mean == pytest.approx(5.380186160021138e-32, abs=1e-12)  # e^{−72}


@pytest.mark.parametrize("num_terms", [64, 5000])
def test_the_tabulated_polynomials_are_orthonormal(num_terms):
    num_nodes = 1024
    like = torch.zeros(1, dtype=torch.float64)
    _, weights = line_nodes(Rule(reach=19.0, num_nodes=num_nodes), like)
    basis = torch.from_numpy(hermite_basis(19.0, num_nodes, num_terms))[:, :30]
    products = basis.T @ (weights[:, None] * basis)
    torch.testing.assert_close(products, torch.eye(30, dtype=torch.float64), atol=1e-11, rtol=0)
