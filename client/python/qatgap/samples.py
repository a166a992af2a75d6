"""Samples and labels, whatever they come as, as files that the service reads; batch by batch, never whole in memory."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qatgap.errors import SamplesError

FILE_SUFFIXES = (".npy", ".npz", ".safetensors", ".zip")
# One size for every shape: the number of samples is written when it is known.
HEADER_BYTES = 512
Array = NDArray[Any]


@dataclass(frozen=True)
class Normalization:
    """What the service does to samples: (x * scale - mean[c]) / std[c], each operation rounded to float32.

    Lets samples stay the uint8 pixels that they are.

    Attributes:
        mean: one number for all, or one per channel.
        std: one number for all, or one per channel.
        scale: a factor before the rest, for example 1 / 255.
        channel_axis: the axis that counts channels, 1 to 7 (axis 0 counts samples), or -1 for the last.
    """

    mean: float | Sequence[float] = 0.0
    std: float | Sequence[float] = 1.0
    scale: float = 1.0
    channel_axis: int = 1


@dataclass
class SampleFiles:
    """What was written: files by input name ("" when there is one file for all), and labels."""

    inputs: dict[str, Path]
    labels: Path | None = None
    count: int | None = None


class NpyWriter:
    """An .npy file that grows by batches of equal shape and type; a context manager."""

    def __init__(self, path: Path, what: str) -> None:
        self._path = path
        self._what = what
        self._file = path.open("wb")
        self._file.write(b"\0" * HEADER_BYTES)
        self._shape: tuple[int, ...] = ()
        self._dtype: np.dtype[Any] | None = None
        self.count = 0

    def __enter__(self) -> NpyWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def append(self, batch: Array) -> None:
        """Adds a batch; its first axis counts samples.

        Raises:
            SamplesError: it has another shape or type than the batches before.
        """
        if self._dtype is None:
            self._shape, self._dtype = batch.shape[1:], batch.dtype
        if batch.shape[1:] != self._shape or batch.dtype != self._dtype:
            raise SamplesError(
                f"{self._what} from {self.count} on are {batch.dtype} {list(batch.shape[1:])}, the ones before "
                f"{self._dtype} {list(self._shape)}; all must be alike"
            )
        np.ascontiguousarray(batch).tofile(self._file)
        self.count += len(batch)

    def close(self) -> None:
        """Writes the header; the file is complete then."""
        if self._file.closed:
            return
        if self._dtype is not None:
            header = {"descr": np.lib.format.dtype_to_descr(self._dtype), "fortran_order": False}
            text = f"{header | {'shape': (self.count, *self._shape)}}".encode("latin1")
            magic = np.lib.format.magic(1, 0) + (HEADER_BYTES - 10).to_bytes(2, "little")
            self._file.seek(0)
            self._file.write(magic + text.ljust(HEADER_BYTES - len(magic) - 1) + b"\n")
        self._file.close()


def write_samples(
    samples: object,
    labels: object,
    folder: Path,
    *,
    input_names: Sequence[str] = (),
    batch_size: int = 32,
    max_samples: int | None = None,
) -> SampleFiles:
    """Puts samples and labels into files below folder; files that are given stay where they are.

    Args:
        samples: see `qatgap.analyze`.
        labels: likewise, or None.
        folder: an existing folder.
        input_names: the model's inputs in order, for batches that are tuples.
        batch_size: of a torch Dataset, which has no batches.
        max_samples: no more than these are drawn.
    """
    if isinstance(samples, (str, os.PathLike)):
        written = SampleFiles({"": _file(Path(samples), folder, "samples")})
    elif isinstance(samples, Mapping):
        written = _write_batches(iter([samples]), folder, input_names, max_samples, labels is None)
    elif _is_array(samples):
        written = _write_batches(iter([samples]), folder, input_names[:1], max_samples, take_labels=False)
    elif isinstance(samples, Iterable) or hasattr(samples, "__getitem__"):
        batches = _batches_of(samples, batch_size)
        written = _write_batches(batches, folder, input_names, max_samples, labels is None)
    else:
        raise SamplesError(
            f"samples are a {type(samples).__name__}; give an array, a dict of arrays by input name, a path, or an "
            "iterable of batches such as a DataLoader"
        )
    if labels is not None:
        written.labels = _write_labels(labels, folder, max_samples)
    return written


def one_file(files: SampleFiles, folder: Path) -> Path:
    """The samples as one file: the only one, or an archive of arrays named after the inputs."""
    if len(files.inputs) == 1:
        return next(iter(files.inputs.values()))
    path = folder / "samples.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, part in files.inputs.items():
            archive.write(part, f"{name}.npy")
    return path


def _write_batches(
    batches: Iterator[object], folder: Path, input_names: Sequence[str], max_samples: int | None, take_labels: bool
) -> SampleFiles:
    writers: dict[str, NpyWriter] = {}
    labels: NpyWriter | None = None
    count = 0
    try:
        for index, batch in enumerate(batches):
            arrays, batch_labels = _split(batch, input_names, index)
            if index == 0:
                writers = {
                    name: NpyWriter(
                        folder / (f"samples-{_file_name(name)}.npy" if name else "samples.npy"),
                        f"samples of input {name!r}" if name else "samples",
                    )
                    for name in arrays
                }
                if batch_labels is not None and take_labels:
                    labels = NpyWriter(folder / "labels.npy", "labels")
            if arrays.keys() != writers.keys():
                raise SamplesError(f"batch {index} has inputs {sorted(arrays)}, the first had {sorted(writers)}")
            size = _common_size(arrays, index)
            left = size if max_samples is None else min(size, max_samples - count)
            for name, array in arrays.items():
                writers[name].append(array[:left])
            if labels is not None:
                if batch_labels is None or len(batch_labels) != size:
                    raise SamplesError(f"batch {index} has {size} samples and not as many labels")
                labels.append(batch_labels[:left])
            count += left
            if max_samples is not None and count >= max_samples:
                break
    finally:
        for writer in [*writers.values(), *([labels] if labels else [])]:
            writer.close()
    if count == 0:
        raise SamplesError("there are no samples; an iterator that was used up before gives none")
    paths = {name: writer._path for name, writer in writers.items()}
    return SampleFiles(paths, labels._path if labels else None, count)


def _split(batch: object, input_names: Sequence[str], index: int) -> tuple[dict[str, Array], Array | None]:
    """A batch as arrays by input name, and its labels where it is a tuple with one element more than inputs."""
    if isinstance(batch, Mapping):
        return {str(name): _samples(value, f"input {name!r}") for name, value in batch.items()}, None
    if _is_array(batch):
        parts: Sequence[object] = [batch]
    elif isinstance(batch, (tuple, list)):
        parts = batch
    else:
        raise SamplesError(f"batch {index} is a {type(batch).__name__}, not an array, a tuple or a dict of arrays")
    inputs = max(1, len(input_names))
    if len(parts) not in (inputs, inputs + 1):
        raise SamplesError(
            f"batch {index} has {len(parts)} parts and the model {inputs} inputs: give the inputs, the inputs and the "
            "labels, or a dict by input name"
        )
    # A model of one input takes a file without a name.
    names = [""] if inputs == 1 else input_names
    arrays = {
        name: _samples(part, f"input {name!r}" if name else "samples") for name, part in zip(names, parts, strict=False)
    }
    return arrays, _labels(parts[inputs]) if len(parts) > inputs else None


def _write_labels(labels: object, folder: Path, most: int | None) -> Path:
    if isinstance(labels, (str, os.PathLike)):
        return _file(Path(labels), folder, "labels")
    whole = _is_array(labels) or (isinstance(labels, Sequence) and len(labels) > 0 and np.ndim(labels[0]) == 0)
    if not whole and not isinstance(labels, Iterable):
        raise SamplesError(f"labels are a {type(labels).__name__}; give integers, a path, or an iterable of batches")
    path = folder / "labels.npy"
    with NpyWriter(path, "labels") as writer:
        batches: Iterable[object] = [labels] if whole else labels  # type: ignore[assignment]
        for batch in batches:
            array = _labels(batch)
            writer.append(array if most is None else array[: most - writer.count])
            if most is not None and writer.count >= most:
                break
    if writer.count == 0:
        raise SamplesError("there are no labels")
    return path


def _samples(value: object, what: str) -> Array:
    array = to_numpy(value)
    if array.ndim == 0:
        raise SamplesError(f"{what}: a single number; the first axis counts samples")
    # No model takes float64, and bfloat16 has no .npy form: both are what PyTorch would cast too.
    if array.dtype == np.float64:
        array = array.astype(np.float32)
    if array.dtype.kind not in "fiub":
        raise SamplesError(f"{what}: numbers of type {array.dtype} cannot be samples; use float32 or an integer type")
    return array


def _labels(value: object) -> Array:
    array = to_numpy(value)
    if array.dtype.kind not in "iu":
        raise SamplesError(f"labels are {array.dtype}; give integers, one a sample")
    if array.ndim != 1:
        raise SamplesError(f"labels have shape {list(array.shape)}; give one integer a sample")
    return array.astype(np.int64)


def to_numpy(value: object) -> Array:
    """An array of a tensor on any device, an array, or a list of numbers."""
    if hasattr(value, "detach"):
        tensor: Any = value.detach().cpu()
        if str(tensor.dtype) == "torch.bfloat16":
            tensor = tensor.float()
        return np.asarray(tensor.numpy())
    return np.asarray(value)


def _is_array(value: object) -> bool:
    return isinstance(value, np.ndarray) or hasattr(value, "detach")


def _batches_of(samples: Any, batch_size: int) -> Iterator[object]:
    """A torch Dataset gives single samples; everything else gives batches."""
    try:
        from torch.utils.data import DataLoader, Dataset, IterableDataset
    except ImportError:
        return iter(samples)
    if isinstance(samples, (Dataset, IterableDataset)):
        return iter(DataLoader(samples, batch_size=batch_size))
    return iter(samples)


def _common_size(arrays: Mapping[str, Array], index: int) -> int:
    sizes = {name: len(array) for name, array in arrays.items()}
    if len(set(sizes.values())) > 1:
        raise SamplesError(f"batch {index} has inputs of different sizes: {sizes}")
    return next(iter(sizes.values()), 0)


def _file(path: Path, folder: Path, what: str) -> Path:
    if path.is_dir():
        return _zip_of(path, folder / f"{what}.zip")
    if not path.is_file():
        raise SamplesError(f"{what}: there is no file {path}")
    if path.suffix.lower() not in FILE_SUFFIXES:
        raise SamplesError(f"{what}: {path.name} is not one of {', '.join(FILE_SUFFIXES)}, nor a folder of .npy files")
    return path


def _zip_of(source: Path, archive: Path) -> Path:
    """A folder of .npy files in the form that can be sent."""
    files = sorted(source.glob("*.npy"))
    if not files:
        raise SamplesError(f"there is no .npy file in {source}")
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as target:
        for file in files:
            # A fixed date: equal arrays are one artifact.
            with file.open("rb") as data, target.open(zipfile.ZipInfo(file.name), "w", force_zip64=True) as member:
                while piece := data.read(1 << 20):
                    member.write(piece)
    return archive


def _file_name(input_name: str) -> str:
    kept = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in input_name)
    return kept[:100] or "input"
