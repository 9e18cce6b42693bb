#!/usr/bin/env python3
"""Distil a sentence encoder into a static token table small enough to embed in a binary.

Sentence vector = L2-normalised sum of the int8 rows of its WordPiece tokens (no [CLS]/[SEP]).
The table is trained so that this sum points where the teacher's sentence vector points.

  distil.py teach  --corpus corpus.json --onnx minilm.onnx --out teach/      teacher vectors, sharded
  distil.py tokens --onnx minilm.onnx --out tok.npy                          each vocabulary entry alone
  distil.py train  --corpus corpus.json --teach teach/ --tokens tok.npy --out table.npz
  distil.py plain  --tokens tok.npy --out table.npz                          no training: PCA + log-rank
  distil.py export --table table.npz --dim 256 [--keep 22000] --out table.bin
  distil.py show   --table table.bin TEXT...                                 vectors, for comparison

corpus.json is a JSON list of short texts (one to forty words): questions and statements in an
everyday register plus dictionary glosses and examples.  It must not hold evaluation data.
Needs numpy, scipy, tokenizers; teach and tokens also onnxruntime (see minilm.py).

File written by export (little endian):
  8 bytes  magic "MEMTAB01"
  u32 rows, u32 dim, u32 bytes of vocabulary text
  vocabulary: rows tokens joined by "\n" (WordPiece, "##" marks a continuation; lower case)
  f32 x rows: scale of each row
  i8  x rows x dim: row-major table; value = scale * i8
"""
import argparse
import glob
import json
import os
import struct
import sys
import time
import unicodedata

import numpy as np

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
MAGIC = b"MEMTAB01"


# ------------------------------------------------------------ the runtime, as a Rust port would do it
class Static:
    def __init__(self, path):
        b = open(path, "rb").read()
        assert b[:8] == MAGIC
        rows, dim, nv = struct.unpack("<III", b[8:20])
        self.vocab = {t: i for i, t in enumerate(b[20:20 + nv].decode("utf-8").split("\n"))}
        o = 20 + nv
        scale = np.frombuffer(b, "<f4", rows, o)
        tab = np.frombuffer(b, "i1", rows * dim, o + 4 * rows).reshape(rows, dim)
        self.table = tab.astype(np.float32) * scale[:, None]
        self.dim = dim

    @staticmethod
    def words(text):
        """BERT basic tokenizer: lower case, accents stripped, punctuation and CJK split off."""
        text = unicodedata.normalize("NFD", text.lower())
        out, cur = [], []
        for ch in text:
            cat = unicodedata.category(ch)
            if cat == "Mn":
                continue
            cp = ord(ch)
            if ch.isspace() or cat in ("Cc", "Cf", "Cn", "Co") or cp in (0, 0xFFFD):
                if ch.isspace() and cur:
                    out.append("".join(cur)); cur = []
                continue
            ascii_punct = 33 <= cp <= 47 or 58 <= cp <= 64 or 91 <= cp <= 96 or 123 <= cp <= 126
            if ascii_punct or cat.startswith("P") or 0x4E00 <= cp <= 0x9FFF or 0x3400 <= cp <= 0x4DBF:
                if cur:
                    out.append("".join(cur)); cur = []
                out.append(ch)
            else:
                cur.append(ch)
        if cur:
            out.append("".join(cur))
        return out

    def ids(self, text):
        out = []
        for w in self.words(text):
            if len(w) > 100:
                continue
            start, piece = 0, []
            while start < len(w):
                end = len(w)
                while end > start:
                    t = ("##" if start else "") + w[start:end]
                    if t in self.vocab:
                        break
                    end -= 1
                if end == start:
                    piece = []
                    break
                piece.append(self.vocab[t])
                start = end
            out += piece
        return out

    def encode(self, texts):
        out = np.zeros((len(texts), self.dim), np.float32)
        for i, t in enumerate(texts):
            k = self.ids(t)
            if k:
                v = self.table[k].sum(0)
                out[i] = v / max(1e-9, np.linalg.norm(v))
        return out


# ------------------------------------------------------------ training
def tokenizer():
    import minilm
    from tokenizers import Tokenizer
    t = Tokenizer.from_file(os.path.join(minilm.model_dir(), "tokenizer.json"))
    t.no_padding()
    t.no_truncation()
    return t


def counts(texts, tok, V):
    from scipy.sparse import csr_matrix
    ptr, idx = [0], []
    for a in range(0, len(texts), 4096):
        for e in tok.encode_batch(texts[a:a + 4096], add_special_tokens=False):
            idx += [i for i in e.ids if i != 100]
            ptr.append(len(idx))
    X = csr_matrix((np.ones(len(idx), np.float32), np.array(idx), np.array(ptr)), shape=(len(texts), V))
    X.sum_duplicates()
    return X


def unit(m):
    return m / np.maximum(1e-9, np.linalg.norm(m, axis=1, keepdims=True))


def log_rank(V):
    """frequency stand-in: BERT's vocabulary is roughly in order of frequency."""
    return np.log(1 + np.arange(V))


def cmd_teach(a):
    import minilm
    m = minilm.MiniLM(a.onnx, threads=a.threads, max_len=64)
    T = json.load(open(a.corpus))
    os.makedirs(a.out, exist_ok=True)
    for s in range(0, len(T), 8000):
        np.save(os.path.join(a.out, "%06d.npy" % s), m.encode(T[s:s + 8000], token_budget=1024).astype(np.float16))
        print(s, flush=True)


def cmd_tokens(a):
    import minilm
    m = minilm.MiniLM(a.onnx, threads=a.threads)
    V = m.tok.get_vocab_size()
    np.save(a.out, np.concatenate([m.run_ids([[101, i, 102] for i in range(s, min(V, s + 512))])
                                   for s in range(0, V, 512)]))


def cmd_plain(a):
    E = np.load(a.tokens)
    E = E - E.mean(0)
    _, _, R = np.linalg.svd(E[1996:], full_matrices=False)
    E = E @ R.T
    if a.weight == "zipf":
        E = E * log_rank(len(E))[:, None]
    np.savez(a.out, E=E.astype(np.float32), freq=np.zeros(len(E)))


def cmd_train(a):
    t0 = time.time()
    E0 = np.load(a.tokens).astype(np.float32)
    V = len(E0)
    T = json.load(open(a.corpus))
    shards = sorted(glob.glob(os.path.join(a.teach, "*.npy")))[:a.shards or None]
    Y = np.concatenate([np.load(f) for f in shards]).astype(np.float32)
    T = T[:len(Y)]
    X = counts(T, tokenizer(), V)
    ok = np.asarray(X.sum(1)).ravel() > 0
    X, Y = X[ok], unit(Y[ok])
    freq = np.asarray(X.sum(0)).ravel()
    _, _, R = np.linalg.svd(Y[::7], full_matrices=False)            # rotation: dims in order of variance
    Y, E0 = (Y @ R.T)[:, :a.dim].copy(), (E0 @ R.T)[:, :a.dim].copy()
    Y = unit(Y)
    w = log_rank(V)[:, None].astype(np.float32)
    E0 = E0 * w / w.mean()
    E = E0.copy()
    rng = np.random.default_rng(1)
    order = rng.permutation(len(Y))
    val, tr = order[:4000], order[4000:]
    Xv, Yv = X[val], Y[val]
    m1, m2 = np.zeros_like(E), np.zeros_like(E)
    step, steps = 0, a.epochs * (len(tr) // a.batch)
    print("texts %d, held out %d, tokens seen %d, start cos %.4f (%.0fs)" %
          (len(tr), len(val), (freq > 0).sum(), (unit(Xv @ E) * Yv).sum(1).mean(), time.time() - t0), flush=True)
    for ep in range(a.epochs):
        rng.shuffle(tr)
        for s in range(0, len(tr) - a.batch + 1, a.batch):
            b = tr[s:s + a.batch]
            Xb, Yb = X[b], Y[b]
            M = Xb @ E
            n = np.maximum(1e-6, np.linalg.norm(M, axis=1, keepdims=True))
            U = M / n
            dU = -Yb / len(b)                                       # cosine term
            if a.rel:
                k = min(a.rel_n, len(b))                            # relational term on part of the batch
                S, Tm = U[:k] @ U[:k].T, Yb[:k] @ Yb[:k].T
                ps, pt = np.exp(S / a.tau), np.exp(Tm / a.tau)
                np.fill_diagonal(ps, 0); np.fill_diagonal(pt, 0)
                ps /= ps.sum(1, keepdims=True); pt /= pt.sum(1, keepdims=True)
                D = (ps - pt) * (a.rel / (a.tau * k))
                dU = dU.copy()
                dU[:k] += (D + D.T) @ U[:k]
            dM = (dU - U * (dU * U).sum(1, keepdims=True)) / n
            rows = np.unique(Xb.indices)
            G = (Xb[:, rows].T @ dM).astype(np.float32)
            G += a.decay * (E[rows] - E0[rows]) / len(Y)
            step += 1
            lr = a.lr * (0.5 * (1 + np.cos(np.pi * step / steps)) * 0.98 + 0.02)
            m1[rows] = .9 * m1[rows] + .1 * G
            m2[rows] = .99 * m2[rows] + .01 * G * G
            E[rows] -= lr * (m1[rows] / (1 - .9 ** min(step, 200))) / (np.sqrt(m2[rows] / (1 - .99 ** min(step, 2000))) + 1e-9)
        if ep % 2 == 1 or ep == a.epochs - 1:
            print("epoch %d held-out cos %.4f (%.0fs)" % (ep + 1, (unit(Xv @ E) * Yv).sum(1).mean(), time.time() - t0), flush=True)
    np.savez(a.out, E=E, freq=freq)


def cmd_export(a):
    z = np.load(a.table)
    E, freq = z["E"][:, :a.dim], z["freq"]
    tok = tokenizer()
    vocab = [t for t, _ in sorted(tok.get_vocab().items(), key=lambda x: x[1])]

    def wanted(i):
        t = vocab[i]
        if t.startswith("[") and t.endswith("]") and len(t) > 2:
            return False
        return all(ord(c) < 0x250 or 0x2010 <= ord(c) <= 0x20AC for c in t)      # Latin script only
    keep = [i for i in range(len(vocab)) if wanted(i)]
    if a.keep and len(keep) > a.keep:
        single = [i for i in keep if len(vocab[i].removeprefix("##")) == 1]      # always able to spell
        rest = sorted((i for i in keep if i not in set(single)), key=lambda i: (-min(freq[i], 3), i))
        keep = sorted(single + rest[:a.keep - len(single)])
    E = E[keep]
    words = "\n".join(vocab[i] for i in keep).encode("utf-8")
    peak = np.abs(E).max(1)
    if a.quant == "global":
        peak = np.full_like(peak, np.quantile(peak, 0.999))
    scale = (np.maximum(peak, 1e-9) / a.levels).astype("<f4")
    q = np.clip(np.rint(E / scale[:, None]), -a.levels, a.levels).astype("i1")
    with open(a.out, "wb") as f:
        f.write(MAGIC + struct.pack("<III", len(keep), E.shape[1], len(words)))
        f.write(words + scale.tobytes() + q.tobytes())
    print(a.out, len(keep), "rows", E.shape[1], "dims", os.path.getsize(a.out), "bytes")


def cmd_show(a):
    """The ends of vectors: what the tests of the Rust runtime compare with."""
    table = Static(a.table)
    for text, v in zip(a.texts, table.encode(a.texts)):
        print(repr(text), np.round(v[:4], 5).tolist(), np.round(v[-2:], 5).tolist())


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = ap.add_subparsers(dest="cmd", required=True)
    for name, fn, opts in (
        ("teach", cmd_teach, "corpus onnx out"), ("tokens", cmd_tokens, "onnx out"),
        ("plain", cmd_plain, "tokens out"), ("train", cmd_train, "corpus teach tokens out"),
        ("export", cmd_export, "table out"), ("show", cmd_show, "table")):
        p = sub.add_parser(name)
        for o in opts.split():
            p.add_argument("--" + o, required=True)
        p.set_defaults(fn=fn)
        if name in ("teach", "tokens"):
            p.add_argument("--threads", type=int, default=2)
        if name == "plain":
            p.add_argument("--weight", choices=["zipf", "none"], default="zipf")
        if name == "train":
            p.add_argument("--shards", type=int, default=0)
            p.add_argument("--dim", type=int, default=384)
            p.add_argument("--epochs", type=int, default=16)
            p.add_argument("--batch", type=int, default=2048)
            p.add_argument("--lr", type=float, default=0.01)
            p.add_argument("--decay", type=float, default=0.01)
            p.add_argument("--rel", type=float, default=0.0, help="weight of the relational term")
            p.add_argument("--rel-n", type=int, default=512)
            p.add_argument("--tau", type=float, default=0.05)
        if name == "export":
            p.add_argument("--dim", type=int, default=256)
            p.add_argument("--keep", type=int, default=0)
            p.add_argument("--quant", choices=["row", "global"], default="row")
            p.add_argument("--levels", type=int, default=127)
        if name == "show":
            p.add_argument("texts", nargs="+")
    a = ap.parse_args()
    a.fn(a)


if __name__ == "__main__":
    main()
