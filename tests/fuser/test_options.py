import pytest

from sestina.core.errors import OptionError
from sestina.core.options import options_from_mapping
from sestina.fuser.options import FuserOptions


def test_the_defaults_warn_and_make_masks_again():
    options = FuserOptions()
    assert (options.strict, options.dropout) == (False, "regenerate")


def test_an_unknown_option_is_refused_with_the_nearest_name():
    with pytest.raises(OptionError, match="did you mean 'strict'"):
        options_from_mapping(FuserOptions, {"strikt": True})
