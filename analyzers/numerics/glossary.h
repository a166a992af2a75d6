// Words used throughout qatgap's numeric code (docs/concepts.md says the same to users).
//
//   qparams       scale (real per step), zero point, integer range: real = scale * (code - zero_point)
//   code          the integer that stands for a real value
//   LSB           one step of a layer's *output* code
//   MAC layer     a layer that multiplies and accumulates and so carries a bias: convolution, linear
//   accumulator   A = sum over taps of (x - z_x) * (w - z_w), an integer
//   M[c]          s_x * s_w[c] / s_y, the real requantization multiplier of output channel c
//   s_b[c]        the scale at which a target stores the bias of output channel c
//   target        a named description of how one runtime or piece of hardware does the arithmetic
//   stage, cause  one way of computing a layer; the difference of two neighbouring stages
//
// fl(v) is v rounded to IEEE binary32, half to even. "Wrap" is arithmetic modulo 2^bits in two's complement.
#pragma once
