"""Units are kept alive: centred steps, silent units drawn anew."""

from __future__ import annotations

import copy
from contextlib import nullcontext

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402

from ltokc.tokenizer.nn.blocks import blocks  # noqa: E402
from ltokc.tokenizer.nn.generative import Generator, GeneratorConfig  # noqa: E402
from ltokc.train.alive import Alive, watched  # noqa: E402
from ltokc.train.optim import Muon  # noqa: E402


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def net_and_input():
    net = blocks(16, 2)
    return net, Alive(net), torch.randn(4, 16, 12, 12)


def test_which_convolutions_are_watched():
    net = Generator(GeneratorConfig(16, 1, 16, 2, 8, 2, state8=24, state4=16, gate=8))
    names = {
        "blocks8.0.b", "blocks4.0.b", "blocks4.1.b", "convolutions2.0", "convolutions2.1", "gate.context.0",
        "gate.context.1", "up4",
    }  # fmt: skip
    assert set(watched(net)) == names
    assert {name for name, each in watched(net).items() if each.summed} == {"up4"}


def test_silent_units_fire_again_and_change_nothing_at_first():
    net, alive, x = net_and_input()
    with torch.no_grad():
        net[0].b.weight[:5] -= 3.0
        for _ in range(200):
            net(x)
    ema, before = copy.deepcopy(net), net(x)
    kept = net[0].b.weight[5:].clone()
    assert alive.revive(ema) == {"0.b": 5}
    assert torch.equal(net(x), before)
    assert torch.equal(ema(x), before)
    assert torch.equal(net[0].b.weight[5:], kept)
    fires = (net[0].b(F.relu(net[0].a(x))) > 0).float().mean((0, 2, 3))
    assert (fires[:5] > 0.2).all() and (fires[:5] < 0.8).all()
    net(x).square().sum().backward()
    assert net[0].c.weight.grad[:, :5].abs().amax(0).min() > 0
    assert alive.revive(ema) == {}


def test_steps_along_the_mean_go_into_the_bias():
    net, alive, x = net_and_input()
    net(x).square().sum().backward()
    conv, mean = net[0].b, alive.watched["0.b"].mean
    at_mean = conv.weight.detach().sum((2, 3)) @ mean + conv.bias.detach()
    with alive.step(), torch.no_grad():
        conv.weight += torch.randn_like(conv.weight)
    torch.testing.assert_close(conv.weight.detach().sum((2, 3)) @ mean + conv.bias.detach(), at_mean)


def test_gradients_are_those_of_centred_inputs():
    net, alive, x = net_and_input()
    net = net[:1]
    net(x).square().sum().backward()
    conv, mean = net[0].b, alive.watched["0.b"].mean
    with alive.step():
        found = conv.weight.grad.clone()
    centred = F.pad(F.relu(net[0].a(x)), (1, 1, 1, 1)).detach() - mean.view(1, -1, 1, 1)
    weight = conv.weight.detach().clone().requires_grad_(True)
    bias = (conv.bias + conv.weight.sum((2, 3)) @ mean).detach()  # of the same outputs
    (x + net[0].c(F.relu(F.conv2d(centred, weight, bias)))).square().sum().backward()
    torch.testing.assert_close(found, weight.grad, rtol=1e-3, atol=1e-2)


def dead_after(steps, keep):
    """Units of three blocks that fire nowhere after steps of noise with Muon, of 36."""
    torch.manual_seed(0)
    net = blocks(24, 3)
    alive = Alive(net)
    muon = Muon([p for p in net.parameters() if p.ndim == 4], lr=4e-2)
    adam = torch.optim.Adam([p for p in net.parameters() if p.ndim == 1], lr=1e-3)
    for _ in range(steps):
        x, target = torch.randn(2, 2, 24, 6, 6)
        net.zero_grad()
        (net(x) - target).square().mean().backward()
        with alive.step() if keep else nullcontext():
            muon.step()
            adam.step()
    alive.forget()
    with torch.no_grad():
        net(torch.randn(32, 24, 6, 6))
    return sum(int((each.share < 1e-3).sum()) for each in alive.watched.values())


def test_fewer_units_die():
    assert dead_after(150, keep=True) < dead_after(150, keep=False) / 2
