# How large does the KV cache of one sequence get?
# 2 · layers · tokens · KV heads · head size · 2 bytes.
# From plots/data/kv_by_context.csv, which 05 --size printed.

W = 860; H = 620
load "plots/style.gp"
set logscale x 2; set logscale y 2
X0 = 400; X1 = 38000; Y0 = 2**24.3; Y1 = 2**34.6
RIGHT = 0.74
eval FRAME
set xtics (@TOKENS); set ytics (@BYTES)
set xlabel "context (tokens in the cache)"
eval headline("KV cache of one sequence, in fp16: fewer KV heads, fewer bytes")
eval caption("By the formula 2 · layers · tokens · KV heads · head size · 2 bytes; " . \
             "05 --size asserts it in float32. Lines:", \
             "32 layers of 32 heads of 128, as LLaMA-7B and Mistral-7B are. " . \
             "Marks: models at the longest context they know.")
eval slope(1, 1, 10000., 6e7, "slope 1")

table = "plots/data/kv_by_context.csv"
model(name, y) = (strcol(1) eq name && column("context") == column("longest") ? y : NaN)
MARK = 'w labels font ",13"'
plot table u 7:(only("mha", $8)) w l lc rgb BLUE lw 2, \
     table u 7:(only("mistral-7b", $8)) w l lc rgb GREEN lw 2, \
     table u 7:(only("mqa", $8)) w l lc rgb GOLD lw 2, \
     table u 7:(last("mha", $7, 32768, $8)):("MHA: 32 KV heads") @NAMED tc rgb BLUE, \
     table u 7:(last("mistral-7b", $7, 32768, $8)): \
         ("GQA: 8 KV heads,\nand Mistral-7B") @NAMED tc rgb GREEN, \
     table u 7:(last("mqa", $7, 32768, 1.2 * $8)):("MQA: 1 KV head") @NAMED tc rgb GOLD, \
     table u 7:(model("gpt2-small", $8)) w p lt 1, table u 7:(model("gpt2-large", $8)) w p lt 1, \
     table u 7:(model("llama-7b", $8)) w p lt 1, table u 7:(model("llama-70b", $8)) w p lt 3, \
     table u 7:(model("mistral-7b", $8)) w p lt 3, table u 7:(model("qwen2.5-0.5b", $8)) w p lt 3, \
     table u 7:(model("gpt2-small", $8)):("GPT-2 small") @MARK right offset -1,0 tc rgb BLUE, \
     table u 7:(model("gpt2-large", $8)):("GPT-2 large") @MARK right offset -1,0 tc rgb BLUE, \
     table u 7:(model("llama-7b", $8)):("LLaMA-7B") @MARK right offset -0.8,0.7 tc rgb BLUE, \
     table u 7:(model("llama-70b", $8)):("Llama-2-70B") @MARK left offset 0.6,0.7 tc rgb GREEN, \
     table u 7:(model("qwen2.5-0.5b", $8 / 1.3)):("Qwen2.5-0.5B,\n2 KV heads of 14") @NAMED tc rgb GREEN
