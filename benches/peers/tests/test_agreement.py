"""What the comparison with a peer lets through, and what not."""

import unittest
from dataclasses import replace

import numpy as np

from peers import agreement, reference
from peers.engines import PEERS
from tests.test_formats import one_convolution
from tests.test_networks import picture


class Layers(unittest.TestCase):
    def test_every_form_of_every_peer_passes_a_small_network(self):
        network = one_convolution(relu=True)
        want = reference.run(network, picture())
        for engine, peer in PEERS.items():
            for form in peer.FORMS:
                agreement.layers(engine, form, network, want)

    def test_one_wrong_channel_is_refused(self):
        network = one_convolution(relu=False)
        want = reference.run(network, picture())
        scales = network.ops[0].scales * np.float32([1, 1, 1, 0.5, 1, 1, 1, 1])
        network.ops[0] = replace(network.ops[0], scales=scales)
        with self.assertRaisesRegex(agreement.AnotherNetwork, "conv is [0-9]+ steps away"):
            agreement.layers("litert", "resize", network, want)
