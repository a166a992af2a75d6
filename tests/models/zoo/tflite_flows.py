"""TFLite: the float network by litert-torch, made int8 by ai-edge-quantizer from a few batches.

Their packages are not among those that the tests pin (jax, a converter of 300 MB): where they are absent, that is the result.
"""

import numpy as np

import training


def quantize(path, float_model, batches):
    from ai_edge_quantizer import quantizer, recipe

    work = quantizer.Quantizer(float_model)
    work.load_quantization_recipe(recipe.static_wi8_ai8())
    name = next(iter(interpreter_of(float_model).get_signature_runner().get_input_details()))
    rows = [{name: sample[None]} for batch in batches for sample in batch.numpy()]
    work.quantize(work.calibrate({"serving_default": rows})).export_model(str(path), overwrite=True)


def interpreter_of(path):
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    # Without the default delegate: the builtin kernels, which are what a description can be exact about.
    interpreter = Interpreter(str(path), num_threads=1,
                              experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
    interpreter.allocate_tensors()
    return interpreter


def run(path, samples):
    interpreter = interpreter_of(path)
    source, result = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    found = []
    for sample in samples.numpy():
        value = sample[None]
        if source["dtype"] != np.float32:
            scale, zero_point = source["quantization"]
            limits = np.iinfo(source["dtype"])
            value = np.clip(np.rint(value / np.float32(scale)) + zero_point, limits.min, limits.max).astype(source["dtype"])
        interpreter.set_tensor(source["index"], value)
        interpreter.invoke()
        value = interpreter.get_tensor(result["index"])
        if value.dtype != np.float32:
            scale, zero_point = result["quantization"]
            value = np.float32(scale) * (value.astype(np.int32) - zero_point).astype(np.float32)
        found.append(value)
    return np.concatenate(found)


def write(folder, architecture, samples):
    folder.about["one_by_one"] = True  # the file takes one sample
    def save(path):
        import litert_torch

        model = training.seeded_model(architecture, stubs=False).eval()
        plain = path.with_suffix(".float.tflite")
        try:
            litert_torch.convert(model, (samples[:1],)).export(str(plain))
            batches = [training.seeded_samples(architecture.input_shape, len(samples), training.SEED + 10 + step)
                       for step in range(training.STEPS)]
            quantize(path, str(plain), batches)
        finally:
            plain.unlink(missing_ok=True)
        return run(path, samples)

    folder.part("converted.tflite", save, kind="converted", export="litert-torch, ai-edge-quantizer", recorded_by="LiteRT")
