import torch

from qsegment_model.candidates import CANDIDATES
from qsegment_model.muon import optimisers, orthogonal
from qsegment_model.network import QSegment


def test_singular_values_become_about_one():
    random = torch.Generator().manual_seed(0)
    for shape in ((16, 144), (64, 64), (64, 16)):
        values = torch.linalg.svdvals(orthogonal(torch.randn(shape, generator=random)))
        assert 0.6 < values.min() and values.max() < 1.25, shape


def test_every_parameter_has_one_optimiser():
    network = QSegment(CANDIDATES["accurate"])
    muon, adam = ({id(p) for group in o.param_groups for p in group["params"]} for o in optimisers(network, 0.02, 1e-3))
    assert muon.isdisjoint(adam)
    assert muon | adam == {id(p) for p in network.parameters()}
    assert id(network.head.weight) in adam and id(network.block1.depthwise.weight) in adam
    assert id(network.block1.conv.weight) in muon
