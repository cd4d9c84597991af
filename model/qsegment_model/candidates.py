"""The networks by name: the two that ship, and those that were compared with them."""

from .network import Architecture

SHIPPED = ("accurate", "fast")

CANDIDATES: dict[str, Architecture] = {
    # The two that ship.
    "accurate": Architecture(640, output_planes=4),
    "fast": Architecture(400, output_factor=2),
    # The publication's, at the largest size that fits the sensor's memory.
    "paper-288": Architecture(288, stem=(3, 1), last_skip=True),
    # Without the skip that costs a third of the memory, at the sizes that then fit.
    "plain-320": Architecture(320, stem=(3, 1)),
    "plain-344": Architecture(344, stem=(3, 1)),
    # The stem: how much of the picture it reads, and the inside's size.
    "stem-512": Architecture(512),
    "stem-576": Architecture(576),
    "stem-640-2x2": Architecture(640, stem=(2, 2)),
    "stem-640-6x6": Architecture(640, stem=(6, 2)),
    # Upsampling and output.
    "bilinear": Architecture(640, upsampling="bilinear"),
    "transposed": Architecture(640, upsampling="transposed"),
    "one-plane": Architecture(640),
    "output-640": Architecture(640, output_factor=2),
    # Where the parameters sit.
    "middle-heavy": Architecture(640, widths=(16, 40, 64)),
    "deep-heavy": Architecture(640, widths=(16, 24, 72)),
    "wide-top": Architecture(640, widths=(32, 32, 64)),
    "separable-end": Architecture(640, last="separable"),
    # At most 452 million multiply-accumulates: 33 ms at the slower of the two published rates.
    "fast-416": Architecture(416),
    "fast-464-separable": Architecture(464, last="separable"),
    "fast-512-narrow": Architecture(512, widths=(16, 24, 64), last="separable"),
    "fast-576-narrow": Architecture(576, widths=(16, 24, 40), last="separable"),
    "fast-208": Architecture(208, stem=(3, 1)),
    "fast-464-output": Architecture(464, last="separable", output_factor=2),
    "fast-512-output": Architecture(512, widths=(16, 24, 64), last="separable", output_factor=2),
}
