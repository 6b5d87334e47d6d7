"""What the other programs need for the same work, in their environment: python speed_peers.py JOB IN OUT.

Times are seconds of the processor, the best of a few, on one thread.
"""

import sys
import time
from collections.abc import Callable

import numpy as np


def best(work: Callable[[], object], repeats: int) -> float:
    work()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def persistence(image: np.ndarray, floor: np.ndarray) -> dict:
    """0-dimensional pairs of the maxima above ``floor``, eight neighbours, by way of the negative image."""
    import cripser
    import gudhi

    raised = -np.where(image >= floor, image, 0.0).astype(np.float64)

    def intervals() -> np.ndarray:
        pixels = gudhi.CubicalComplex(top_dimensional_cells=raised)
        pixels.compute_persistence()
        return pixels.persistence_intervals_in_dimension(0)

    def places() -> object:
        pixels = gudhi.CubicalComplex(top_dimensional_cells=raised)
        pixels.compute_persistence()
        return pixels.cofaces_of_persistence_pairs()

    return {
        "gudhi": best(intervals, 3), "gudhi with pixels": best(places, 3),
        "cripser": best(lambda: cripser.computePH_T(raised, maxdim=0), 3),
    }  # fmt: skip


def lmfit(patches: np.ndarray) -> dict:
    """Rotated Gaussians, 7 parameters, by a model whose start is the maximum of the patch."""
    import lmfit

    side = patches.shape[1]
    y, x = np.mgrid[:side, :side].astype(float)

    def gaussian(x, y, height, x0, y0, s1, s2, angle, base):
        cos, sin = np.cos(angle), np.sin(angle)
        along, across = cos * (x - x0) + sin * (y - y0), cos * (y - y0) - sin * (x - x0)
        return height * np.exp(-0.5 * ((along / s1) ** 2 + (across / s2) ** 2)) + base

    model = lmfit.Model(gaussian, independent_vars=["x", "y"])
    places = np.full((len(patches), 2), np.nan)
    start = time.process_time()
    for k, patch in enumerate(patches):
        base = float(np.median(patch))
        row, col = np.unravel_index(np.argmax(patch), patch.shape)
        given = model.make_params(
            height=patch.max() - base, x0=float(col), y0=float(row), s1=1.8, s2=1.4, angle=0.0, base=base
        )
        fit = model.fit(patch, given, x=x, y=y)
        places[k] = fit.params["x0"].value, fit.params["y0"].value
    return {"seconds": (time.process_time() - start) / len(patches), "places": places}


def network(weights: dict) -> bytes:
    """BraggNN as published, as an ONNX graph."""
    from onnx import TensorProto, helper, numpy_helper

    constants = {name: value.astype(np.float32) for name, value in weights.items()}
    constants |= {"tokens": np.array([0, 32, -1], np.int64)}
    nodes: list = []

    def add(kind: str, inputs: list[str], output: str, **options: object) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], **options))
        return output

    def layer(kind: str, name: str, given: str, **options: object) -> str:
        return add(kind, [given, f"{name}.weight", f"{name}.bias"], f"{name}.out", **options)

    first = layer("Conv", "cnn_layers.0", "patches")
    parts = {}
    for name in ("theta", "phi", "g"):
        flat = layer("Conv", f"nlb.{name}_layer", first)
        parts[name] = add("Reshape", [flat, "tokens"], f"{name}.flat")
    side = int(weights["window"]) - 2
    constants["square"] = np.array([0, 32, side, side], np.int64)
    query = add("Transpose", [parts["theta"]], "query", perm=[0, 2, 1])
    scores = add("Softmax", [add("MatMul", [query, parts["phi"]], "products")], "scores", axis=-1)
    mixed = add("MatMul", [parts["g"], add("Transpose", [scores], "turned", perm=[0, 2, 1])], "mixed")
    out = layer("Conv", "nlb.out_cnn", add("Reshape", [mixed, "square"], "map"))
    x = add("LeakyRelu", [add("Add", [first, out], "sum")], "a0", alpha=0.01)
    for k in (2, 4):
        x = add("LeakyRelu", [layer("Conv", f"cnn_layers.{k}", x)], f"a{k}", alpha=0.01)
    x = add("Flatten", [x], "flat")
    last = max(int(name.split(".")[1]) for name in weights if name.startswith("dense_layers"))
    for k in range(0, last + 1, 2):
        x = layer("Gemm", f"dense_layers.{k}", x, transB=1)
        x = x if k == last else add("LeakyRelu", [x], f"d{k}", alpha=0.01)
    graph = helper.make_graph(
        nodes, "braggnn",
        [helper.make_tensor_value_info("patches", TensorProto.FLOAT, ["n", 1, side + 2, side + 2])],
        [helper.make_tensor_value_info(x, TensorProto.FLOAT, ["n", 2])],
        [numpy_helper.from_array(value, name) for name, value in constants.items() if name != "window"],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return model.SerializeToString()


def onnx(patches: np.ndarray, **weights: np.ndarray) -> dict:
    """BraggNN in ONNX Runtime, chunks of 64."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(network(weights), options, providers=["CPUExecutionProvider"])

    def locate() -> np.ndarray:
        parts = np.array_split(patches[:, None], len(patches) // 64)
        return np.concatenate([session.run(None, {"patches": part})[0] for part in parts])

    return {"seconds": best(locate, 5), "places": locate()}


def movie(path: np.ndarray, output: np.ndarray, frames: np.ndarray, **peaks: np.ndarray) -> dict:
    """A figure for every frame with its peaks, as in many a script. ``x0, y0, x1 …``: given positions."""
    import h5py
    import hdf5plugin  # noqa: F401  (registers the filter)
    import imageio.v2 as imageio
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    start = time.process_time()
    wall = time.perf_counter()
    with h5py.File(str(path)) as file, imageio.get_writer(str(output), fps=12, codec="libx264") as writer:
        data = file["entry/data/data"]
        figure, axes = pyplot.subplots(figsize=(7.68, 7.68), dpi=100)
        for k in frames:
            axes.clear()
            axes.imshow(data[k], cmap="inferno", vmin=0, vmax=200)
            axes.plot(peaks[f"x{k}"], peaks[f"y{k}"], "+", color="w")
            axes.set_title(f"frame {k}")
            figure.canvas.draw()
            writer.append_data(np.asarray(figure.canvas.buffer_rgba())[..., :3])
    return {"cpu": time.process_time() - start, "seconds": time.perf_counter() - wall}


JOBS = {"persistence": persistence, "lmfit": lmfit, "onnx": onnx, "movie": movie}

if __name__ == "__main__":
    with np.load(sys.argv[2]) as file:
        answer = JOBS[sys.argv[1]](**file)
    np.savez(sys.argv[3], **answer)
