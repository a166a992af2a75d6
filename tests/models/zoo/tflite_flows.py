"""TFLite by litert-torch, which needs packages that this project does not pin: where it is absent, that is the result."""

import numpy as np

import training


def write(folder, architecture, samples):
    def save(path):
        import litert_torch
        from ai_edge_litert.interpreter import Interpreter

        model = training.seeded_model(architecture, stubs=False).eval()
        litert_torch.convert(model, (samples[:1],)).export(str(path))
        interpreter = Interpreter(str(path), num_threads=1)
        interpreter.allocate_tensors()
        found = []
        for sample in samples.split(1):
            interpreter.set_tensor(interpreter.get_input_details()[0]["index"], sample.numpy())
            interpreter.invoke()
            found.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))
        return np.concatenate(found)

    folder.part("converted.tflite", save, kind="converted", export="litert-torch", recorded_by="LiteRT")
