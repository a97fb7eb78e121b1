"""The UCI reader: splits that share no row, rows on the sphere."""

import numpy as np
import pytest

from benchmarks.ntk.uci import NAMES, load_uci, on_sphere


@pytest.mark.parametrize("name", NAMES)
def test_folds_split_the_rows(name, shared_data):
    data = load_uci(name, shared_data / "ntk" / "uci")
    assert np.isfinite(data.features).all()
    assert data.one_hot.shape == (len(data.features), len(np.unique(data.labels)))
    assert len(data.folds) == 4
    for train, test in (data.halves, *data.folds):
        assert not set(train) & set(test)
        assert max(train.max(), test.max()) < len(data.features)
    for train, test in data.folds:
        assert len(train) == pytest.approx(3 * len(test), abs=3)


def test_rows_are_scaled_and_zero_gets_a_direction():
    rows = on_sphere(np.array([[3.0, 4.0], [0.0, 0.0], [0.0, -1e-9]]))
    np.testing.assert_allclose(np.square(rows).sum(1), 2.0)
    np.testing.assert_allclose(rows[1], 1.0)
