"""Q-Segment, the vessel network of the sensor: training, quantisation, export and evaluation.

The modules follow the network's way from data to file::

    data -> train -> quantise -> export -> golden
                          evaluate looks at any of them

A picture enters the network as ``byte / 256``. The quantised input is unsigned with scale 1/256, so
its stored value *is* the byte that the sensor's image pipeline delivers.

Research use only. Not a medical device.
"""
