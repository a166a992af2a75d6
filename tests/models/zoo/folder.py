"""One folder of the zoo: the files of one model and flow, and about.json, which says what each of them is.

A part that PyTorch, onnxruntime or a converter refuses is written down with the message instead of a file.
"""

import json
import pathlib
import re
import traceback

import numpy as np


class Folder:
    def __init__(self, path, about):
        self.path = pathlib.Path(path)
        self.path.mkdir(parents=True, exist_ok=True)
        self.about = dict(about, parts={})
        self.save_about()

    def save_about(self):
        (self.path / "about.json").write_text(json.dumps(self.about, indent=1) + "\n")

    def array(self, name, value):
        np.save(self.path / f"{name}.npy", value)

    def part(self, file, write, **facts):
        """write(path) makes the file and returns what the recording runtime computes from samples.npy: an array."""
        path = self.path / file
        try:
            outputs = write(path)
            if not isinstance(outputs, (list, tuple)):
                outputs = [outputs]
            for i, output in enumerate(outputs):
                self.array(f"{file}.output{i}", output)
            self.about["parts"][file] = dict(facts, outputs=len(outputs))
            return True
        except Exception as error:  # every flow stands alone: what failed is a result
            path.unlink(missing_ok=True)
            self.about["parts"][file] = dict(facts, error=one_line(error))
            (self.path / f"{file}.error.txt").write_text(traceback.format_exc())
            return False
        finally:
            self.save_about()

    def failed(self, files, error):
        """The flow ended before it could write `files`."""
        for file, facts in files.items():
            self.about["parts"][file] = dict(facts, error=one_line(error))
        self.save_about()


def one_line(error):
    while error.__cause__ is not None:  # exporters wrap what happened in advice
        error = error.__cause__
    text = re.sub(r"\s+", " ", str(error)).strip() or type(error).__name__
    # No paths of this machine in what is kept.
    text = re.sub(r"(/[\w.+-]+)+/(?=[\w.+-]+)", "", text)
    return f"{type(error).__name__}: {text}"[:300]
