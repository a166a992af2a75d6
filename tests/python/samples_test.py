"""Samples and labels, whatever they come as."""

import tracemalloc
import zipfile

import numpy as np
import pytest
import torch

import qatgap
from qatgap.samples import NpyWriter, write_samples


def arrays_of(files):
    return {name: np.load(path) for name, path in files.inputs.items()}


def test_an_array_becomes_one_file(tmp_path):
    data = np.arange(24, dtype=np.float32).reshape(4, 2, 3)
    files = write_samples(data, None, tmp_path)
    assert files.count == 4
    assert list(files.inputs) == [""]
    found = np.load(files.inputs[""])
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, data)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (np.array([[1.5]]), np.float32),
        (torch.tensor([[1.5]], dtype=torch.bfloat16), np.float32),
        (torch.tensor([[1.5]], dtype=torch.float16), np.float16),
        (np.array([[1]], np.uint8), np.uint8),
        (torch.tensor([[1]]), np.int64),
        (torch.tensor([[1.5]], requires_grad=True), np.float32),
    ],
    ids=["float64", "bfloat16", "float16", "uint8", "int64", "requires_grad"],
)
def test_types(tmp_path, given, expected):
    found = np.load(write_samples(given, None, tmp_path).inputs[""])
    assert found.dtype == expected
    assert found[0, 0] == (1.5 if found.dtype.kind == "f" else 1)


def test_not_contiguous_and_fortran_arrays_keep_their_values(tmp_path):
    data = np.arange(12, dtype=np.float32).reshape(3, 4).T
    np.testing.assert_array_equal(arrays_of(write_samples(data, None, tmp_path))[""], data)


def test_batches_are_joined_and_the_last_may_be_smaller(tmp_path):
    batches = [np.full((size, 2), size, np.float32) for size in (3, 3, 1)]
    files = write_samples(iter(batches), None, tmp_path)
    assert files.count == 7
    np.testing.assert_array_equal(arrays_of(files)[""], np.concatenate(batches))


def test_a_data_loader_gives_samples_and_labels(tmp_path):
    data = torch.arange(10, dtype=torch.float32).reshape(5, 2)
    labels = torch.tensor([4, 3, 2, 1, 0])
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(data, labels), batch_size=2)
    files = write_samples(loader, None, tmp_path, input_names=["x"])
    np.testing.assert_array_equal(arrays_of(files)[""], data)
    np.testing.assert_array_equal(np.load(files.labels), labels)


def test_labels_that_are_given_win_over_those_of_the_batches(tmp_path):
    files = write_samples([(np.zeros((2, 1), np.float32), np.array([0, 0]))], [7, 8], tmp_path)
    np.testing.assert_array_equal(np.load(files.labels), [7, 8])


def test_a_dataset_is_batched(tmp_path):
    dataset = torch.utils.data.TensorDataset(torch.arange(6, dtype=torch.float32).reshape(3, 2))
    files = write_samples(dataset, None, tmp_path, batch_size=2)
    np.testing.assert_array_equal(arrays_of(files)[""], [[0, 1], [2, 3], [4, 5]])


def test_inputs_by_name_and_by_position(tmp_path):
    left, right = np.zeros((2, 1), np.float32), np.ones((2, 3), np.float32)
    by_name = arrays_of(write_samples({"left": left, "right": right}, None, tmp_path))
    by_position = write_samples([(left, right, np.array([1, 0]))], None, tmp_path, input_names=["left", "right"])
    for found in (by_name, arrays_of(by_position)):
        assert list(found) == ["left", "right"]
        np.testing.assert_array_equal(found["right"], right)
    np.testing.assert_array_equal(np.load(by_position.labels), [1, 0])


def test_names_of_inputs_are_no_paths(tmp_path):
    files = write_samples({"../x/y": np.zeros((1, 1), np.float32)}, None, tmp_path)
    assert files.inputs["../x/y"].parent == tmp_path


def test_no_more_than_max_samples_are_drawn(tmp_path):
    drawn = []

    def endless():
        while True:
            drawn.append(0)
            yield np.zeros((4, 1), np.float32), np.zeros(4, np.int64)

    files = write_samples(endless(), None, tmp_path, max_samples=10)
    assert files.count == 10
    assert len(drawn) == 3
    assert len(np.load(files.labels)) == 10


def test_batches_are_never_whole_in_memory(tmp_path):
    batch_bytes = 1 << 20
    batches = (np.full((4, batch_bytes // 16), index, np.float32) for index in range(64))
    tracemalloc.start()
    files = write_samples(batches, None, tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert files.inputs[""].stat().st_size == 64 * batch_bytes + 512
    assert peak < 6 * batch_bytes


def test_a_file_stays_where_it_is(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, x=np.zeros((1, 1), np.float32))
    assert write_samples(path, None, tmp_path).inputs == {"": path}


def test_a_folder_is_sent_as_one_archive_that_depends_on_its_content_only(tmp_path):
    folder, first, second = (tmp_path / name for name in ("data", "first", "second"))
    for made in (folder, first, second):
        made.mkdir()
    np.save(folder / "b.npy", np.zeros(3, np.float32))
    np.save(folder / "a.npy", np.ones(3, np.float32))
    archives = [write_samples(folder, None, target).inputs[""] for target in (first, second)]
    assert archives[0].read_bytes() == archives[1].read_bytes()
    with zipfile.ZipFile(archives[0]) as archive:
        assert archive.namelist() == ["a.npy", "b.npy"]
        assert archive.read("a.npy") == (folder / "a.npy").read_bytes()


def test_the_writer_makes_what_numpy_reads(tmp_path):
    with NpyWriter(tmp_path / "x.npy", "samples") as writer:
        writer.append(np.array([1, 2], np.int64))
        writer.append(np.array([3], np.int64))
    found = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert found.shape == (3,)
    assert found.tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (3, "samples are a int"),
        ([], "no samples"),
        ([np.zeros((1, 2), np.float32), np.zeros((1, 3), np.float32)], r"from 1 on are float32 \[3\]"),
        ([np.zeros((1, 2), np.float32), np.zeros((1, 2), np.uint8)], "from 1 on are uint8"),
        ([{"a": np.zeros((1, 1))}, {"b": np.zeros((1, 1))}], r"batch 1 has inputs \['b'\], the first had \['a'\]"),
        ({"a": np.zeros((1, 1)), "b": np.zeros((2, 1))}, "inputs of different sizes"),
        ([(np.zeros((1, 1)), np.zeros(1, np.int64), 5)], "batch 0 has 3 parts and the model 1 inputs"),
        (["text"], "batch 0 is a str"),
        (np.array(3.0), "a single number"),
        (np.array(["a"]), "type <U1 cannot be samples"),
        (np.array([[1j]]), "complex128 cannot be samples"),
        ("missing.npy", "there is no file missing.npy"),
    ],
    ids=lambda value: None if not isinstance(value, str) else value[:30].replace(" ", "_"),
)
def test_what_makes_no_samples(tmp_path, samples, message):
    with pytest.raises(qatgap.SamplesError, match=message):
        write_samples(samples, None, tmp_path)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([0.5]), "labels are float64; give integers"),
        (np.array([[1]]), r"labels have shape \[1, 1\]"),
        ([], "no labels"),
        (5, "labels are a int"),
    ],
    ids=["float", "shape", "none", "number"],
)
def test_what_makes_no_labels(tmp_path, labels, message):
    with pytest.raises(qatgap.SamplesError, match=message):
        write_samples(np.zeros((1, 1), np.float32), labels, tmp_path)


def test_a_file_of_another_format_is_refused_by_name(tmp_path):
    (tmp_path / "x.csv").write_text("1")
    with pytest.raises(qatgap.SamplesError, match=r"x\.csv is not one of"):
        write_samples(tmp_path / "x.csv", None, tmp_path)
