"""Measures qsegment's int8 engine against those of onnxruntime, LiteRT and OpenVINO.

::

    mctq      MCTQ ONNX  <-> network          table1  makes the second network
    network   what is computed, no format of anyone
    reference the arithmetic, slow and obvious
    qdq, tflite          network -> a peer's file       files   writes them for the program's own measurement
    engines/  one peer each: its best settings, and the proof that it ran int8
    worker    one engine in one process       clock   CPU and wall time of a slice
    duel      the rounds                      report  the table
"""
