from sestina.fuser.cases import CASES


def test_every_case_has_leaves_that_want_gradients():
    for name in ("RMSNorm 4096×1024", "masked softmax+dropout 8×4×128×128"):
        case = CASES[name]
        arguments = case.arguments()
        case.function(*arguments).sum().backward()
        assert arguments[0].grad.shape == arguments[0].shape
