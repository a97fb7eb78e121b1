import copy

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from sestina.core.errors import InvalidValueError
from sestina.ntk.empirical import EmpiricalNTK, empirical_ntk, kernel_matrix
from sestina.ntk.empirical.borrowed import BorrowedModule
from tests.ntk.empirical.modules import METHODS, Calls, normal


def repeated():
    shared = nn.Linear(4, 4)
    return nn.Sequential(shared, nn.Tanh(), shared, nn.ReLU(), nn.Linear(4, 2))


def repeated_deep_inside():
    shared = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4))
    return nn.Sequential(nn.ModuleDict({"a": shared})["a"], nn.Sequential(nn.Tanh(), shared))


def tied():
    module = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))
    module[2].weight = module[0].weight
    return module


def repeated_and_tied():
    module = nn.Sequential(*repeated(), nn.Linear(2, 4), nn.Linear(4, 4))
    module[6].weight = module[0].weight
    return module


def repeated_with_buffers():
    shared = nn.BatchNorm1d(4)
    module = nn.Sequential(nn.Linear(4, 4), shared, nn.Tanh(), shared)
    module(normal(20, 4, dtype=torch.float32))
    return module.eval()


def partly_frozen():
    module = repeated()
    module[0].bias.requires_grad_(False)
    return module


def recurrent():
    return Calls(lambda m, x: m.r(x[:, None])[0][:, -1], r=nn.LSTM(4, 2, batch_first=True))


def with_weight_hook():
    # The older form, whose hook leaves the computed weight on the module.
    module = nn.Sequential(nn.utils.weight_norm(nn.Linear(4, 3)), nn.Tanh()).double()
    with torch.no_grad():  # or the oracle cannot copy it
        module(normal(1, 4))
    return module


def remembering():
    def forward(module, x):
        module.last = module.a(x)
        module.seen.append(module.last)
        module.count += 1
        module.total.add_(1)
        module.a.calls += 1
        module.a.train()
        module.frozen.requires_grad_()
        return module.last.tanh()

    module = Calls(forward, a=nn.Linear(4, 2))
    module.seen, module.count, module.total = [], 0, torch.zeros(())
    module.a.register_buffer("calls", torch.zeros(()))
    module.frozen = nn.Parameter(torch.zeros(2), requires_grad=False)
    return module.eval()


MODULES = {
    "repeated": repeated,
    "repeated deep inside": repeated_deep_inside,
    "tied": tied,
    "repeated and tied": repeated_and_tied,
    "repeated with buffers": repeated_with_buffers,
    "partly frozen": partly_frozen,
    "recurrent": recurrent,
    "weight hook": with_weight_hook,
    "remembering": remembering,
}


def state(module):
    """What a user may hold on to: every object by its place, and the values of tensors."""
    objects, values = {}, {}
    for place, part in module.named_modules(remove_duplicate=False):
        held = {key: value for key, value in vars(part).items() if not isinstance(value, dict)}
        held |= part._parameters | part._buffers | part._modules
        for key, value in held.items():
            objects[place, key] = value
            if isinstance(value, torch.Tensor):
                values[place, key] = value.detach().clone()
            if isinstance(value, list):
                values[place, key] = torch.tensor([float(id(entry)) for entry in value])
            if isinstance(value, nn.Parameter):
                objects[place, key, "grad"] = value.grad
                objects[place, key, "requires_grad"] = value.requires_grad
    return objects, values


def assert_same_state(module, before):
    objects, values = state(module)
    assert objects.keys() == before[0].keys()
    assert [key for key in objects if objects[key] is not before[0][key]] == []
    assert values.keys() == before[1].keys()
    assert [key for key in values if not torch.equal(values[key], before[1][key])] == []


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
@pytest.mark.parametrize("name", MODULES)
def test_the_module_is_the_same_object_for_object_after_as_before(name, oracle, assert_kernel):
    torch.manual_seed(3)
    module = MODULES[name]().double()
    x1, x2 = normal(4, 4), normal(3, 4, seed=1)
    for parameter in module.parameters():
        parameter.grad = torch.ones_like(parameter)
    exact = oracle(module, x1, x2)
    before = state(module)
    for method in METHODS:
        assert_kernel(empirical_ntk(module, x1, x2, method=method), exact, 1e-12)
        assert_same_state(module, before)
    operator = EmpiricalNTK(module, x1, x2)
    columns = torch.eye(operator.shape[1], dtype=torch.float64)
    torch.testing.assert_close(operator @ columns, kernel_matrix(exact))
    symmetric = EmpiricalNTK(module, x1)
    torch.testing.assert_close(
        symmetric.diag(), kernel_matrix(oracle(module, x1)).diagonal(), check_stride=False
    )
    assert_same_state(module, before)
    copy.deepcopy(module)  # impossible where tensors of a transformation stay behind


def test_an_optimiser_goes_on_with_the_parameters_it_knows():
    module, x = repeated(), normal(4, 4, dtype=torch.float32)
    optimiser = torch.optim.SGD(module.parameters(), lr=0.1)
    empirical_ntk(module, x, method="vector-products")
    before = module[0].weight.detach().clone()
    module(x).sum().backward()
    optimiser.step()
    assert not torch.equal(module[0].weight, before)


@pytest.mark.parametrize("allowed", range(6))
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("method", METHODS)
def test_the_module_is_the_same_after_an_error_half_way(method, error, allowed):
    shared = nn.Linear(4, 4).double()
    calls = []

    def forward(module, x):
        calls.append(1)
        module.last = module.a(x)
        module.count.add_(1)
        if len(calls) > allowed:
            raise error("half way")
        return module.b(module.last)

    module = Calls(forward, a=shared, b=nn.Sequential(nn.Tanh(), shared))
    module.register_buffer("count", torch.zeros(()))
    before = state(module)
    with pytest.raises((error, InvalidValueError)):
        empirical_ntk(module, normal(4, 4), method=method)
    assert_same_state(module, before)


def test_a_hook_that_removes_itself_stays():
    module, handles = nn.Linear(4, 2).double(), []
    handles.append(module.register_forward_hook(lambda *_: handles[0].remove()))
    empirical_ntk(module, normal(3, 4))
    assert len(module._forward_hooks) == 1


def test_a_module_with_a_state_starts_every_call_from_its_present_state(oracle, assert_kernel):
    def forward(module, x):
        module.step.mul_(2)
        return module.a(x) * module.step

    module = Calls(forward, a=nn.Linear(4, 2)).double()
    module.register_buffer("step", torch.ones((), dtype=torch.float64))
    x = normal(3, 4)
    for step in (1.0, 3.0):
        module.step.fill_(step)
        for method in METHODS:
            theta = empirical_ntk(module, x, method=method)
            assert_kernel(theta, 4 * step**2 * oracle(module.a, x), 1e-12)


@pytest.mark.parametrize("trained", [True, False])
def test_a_module_that_changes_its_parameters_is_refused_and_left_alone(trained):
    def forward(module, x):
        module.b.data.clamp_(max=0.5)
        return module.a(x) * module.b

    module = Calls(forward, a=nn.Linear(4, 2))
    module.b = nn.Parameter(torch.ones(2), requires_grad=trained)
    before = state(module)
    for method in METHODS:
        with pytest.raises(InvalidValueError, match=r"changes its parameter 'b' when called.*eval"):
            empirical_ntk(module, normal(3, 4, dtype=torch.float32), method=method)
        assert_same_state(module, before)


@pytest.mark.parametrize("method", METHODS)
def test_activations_computed_again_change_nothing(method, oracle, assert_kernel):
    inner = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 4), nn.LayerNorm(4))
    module = Calls(
        lambda m, x: m.out(checkpoint(m.inner, x, use_reentrant=False)),
        inner=inner,
        out=nn.Linear(4, 2),
    ).double()
    x = normal(5, 4)
    exact = oracle(module, x)
    before = state(module)
    assert_kernel(empirical_ntk(module, x, method=method), exact, 1e-12)
    # Blocks of one parameter each: the others are constants in the pass that is repeated.
    assert_kernel(empirical_ntk(module, x, method=method, max_bytes=1000), exact, 1e-12)
    operator = EmpiricalNTK(module, x)
    vector = normal(10, seed=2)
    torch.testing.assert_close(operator @ vector, kernel_matrix(exact) @ vector)
    assert_same_state(module, before)


@pytest.mark.parametrize("method", METHODS)
def test_the_older_checkpoint_is_a_named_error(method):
    module = Calls(lambda m, x: checkpoint(m.a, x, use_reentrant=True), a=nn.Linear(4, 2))
    with pytest.raises(InvalidValueError, match=r"without a pass backward.*use_reentrant=False"):
        empirical_ntk(module, normal(3, 4, dtype=torch.float32), method=method)
    assert all(parameter.grad is None for parameter in module.parameters())


def test_one_use_may_stand_inside_another():
    module = repeated()
    before = state(module)
    borrowed = BorrowedModule(module)
    outer, inner = torch.zeros(4), torch.ones(4)
    with borrowed.holding({"0.bias": outer}):
        with borrowed.holding({"0.bias": inner}):
            assert module[2].bias is inner
        assert module[0].bias is module[2].bias is outer
    assert_same_state(module, before)
