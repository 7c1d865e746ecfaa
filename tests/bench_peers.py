"""Other libraries' attention, for tests/bench.c to time in turn with its own.

    bench_peers.py FOLDER        commands on stdin, one answer a line on stdout

    open ID LIBRARY THREADS H G N M D causal|none    reads FOLDER/{q,k,v}.f32; "ok WHAT" or "skip WHY"
    write ID        one run, its output to FOLDER/out.f32; "ok"
    time ID         one run; "ok SECONDS"
    close ID

Arrays are float32, [H, N, D] and [G, M, D]. What each library is asked is the quickest way of its
own that takes these arrays as they lie; preparing it is not timed.
"""

import os
import signal
import sys
import time

# No library may keep its threads spinning between its turns.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("KMP_BLOCKTIME", "0")
os.environ.setdefault("GOMP_SPINCOUNT", "0")
signal.signal(signal.SIGINT, signal.SIG_IGN)  # the benchmark ends it, by closing stdin

import numpy as np  # noqa: E402


class OnnxRuntime:
    """com.microsoft's MultiHeadAttention, its GroupQueryAttention, or ONNX's Attention."""

    def __init__(self, shape, threads, q, k, v):
        import onnx
        import onnxruntime
        self.runtime, self.onnx, self.shape = onnxruntime, onnx, shape
        self.name = "onnxruntime-" + onnxruntime.__version__
        H, G, N, M, D, causal = shape
        tried = []
        for way in (self.multi_head, self.attention, self.group_query):
            try:
                node, opset, feeds = way(q, k, v)
                self.session = self.open(node, opset, feeds, threads)
                self.names = [o.name for o in self.session.get_outputs()][:1]
                self.feeds = feeds
                self.run()
                self.name += "-" + node.op_type
                return
            except Exception as error:  # this way does not take this shape: the next one
                tried.append(f"{way.__name__}: {str(error).splitlines()[0][:80]}")
        raise RuntimeError("; ".join(tried))

    def multi_head(self, q, k, v):
        H, G, N, M, D, causal = self.shape
        if H != G:
            raise ValueError("takes no groups")
        if causal and N != M:
            raise ValueError("counts from the other end")
        node = self.onnx.helper.make_node("MultiHeadAttention", ["q", "k", "v"], ["out"],
                                          domain="com.microsoft", num_heads=H,
                                          unidirectional=int(causal))
        self.order = lambda out: out.reshape(N, H, D).transpose(1, 0, 2)
        return node, None, {"q": q.transpose(1, 0, 2).reshape(1, N, H * D).copy(),
                            "k": k[None], "v": v[None]}

    def group_query(self, q, k, v):
        H, G, N, M, D, causal = self.shape
        if not (causal and N == M):
            raise ValueError("is causal")
        node = self.onnx.helper.make_node(
            "GroupQueryAttention", ["q", "k", "v", "", "", "ends", "all"], ["out", "pk", "pv"],
            domain="com.microsoft", num_heads=H, kv_num_heads=G)
        flat = lambda x: x.transpose(1, 0, 2).reshape(1, x.shape[1], -1).copy()
        self.order = lambda out: out.reshape(N, H, D).transpose(1, 0, 2)
        return node, None, {"q": flat(q), "k": flat(k), "v": flat(v),
                            "ends": np.array([M - 1], np.int32), "all": np.array(M, np.int32)}

    def attention(self, q, k, v):
        causal = self.shape[5]
        node = self.onnx.helper.make_node("Attention", ["q", "k", "v"], ["out"],
                                          is_causal=int(causal))
        self.order = lambda out: out[0]
        return node, 23, {"q": q[None], "k": k[None], "v": v[None]}

    def open(self, node, opset, feeds, threads):
        helper, kinds = self.onnx.helper, {"float32": 1, "int32": 6}
        inputs = [helper.make_tensor_value_info(n, kinds[str(x.dtype)], list(x.shape))
                  for n, x in feeds.items()]
        outputs = [helper.make_tensor_value_info(n, 1, None) for n in node.output]
        opsets = [helper.make_opsetid("", opset or 17), helper.make_opsetid("com.microsoft", 1)]
        graph = helper.make_graph([node], "attention", inputs, outputs)
        model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
        options = self.runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        return self.runtime.InferenceSession(model.SerializeToString(), options,
                                             providers=["CPUExecutionProvider"])

    def run(self):
        self.out = self.session.run(self.names, self.feeds)[0]

    def result(self):
        return self.order(self.out)


class Torch:
    """torch.nn.functional.scaled_dot_product_attention, whichever way it chooses."""

    def __init__(self, shape, threads, q, k, v):
        import torch
        self.torch, self.threads = torch, threads
        self.name = "torch-" + torch.__version__
        self.q, self.k, self.v = (torch.from_numpy(x)[None] for x in (q, k, v))
        H, G, N, M, D, causal = shape
        self.flags = {"is_causal": causal}
        if G != H:
            self.flags["enable_gqa"] = True
        self.run()

    def run(self):
        if self.torch.get_num_threads() != self.threads:
            self.torch.set_num_threads(self.threads)
        with self.torch.inference_mode():
            self.out = self.torch.nn.functional.scaled_dot_product_attention(
                self.q, self.k, self.v, **self.flags)

    def result(self):
        return self.out[0].numpy()


LIBRARIES = {"onnxruntime": OnnxRuntime, "torch": Torch}
opened = {}


def answer(folder, words):
    command, key = words[0], words[1]
    if command == "open":
        library, threads = words[2], int(words[3])
        H, G, N, M, D = map(int, words[4:9])
        read = lambda name, *s: np.fromfile(f"{folder}/{name}.f32", np.float32).reshape(s)
        arrays = read("q", H, N, D), read("k", G, M, D), read("v", G, M, D)
        opened[key] = LIBRARIES[library]((H, G, N, M, D, words[9] == "causal"), threads, *arrays)
        return "ok " + opened[key].name
    if command == "write":
        opened[key].run()
        np.ascontiguousarray(opened[key].result(), np.float32).tofile(f"{folder}/out.f32")
        return "ok"
    if command == "time":
        began = time.perf_counter()
        opened[key].run()
        return f"ok {time.perf_counter() - began:.9f}"
    if command == "close":
        opened.pop(key, None)
        return "ok"
    raise ValueError("no such command: " + command)


def main():
    answers, sys.stdout = sys.stdout, sys.stderr  # what a library prints is no answer
    for line in sys.stdin:
        try:
            text = answer(sys.argv[1], line.split())
        except ImportError as error:
            text = f"skip {error.name} is not installed for {os.path.basename(sys.executable)}"
        except Exception as error:  # named, and the benchmark goes on without it
            text = f"skip {type(error).__name__}: {error}".replace("\n", " ")[:300]
        print(text.replace(",", ";"), file=answers, flush=True)


main()
