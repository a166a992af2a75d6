/* One layer of a handoff as a device computes it, held against the layer's golden vectors. For any layer.h:
 *
 *   cc -std=c99 -I layers/00_conv1 -DMACRO=LAYER00_CONV1 -DARRAY=layer00_conv1 reference.c -lm
 *   ./a.out layers/00_conv1
 *
 * The argument is only needed for what the header leaves in .npy files. Exit status 0: every element is equal; 1:
 * one is not; 2: a file cannot be read. binary32 must not be evaluated wider (FLT_EVAL_METHOD 0), nor
 * products and sums fused. */
#include "layer.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)
#define M(name) JOIN(MACRO, name) /* a macro of the layer */
#define V(name) JOIN(ARRAY, name) /* an array of the layer */

enum {
  kWeights = M(TRANSPOSED)
                 ? M(IN_CHANNELS) * (M(OUT_CHANNELS) / M(GROUPS)) * M(KERNEL_D) * M(KERNEL_H) * M(KERNEL_W)
                 : M(OUT_CHANNELS) * (M(IN_CHANNELS) / M(GROUPS)) * M(KERNEL_D) * M(KERNEL_H) * M(KERNEL_W),
  kInputs = M(BATCH) * M(IN_CHANNELS) * M(IN_D) * M(IN_H) * M(IN_W),
  kOutputs = M(BATCH) * M(OUT_CHANNELS) * M(OUT_D) * M(OUT_H) * M(OUT_W)
};

static int64_t accumulators[kOutputs];

#if !M(HAS_WEIGHT) || !M(HAS_GOLDEN)
static void load(const char* folder, const char* name, void* data, size_t bytes) {
  char path[1024];
  unsigned char head[10];
  FILE* file;
  snprintf(path, sizeof path, "%s/%s", folder, name);
  file = fopen(path, "rb");
  /* The header's length is in bytes 8 and 9; elements follow it, little endian like this program. */
  if (file == NULL || fread(head, 1, sizeof head, file) != sizeof head ||
      fseek(file, head[8] | head[9] << 8, SEEK_CUR) != 0 || fread(data, 1, bytes, file) != bytes) {
    fprintf(stderr, "cannot read %s\n", path);
    exit(2);
  }
  fclose(file);
}
#endif
#if !M(HAS_WEIGHT)
static M(WEIGHT_TYPE) V(weight)[kWeights];
#endif
#if !M(HAS_GOLDEN)
static M(INPUT_TYPE) V(input)[kInputs];
static M(OUTPUT_TYPE) V(output)[kOutputs];
#endif

static void multiply_accumulate(int n, int in, int id, int ih, int iw, int out, int od, int oh, int ow, size_t weight) {
  const size_t x = (((size_t)(n * M(IN_CHANNELS) + in) * M(IN_D) + id) * M(IN_H) + ih) * M(IN_W) + iw;
  const size_t y = (((size_t)(n * M(OUT_CHANNELS) + out) * M(OUT_D) + od) * M(OUT_H) + oh) * M(OUT_W) + ow;
  accumulators[y] += (int64_t)(V(input)[x] - M(INPUT_ZERO_POINT)) * (V(weight)[weight] - V(weight_zero_point)[out]);
}

static int inside(int d, int h, int w, int extent_d, int extent_h, int extent_w) {
  return d >= 0 && d < extent_d && h >= 0 && h < extent_h && w >= 0 && w < extent_w;
}

/* All taps of one pair of an input and an output channel. */
static void convolve(int n, int in, int out, size_t weight) {
  int kd, kh, kw, d, h, w;
  for (kd = 0; kd < M(KERNEL_D); ++kd)
    for (kh = 0; kh < M(KERNEL_H); ++kh)
      for (kw = 0; kw < M(KERNEL_W); ++kw, ++weight) {
#if M(TRANSPOSED)
        for (d = 0; d < M(IN_D); ++d)
          for (h = 0; h < M(IN_H); ++h)
            for (w = 0; w < M(IN_W); ++w) {
              const int od = d * M(STRIDE_D) - M(PAD_D) + kd * M(DILATION_D);
              const int oh = h * M(STRIDE_H) - M(PAD_H) + kh * M(DILATION_H);
              const int ow = w * M(STRIDE_W) - M(PAD_W) + kw * M(DILATION_W);
              if (inside(od, oh, ow, M(OUT_D), M(OUT_H), M(OUT_W)))
                multiply_accumulate(n, in, d, h, w, out, od, oh, ow, weight);
            }
#else
        for (d = 0; d < M(OUT_D); ++d)
          for (h = 0; h < M(OUT_H); ++h)
            for (w = 0; w < M(OUT_W); ++w) {
              const int id = d * M(STRIDE_D) - M(PAD_D) + kd * M(DILATION_D);
              const int ih = h * M(STRIDE_H) - M(PAD_H) + kh * M(DILATION_H);
              const int iw = w * M(STRIDE_W) - M(PAD_W) + kw * M(DILATION_W);
              if (inside(id, ih, iw, M(IN_D), M(IN_H), M(IN_W)))
                multiply_accumulate(n, in, id, ih, iw, out, d, h, w, weight);
            }
#endif
      }
}

static void run_layer(void) {
  const int taps = M(KERNEL_D) * M(KERNEL_H) * M(KERNEL_W);
  const int ins = M(IN_CHANNELS) / M(GROUPS), outs = M(OUT_CHANNELS) / M(GROUPS);
  int n, group, in, out;
  for (n = 0; n < M(BATCH); ++n)
    for (group = 0; group < M(GROUPS); ++group)
      for (out = 0; out < outs; ++out)
        for (in = 0; in < ins; ++in) {
          const int input = group * ins + in, output = group * outs + out;
          const size_t pair = M(TRANSPOSED) ? (size_t)input * outs + out : (size_t)output * ins + in;
          convolve(n, input, output, pair * taps);
        }
}

/* The low `bits` bits, sign extended. */
static int64_t wrap(uint64_t v, int bits) { return (int64_t)(v << (64 - bits)) >> (64 - bits); }

static int64_t saturate(int64_t v, int bits) {
  const int64_t max = INT64_MAX >> (64 - bits);
  return v > max ? max : v < -max - 1 ? -max - 1 : v;
}

static int64_t add_bias(int64_t a, int64_t bias) {
#if M(ACCUMULATOR_SATURATES)
  if (bias > 0 && a > INT64_MAX - bias) return saturate(INT64_MAX, M(ACCUMULATOR_BITS));
  if (bias < 0 && a < INT64_MIN - bias) return saturate(INT64_MIN, M(ACCUMULATOR_BITS));
  return saturate(a + bias, M(ACCUMULATOR_BITS));
#else
  (void)saturate;
  return wrap((uint64_t)a + (uint64_t)bias, M(ACCUMULATOR_BITS));
#endif
}

#if M(REQUANT) == QATGAP_REQUANT_FLOAT32 || M(REQUANT) == QATGAP_REQUANT_FLOAT64
static double round_real(double v) {
  const double below = floor(v);
  switch (M(ROUNDING)) {
    case QATGAP_ROUND_HALF_TO_EVEN: return nearbyint(v);
    case QATGAP_ROUND_HALF_AWAY_FROM_ZERO: return round(v);
    case QATGAP_ROUND_HALF_UP: return v - below >= 0.5 ? below + 1 : below;
    case QATGAP_ROUND_HALF_DOWN: return ceil(v) - v >= 0.5 ? ceil(v) - 1 : ceil(v);
    case QATGAP_ROUND_TOWARD_ZERO: return trunc(v);
    case QATGAP_ROUND_FLOOR: return below;
    default: return ceil(v);
  }
}
#endif

#if M(REQUANT) == QATGAP_REQUANT_FLOAT32
static int64_t requantize(int64_t sum, int c) {
  double rounded;
#if M(SCALING) == QATGAP_SCALING_MULTIPLY
  float v = (float)sum * V(multiplier)[c];
#elif M(SCALING) == QATGAP_SCALING_ADD_MULTIPLY
  const float t = (float)sum + V(bias_float)[c];
  float v = t * V(multiplier)[c];
#elif M(SCALING) == QATGAP_SCALING_FUSED_ADD
  const float t = fmaf(V(bias_float)[c], V(bias_reciprocal)[c], (float)sum);
  float v = t * V(multiplier)[c];
#else
#if M(DEQUANTIZE_BY_PRODUCT)
  const float real = (float)sum * V(multiplier)[c];
#else
  const float by_input = (float)sum * M(INPUT_SCALE_FLOAT);
  const float real = by_input * V(weight_scale_float)[c];
#endif
  const float d = real + V(bias_float)[c];
  const float reciprocal = 1.0f / M(OUTPUT_SCALE_FLOAT);
  float v = M(DIVIDE_BY_RECIPROCAL) ? d * reciprocal : d / M(OUTPUT_SCALE_FLOAT);
#endif
  if (M(ZERO_POINT_BEFORE_ROUNDING)) v = v + (float)M(OUTPUT_ZERO_POINT);
  if (M(INT32_MIN_PACK) && v >= 0x1p31f) v = -0x1p31f;
  rounded = round_real((double)v);
  if (M(INT32_MIN_PACK)) rounded = fmin(fmax(rounded, -32768), 32767);
  rounded = fmin(fmax(rounded, -0x1p60), 0x1p60);
  return (int64_t)rounded + (M(ZERO_POINT_BEFORE_ROUNDING) ? 0 : M(OUTPUT_ZERO_POINT));
}

#elif M(REQUANT) == QATGAP_REQUANT_FLOAT64
static int64_t requantize(int64_t sum, int c) {
  const double rounded = round_real((double)sum * V(multiplier)[c]);
  const int64_t v = fabs(rounded) < 0x1p31 ? (int64_t)rounded : -((int64_t)1 << 31);
  return wrap((uint64_t)v + (uint64_t)(int64_t)M(OUTPUT_ZERO_POINT), 32);
}

#elif M(REQUANT) == QATGAP_REQUANT_POWER_OF_TWO_SHIFT
static int64_t requantize(int64_t sum, int c) {
  const int n = V(right_shift)[c] > 62 ? 62 : V(right_shift)[c];
  int64_t below, rest, half;
  if (n <= 0) {
    /* A left shift; beyond the output's range any value will do. */
    const double v = ldexp((double)sum, -n);
    return (int64_t)fmin(fmax(v, -0x1p60), 0x1p60) + M(OUTPUT_ZERO_POINT);
  }
  below = sum >> n;
  rest = sum - below * ((int64_t)1 << n);
  half = (int64_t)1 << (n - 1);
  switch (M(ROUNDING)) {
    case QATGAP_ROUND_HALF_TO_EVEN: below += rest > half || (rest == half && (below & 1)); break;
    case QATGAP_ROUND_HALF_AWAY_FROM_ZERO: below += rest > half || (rest == half && sum > 0); break;
    case QATGAP_ROUND_HALF_UP: below += rest >= half; break;
    case QATGAP_ROUND_HALF_DOWN: below += rest > half; break;
    case QATGAP_ROUND_TOWARD_ZERO: below += rest != 0 && sum < 0; break;
    case QATGAP_ROUND_FLOOR: break;
    default: below += rest != 0; break;
  }
  return below + M(OUTPUT_ZERO_POINT);
}

#else
typedef __int128 int128;

/* round(v / 2^shift), half up. */
static int128 shift_half_up(int128 v, int shift) {
  return shift == 0 ? v : (v + ((int128)1 << (shift - 1))) >> shift;
}

static int128 shift_half_away(int128 v, int shift) {
  return v < 0 ? -shift_half_up(-v, shift) : shift_half_up(v, shift);
}

static int64_t requantize(int64_t sum, int c) {
  const int mode = c < M(FIRST_TAIL_CHANNEL) ? M(REQUANT) : M(TAIL_REQUANT);
  const int shift = V(shift)[c], left = shift > 0 ? shift : 0, right = shift > 0 ? 0 : -shift, total = 31 - shift;
  const int128 mantissa = V(mantissa)[c];
  const int narrow = sum >= INT32_MIN && sum <= INT32_MAX;
  int128 v, shifted = (int128)sum * ((int128)1 << left);
  if (narrow) shifted = wrap((uint64_t)sum << left, 32); /* a 32-bit register loses what is shifted out */
  switch (mode) {
    case QATGAP_REQUANT_Q31_DOUBLE_ROUNDING:
      v = shift_half_away(shift_half_up(shifted * mantissa, 31), right);
      break;
    case QATGAP_REQUANT_Q31_DOUBLE_ROUNDING_HALF_UP:
      v = shift_half_up(shift_half_up(shifted * mantissa, 31), right);
      break;
    case QATGAP_REQUANT_Q31_SINGLE_ROUNDING:
      v = shift_half_up(sum * mantissa, total);
      if (narrow) v = wrap((uint64_t)v, 32);
      break;
    case QATGAP_REQUANT_TOSA: {
      int128 half = (int128)1 << (total - 1);
      if (total > 31) half += sum >= 0 ? (int128)1 << 30 : -((int128)1 << 30);
      v = (sum * mantissa + half) >> total;
      if (narrow) v = wrap((uint64_t)v, 32);
      break;
    }
#if M(REQUANT) == QATGAP_REQUANT_Q15 || M(TAIL_REQUANT) == QATGAP_REQUANT_Q15
    case QATGAP_REQUANT_Q15:
      v = shift_half_up(sum * (int128)V(mantissa_q15)[c], 15 - shift);
      break;
#endif
    default: abort();
  }
  if (v > INT64_MAX / 2) v = INT64_MAX / 2;
  if (v < INT64_MIN / 2) v = INT64_MIN / 2;
  return (int64_t)v + M(OUTPUT_ZERO_POINT);
}
#endif

int main(int argc, char** argv) {
  const char* folder = argc > 1 ? argv[1] : ".";
  const int per_channel = M(OUT_D) * M(OUT_H) * M(OUT_W);
  int i, wrong = 0;
  (void)folder;
#if !M(HAS_WEIGHT)
  load(folder, "weight.npy", V(weight), sizeof V(weight));
#endif
#if !M(HAS_GOLDEN)
  load(folder, "input.npy", V(input), sizeof V(input));
  load(folder, "output.npy", V(output), sizeof V(output));
#endif
  run_layer();
  for (i = 0; i < kOutputs; ++i) {
    const int c = i / per_channel % M(OUT_CHANNELS);
    const int64_t sum = add_bias(accumulators[i], V(bias_added)[c]);
    int64_t code = requantize(sum, c);
    if (code < M(OUTPUT_MIN)) code = M(OUTPUT_MIN);
    if (code > M(OUTPUT_MAX)) code = M(OUTPUT_MAX);
#if M(HAS_GOLDEN)
    if (accumulators[i] != V(accumulator)[i]) {
      printf("element %d, channel %d: accumulator %" PRId64 ", golden %" PRId64 "\n", i, c, accumulators[i],
             (int64_t)V(accumulator)[i]);
      ++wrong;
      continue;
    }
#endif
    if (code != V(output)[i]) {
      printf("element %d, channel %d: A %" PRId64 ", A' %" PRId64 ", code %" PRId64 ", golden %d\n", i, c,
             accumulators[i], sum, code, (int)V(output)[i]);
      ++wrong;
    }
  }
  printf("%d of %d elements differ\n", wrong, (int)kOutputs);
  return wrong != 0;
}
